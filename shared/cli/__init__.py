"""The `switchboard` command: one module a verb."""
