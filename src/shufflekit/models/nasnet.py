"""NASNet-A (Zoph et al., CVPR 2018, arXiv 1707.07012): the cells of Figure 4, as many and as wide as in 4@1056."""

from __future__ import annotations

from functools import partial

from shufflekit.models._cells import (
    CellNet,
    Plan,
    average_3x3,
    identity,
    maximum_3x3,
    separable_3x3,
    separable_5x5,
    separable_7x7,
)
from shufflekit.models._registry import register

NORMAL = Plan(
    pairs=(
        (separable_5x5, 0, separable_3x3, 1),
        (separable_5x5, 1, separable_3x3, 1),
        (average_3x3, 0, identity, 1),
        (average_3x3, 1, average_3x3, 1),
        (separable_3x3, 0, identity, 0),
    ),
    output=(1, 2, 3, 4, 5, 6),
)
REDUCTION = Plan(
    pairs=(
        (separable_5x5, 0, separable_7x7, 1),
        (maximum_3x3, 0, separable_7x7, 1),
        (average_3x3, 0, separable_5x5, 1),
        (identity, 3, average_3x3, 2),
        (separable_3x3, 2, maximum_3x3, 0),
    ),
    output=(3, 4, 5, 6),
)

# Two reduction cells as a stem, a quarter and half as wide; then 4 normal cells at each of three sizes, whose last have
# 6 * 176 = 1056 channels.
_MOBILE = (
    *((REDUCTION, 11, 2), (REDUCTION, 22, 2)),
    *[(NORMAL, 44, 1)] * 4,
    (REDUCTION, 88, 2),
    *[(NORMAL, 88, 1)] * 4,
    (REDUCTION, 176, 2),
    *[(NORMAL, 176, 1)] * 4,
)

register("nasnet_a_mobile", partial(CellNet, 32, _MOBILE), top1_error=26.0, mflops=564, source="V2 Table 8")
