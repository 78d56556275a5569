"""Search for moments: what was said, described and seen, in an embedded index that many readers share."""
