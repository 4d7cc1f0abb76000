"""The host: one process with an agent server per agent name, and the jobs it starts."""
