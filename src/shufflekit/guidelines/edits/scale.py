"""Widths times factors, at as many multiply-adds as are asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping

from shufflekit.graph import Graph
from shufflekit.graph.edits.widths import Widths
from shufflekit.graph.operator import RefusedError

_STEP = 8  # widths are rounded to multiples of it


def scaled(widths: Widths, factors: Mapping[str, float], flops: int | None = None) -> Graph:
    """Groups of widths times factors of their own and one for all, by which the multiply-adds become those that are asked for.

    Args:
        widths: of the graph.
        factors: by the first writer of each group.
        flops: of convolutions and linear layers afterwards, as near as whole widths come; as before by default.

    Raises:
        RefusedError: none of the groups can change.
    """
    wanted = widths.flops({}) if flops is None else flops
    was = {writer: group.width for group in widths.groups for writer in group.writers}
    free = {writer: factors[writer] for writer in widths.independent(factors)}
    if not free:
        raise RefusedError("none of the widths can change by itself")

    # What follows from several widths must be a multiple too of what any convolution needs.
    common = math.lcm(*(widths.multiple(writer) for writer in was))
    each = {writer: common if common <= _STEP else widths.multiple(writer) for writer in free}
    steps = {writer: own * max(1, _STEP // own) for writer, own in each.items()}

    def rounded(factor: float) -> dict[str, int]:
        return {name: max(1, round(was[name] * free[name] * factor / steps[name])) * steps[name] for name in free}

    def apart(factor: float) -> float:
        try:
            return math.log(widths.flops(rounded(factor)) / wanted)
        except RefusedError:  # widths that follow would come to nothing
            return -math.inf

    low, high = 0.1, 10.0
    for _ in range(12):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if apart(middle) > 0 else (middle, high)
    return widths.changed(rounded(min((low, high), key=lambda factor: abs(apart(factor)))))
