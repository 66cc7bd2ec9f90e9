"""Resizing takes the steps that torch takes, however its factor was given."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from shufflekit.graph.from_torch.translations import input_steps

FACTORS = (1.01, 1.1, 1.5, 2.0, 2.05, 2.1, 3.0, 0.5, 0.3)


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("rows", [3, 200])  # torch has a kernel of its own for outputs of up to 128 rows and columns
@pytest.mark.parametrize("recompute", [False, True])
def test_nearest_takes_the_pixels_that_torch_takes(factor: float, rows: int, recompute: bool) -> None:
    for size in range(1, 60):
        x = torch.arange(size, dtype=torch.float32).expand(1, 1, rows, size)
        if int(size * factor) == 0:
            continue
        expected = F.interpolate(x, scale_factor=(1.0, factor), recompute_scale_factor=recompute)[0, 0, 0]
        given = None if recompute else (1.0, factor)
        _, step = input_steps("nearest", (rows, size), (rows, len(expected)), given, False)
        taken = np.minimum((np.arange(len(expected), dtype=np.float32) * np.float32(step)).astype(int), size - 1)
        assert taken.tolist() == expected.tolist(), f"{size} to {len(expected)}"


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("corners", [False, True])
def test_bilinear_weighs_the_pixels_as_torch_does(factor: float, corners: bool) -> None:
    for size in range(1, 60):
        x = torch.arange(size, dtype=torch.float32).expand(1, 1, 3, size)
        if int(size * factor) == 0:
            continue
        expected = F.interpolate(x, scale_factor=(1.0, factor), mode="bilinear", align_corners=corners)[0, 0, 0]
        _, step = input_steps("bilinear", (3, size), (3, len(expected)), (1.0, factor), corners)
        at = np.arange(len(expected))
        place = np.clip(at * step if corners else (at + 0.5) * step - 0.5, 0, size - 1)
        np.testing.assert_allclose(place, expected, atol=1e-4)
