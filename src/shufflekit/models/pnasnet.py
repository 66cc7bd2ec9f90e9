"""PNASNet-5 (Liu et al., ECCV 2018, arXiv 1712.00559): the cell of Figure 1, as many and as wide as in its mobile form."""

from __future__ import annotations

from functools import partial

from shufflekit.models._cells import CellNet, Plan, identity, maximum_3x3, separable_3x3, separable_5x5, separable_7x7
from shufflekit.models._registry import register

CELL = Plan(
    pairs=(
        (separable_5x5, 1, maximum_3x3, 1),
        (separable_7x7, 0, maximum_3x3, 0),
        (separable_5x5, 0, separable_3x3, 0),
        (separable_3x3, 4, maximum_3x3, 0),
        (separable_3x3, 1, identity, 0),
    ),
    output=(2, 3, 4, 5, 6),
)

# Two cells as a stem, a quarter and half as wide; then 3 cells at each of three sizes, the first of the later two strided.
_MOBILE = (
    *((CELL, 13, 2), (CELL, 27, 2)),
    *[(CELL, 54, 1)] * 3,
    *((CELL, 108, 2), (CELL, 108, 1), (CELL, 108, 1)),
    *((CELL, 216, 2), (CELL, 216, 1), (CELL, 216, 1)),
)

register("pnasnet_5_mobile", partial(CellNet, 32, _MOBILE), top1_error=25.8, mflops=588, source="V2 Table 8")
