"""The activation that ends a kernel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
from numpy.typing import NDArray

from shufflekit.graph.ops import activations
from shufflekit.plan.kernels import Activation


def fields_of(found: activations.Activation | None) -> tuple[Activation, float]:
    """The last fields of a kernel that ends with an activation: its name and its slope."""
    return (cast("Activation", found.name), float(getattr(found, "slope", 0.0))) if found else ("none", 0.0)


def weights_of(found: activations.Activation | None, planes: int) -> Mapping[str, NDArray[np.float32]]:
    """Its weights for so many planes, each channel's next to each other."""
    if not isinstance(found, activations.PRelu):
        return {}
    return {"slopes": np.repeat(np.array(found.slopes, np.float32), planes // len(found.slopes))}
