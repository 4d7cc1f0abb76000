"""Calls that lose their agent, its host, its machine or the server: on a stack of their own, beside that of `tests/calls`."""
