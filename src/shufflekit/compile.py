"""Compiles any network of the supported operators into a program of the native engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from shufflekit.errors import UsageError
from shufflekit.graph import capture, simplify
from shufflekit.plan.build import build
from shufflekit.runtime import Engine


def compile(  # noqa: A001  # the field's word, and the verb of the command line
    model: nn.Module,
    input_shape: Sequence[int],
    threads: int = 1,
    *,
    instruction_set: str = "",
    info: Mapping[str, Any] | None = None,
) -> Engine:
    """Compiles a network: batch norms, activations and sums fold into convolutions, and what only moves channels vanishes.

    Args:
        model: any module that takes one (N, C, H, W) float32 tensor; it is compiled as in evaluation, and left as it is.
        input_shape: (N, C, H, W); the engine takes any N.
        threads: that work on one call together.
        instruction_set: one of `shufflekit device`'s; empty for the best that runs here.
        info: kept in the plan for its users, beside the network's own preprocessing and class names.

    Raises:
        UsageError: an operator that the engine does not have, with the module that it came from; a shape that the network
            does not take.

    Example:
        >>> import numpy as np
        >>> engine = compile(nn.Conv2d(3, 8, 3), (1, 3, 9, 9))
        >>> engine(np.zeros((2, 3, 9, 9), np.float32)).shape
        (2, 8, 7, 7)
    """
    if len(input_shape) != 4 or any(int(size) != size or size < 1 for size in input_shape):
        raise UsageError(f"input_shape: must be four sizes (N, C, H, W) of 1 or more, found {tuple(input_shape)}")
    batch, channels, height, width = (int(size) for size in input_shape)
    graph = simplify(capture(model, (batch, channels, height, width)))
    name = getattr(model, "architecture", None) or type(model).__name__
    own = getattr(model, "pretrained_cfg", None) or {}
    program = build(graph, name, {**({"pretrained_cfg": dict(own)} if own else {}), **(info or {})})
    return Engine(program.to_bytes(), threads, instruction_set)
