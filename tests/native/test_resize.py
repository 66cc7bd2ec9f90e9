"""The resizing kernel against PyTorch at sizes and factors drawn at random, however the factor was given."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from shufflekit.plan.kernels import Gather, Resize, Resizing
from shufflekit.plan.program import Program, Step, Tensor, plane_bytes
from shufflekit.runtime import Engine

native = pytest.importorskip("shufflekit._native", reason="the compiled part is not built")

Size = tuple[int, int]


def a_plan(size: Size, out: Size, resizing: Resizing, scale: tuple[float, float]) -> bytes:
    """Of one channel, resized."""
    tables = np.zeros(32, np.int32)
    tables[16] = plane_bytes(size[0] * size[1]) // 4
    steps = (
        Step(Gather.of_planes(1, size[0] * size[1]), "in", {"in": 0, "out": 0}, in_buffer=1),
        Step(Resize(1, *size, *out, resizing, *scale), "resize", {"in": 0, "out": 16}),
        Step(Gather.of_planes(1, out[0] * out[1]), "out", {"in": 16, "out": 0}, out_buffer=1),
    )
    arena = plane_bytes(size[0] * size[1]) + plane_bytes(out[0] * out[1])
    inputs, outputs = (Tensor("x", (1, *size)),), (Tensor("y", (1, *out)),)
    return Program("resized", inputs, outputs, arena, steps, tables, np.zeros(0, np.uint8)).to_bytes()


def drawn(seed: int) -> tuple[torch.Tensor, dict[str, Any], tuple[float, float]]:
    """An input, what `interpolate` is told, and the kernel's scales."""
    draw = random.Random(seed)
    size, corners = (draw.randint(1, 40), draw.randint(1, 40)), draw.random() < 0.5
    how: dict[str, Any] = {"mode": "nearest"} if draw.random() < 0.4 else {"mode": "bilinear", "align_corners": corners}
    if draw.random() < 0.4:
        how["size"] = out = draw.randint(1, 60), draw.randint(1, 60)
        scale = size[0] / out[0], size[1] / out[1]
    else:
        factor = draw.choice([draw.uniform(0.2, 4), draw.choice([2.0, 1.5, 0.7, 3.0, 0.5, 1.1, 1.01, 2.01, 1 / 3, 2 / 3])])
        how["scale_factor"] = factor = max(factor, 1 / min(size))
        out, scale = (int(size[0] * factor), int(size[1] * factor)), (1 / factor, 1 / factor)
    if how.get("align_corners"):
        scale = tuple((a - 1) / (b - 1) if b > 1 else 0.0 for a, b in zip(size, out))  # type: ignore[assignment]
    x = 100 * torch.rand(1, 1, *size, generator=torch.Generator().manual_seed(seed))
    if draw.random() < 0.3:
        x[0, 0, draw.randrange(size[0]), draw.randrange(size[1])] = draw.choice([float("nan"), float("inf"), float("-inf")])
    return x, how, scale


@pytest.mark.parametrize("instruction_set", native.instruction_sets())
def test_pixels_are_those_of_pytorch(instruction_set: str) -> None:
    for seed in range(400):
        x, how, scale = drawn(seed)
        expected = F.interpolate(x, **how).numpy()
        resizing: Resizing = "bilinear_corners" if how.get("align_corners") else how["mode"]
        plan = a_plan(tuple(x.shape[2:]), expected.shape[2:], resizing, scale)
        found = Engine(plan, instruction_set=instruction_set)(x.numpy())
        message = f"seed {seed}: {tuple(x.shape[2:])} to {expected.shape[2:]}, {how}"
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-3, equal_nan=True, err_msg=message)
