"""The systems of the papers, a file each, named as the papers name them; they know nothing of training."""
