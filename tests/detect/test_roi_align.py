"""Both aligns against a reference in plain Python, which does one sample after another."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from shufflekit.detect.roi_align import position_sensitive_roi_align, roi_align


def parts_of(y: float, x: float, height: int, width: int) -> list[tuple[int, int, float]]:
    """The pixels behind a sample at row y and column x, and how much each counts."""
    if not (-1 <= y <= height and -1 <= x <= width):
        return []
    y, x = min(max(y, 0.0), height - 1.0), min(max(x, 0.0), width - 1.0)
    parts = []
    for i in {math.floor(y), math.ceil(y)}:
        for j in {math.floor(x), math.ceil(x)}:
            parts.append((i, j, (1 - abs(y - i)) * (1 - abs(x - j))))
    return parts


def reference(
    maps: Tensor,
    regions: Tensor,
    images: Tensor,
    size: tuple[int, int],
    stride: float,
    samples: int,
    by_position: bool,
    grad: Tensor,
) -> tuple[Tensor, Tensor]:
    """The result, and the gradient of the sum of result x `grad` with respect to the maps."""
    height, width = maps.shape[2:]
    channels = maps.shape[1] // (size[0] * size[1]) if by_position else maps.shape[1]
    found = torch.zeros(len(regions), channels, *size, dtype=maps.dtype)
    back = torch.zeros_like(maps)
    for k, (left, top, right, bottom) in enumerate(regions.tolist()):
        bin_height, bin_width = (bottom - top) / size[0], (right - left) / size[1]
        for i in range(size[0]):
            for j in range(size[1]):
                for a in range(samples):
                    for b in range(samples):
                        y = (top + (i + (a + 0.5) / samples) * bin_height) / stride - 0.5
                        x = (left + (j + (b + 0.5) / samples) * bin_width) / stride - 0.5
                        for row, column, share in parts_of(y, x, height, width):
                            for c in range(channels):
                                at = (c * size[0] + i) * size[1] + j if by_position else c
                                n, weight = int(images[k]), share / samples**2
                                found[k, c, i, j] += weight * maps[n, at, row, column]
                                back[n, at, row, column] += weight * grad[k, c, i, j]
    return found, back


FORMS = pytest.mark.parametrize("by_position", [False, True])


def case(seed: int, size: tuple[int, int], by_position: bool, count: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    """Maps, and regions inside, over the border and outside."""
    generator = torch.Generator().manual_seed(seed)
    channels = 2 * size[0] * size[1] if by_position else 3
    maps = torch.randn(2, channels, 5, 6, generator=generator, dtype=torch.float64)
    corners = 60 * torch.rand(count, 2, generator=generator, dtype=torch.float64) - 12
    regions = torch.cat((corners, corners + 50 * torch.rand(count, 2, generator=generator, dtype=torch.float64)), 1)
    return maps, regions, torch.randint(0, 2, (count,), generator=generator)


@FORMS
@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(1, 3),
    columns=st.integers(1, 3),
    samples=st.integers(1, 3),
    stride=st.sampled_from([4.0, 8.0, 10.5]),
)
@settings(max_examples=25)
def test_values_and_gradients_are_the_references(
    by_position: bool, seed: int, rows: int, columns: int, samples: int, stride: float
) -> None:
    size = (rows, columns)
    maps, regions, images = case(seed, size, by_position)
    align = position_sensitive_roi_align if by_position else roi_align
    found = align(maps.requires_grad_(), regions, images, size, stride, samples)
    grad = torch.randn(found.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    (back,) = torch.autograd.grad((found * grad).sum(), maps)
    expected, expected_back = reference(maps.detach(), regions, images, size, stride, samples, by_position, grad)
    assert torch.allclose(found, expected, rtol=0, atol=1e-12)
    assert torch.allclose(back, expected_back, rtol=0, atol=1e-12)


@FORMS
def test_gradients_are_those_of_small_differences(by_position: bool) -> None:
    size = (2, 3)
    maps, regions, images = case(7, size, by_position)
    align = position_sensitive_roi_align if by_position else roi_align
    assert torch.autograd.gradcheck(lambda m: align(m, regions, images, size, 8.0), (maps.requires_grad_(),))


def test_samples_by_hand() -> None:
    """A map of 2x2 pixels with the stride 10: their middles are at 5 and 15."""
    maps = torch.tensor([[[[0.0, 10], [20, 30]]]])
    regions = torch.tensor(
        [
            [0.0, 0, 20, 20],  # its middle is the mean of all four
            [0.0, 0, 10, 10],  # the first pixel
            [2.5, 5, 12.5, 5],  # without height: on the line of the first row, at 7.5
            [-4.0, 0, 0, 10],  # its middle at -2 is less than a pixel from the first one's: that one's value
            [-20.0, 0, -4, 10],  # its middle at -12 is farther away
            [-10.0, 0, 0, 10],  # exactly a pixel from the first one's
            [20.0, 0, 30, 10],  # and from the last one's
        ]
    )
    found = roi_align(maps, regions, torch.zeros(7, dtype=torch.long), (1, 1), 10.0, samples=1)
    assert found.flatten().tolist() == pytest.approx([15, 0, 2.5, 0, 0, 0, 10])
    bright = roi_align(maps + 1, regions, torch.zeros(7, dtype=torch.long), (1, 1), 10.0, samples=1)
    assert (bright - found).flatten().tolist() == pytest.approx([1, 1, 1, 1, 0, 1, 1])


def test_a_shift_by_whole_pixels_shifts_the_result() -> None:
    maps = torch.randn(1, 2, 12, 12, generator=torch.Generator().manual_seed(0))
    region, image = torch.tensor([[10.0, 11, 41, 37]]), torch.tensor([0])
    moved = roi_align(maps.roll((1, 2), (2, 3)), region + torch.tensor([16.0, 8, 16, 8]), image, (3, 3), 8.0)
    assert torch.allclose(moved, roi_align(maps, region, image, (3, 3), 8.0), atol=1e-6)


@FORMS
def test_no_region_gives_nothing(by_position: bool) -> None:
    maps, _, _ = case(0, (2, 2), by_position)
    align = position_sensitive_roi_align if by_position else roi_align
    found = align(maps, torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), (2, 2), 8.0)
    assert found.shape == (0, 2 if by_position else 3, 2, 2)


@FORMS
@pytest.mark.parametrize("map_size", [(1, 1), (1, 4), (4, 1), (2, 2)])
def test_maps_of_one_row_or_column(by_position: bool, map_size: tuple[int, int]) -> None:
    generator, size = torch.Generator().manual_seed(0), (2, 2)
    maps = torch.randn(1, 8 if by_position else 2, *map_size, generator=generator, dtype=torch.float64)
    regions = torch.tensor([[0.0, 0, 30, 30], [-4, -4, 12, 9], [0, 0, 8, 8]], dtype=torch.float64)
    align = position_sensitive_roi_align if by_position else roi_align
    found = align(maps, regions, torch.zeros(3, dtype=torch.long), size, 8.0, 2)
    grad = torch.zeros_like(found)
    expected, _ = reference(maps, regions, torch.zeros(3, dtype=torch.long), size, 8.0, 2, by_position, grad)
    assert torch.allclose(found, expected, rtol=0, atol=1e-12)
