"""What only moves elements, on the engine: bit by bit what PyTorch has, and by planes or rows, never element by element."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import shufflekit as sk
from shufflekit.errors import UsageError
from shufflekit.graph import Builder, Node
from shufflekit.graph.ops.moves import Concat, Permute, Reshape, Slice, Take
from shufflekit.graph.ops.pad import Pad
from shufflekit.plan.lower import lower
from tests.graph.rewrites.networks import Of

pytest.importorskip("shufflekit._native", reason="the compiled part is not built")


def focus(x):
    return torch.cat([x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]], 1)


def windows(x):
    return x.permute(0, 2, 3, 1).unflatten(2, (-1, 2)).unflatten(1, (-1, 3)).transpose(2, 3).flatten(3, 4).flatten(1, 2)


def pyramid(x):
    """As detectors end: the maps of three sizes, one behind the other, channels last."""
    maps = [F.avg_pool2d(x, 3, 1, 1), F.avg_pool2d(x, 2), F.avg_pool2d(x, 4)]
    return torch.cat([each.flatten(2) for each in maps], 2).transpose(1, 2)


# How many planes or rows are read at most, of maps of 8 channels, 12 rows and 16 columns.
MOVES = {
    "channels last": (lambda x: x.permute(0, 2, 3, 1), 8),
    "focus": (focus, 32),
    "pixel shuffle": (lambda x: F.pixel_shuffle(x, 2), 8),
    "pixel unshuffle": (lambda x: F.pixel_unshuffle(x, 2), 32),
    "windows": (windows, 8),
    "transposed planes": (lambda x: x.transpose(2, 3), 8),
    "flipped": (lambda x: x.flip(2, 3), 8),
    "rolled": (lambda x: x.roll((3, -2), (2, 3)), 8 * 12 * 16),
    "rolled rows": (lambda x: x.roll(5, 2), 8 * 12),
    "a row and a column for all": (lambda x: x[:, :, 3:4, 2:3].expand(-1, -1, 12, 16), 8),
    "tiled": (lambda x: x.repeat(1, 2, 1, 1), 16),
    "tiled columns": (lambda x: x.tile(1, 1, 1, 2), 8 * 32),
    "stacked": (lambda x: torch.stack([x, x.flip(1)], 2), 16),
    "a crop": (lambda x: x[:, :, 2:-3, 1:-1], 8),
    "reflected rows": (lambda x: F.pad(x, (0, 0, 2, 3), mode="reflect"), 8 * 17),
    "replicated": (lambda x: F.pad(x, (1, 2, 0, 1), mode="replicate"), 8 * 13 * 19),
    "a pyramid": (pyramid, 8 * 21),
}


@pytest.mark.parametrize("name", MOVES)
def test_it_is_torchs(name: str) -> None:
    forward, most = MOVES[name]
    x = torch.randn(2, 8, 12, 16)
    engine = sk.compile(Of(forward), (1, 8, 12, 16))
    np.testing.assert_allclose(engine(x.numpy()), forward(x).numpy(), rtol=1e-6, atol=1e-6)
    last = engine.program.steps[-1]
    assert last.kernel == "gather"
    assert last.arguments.planes_read <= most
    assert last.bytes <= 2 * 4 * math.prod(engine.program.outputs[0].shape)
    assert sum(step.kernel == "gather" for step in engine.program.steps) == 1


PADS = {
    "around": ((1, 0, 2, 3), 0.0, ["pad"]),
    "around, of a number": ((1, 2, 0, 0), -1.5, ["pad"]),
    "channels": ((0, 0, 0, 0, 2, 3), 2.0, ["constant", "constant"]),
    "all": ((1, 0, 0, 2, 0, 3), 0.5, ["pad", "constant"]),
}


@pytest.mark.parametrize("name", PADS)
def test_padding_by_a_number(name: str) -> None:
    sides, value, kernels = PADS[name]
    network, x = Of(lambda x: F.pad(x.relu(), sides, value=value).sigmoid()), torch.randn(2, 8, 6, 5)
    engine = sk.compile(network, (1, 8, 6, 5))
    np.testing.assert_allclose(engine(x.numpy()), network(x).numpy(), rtol=1e-5, atol=1e-6)
    assert [step.kernel for step in engine.program.steps if step.kernel in ("pad", "constant")] == kernels


def test_padding_of_vectors_and_of_maps_with_one_side() -> None:
    network, x = (
        Of(lambda x: (F.pad(x.mean((2, 3)), (1, 2)), F.pad(x.flatten(2).exp(), (3, 0), value=1.0))),
        torch.randn(2, 8, 3, 5),
    )
    for found, expected in zip(sk.compile(network, (1, 8, 3, 5))(x.numpy()), network(x), strict=True):
        np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("sides", [(0, 0, 0, 0, 1, 2), (0, 0, 0, 0, 1, 2, 3, 0), (1, 0, 0, 2, 0, 3, 1, 1)])
def test_padding_of_planes_in_two_dimensions(sides: tuple[int, ...]) -> None:
    network, x = Of(lambda x: F.pad(x.relu().unflatten(1, (2, 4)), sides, value=-1.0)), torch.randn(2, 8, 6, 5)
    np.testing.assert_allclose(sk.compile(network, (1, 8, 6, 5))(x.numpy()), network(x).numpy(), rtol=1e-5, atol=1e-6)


def test_one_sided_padding_counts_in_an_average() -> None:
    network = nn.Sequential(nn.ZeroPad2d((0, 1, 1, 0)), nn.AvgPool2d(3, 2), nn.AvgPool2d(3, 2, 1, ceil_mode=True))
    for size in (8, 11, 23):
        x = torch.randn(2, 4, size, size + 1)
        engine = sk.compile(network, (1, *x.shape[1:]))
        np.testing.assert_allclose(engine(x.numpy()), network(x).numpy(), rtol=1e-5, atol=1e-6)
        assert [step.kernel for step in engine.program.steps] == ["pool", "pool", "gather"]


# Of (2, 4, 6, 6), a batch of just two.
MIXING = [
    *(Concat(0), Slice(0, 0, 1), Take(0, (1, 0)), Permute((1, 0, 2, 3)), Reshape((8, 6, 6)), Reshape((1, 8, 6, 6))),
    Pad((1, 0, 0, 0), (0, 0, 0, 0)),
]  # fmt: skip


@pytest.mark.parametrize("move", MIXING, ids=str)
def test_what_mixes_the_images_of_a_batch_of_fixed_size_is_refused(move) -> None:
    builder = Builder()
    x = builder.input("x", (2, 4, 6, 6))
    graph = builder.graph([builder.add(Node(move, "y", "", (x,) * (2 if isinstance(move, Concat) else 1), "y"))])
    with pytest.raises(UsageError, match="it mixes the images of a batch, and must not"):
        lower(graph)


def test_what_is_cut_out_for_two_is_cut_out_once() -> None:
    network = Of(lambda x, a, b, c: b(y := a(x)[:, :, 1:, ::2]) + c(y), *(nn.Conv2d(8, 8, 1) for _ in range(3)))
    program = sk.compile(network, (1, 8, 6, 6)).program
    assert [step.kernel for step in program.steps] == ["gather", "gemm", "gather", "gemm", "gemm", "gather"]
