"""Intake: takes name, call-back number and reason of a call."""
