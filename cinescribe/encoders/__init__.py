"""Frozen feature extractors, one file each; `protocol` says what they share, `catalogue` names them."""
