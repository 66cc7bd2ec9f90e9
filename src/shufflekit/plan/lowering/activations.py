"""The activation that ends a kernel."""

from __future__ import annotations

from typing import cast

from shufflekit.graph.ops import activations
from shufflekit.plan.kernels import Activation


def fields_of(found: activations.Activation | None) -> tuple[Activation, float]:
    """The last fields of a kernel that ends with an activation: its name and its slope."""
    return (cast("Activation", found.name), float(getattr(found, "slope", 0.0))) if found else ("none", 0.0)
