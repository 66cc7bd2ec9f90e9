from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shufflekit.fitting.knapsack import largest


@settings(max_examples=60, derandomize=True, database=None)
@given(seed=st.integers(0, 10_000), links=st.integers(1, 3), budget=st.integers(100, 900))
def test_it_is_the_best_of_all_paths(seed: int, links: int, budget: int) -> None:
    """Costs are whole thousandths of the budget, so that nothing is rounded."""
    random = np.random.default_rng(seed)
    states, ways = random.integers(1, 4, links + 1), random.integers(1, 4, links)

    def table(*shape: int) -> tuple[np.ndarray, np.ndarray]:
        cost = random.integers(0, 600, shape) * budget / 1000
        return np.where(random.random(shape) < 0.1, np.inf, cost), random.integers(1, 50, shape).astype(float)

    first = table(states[0])
    tables = [table(before, after, way) for before, after, way in zip(states, states[1:], ways)]

    def of(path: tuple[int, ...]) -> tuple[float, float]:
        seen, through = path[: links + 1], path[links + 1 :]
        places = list(zip(seen, seen[1:], through))
        return tuple(first[which][seen[0]] + sum(each[which][place] for each, place in zip(tables, places)) for which in (0, 1))  # type: ignore[return-value]

    paths = itertools.product(*map(range, states), *map(range, ways))
    sizes = [size for cost, size in map(of, paths) if cost <= budget * (1 + 1e-9)]
    found = largest(first, tables, float(budget))
    if found is None:
        assert not sizes
        return
    path = (found[0], *(state for state, _ in found[1]), *(way for _, way in found[1]))
    cost, size = of(path)
    assert cost <= budget * (1 + 1e-9)
    assert size == max(sizes)


def test_what_cannot_be_is_not_chosen() -> None:
    cost, size = np.array([[[np.inf, 1.0]]]), np.array([[[99.0, 1.0]]])
    assert largest((np.zeros(1), np.zeros(1)), [(cost, size)], 2.0) == (0, [(0, 1)])


@pytest.mark.parametrize("budget", [0.4, 0.01])
def test_where_nothing_is_within_the_budget_there_is_none(budget: float) -> None:
    cost = np.full((1, 1, 1), 0.5)
    assert largest((np.zeros(1), np.zeros(1)), [(cost, cost)], budget) is None
