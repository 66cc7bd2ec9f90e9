"""What a network costs: counted here, and priced for a device."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from shufflekit.cost.counts import Counts, LayerCount

if TYPE_CHECKING:
    from shufflekit.cost.from_torch import count as count

__all__ = ["Counts", "LayerCount", "count"]


def __getattr__(name: str) -> Any:
    if name != "count":
        raise AttributeError(f"module 'shufflekit.cost' has no attribute {name!r}")
    return import_module("shufflekit.cost.from_torch").count  # loads torch, which the rest does without
