"""Everything the agents have in common: contracts, config, host, local stack and the `switchboard` command."""
