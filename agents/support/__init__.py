"""Support: knows who calls and why, answers from a small knowledge file, takes a message."""
