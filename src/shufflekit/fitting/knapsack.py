"""The largest chain of links within a budget, when what links take adds up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.float64]

_BINS = 1000  # of the budget


def largest(
    first: tuple[Table, Table], links: Sequence[tuple[Table, Table]], budget: float
) -> tuple[int, list[tuple[int, int]]] | None:
    """Chooses a state before each link and behind the last one, and a way through each link, by dynamic programming.

    Args:
        first: cost and size of each state before the first link.
        links: cost and size (states before, states behind, ways) of each; an infinite cost of what cannot be.
        budget: for the sum of costs, which are rounded to a thousandth of it.

    Returns:
        The first state, and of each link the state behind it and the way; None where nothing is within the budget.

    Example:
        >>> free = np.zeros(2)
        >>> cost, size = np.array([[[1.0, 2.0]], [[1.5, 9.0]]]), np.array([[[1.0, 5.0]], [[4.0, 9.0]]])
        >>> largest((free, free), [(cost, size), (cost[:1], size[:1])], 3.0), largest((free, free), [(cost, size)], 0.5)
        ((0, [(0, 1), (0, 0)]), None)
    """
    reach = [_start(first, budget)]
    back: list[NDArray[np.int64]] = []
    for cost, size in links:
        found, chosen = _through(reach[-1], cost, size, budget)
        reach.append(found)
        back.append(chosen)
    state, place = divmod(int(np.argmax(reach[-1])), _BINS + 1)
    if np.isneginf(reach[-1][state, place]):
        return None
    steps: list[tuple[int, int]] = []
    for (cost, _), chosen in zip(reversed(links), reversed(back)):
        before, way = divmod(int(chosen[state, place]), cost.shape[2])
        steps.append((state, way))
        place, state = place - int(_bins(cost[before, state, way], budget)), before
    return state, steps[::-1]


def _bins(cost: Table, budget: float) -> NDArray[np.int64]:
    return np.rint(np.minimum(cost / budget, 2.0) * _BINS).astype(int)


def _start(first: tuple[Table, Table], budget: float) -> Table:
    """The largest size with each sum of costs, (states, bins)."""
    cost, size = first
    reach = np.full((len(cost), _BINS + 1), -np.inf)
    for state, place in enumerate(_bins(cost, budget)):
        if place <= _BINS:
            reach[state, place] = size[state]
    return reach


def _through(reach: Table, cost: Table, size: Table, budget: float) -> tuple[Table, NDArray[np.int64]]:
    """The same behind a link, and the state before it and the way by which it came, as one number."""
    before, behind, ways = cost.shape
    found, chosen = np.full((behind, _BINS + 1), -np.inf), np.zeros((behind, _BINS + 1), int)
    shift = _bins(cost, budget)
    padded = np.concatenate([np.full((before, _BINS + 1), -np.inf), reach], 1)
    places = np.arange(_BINS + 1, 2 * _BINS + 2)
    for state in range(behind):
        for one in range(before):
            inside = np.flatnonzero(shift[one, state] <= _BINS)
            if not len(inside):
                continue
            sums = padded[one][places - shift[one, state, inside, None]] + size[one, state, inside, None]
            best = sums.argmax(0)
            values = np.take_along_axis(sums, best[None], 0)[0]
            better = values > found[state]
            found[state][better], chosen[state][better] = values[better], one * ways + inside[best[better]]
    return found, chosen
