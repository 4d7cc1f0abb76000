"""Imported once in the forkserver: what a call would otherwise import before its first answer, on the loop of a live call."""
