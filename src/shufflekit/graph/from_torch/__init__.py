"""The way in from PyTorch: torch.export sees the operators, and `translations.py` says what each is in a graph."""

from shufflekit.graph.from_torch.capture import capture

__all__ = ["capture"]
