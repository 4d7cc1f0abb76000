"""Everything a call needs on this machine: server, provider stand-ins, a caller."""
