"""Panels are unpacked by the rule of native/kernels/gemm/gemm.h, written out here by itself."""

import numpy as np
import pytest

from shufflekit.plan.pack import pack_panels


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("rows", [1, 7, 8, 9, 58])
def test_every_weight_lies_where_the_kernel_reads_it(rows: int, groups: int) -> None:
    depth, rng = 5, np.random.default_rng(rows)
    weights = rng.standard_normal((groups * rows, depth)).astype(np.float32)
    bias = rng.standard_normal(groups * rows).astype(np.float32)
    packed, packed_bias = (array.reshape(-1) for array in pack_panels(weights, bias, groups))
    panels = (rows + 7) // 8
    seen = np.zeros(len(packed), bool)
    for group in range(groups):
        for panel in range(panels):
            first, last = rows * panel // panels, rows * (panel + 1) // panels
            start = (group * panels + panel) * depth * 8
            for row in range(first, last):
                assert packed_bias[(group * panels + panel) * 8 + row - first] == bias[group * rows + row]
                for k in range(depth):
                    place = start + k * 8 + row - first
                    assert packed[place] == weights[group * rows + row, k]
                    seen[place] = True
    assert not packed[~seen].any()


def test_58_channels_lie_in_panels_of_seven_and_eight() -> None:
    packed, _ = pack_panels(np.ones((58, 1), np.float32), np.zeros(58, np.float32), 1)
    assert packed[0, :, 0].sum(axis=1).tolist() == [7, 7, 7, 8, 7, 7, 7, 8]
