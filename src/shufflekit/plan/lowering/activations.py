"""The activation that ends a kernel."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from shufflekit.graph.ops import activations
from shufflekit.plan.kernels import Activation

# The kernels' word and parameters, where the word is not the operator's name or there are any.
_WORDS: Mapping[type, Callable[[Any], tuple[Activation, float, float]]] = {
    activations.LeakyRelu: lambda op: ("leaky_relu", op.slope, 0),
    activations.Clamp: lambda op: ("clamp", op.low, op.high),
    activations.Threshold: lambda op: ("threshold", op.threshold, op.value),
    activations.Gelu: lambda op: ("gelu" if op.approximate == "none" else "gelu_tanh", 0, 0),
    activations.Elu: lambda op: ("elu", op.alpha, 1),
    activations.Celu: lambda op: ("elu", op.alpha, 1 / op.alpha),
    activations.Selu: lambda op: ("selu", op.gamma * op.alpha, op.gamma),
    activations.Softplus: lambda op: ("softplus", op.beta, op.threshold),
    activations.Power: lambda op: (_POWERS.get(op.exponent, "power"), op.exponent, 0),
}
_POWERS: Mapping[float, Activation] = {1: "none", 2: "square", 0.5: "sqrt", -0.5: "rsqrt", -1: "reciprocal"}
_INFINITE = 1e39  # as plans have it


def fields_of(found: activations.Activation | None) -> tuple[Activation, float, float]:
    """The last fields of a kernel that ends with an activation: its word, and two parameters."""
    if found is None:
        return "none", 0.0, 0.0
    named = cast("Activation", found.name), 0.0, 0.0
    word, alpha, beta = _WORDS[type(found)](found) if type(found) in _WORDS else named
    return word, finite(alpha), finite(beta)


def finite(number: float) -> float:
    """A number as plans have it, which know of no infinity."""
    return math.copysign(_INFINITE, number) if math.isinf(number) else float(number)


def weights_of(found: activations.Activation | None, planes: int) -> Mapping[str, NDArray[np.float32]]:
    """Its weights for so many planes, each channel's next to each other."""
    if not isinstance(found, activations.PRelu):
        return {}
    return {"slopes": np.repeat(np.array(found.slopes, np.float32), planes // len(found.slopes))}
