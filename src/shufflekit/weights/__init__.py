"""Weights: layouts and their conversion, published files, saved networks."""

from shufflekit.weights.checkpoints import Checkpoint, find_checkpoint, list_checkpoints
from shufflekit.weights.create import create_model, resolve_model
from shufflekit.weights.load import LoadReport, load_weights
from shufflekit.weights.saved import from_pretrained, save_pretrained

__all__ = [
    "Checkpoint",
    "LoadReport",
    "create_model",
    "find_checkpoint",
    "from_pretrained",
    "list_checkpoints",
    "load_weights",
    "resolve_model",
    "save_pretrained",
]
