from __future__ import annotations

import numpy as np
import pytest

from shufflekit.graph.operator import BATCH, RefusedError
from shufflekit.graph.ops.pad import Pad


def test_each_side_by_its_own_number() -> None:
    x = np.arange(12, dtype=np.float32).reshape(2, 1, 2, 3)
    pad = Pad((0, 0, 1, 0), (0, 2, 0, 1), -1.0)
    y = pad.reference(x)
    assert pad.shape((BATCH, 1, 2, 3)) == (BATCH, 3, 3, 4)
    assert y.shape == (2, 3, 3, 4)
    np.testing.assert_array_equal(y[:, :1, 1:, :3], x)
    assert set(np.unique(y)) == {-1.0, *range(12)}
    assert (y == -1).sum() == y.size - x.size


def test_the_batch_is_not_padded() -> None:
    with pytest.raises(RefusedError, match="needs the size of the batch"):
        Pad((1, 0), (0, 0)).shape((BATCH, 3))
    with pytest.raises(RefusedError, match="must have a number for each dimension"):
        Pad((1,), (0,)).shape((BATCH, 3))
