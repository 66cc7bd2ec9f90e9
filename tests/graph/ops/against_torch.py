"""An operator's reference and shape rule beside the function of torch that means the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from hypothesis import settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from shufflekit.graph.operator import BATCH, Operator, bound

Draw = Callable[[st.SearchStrategy[Any]], Any]
examples = settings(max_examples=60, derandomize=True, database=None)
SEEDS = st.integers(0, 2**32 - 1)


def numbers(shape: tuple[int, ...], seed: int) -> NDArray[np.float32]:
    """Between -4 and 4, and a zero."""
    found = np.random.default_rng(seed).uniform(-4, 4, shape).astype(np.float32)
    found.reshape(-1)[:1] = 0
    return found


def check(
    operator: Operator,
    function: Callable[..., Tensor],
    x: NDArray[Any],
    *others: NDArray[Any],
    batches: int = 1,
    atol: float | None = None,
) -> None:
    """Equal values, type and shape; and the shape rule holds with the batch as a symbol in the first `batches` inputs.

    `atol` is what sums may lose, 2e-5 of the largest by default.
    """
    inputs = (x, *others)
    expected = function(*map(torch.from_numpy, inputs)).numpy()
    found = operator.reference(*inputs)
    assert found.dtype == x.dtype
    symbolic = [(BATCH, *each.shape[1:]) if number < batches else each.shape for number, each in enumerate(inputs)]
    assert operator.shape(*symbolic) == (BATCH, *expected.shape[1:])
    assert found.shape == expected.shape == bound(operator.shape(*symbolic), len(x))
    atol = 2e-5 * max(1.0, np.abs(expected).max()) if atol is None else atol
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=atol)
    assert hash(operator) == hash(type(operator)(**vars(operator)))
