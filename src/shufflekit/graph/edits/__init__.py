"""Changes that keep a graph whole; each gives another graph, with random weights where shapes change."""
