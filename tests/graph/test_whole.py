"""Whole numbers as floats: quotients are exact in float32, also by a product with the divisor's share."""

from __future__ import annotations

import numpy as np
import pytest

from shufflekit.graph.operator import RefusedError
from shufflekit.graph.whole import floored


@pytest.mark.parametrize("divisor", [1, 3, 7, 49, 80, 91, 1000, 8400, 1 << 20, (1 << 21) - 1])
def test_quotients_are_exact(divisor: int) -> None:
    x = np.arange(1 << 21).astype(np.float32)
    done = {"x": x}
    for number, (step, reads) in enumerate(floored("x", divisor, (0, (1 << 21) - 1))):
        done[number] = step.reference(*(done[each] if isinstance(each, str | int) else each for each in reads))
    expected = np.arange(1 << 21) // divisor
    assert done[2].dtype == np.float32
    assert np.array_equal(done[2], expected)
    share = np.float32(1 / divisor)  # as where a product and a sum are one affine step
    assert np.array_equal(np.floor(x * share + np.float32(0.5) * share), expected)


@pytest.mark.parametrize("limits", [(-1, 3), (0, 1 << 21)])
def test_what_may_be_another_number_is_refused(limits) -> None:
    with pytest.raises(RefusedError, match=f"found {limits[0]} to {limits[1]} by 7"):
        floored("x", 7, limits)


def test_a_divisor_is_whole() -> None:
    with pytest.raises(RefusedError, match="by 2.5"):
        floored("x", 2.5, (0, 9))
