"""One folder an agent; the folder's name is the agent name that a dispatch uses."""
