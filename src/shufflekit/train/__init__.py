"""Training: recipes, the loop, checkpoints, and the measure of what came out."""
