"""Measurements against peers, each a command that prints a table."""
