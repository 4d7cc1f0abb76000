"""Calls that lose their agent, its host, its machine or the server."""
