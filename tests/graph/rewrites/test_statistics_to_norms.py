from __future__ import annotations

import pytest
import torch

from shufflekit.graph.from_torch import capture
from shufflekit.graph.graph import Graph
from shufflekit.graph.rewrites.constants_to_affine import constants_to_affine
from shufflekit.graph.rewrites.statistics_to_norms import statistics_to_norms
from tests.graph.rewrites.networks import SHAPE, Of, check, ops

WIDTHS, CHANNELS = torch.linspace(0.5, 1.5, 5), torch.linspace(0.5, 1.5, 4).view(4, 1, 1)
MAP = torch.linspace(0.5, 1.5, 30).view(6, 5)


def found_in(forward) -> Graph:
    network = Of(forward)
    graph = statistics_to_norms(constants_to_affine(capture(network, SHAPE)))
    check(graph, network)
    return graph


def spelled(x, dims, eps=1e-3, square=lambda d: d.pow(2), divide=lambda d, v: d / v.sqrt()):
    d = x - x.mean(dims, keepdim=True)
    return divide(d, square(d).mean(dims, keepdim=True) + eps)


@pytest.mark.parametrize(
    "forward",
    [
        lambda x: spelled(x, -1),
        lambda x: spelled(x, (1, 2, 3)),
        lambda x: spelled(x, 1, square=lambda d: d * d),
        lambda x: spelled(x, (2, 3), divide=lambda d, v: d * v.rsqrt()),
        lambda x: spelled(x, (2, 3), divide=lambda d, v: v.sqrt().reciprocal() * d),
        lambda x: spelled(x, (2, 3), divide=lambda d, v: d * v.pow(-0.5)),
        lambda x: spelled(x, 2, eps=0),
        lambda x: x / (x.pow(2).mean(1, keepdim=True) + 1e-3).sqrt(),
        lambda x: x * (x * x).mean((1, 2, 3), keepdim=True).add(0.1).rsqrt(),
        lambda x: (x - x.mean(3, keepdim=True)) / ((x - x.mean(3, keepdim=True)).pow(2).mean(3, keepdim=True) + 1e-3).sqrt(),
    ],
)
def test_a_norm_is_named(forward) -> None:
    assert ops(found_in(forward)) == ["normalize"]


@pytest.mark.parametrize(
    "scaled",
    [
        lambda y: y * WIDTHS + WIDTHS / 2,
        lambda y: WIDTHS * y,
        lambda y: y * CHANNELS - CHANNELS / 2,
        lambda y: (y + WIDTHS) * 3 + CHANNELS,
        lambda y: (y * 2 + 1) * MAP,
    ],
)
def test_what_scales_and_shifts_a_norm_is_its_own(scaled) -> None:
    assert ops(found_in(lambda x: scaled(spelled(x, (1, 3))))) == ["normalize"]


def by_moments(x, dims, scale=1.0, shift=0.0):
    """As TensorFlow has it."""
    mean = x.mean(dims, keepdim=True)
    gain = ((x - mean) * (x - mean)).mean(dims, keepdim=True).add(1e-3).sqrt().reciprocal() * scale
    return x * gain + (shift - mean * gain)


@pytest.mark.parametrize(
    "forward",
    [
        lambda x: by_moments(x, 3, WIDTHS, WIDTHS / 2),
        lambda x: by_moments(x, (1, 2, 3), CHANNELS, WIDTHS),
        lambda x: by_moments(x, (2, 3), 3.0, 0.5),
        lambda x: by_moments(x, 1),
    ],
)
def test_a_norm_by_its_moments_is_named(forward) -> None:
    assert ops(found_in(forward)) == ["normalize"]


@pytest.mark.parametrize(
    "forward",
    [
        lambda x: x * (gain := ((x - 1) * (x - 1)).mean(3, keepdim=True).rsqrt()) + (1 - x.mean(3, keepdim=True) * gain),
        lambda x: spelled(x, 1, divide=lambda d, v: d / v),
        lambda x: spelled(x, 1, divide=lambda d, v: d / (v.sqrt() + 1)),
        lambda x: spelled(x, 1, square=lambda d: d.pow(3).abs()),
        lambda x: spelled(x, 1, eps=-1e-9),
        lambda x: (x - x.mean(1, keepdim=True)) / ((x - x.mean(2, keepdim=True)).pow(2).mean(1, keepdim=True) + 1e-3).sqrt(),
        lambda x: (x - x.mean(1, keepdim=True)) / ((x * 2 - x.mean(1, keepdim=True)).pow(2).mean(1, keepdim=True) + 1).sqrt(),
        lambda x: (x - 1) / ((x - x.mean(1, keepdim=True)).pow(2).mean(1, keepdim=True) + 1e-3).sqrt(),
        lambda x: x.pow(2).mean(1, keepdim=True).sqrt() / x,
    ],
)
def test_near_misses_stay(forward) -> None:
    assert "normalize" not in ops(found_in(forward))


def test_a_norm_that_others_read_is_not_scaled() -> None:
    graph = found_in(lambda x: [(y := spelled(x, 1)) * WIDTHS, y])
    assert ops(graph) == ["normalize", "mul"]


@pytest.mark.parametrize(
    ("forward", "found"),
    [
        (lambda x: x.pow(2).sum(1, keepdim=True).sqrt(), ["vector_norm"]),
        (lambda x: (x * x).sum((2, 3)).sqrt(), ["vector_norm"]),
        (lambda x: x / (x * x).sum(1, keepdim=True).sqrt().clamp(min=1e-12), ["vector_norm", "clamp", "div"]),
        (lambda x: x.abs().sum(1).sqrt(), ["abs", "sum", "sqrt"]),
        (lambda x: x.pow(2).sum(1).add(1e-3).sqrt(), ["power", "sum", "affine", "sqrt"]),
    ],
)
def test_the_root_of_a_sum_of_squares_is_a_norm(forward, found) -> None:
    assert ops(found_in(forward)) == found
