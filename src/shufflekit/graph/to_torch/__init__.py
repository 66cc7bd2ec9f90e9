"""The way out to PyTorch: a module that computes a graph."""

from shufflekit.graph.to_torch.module import to_torch

__all__ = ["to_torch"]
