"""Tells a plan from a network among MODEL arguments, without torch."""

from __future__ import annotations

from pathlib import Path

from shufflekit.errors import UsageError


def is_plan(model: str, weights: str | None, engine: str | None) -> bool:
    """Whether MODEL is the file of a plan.

    Raises:
        UsageError: it is one, and weights or another engine were asked for.

    Example:
        >>> is_plan("shufflenet_v2_x1_0", None, None), is_plan("net.plan", None, "native")
        (False, True)
    """
    if not (Path(model).is_file() or model.endswith(".plan")):
        return False
    if weights is not None:
        raise UsageError(f"weights: a plan has its own, found {weights!r}")
    if engine == "torch":
        raise UsageError("engine: a plan runs on native only, found 'torch'")
    return True
