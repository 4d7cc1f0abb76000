"""What happened in a call, kept in append-only files."""
