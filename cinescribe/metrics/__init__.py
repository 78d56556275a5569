"""Measures of what the systems say against what is true, one file per field."""
