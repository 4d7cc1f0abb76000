"""Who comes into a room, under which identity."""
