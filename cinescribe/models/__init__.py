"""The systems of the papers, a file each, named as the paper names it. They know nothing of training loops."""
