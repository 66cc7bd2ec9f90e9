"""What makes a graph smaller and computes the same, one file a rewrite."""
