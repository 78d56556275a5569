"""The systems of the papers, one file each, named as the paper names it. Models know nothing of training
loops."""
