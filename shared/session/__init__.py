"""One running call: its state, its session, what ends it."""
