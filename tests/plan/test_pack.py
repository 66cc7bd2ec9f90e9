"""Panels are unpacked by the rule of native/kernels/gemm/gemm.h, written out here by itself."""

import numpy as np
import pytest
import torch

from shufflekit.plan.kernels import Convolution, Gemm, Window
from shufflekit.plan.pack import for_winograd, for_winograd_stride2, in_pairs, pack_panels, to_bfloat16


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


def test_bfloat16_is_rounded_as_in_pytorch() -> None:
    random = np.random.default_rng(0)
    anything = random.integers(0, 1 << 32, 100_000, dtype=np.uint32).view(np.float32)
    halves = (random.integers(0, 1 << 16, 1000).astype(np.uint32) << 16 | 0x8000).view(np.float32)
    numbers = np.concatenate([anything, halves, np.float32([0, -0.0, np.inf, -np.inf, np.nan, 3.4e38, 1e-45])])
    found = (to_bfloat16(numbers).astype(np.uint32) << 16).view(np.float32)
    np.testing.assert_array_equal(found, torch.from_numpy(numbers).bfloat16().float().numpy())


@pytest.mark.parametrize("depth", [4, 5])
def test_words_have_two_of_the_depth(depth: int) -> None:
    rows, groups = 9, 2
    weights = np.random.default_rng(0).standard_normal((groups * rows, depth), np.float32)
    bias = np.zeros(len(weights), np.float32)
    words = in_pairs(Gemm(groups, rows, depth, 1, "none", 0.0, 0.0), {"weights": weights, "bias": bias})["weights"]
    assert words.shape == (groups, 2, 3 if depth == 5 else 2, 8)
    panels, _ = pack_panels(weights, bias, groups)
    for k in range(2 * words.shape[2]):
        half = words[:, :, k // 2] >> 16 if k % 2 else words[:, :, k // 2] & 0xFFFF
        np.testing.assert_array_equal(half, to_bfloat16(panels[:, :, k]) if k < depth else 0)


# F(2, 3) and F(4, 3) as Lavin & Gray print them: B^T takes a row of inputs apart, A^T puts a row of outputs together.
TAKEN_APART = {
    2: [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, -1, 0, 1]],
    4: [
        [81 / 64, 0, -45 / 16, 0, 1, 0],
        [0, -27 / 16, -9 / 4, 3 / 4, 1, 0],
        [0, 27 / 16, -9 / 4, -3 / 4, 1, 0],
        [0, -27 / 32, -9 / 16, 3 / 2, 1, 0],
        [0, 27 / 32, -9 / 16, -3 / 2, 1, 0],
        [0, 81 / 64, 0, -45 / 16, 0, 1],
    ],
}
PUT_TOGETHER = {
    2: [[1, 1, 1, 0], [0, 1, -1, 1]],
    4: [
        [1, 1, 1, 1, 1, 0],
        [0, 3 / 4, -3 / 4, 3 / 2, -3 / 2, 0],
        [0, 9 / 16, 9 / 16, 9 / 4, 9 / 4, 0],
        [0, 27 / 64, -27 / 64, 27 / 8, -27 / 8, 1],
    ],
}


@pytest.mark.parametrize("tile", [2, 4])
@pytest.mark.parametrize(("groups", "rows"), [(1, 3), (2, 37)])
def test_products_of_tiles_are_a_convolution(tile: int, groups: int, rows: int) -> None:
    channels, rng = 3, np.random.default_rng(rows)
    filters = rng.standard_normal((groups, rows, channels, 3, 3)).astype(np.float32)
    arrays = {"weights": filters.reshape(groups * rows, -1), "bias": np.arange(groups * rows, dtype=np.float32)}
    arguments = Convolution(rows, channels, Window(4, 4, 4, 4, 3, 3, pad_y=1, pad_x=1), "none", 0.0, 0.0, groups=groups)
    packed = for_winograd(tile)(arguments, arrays)
    assert packed["bias"] is arrays["bias"]
    x = rng.standard_normal((channels, tile + 2, tile + 2))
    there, back = (np.array(matrix[tile], float) for matrix in (TAKEN_APART, PUT_TOGETHER))
    transformed = there @ x @ there.T
    at = 0
    for group in range(groups):
        for first in range(0, rows, 16):
            chunk = min(16, rows - first)
            panels = (chunk + 7) // 8
            size = (tile + 2) ** 2 * panels * channels * 8
            by_product = packed["weights"][at : at + size].reshape(tile + 2, tile + 2, panels, channels, 8)
            at += size
            for panel in range(panels):
                begin, end = chunk * panel // panels, chunk * (panel + 1) // panels
                for n in range(end - begin):
                    products = np.einsum("pqc,cpq->pq", by_product[:, :, panel, :, n], transformed)
                    needed = [
                        [(filters[group, first + begin + n] * x[:, i : i + 3, j : j + 3]).sum() for j in range(tile)]
                        for i in range(tile)
                    ]
                    np.testing.assert_allclose(back @ products @ back.T, needed, atol=1e-5)
                assert not by_product[..., panel, :, end - begin :].any()
    assert at == packed["weights"].size


# A line at stride 2: what its inputs, 2 M + 1 of them, come to; the sums of those by the pieces; and outputs of the sums.
INPUTS_AT_2 = {
    2: [[1, 0, -1, 0, 0], [0, 1, 0, 0, 0], [0, 0, 0, 1, 0], [0, 0, -1, 0, 1], [0, 0, 1, 0, 0]],
    4: [
        [27 / 32, 0, -9 / 16, 0, -3 / 2, 0, 1, 0, 0],
        [0, 1, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 1, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 1, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 1, 0],
        [0, 0, 27 / 32, 0, -9 / 16, 0, -3 / 2, 0, 1],
        [0, 0, -9 / 8, 0, -3 / 4, 0, 1, 0, 0],
        [0, 0, 9 / 8, 0, -9 / 4, 0, 1, 0, 0],
        [0, 0, -9 / 16, 0, 0, 0, 1, 0, 0],
    ],
}
PIECES_OF = {2: [0, 1, 1, 2, 3], 4: [0, 1, 1, 1, 1, 2, 3, 4, 5]}  # of each input
SUM_OF = {2: [0, 0, 1, 1, 2], 4: [0, 0, 1, 2, 3, 3, 4, 5, 6]}
OUTPUTS_AT_2 = {
    2: [[1, 0, 1], [0, 1, 1]],
    4: [
        [1, 0, 0, 0, 1, 1, 1],
        [0, 1, 0, 0, 3 / 4, -3 / 4, 3 / 2],
        [0, 0, 1, 0, 9 / 16, 9 / 16, 9 / 4],
        [0, 0, 0, 1, 27 / 64, -27 / 64, 27 / 8],
    ],
}


@pytest.mark.parametrize(("tile", "stored"), [(2, 4), (2, 3), (4, 6)])
@pytest.mark.parametrize(("groups", "rows"), [(1, 3), (2, 37)])
def test_sums_of_pieces_are_a_convolution_at_stride_2(tile: int, stored: int, groups: int, rows: int) -> None:
    channels, rng = 3, np.random.default_rng(rows)
    filters = rng.standard_normal((groups, rows, channels, 3, 3)).astype(np.float32)
    arrays = {"weights": filters.reshape(groups * rows, -1), "bias": np.arange(groups * rows, dtype=np.float32)}
    arguments = Convolution(rows, channels, Window(8, 8, 4, 4, 3, 3, 2, 2, 1, 1), "none", 0.0, 0.0, groups=groups)
    packed = for_winograd_stride2(tile, stored)(arguments, arrays)
    x = rng.standard_normal((channels, 2 * tile + 1, 2 * tile + 1))
    there, back = (np.array(matrix[tile], float) for matrix in (INPUTS_AT_2, OUTPUTS_AT_2))
    transformed = there @ x @ there.T
    panels = (rows + 7) // 8
    pieces = packed["weights"].reshape(groups, panels, stored, stored, channels, 8)
    if stored == 3:  # the kernel forms the last ones
        pieces = np.concatenate([pieces, pieces[:, :, :1] + pieces[:, :, 2:]], axis=2)
        pieces = np.concatenate([pieces, pieces[:, :, :, :1] + pieces[:, :, :, 2:]], axis=3)
    sum_of = np.eye(2 * tile - 1)[SUM_OF[tile]]
    for group in range(groups):
        for panel in range(panels):
            first, last = rows * panel // panels, rows * (panel + 1) // panels
            for n in range(last - first):
                of_inputs = pieces[group, panel, ..., n][PIECES_OF[tile]][:, PIECES_OF[tile]]
                sums = sum_of.T @ np.einsum("pqc,cpq->pq", of_inputs, transformed) @ sum_of
                needed = [
                    [(filters[group, first + n] * x[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]).sum() for j in range(tile)]
                    for i in range(tile)
                ]
                np.testing.assert_allclose(back @ sums @ back.T, needed, atol=1e-5)
                assert packed["bias"].reshape(groups, panels, 8)[group, panel, n] == group * rows + first + n
            assert not pieces[group, panel, ..., last - first :].any()
