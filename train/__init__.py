"""Training on Ray Train: one loop for all systems (`train.loop`), a recipe for each (`train.recipes`)."""
