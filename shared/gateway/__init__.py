"""The face for frontends: tokens, dispatches, rooms, records, and a page to talk to an agent."""
