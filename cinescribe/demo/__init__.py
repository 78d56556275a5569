"""`make demo`: films are made, cleaned, looked at, described by a small model, and found on the page."""
