"""How a search is evaluated: runs of similarities on disk, their scores, and a page of what went wrong."""
