"""Photos as bytes on the engine: to the bit what numpy gives, and a border that stands for zero after normalising."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shufflekit.graph import BATCH, Builder, Graph, Node, interpret
from shufflekit.graph.ops.conv import Conv
from shufflekit.graph.ops.pools import MaxPool
from shufflekit.graph.ops.quantize import FakeQuantize
from shufflekit.graph.photos import taking_photos
from shufflekit.plan.build import build
from shufflekit.runtime import Engine
from shufflekit.runtime.engine import _instruction_sets
from tests.plan.bytes_reference import rounded

SCALE = (1 / (255 * np.array([0.229, 0.224, 0.225]))).astype(np.float32)
MEAN = 255 * np.array([0.485, 0.5, 0.406])  # one lies exactly between two bytes
SHIFT = (-MEAN * SCALE).astype(np.float32)
HEIGHT, WIDTH = 19, 23
Y_SCALE, Y_ZERO = 0.05, 100


def network() -> tuple[Graph, np.ndarray]:
    """A padded convolution of bytes to a grid, and its whole weights."""
    random, builder = np.random.default_rng(0), Builder()
    whole, worth = random.integers(-128, 128, (4, 3, 3, 3)), random.uniform(1e-4, 2e-4, 4)
    grid = (worth[:, None, None, None] / SCALE[None, :, None, None]).astype(np.float32)
    x = builder.input("x", (BATCH, 3, HEIGHT, WIDTH))
    constants = builder.constant("w", whole * grid, grid), builder.constant("b", random.standard_normal(4))
    y = builder.add(Node(Conv((2, 2), (1, 1, 1, 1)), "conv", "", (x, *constants), "y"))
    return builder.graph([builder.add(Node(FakeQuantize((Y_SCALE,), (Y_ZERO,)), "grid", "", (y,), "z"))]), whole


def photos(channels_last: bool) -> np.ndarray:
    found = np.random.default_rng(1).integers(0, 256, (2, HEIGHT, WIDTH, 3), np.uint8)
    return found if channels_last else np.ascontiguousarray(found.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("channels_last", [True, False])
def test_bytes_go_straight_into_a_convolution_of_bytes(channels_last: bool) -> None:
    graph, whole = network()
    program = build(taking_photos(graph, SCALE, SHIFT, (2, 1, 0), channels_last, False))
    assert [step.kernel for step in program.steps] == ["unpack", "convolution_int8", "dequantize", "gather"]
    step = (graph.grids["w"].reshape(4, -1)[:, 0].astype(np.float64) * SCALE[0])[:, None, None]
    zero = (-SHIFT / SCALE).astype(np.float64)
    bias = graph.constants["b"].astype(np.float64)[:, None, None] / step
    bias = np.rint(bias - (whole.sum((2, 3)) * zero).sum(1)[:, None, None])
    q = photos(False)[:, ::-1].astype(np.float64)
    padded = np.stack([np.pad(q[:, c], ((0, 0), (1, 1), (1, 1)), constant_values=np.rint(zero[c])) for c in range(3)], 1)
    sums = (Conv((2, 2)).reference(padded, whole.astype(np.float64)) + bias).astype(np.float32)
    expected = rounded(sums * (step / np.float32(Y_SCALE)).astype(np.float32), np.array(Y_ZERO), np.array(0), np.array(255))
    assert len(np.unique(expected)) > 100
    for instruction_set in _instruction_sets():
        found = Engine(program.to_bytes(), 2, instruction_set)(photos(channels_last))
        np.testing.assert_array_equal(found, np.float32(Y_SCALE) * (expected - Y_ZERO).astype(np.float32), instruction_set)


@pytest.mark.parametrize("channels_last", [True, False])
def test_who_takes_floats_gets_them_as_numpy_normalises_them(channels_last: bool) -> None:
    """Also beside one that takes bytes: here the output hands the normalised photo out."""
    graph = network()[0]
    taking = taking_photos(replace(graph, outputs=("x", "z")), SCALE, SHIFT, (0, 1, 2), channels_last, False)
    kernels = {step.kernel for step in build(taking).steps}
    assert kernels == {"unpack", "unpack_float", "convolution_int8", "dequantize", "gather"}
    expected = photos(False) * SCALE[:, None, None] + SHIFT[:, None, None]
    for instruction_set in _instruction_sets():
        found, _ = Engine(build(taking).to_bytes(), 1, instruction_set)(photos(channels_last))
        np.testing.assert_array_equal(found, expected, instruction_set)


def test_a_pool_of_photos_computes_on_floats_as_their_zero_is_no_byte() -> None:
    builder = Builder()
    x = builder.input("x", (BATCH, 3, HEIGHT, WIDTH))
    w = builder.constant("w", np.ones((3, 1, 1, 1)), np.ones(1))
    y = builder.add(Node(Conv(groups=3), "conv", "", (x, w), "y"))
    pooled = builder.add(Node(MaxPool((3, 3), (1, 1), (1, 1, 1, 1), (1, 1)), "pool", "", (x,), "pooled"))
    graph = taking_photos(builder.graph([y, pooled]), SCALE, SHIFT, (0, 1, 2), True, False)
    _, found = Engine(build(graph).to_bytes())(photos(True))
    np.testing.assert_array_equal(found, interpret(graph, photos(True))[1])
