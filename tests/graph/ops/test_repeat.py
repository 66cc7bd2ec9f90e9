from __future__ import annotations

import numpy as np
import pytest

from shufflekit.graph.operator import BATCH, RefusedError
from shufflekit.graph.ops.repeat import Repeat
from tests.graph.ops.against_torch import numbers


@pytest.mark.parametrize("shape", [(1,), (1, 4), (1, 2, 3)])
@pytest.mark.parametrize("other", [(3,), (3, 5, 6)])
def test_it_is_the_constant_for_each_image(shape, other):
    x = numbers(other, 0)
    found = Repeat().reference(constant := numbers(shape, 1), x)
    np.testing.assert_array_equal(found, np.concatenate([constant] * 3))
    assert Repeat().shape(shape, (BATCH, *other[1:])) == (BATCH, *shape[1:])


@pytest.mark.parametrize(("constant", "x"), [((2, 4), (BATCH, 3)), ((), (BATCH, 3)), ((BATCH, 4), (BATCH, 3)), ((1, 4), ())])
def test_what_is_no_constant_of_one_image_is_refused(constant, x):
    with pytest.raises(RefusedError, match="the constant must be"):
        Repeat().shape(constant, x)
