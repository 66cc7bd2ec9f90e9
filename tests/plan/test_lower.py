"""Small networks that reach each way of lowering: the engine gives what PyTorch gives, in the steps that are expected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import shufflekit as sk
from shufflekit.errors import UsageError
from shufflekit.graph import BATCH, Builder, Graph, Node, Operator, interpret, simplify
from shufflekit.graph.from_torch import capture
from shufflekit.graph.operator import Shape as Symbolic
from shufflekit.graph.ops.activations import Relu
from shufflekit.graph.ops.arithmetic import Mul
from shufflekit.graph.ops.conv import Conv
from shufflekit.graph.ops.moves import Move
from shufflekit.graph.ops.norms import LocalResponseNorm, Normalize
from shufflekit.graph.ops.reductions import Mean
from shufflekit.graph.ops.resample import Resample
from shufflekit.graph.ops.softmax import Softmax
from shufflekit.plan.build import build
from shufflekit.plan.lower import lower
from shufflekit.plan.program import Program
from shufflekit.runtime import Engine
from tests.plan.replay import assert_memory_holds, planes

TOLERANCE = 2e-5  # of the output's maximum: the networks are shallow
Shape = tuple[int, int, int]


class Net(nn.Module):
    """A forward of its own, written as a function of the input and the layers."""

    def __init__(self, forward: Callable[..., Tensor | tuple[Tensor, ...]], *layers: nn.Module) -> None:
        super().__init__()
        self.function, self.layers = forward, nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        return self.function(x, *self.layers)


def compiled(network: nn.Module, shape: Shape) -> Program:
    """The plan, once the engine has given what PyTorch gives and the memory was seen to hold."""
    network = network.eval()
    torch.manual_seed(1)
    for parameter in network.parameters():
        nn.init.uniform_(parameter, -1, 1)
    x = torch.randn(3, *shape)
    engine = sk.compile(network, (1, *shape))
    with torch.inference_mode():
        expected = network(x)
    found = engine(x.numpy())
    outputs = found if isinstance(found, list) else [found]
    for y, right in zip(outputs, [expected] if isinstance(expected, Tensor) else expected, strict=True):
        assert y.shape == tuple(right.shape)
        assert float((torch.from_numpy(y) - right).abs().max()) <= TOLERANCE * float(right.abs().max())
    assert_memory_holds(engine.program)
    return engine.program


def kernels(program: Program) -> list[str]:
    """Those between the copy of the input and the one that hands out the result."""
    names = [step.kernel for step in program.steps]
    return names[names[0] == "gather" : -len(program.outputs)]


def conv(inner: int, outer: int, kernel: int = 1, **options: int) -> nn.Conv2d:
    return nn.Conv2d(inner, outer, kernel, **options)  # type: ignore[arg-type]


def depthwise(channels: int = 8, kernel: int = 3, padding: int = 1, **options: object) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, kernel, padding=padding, groups=channels, **options)  # type: ignore[arg-type]


# A pointwise convolution and the depthwise one behind it. They become one step where the map between them has 2^19 floats or
# more: here 8 channels of 256 x 256.
LARGE = (2, 256, 256)
APART = ["gemm", "depthwise"]
PAIRS = {
    "plain": (nn.Sequential(conv(2, 8), depthwise()), LARGE, ["pointwise_depthwise"]),
    "relu, relu6": (nn.Sequential(conv(2, 8), nn.ReLU(), depthwise(), nn.ReLU6()), LARGE, ["pointwise_depthwise"]),
    "relu6, relu": (nn.Sequential(conv(2, 8), nn.ReLU6(), depthwise(), nn.ReLU()), LARGE, ["pointwise_depthwise"]),
    "stride 2": (nn.Sequential(conv(2, 8), depthwise(stride=2)), LARGE, ["pointwise_depthwise"]),
    "16 columns": (nn.Sequential(conv(2, 8), depthwise()), (2, 4096, 16), ["pointwise_depthwise"]),
    "a smaller map": (nn.Sequential(conv(2, 8), depthwise()), (2, 255, 256), APART),
    "15 columns": (nn.Sequential(conv(2, 8), depthwise()), (2, 4400, 15), APART),
    "15 columns after the stride": (nn.Sequential(conv(2, 8), depthwise(stride=2)), (2, 2400, 30), APART),
    "5x5": (nn.Sequential(conv(2, 8), depthwise(kernel=5, padding=2)), LARGE, APART),
    "no padding": (nn.Sequential(conv(2, 8), depthwise(padding=0)), LARGE, APART),
    "dilation": (nn.Sequential(conv(2, 8), depthwise(padding=1, dilation=2)), LARGE, APART),
    "two strides": (nn.Sequential(conv(2, 8), depthwise(stride=(1, 2))), LARGE, APART),
    "stride 3": (nn.Sequential(conv(2, 8), depthwise(stride=3)), LARGE, APART),
    "silu first": (nn.Sequential(conv(2, 8), nn.SiLU(), depthwise()), LARGE, APART),
    "hardswish last": (nn.Sequential(conv(2, 8), depthwise(), nn.Hardswish()), LARGE, APART),
    "groups": (nn.Sequential(conv(2, 8, groups=2), depthwise()), LARGE, APART),
    "twice as many channels": (nn.Sequential(conv(2, 8), conv(8, 16, 3, groups=8)), LARGE, ["gemm", "convolution"]),
    "shuffled between": (nn.Sequential(conv(2, 8), nn.ChannelShuffle(2), depthwise()), LARGE, APART),
    "transposed between": (
        Net(lambda x, a, b: b(a(x).transpose(2, 3)), conv(2, 8), depthwise()), LARGE, ["gemm", "gather", "depthwise"],
    ),
    "the first channels of 16": (Net(lambda x, a, b: b(a(x)[:, :8]), conv(2, 16), depthwise()), LARGE, APART),
    "others read it": (Net(lambda x, a, b: (b(y := a(x)), y), conv(2, 8), depthwise()), LARGE, APART),
    "a sum first": (Net(lambda x, a, b, c: c(b(x) + a(x)), conv(2, 8), conv(2, 8), depthwise()), LARGE, ["gemm", *APART]),
    "a sum last": (
        Net(lambda x, a, b, c: b(x) + c(a(x)), conv(2, 8), conv(2, 8), depthwise()), LARGE, ["gemm", "gemm", "depthwise"],
    ),
    "another step between": (
        Net(lambda x, a, b, c: (y := a(x), torch.sigmoid(b(x)), c(y))[1:], conv(2, 8), conv(2, 1), depthwise()), LARGE,
        ["gemm", "gemm", "depthwise"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PAIRS)
def test_a_pointwise_convolution_and_a_depthwise_one(name: str) -> None:
    network, shape, expected = PAIRS[name]
    assert kernels(compiled(network, shape)) == expected


# A convolution and the max pooling behind it, one step where the kernel can: 3x3, stride 2, padding 1, 16 columns or more.
POOLED, POOL = ["convolution_pool"], ["convolution", "pool"]
STEMS = {
    "plain": (nn.Sequential(conv(3, 8, 3, stride=2, padding=1), nn.MaxPool2d(3, 2, 1)), (3, 40, 34), POOLED),
    "activation before": (nn.Sequential(conv(3, 8, 3), nn.SiLU(), nn.MaxPool2d(3, 2, 1)), (3, 40, 34), POOLED),
    "16 columns": (nn.Sequential(conv(3, 8, 3, padding=1), nn.MaxPool2d(3, 2, 1)), (3, 9, 16), POOLED),
    "15 columns": (nn.Sequential(conv(3, 8, 3, padding=1), nn.MaxPool2d(3, 2, 1)), (3, 9, 15), POOL),
    "17 columns": (nn.Sequential(conv(3, 8, 3, padding=1), nn.MaxPool2d(3, 2, 1)), (3, 9, 17), POOLED),
    "activation of the pool": (nn.Sequential(conv(3, 8, 3), nn.MaxPool2d(3, 2, 1), nn.Sigmoid()), (3, 40, 34), POOL),
    "average": (nn.Sequential(conv(3, 8, 3), nn.AvgPool2d(3, 2, 1)), (3, 40, 34), POOL),
    "2x2": (nn.Sequential(conv(3, 8, 3), nn.MaxPool2d(2, 2)), (3, 40, 34), POOL),
    "stride 1": (nn.Sequential(conv(3, 8, 3), nn.MaxPool2d(3, 1, 1)), (3, 40, 34), POOL),
    "no padding": (nn.Sequential(conv(3, 8, 3), nn.MaxPool2d(3, 2)), (3, 41, 35), POOL),
    "dilation": (nn.Sequential(conv(3, 8, 3), nn.MaxPool2d(3, 2, 1, dilation=2)), (3, 40, 34), POOL),
    "rounded up": (nn.Sequential(conv(3, 8, 3), nn.MaxPool2d(3, 2, 1, ceil_mode=True)), (3, 40, 34), POOL),
    "groups": (nn.Sequential(conv(4, 8, 3, groups=2), nn.MaxPool2d(3, 2, 1)), (4, 40, 34), POOL),
    "pointwise": (nn.Sequential(conv(3, 8), nn.MaxPool2d(3, 2, 1)), (3, 40, 34), ["gemm", "pool"]),
    "a sum": (Net(lambda x, a, p: p(x + a(x)), conv(3, 3, 3, padding=1), nn.MaxPool2d(3, 2, 1)), (3, 40, 34), POOL),
    "others read it": (Net(lambda x, a, p: (p(y := a(x)), y), conv(3, 8, 3), nn.MaxPool2d(3, 2, 1)), (3, 40, 34), POOL),
    "transposed": (
        Net(lambda x, a, p: p(a(x).transpose(2, 3)), conv(3, 8, 3), nn.MaxPool2d(3, 2, 1)),
        (3, 36, 36),
        ["convolution", "gather", "pool"],
    ),
    "half of it": (Net(lambda x, a, p: p(a(x)[:, :4]), conv(3, 8, 3), nn.MaxPool2d(3, 2, 1)), (3, 40, 34), POOL),
    "global maximum": (nn.Sequential(conv(3, 8, 3), nn.AdaptiveMaxPool2d(1)), (3, 40, 34), POOL),
}


@pytest.mark.parametrize("name", STEMS)
def test_a_stem_and_its_pool(name: str) -> None:
    network, shape, expected = STEMS[name]
    assert kernels(compiled(network, shape)) == expected


def mean(x: Tensor) -> Tensor:
    return x.mean((2, 3), keepdim=True)


SUMS = {
    "same shape": (Net(lambda x, a, b: a(x) + b(x), conv(3, 4), conv(3, 4)), ["gemm", "gemm"]),
    "of a 3x3": (Net(lambda x, a, b: a(x) + b(x), conv(3, 4), conv(3, 4, 3, padding=1)), ["gemm", "convolution"]),
    "of a depthwise": (Net(lambda x, a: x + a(x), depthwise(3)), ["depthwise"]),
    "of a depthwise, last": (Net(lambda x, a, b: b(x) + a(x), depthwise(3), conv(3, 3)), ["gemm", "depthwise"]),
    "and an activation": (Net(lambda x, a: F.hardswish(x + a(x)), conv(3, 3)), ["gemm"]),
    "before an activation of the convolution": (Net(lambda x, a: x + a(x).relu(), conv(3, 3)), ["gemm", "binary"]),
    "three": (Net(lambda x, a, b: x + a(x) + b(x), conv(3, 3), conv(3, 3)), ["gemm", "gemm"]),
    "with what one convolution adds already": (Net(lambda x, a: x + a(x) + x, conv(3, 3)), ["gemm", "binary"]),
    "twice the same": (Net(lambda x, a: (y := a(x)) + y, conv(3, 3)), ["gemm", "binary"]),
    "with one pixel a channel": (Net(lambda x, a: a(x) + mean(x), conv(3, 3)), ["gemm", "pool", "binary"]),
    "of one pixel a channel": (Net(lambda x, a: x + a(mean(x)), conv(3, 3)), ["pool", "gemm", "binary"]),
    "of one pixel, first": (Net(lambda x, a: a(mean(x)) + x, conv(3, 3)), ["pool", "gemm", "binary"]),
    "of one pixel each": (Net(lambda x, a: mean(x) + a(mean(x)), conv(3, 3)), ["pool", "pool", "gemm"]),
    "of one channel": (Net(lambda x, a, b: a(x) + b(x), conv(3, 1), conv(3, 3)), ["gemm", "gemm", "binary"]),
    "with one channel": (Net(lambda x, a, b: a(x) + b(x), conv(3, 3), conv(3, 1)), ["gemm", "gemm", "binary"]),
    "of vectors": (Net(lambda x, a, b: a(mean(x).flatten(1)) + b(mean(x).flatten(1)), nn.Linear(3, 5), nn.Linear(3, 5)), None),
    "of vectors, one of them short": (
        Net(lambda x, a, b: a(mean(x).flatten(1)) + b(mean(x).flatten(1)), nn.Linear(3, 5), nn.Linear(3, 1)), None,
    ),
    "a product": (Net(lambda x, a: x * a(x), conv(3, 3)), ["gemm", "binary"]),
    "a gate": (Net(lambda x, a: torch.sigmoid(a(mean(x))) * x, conv(3, 3)), ["pool", "gemm", "binary"]),
    "a spatial gate": (Net(lambda x, a: x * torch.sigmoid(a(x)), conv(3, 1)), ["gemm", "binary"]),
}  # fmt: skip


@pytest.mark.parametrize("name", SUMS)
def test_a_sum(name: str) -> None:
    network, expected = SUMS[name]
    program = compiled(network, (3, 6, 5))
    assert expected is None or [kernel for kernel in kernels(program) if kernel != "gather"] == expected


# A sum is written over the residual it adds, where nobody needs that any more.
def chain(x: Tensor, a: nn.Module, b: nn.Module) -> Tensor:
    return (y := a(x)) + b(y)


RESIDUALS = {
    "it dies": (Net(lambda x, a, b: a(x) + b(x), conv(3, 8), conv(3, 8)), 8),
    "the convolution reads it too": (Net(chain, conv(3, 8), conv(8, 8, 3, padding=1)), 0),
    "the convolution reads half of it too": (Net(lambda x, a, b: (y := a(x)) + b(y[:, 4:]), conv(3, 8), conv(4, 8)), 4),
    "it is read later": (Net(lambda x, a, b: ((y := a(x)) + b(x)) * y, conv(3, 8), conv(3, 8)), 0),
    "half of it is read later": (
        Net(lambda x, a, b: torch.cat([(y := a(x)) + b(x), y[:, 2:6]], 1), conv(3, 8), conv(3, 8)), 4,
    ),
    "it is handed out": (Net(lambda x, a, b: ((y := a(x)) + b(x), y), conv(3, 8), conv(3, 8)), 0),
    "three of its four channels are added twice": (
        Net(lambda x, a, b: torch.cat([y := a(x), y[:, 1:]], 1) + b(x), conv(3, 4), conv(3, 7)), 1,
    ),
    "other channels of it": (Net(lambda x, a, b: torch.cat(a(x).chunk(2, 1)[::-1], 1) + b(x), conv(3, 8), conv(3, 8)), 8),
    "the input": (Net(lambda x, a: x + a(x), conv(3, 3, 3, padding=1)), 0),
    "a channel of the input that nobody else reads": (Net(lambda x, a: x[:, :1] + a(x[:, 1:]), conv(2, 1)), 1),
    "one pixel a channel": (Net(lambda x, a, b: a(mean(x)) + b(mean(x)), conv(3, 8), conv(3, 8)), 0),
}  # fmt: skip


@pytest.mark.parametrize("name", RESIDUALS)
def test_a_sum_lies_where_the_dying_residual_lay(name: str) -> None:
    network, count = RESIDUALS[name]
    program = compiled(network, (3, 6, 5))
    (step,) = (step for step in program.steps if "residual" in step.tables)
    tables = planes(program, step)
    assert int((tables["out"].offsets == tables["residual"].offsets).sum()) == count


# Views: what a step needs as planes, as vectors or as single elements, of what lies otherwise.
def flat(x: Tensor) -> Tensor:
    return x.flatten(1)


class Taken(nn.Module):
    """Elements by number."""

    def __init__(self, *numbers: int) -> None:
        super().__init__()
        self.register_buffer("numbers", torch.tensor(numbers))

    def forward(self, x: Tensor) -> Tensor:
        return flat(x).index_select(1, self.numbers)


PLANE, BACK = range(30), range(59, 30, -1)
VIEWS = {
    "planes once flattened": (Net(lambda x, a, b: b(flat(a(x)).reshape(x.shape)), conv(3, 3), conv(3, 4)), 0),
    "a plane in order and one that is not": (
        Net(lambda x, a, b, t: b(t(a(x)).reshape(-1, 2, 6, 5)), conv(3, 3), conv(2, 4), Taken(*PLANE, 30, *BACK)), 1,
    ),
    "a plane and one that lies across two": (
        Net(lambda x, a, b, t: b(t(a(x)).reshape(-1, 2, 6, 5)), conv(3, 3), conv(2, 4), Taken(*PLANE, *range(45, 75))), 1,
    ),
    "a plane and one that begins in another's middle": (
        Net(lambda x, a, b: b(flat(a(x))[:, 15:75].reshape(-1, 2, 6, 5)), conv(3, 3), conv(2, 4)), 1,
    ),
    "the beginning of a plane": (Net(lambda x, a, b: b(flat(a(x))[:, :15].reshape(-1, 1, 3, 5)), conv(3, 3), conv(1, 4)), 1),
    "other planes than those written": (Net(lambda x, a, b: b(a(x).reshape(-1, 9, 2, 5)), conv(3, 3), conv(9, 4)), 1),
    "transposed planes": (Net(lambda x, a, b: b(a(x).transpose(2, 3)), conv(3, 3), conv(3, 4)), 1),
    "channels last": (Net(lambda x, a, b: b(a(x).permute(0, 2, 3, 1)), conv(3, 3), conv(6, 4)), 1),
    "a residual of transposed planes": (
        Net(lambda x, a, b: b(x) + a(x.transpose(2, 3)).transpose(2, 3), conv(3, 4), conv(3, 4)), 1,
    ),
    "the input's transposed planes": (Net(lambda x, a: a(x.transpose(2, 3)), conv(3, 4)), 0),
    "the input and another map": (Net(lambda x, a, b: b(torch.cat([x, a(x)], 1)), conv(3, 3, 3, padding=1), conv(6, 4, 3)), 0),
    "single pixels of maps": (Net(lambda x, a, b: b(a(x)[:, :, :1, :1]), conv(3, 3), conv(3, 4)), 0),
    "every second feature of a vector": (Net(lambda x, a, b: b(a(mean(x)).flatten(1)[:, ::2]), conv(3, 8), nn.Linear(4, 5)), 0),
    "features of two vectors": (
        Net(lambda x, a, b: b(torch.cat([flat(a(mean(x))), flat(mean(x))], 1)), conv(3, 8), nn.Linear(11, 5)), 0,
    ),
    "features of a map and a vector": (
        Net(lambda x, a, b: b(torch.cat([flat(a(x)), flat(mean(x))], 1)), conv(3, 2), nn.Linear(63, 5)), 0,
    ),
    "a vector as a map": (Net(lambda x, a, b: b(a(flat(mean(x))).reshape(-1, 2, 3, 4)), nn.Linear(3, 24), conv(2, 4, 3)), 1),
    "a product of transposed planes": (Net(lambda x, a: a(x).transpose(2, 3) * x.transpose(2, 3).sigmoid(), conv(3, 3)), 0),
    "a sigmoid of vectors of channels": (Net(lambda x, a: torch.sigmoid(a(x).flatten(2)) * 0.5 + x.flatten(2), conv(3, 3)), 0),
    "a norm of a sequence": (Net(lambda x, a, n: n(a(x).flatten(2)), conv(3, 3), nn.BatchNorm1d(3)), 0),
    "five dimensions": (Net(lambda x, a: torch.relu(a(x).reshape(-1, 2, 2, 6, 5) - 0.5), conv(3, 4)), 0),
    "softmax of vectors": (Net(lambda x, a: a(flat(mean(x))).softmax(1), nn.Linear(3, 5)), 0),
    "softmax of transposed planes": (Net(lambda x, a: a(x).transpose(2, 3).softmax(1), conv(3, 4)), 0),
    "only the input's channels in another order": (Net(lambda x: torch.cat([x[:, 1:], x[:, :1]], 1)), 0),
    "rows and columns": (Net(lambda x, a: a(x)[:, :, 1:5:2, 2:], conv(3, 4)), 0),
    "rows and columns of one map for two": (
        Net(lambda x, a, b, c: b(y := a(x)[:, :, 1:5:2, 2:]) + c(y), conv(3, 4), conv(4, 4), conv(4, 4, 3, padding=1)), 1,
    ),
    "rows of a tensor of five dimensions": (Net(lambda x, a: a(x).reshape(-1, 2, 2, 6, 5)[:, :, :, 1::2], conv(3, 4)), 0),
    "tokens, cut and joined, back as a map": (
        Net(
            lambda x, a, b: b(torch.cat([(y := a(x).flatten(2).transpose(1, 2))[:, :, 2:], y[:, :, :2]], 2)
            .transpose(1, 2).reshape(-1, 4, 6, 5)),
            conv(3, 4), conv(4, 4),
        ), 0,
    ),
    "columns of transposed planes": (Net(lambda x, a: a(x).transpose(2, 3)[:, :, :, 1:3], conv(3, 4)), 0),
    "a channel as a sequence": (Net(lambda x, a: torch.sigmoid(a(x)[:, 1]), conv(3, 4)), 0),
    "the last chunk, counted from the end": (Net(lambda x, a, b: b(a(x).chunk(2, -3)[-1]), conv(3, 4), conv(2, 4)), 0),
    "the last columns, counted from the end": (Net(lambda x, a: a(x).split([2, 3], -1)[1], conv(3, 4)), 0),
    "a row": (Net(lambda x, a: a(x)[:, :, 2], conv(3, 4)), 0),
    "sizes that do not divide": (Net(lambda x, a: a(x).transpose(2, 3).reshape(-1, 4, 3, 10).relu(), conv(3, 4)), 1),
    "planes and a sequence of turned ones": (
        Net(lambda x, a: torch.cat([(y := a(x)).flatten(2), y.transpose(2, 3).flatten(2)], 1), conv(3, 4)), 1,
    ),
    "more digits than a gather counts": (
        Net(lambda x, a: a(x).reshape(-1, *[2] * 7, 15, 2).permute(0, 8, 9, *range(7, 0, -1)).flatten(1), conv(3, 128)), 1,
    ),
    "a norm of columns as channels": (Net(lambda x, a, n: n(a(x).permute(0, 3, 1, 2)), conv(3, 4), nn.BatchNorm2d(5)), 1),
    "a product of two sequences": (
        Net(lambda x, a, b: a(x).flatten(2) @ b(x).flatten(2), nn.Conv2d(3, 4, (5, 3)), conv(3, 6)), 0,
    ),
    "the tallest planes": (Net(lambda x, a: a(x).reshape(-1, 2, 12, 5), conv(3, 4)), 0),
}  # fmt: skip


@pytest.mark.parametrize("name", VIEWS)
def test_a_view(name: str) -> None:
    """The number is that of the steps that only move data, besides those that read the input and hand out the result."""
    network, moves = VIEWS[name]
    program = compiled(network, (3, 6, 5))
    assert len([step for step in program.moves if not step.in_buffer and not step.out_buffer]) == moves


def test_moves_that_take_no_step_have_vanished() -> None:
    """A permutation does, and so does a reshape of it where sizes divide; 5 x 6 as 3 x 10 is brought together."""
    for sides, vanished in (((30,), {"permute": 1, "reshape": 1}), ((3, 10), {"permute": 1})):
        network = Net(lambda x, a, sides=sides: a(x).transpose(2, 3).reshape(-1, 4, *sides).relu(), conv(3, 4)).eval()
        assert lower(simplify(capture(network, (1, 3, 6, 5)))).vanished == vanished


@pytest.mark.parametrize(
    ("forward", "expected"),
    [
        (lambda x, a: a(x), (4, 30)),
        (lambda x, a: a(x).flatten(2), (4, 30)),
        (lambda x, a: mean(a(x)), (4, 1)),
        (lambda x, a: mean(a(x)).flatten(1), (4, 1)),
        (lambda x, a: a(x).transpose(2, 3), (4, 30)),
        (lambda x, a: a(x).reshape(-1, 2, 2, 6, 5), (4, 30)),
        (lambda x, a: a(x).permute(0, 2, 3, 1), (4, 30)),
        (lambda x, a: a(x)[:, 1:, ::2], (3, 25)),
        (lambda x, a: torch.cat([a(x), a(x)[:, :, :2]], 2), (4 * 4, 2 * 5)),
    ],
)
def test_a_result_is_handed_out_by_planes_and_not_by_elements(
    forward: Callable[..., Tensor], expected: tuple[int, int]
) -> None:
    last = compiled(Net(forward, conv(3, 4)), (3, 6, 5)).steps[-1].arguments
    assert last.in_shape == expected
    assert last.out_shape[0] == 1


# What reads the network's input where it lies, and needs no copy of it.
IN_PLACE: dict[str, Callable[[Tensor], Tensor]] = {
    "pool": lambda x: F.avg_pool2d(x, 2),
    "affine": torch.tanh,
    "reduce": lambda x: x.sum(1),
    "softmax": lambda x: x.softmax(1),
    "normalize": lambda x: F.layer_norm(x, (5,)),
    "position": lambda x: x.argmax(1).float(),
    "pad": lambda x: F.pad(x, (1, 2), value=1.0),
    "resample": lambda x: F.interpolate(x, (4, 5), mode="bicubic"),
    "gather": lambda x: x.transpose(2, 3),
}


@pytest.mark.parametrize("kernel", IN_PLACE)
def test_the_input_is_read_where_it_lies(kernel: str) -> None:
    first, *others = compiled(Net(IN_PLACE[kernel]), (3, 6, 5)).steps
    assert (first.kernel, first.in_buffer) == (kernel, 1)
    assert not any(step.in_buffer for step in others)


MIXED = [
    lambda x: x.reshape(-1, 6, 6, 5),
    lambda x: x[1:],
    lambda x: torch.cat([x, x], 0),
    lambda x: x.index_select(0, torch.tensor([0, 0])),
    lambda x: x.split(1)[0],
    lambda x: x.chunk(2, -4)[1],
]


@pytest.mark.parametrize("number", range(len(MIXED)))
def test_what_mixes_the_images_of_a_batch_is_refused(number: int) -> None:
    with pytest.raises(UsageError):
        sk.compile(Net(MIXED[number]), (1, 3, 6, 5))


@dataclass(frozen=True)
class Swapped(Move):
    """An operator that lowering does not know."""

    name = "swapped"

    def shape(self, x: Symbolic) -> Symbolic:  # type: ignore[override]
        return x

    def reference(self, x: np.ndarray) -> np.ndarray:  # type: ignore[override]
        return x[:, ::-1]


def test_a_move_of_which_lowering_knows_nothing_runs_by_its_reference() -> None:
    builder = Builder()
    x = builder.input("x", (BATCH, 4, 3, 5))
    y = builder.add(Node(Swapped(), "swapped", "", (builder.add(Node(Relu(), "relu", "", (x,), "relu")),), "y"))
    graph, images = builder.graph([y]), np.random.default_rng(0).standard_normal((2, 4, 3, 5)).astype(np.float32)
    program = build(graph)
    np.testing.assert_array_equal(Engine(program.to_bytes())(images), interpret(graph, images)[0])
    assert [step.kernel for step in program.steps] == ["affine", "gather"]
    assert program.info["vanished"] == {"swapped": 1}


def graph_of(operator: Operator, shape: Symbolic, *constants: tuple[int, ...], residual: bool = False) -> Graph:
    builder = Builder()
    x = builder.input("x", shape)
    reads = [builder.constant(f"c.{number}", np.ones(each)) for number, each in enumerate(constants)]
    return builder.graph([builder.add(Node(operator, "y", "", (x, *reads), "y", residual=x if residual else ""))])


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (
            graph_of(Conv((1, 1, 1), (0,) * 6, (1, 1, 1)), (BATCH, 2, 3, 4, 5), (4, 2, 1, 1, 1)),
            r"the input must be \(N, C, H, W\) or \(N, C, L\), found \(N, 2, 3, 4, 5\)",
        ),
        (graph_of(LocalResponseNorm(3), (BATCH, 4, 6)), r"the input must be \(N, C, H, W\), found \(N, 4, 6\)"),
        (
            graph_of(LocalResponseNorm(3, beta=0.3), (BATCH, 4, 6, 6)),
            "beta must be a multiple of 0.25 .*, found 0.3",
        ),
        (
            graph_of(LocalResponseNorm(3, beta=4.25), (BATCH, 4, 6, 6)),
            "beta must be .* from 0.25 to 4, found 4.25",
        ),
        (graph_of(Mul(), (2, 4, 6, 6), (2, 4, 6, 6)), "a constant must be the same for all images of a batch"),
        (graph_of(Mean((0,), True), (2, 4, 6, 6)), "it mixes the images of a batch, and must not"),
        (graph_of(Softmax(0), (2, 4, 6, 6)), "it mixes the images of a batch, and must not"),
        (
            graph_of(Normalize((1,), 0.1), (BATCH, 4, 6, 5), (1, 4, 1, 1), (1, 1, 6, 5)),
            "a scale or shift that differs within a plane must do so along the norm",
        ),
        (graph_of(Resample(1), (BATCH, 4, 6, 5), (2, 3), (2, 3)), "along the channels is not supported"),
    ],
)
def test_what_no_kernel_computes_is_refused(graph: Graph, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        lower(graph)


# What each step computes and moves, by hand. Maps are 6 x 5 = 30 pixels, of 3 channels at first; a step's bytes are 4 times
# what it reads, writes and has of weights. Weights lie in panels of eight rows.
COPY, RESULT = (0, 4 * (90 + 90)), (0, 4 * (240 + 240))
FIRST = (8 * 3 * 30, 4 * (90 + 240 + 24 + 8))  # a pointwise convolution from 3 to 8 channels, with its bias
COUNTS = {
    "pointwise": (nn.Sequential(conv(3, 8)), [COPY, FIRST, RESULT]),
    "pointwise in groups": (
        nn.Sequential(conv(3, 8), conv(8, 16, groups=2)),
        [COPY, FIRST, (16 * 4 * 30, 4 * (240 + 480 + 2 * 4 * 8 + 16)), (0, 4 * (480 + 480))],
    ),
    "rows that do not fill their panels": (
        nn.Sequential(conv(3, 10)), [COPY, (10 * 3 * 30, 4 * (90 + 300 + 2 * 8 * 3 + 16)), (0, 4 * (300 + 300))],
    ),
    "3x3": (nn.Sequential(conv(3, 8, 3, padding=1)), [(8 * 27 * 30, 4 * (90 + 240 + 216 + 8)), RESULT]),
    "3x3 of stride 2": (
        nn.Sequential(conv(3, 8, 3, padding=1, stride=2)), [(8 * 27 * 9, 4 * (90 + 72 + 216 + 8)), (0, 4 * (72 + 72))],
    ),
    "depthwise": (nn.Sequential(conv(3, 8), depthwise()), [COPY, FIRST, (8 * 9 * 30, 4 * (240 + 240 + 72 + 8)), RESULT]),
    "residual of a pointwise": (
        Net(lambda x, a, b: b(x) + a(x), conv(3, 8), conv(3, 8)),
        [COPY, FIRST, (8 * 3 * 30, 4 * (90 + 240 + 240 + 24 + 8)), RESULT],
    ),
    "residual of a 3x3 of stride 2": (
        Net(lambda x, a, p: p(x) + a(x), conv(3, 3, 3, padding=1, stride=2), nn.MaxPool2d(3, 2, 1)),
        [(0, 4 * (90 + 27)), COPY, (3 * 27 * 9, 4 * (90 + 27 + 27 + 8 * 27 + 8)), (0, 4 * (27 + 27))],
    ),
    "channels that are read twice": (
        Net(lambda x, a, b: b(torch.cat([y := a(x), y[:, :4]], 1)), conv(3, 8), conv(12, 8)),
        [COPY, FIRST, (8 * 12 * 30, 4 * (240 + 240 + 96 + 8)), RESULT],
    ),
    "half of the channels": (
        Net(lambda x, a, b: b(a(x)[:, ::2]), conv(3, 8), conv(4, 8)),
        [COPY, FIRST, (8 * 4 * 30, 4 * (120 + 240 + 32 + 8)), RESULT],
    ),
    "global pool and linear": (
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 8)),
        [(0, 4 * (90 + 3)), (24, 4 * (3 + 8 + 24 + 8)), (0, 4 * (8 + 8))],
    ),
    "linear of a map": (
        nn.Sequential(conv(3, 8), nn.Flatten(), nn.Linear(240, 8)),
        [COPY, FIRST, (240 * 8, 4 * (240 + 8 + 1920 + 8)), (0, 4 * (8 + 8))],
    ),
    "max pool": (nn.Sequential(nn.MaxPool2d(2)), [(0, 4 * (90 + 18)), (0, 4 * (18 + 18))]),
    "norm": (nn.Sequential(nn.BatchNorm2d(3)), [(0, 4 * (90 + 90 + 3 + 3)), (0, 4 * (90 + 90))]),
    "sum": (Net(lambda x, a: (y := a(x)) + y.sigmoid(), conv(3, 8)), [COPY, FIRST, (0, 4 * (480 + 16)), (0, 4 * 720), RESULT]),
    "gate": (
        Net(lambda x, a: (y := a(x)) * mean(y), conv(3, 8)),
        [COPY, FIRST, (0, 4 * (240 + 8)), (0, 4 * (240 + 8 + 240)), RESULT],
    ),
    "spatial gate": (
        Net(lambda x, a: (y := a(x)) * y[:, :1], conv(3, 8)), [COPY, FIRST, (0, 4 * (240 + 30 + 240)), RESULT],
    ),
    "single pixels": (
        Net(lambda x, a: (y := a(x)) * flat(y)[:, 30:38].reshape(-1, 8, 1, 1), conv(3, 8)),
        [COPY, FIRST, (0, 4 * (240 + 8 + 240)), RESULT],
    ),
    "softmax": (nn.Sequential(nn.Softmax(1)), [(0, 4 * (90 + 90)), (0, 4 * (90 + 90))]),
    "mean of rows": (Net(lambda x, a: a(x).mean(3), conv(3, 8)), [COPY, FIRST, (0, 4 * (240 + 48)), (0, 4 * (48 + 48))]),
    "a map of numbers": (
        Net(lambda x, a: a(x) * torch.arange(30.0).reshape(6, 5), conv(3, 8)),
        [COPY, FIRST, (0, 4 * (240 + 240 + 30 + 8)), RESULT],
    ),
    "group norm": (
        nn.Sequential(conv(3, 8), nn.GroupNorm(2, 8)), [COPY, FIRST, (0, 4 * (240 + 240 + 8 + 8)), RESULT],
    ),
    "local response norm": (nn.Sequential(nn.LocalResponseNorm(3)), [COPY, (0, 4 * (90 + 90)), (0, 4 * (90 + 90))]),
    "twice the size": (nn.Sequential(nn.Upsample(scale_factor=2)), [COPY, (0, 4 * (90 + 360)), (0, 4 * (360 + 360))]),
    "a region": (
        Net(lambda x, a: a(x)[:, :, 1:4], conv(3, 8)), [COPY, FIRST, (0, 4 * (120 + 120))],
    ),
    "transposed planes": (
        Net(lambda x, a, b: b(a(x).transpose(2, 3)), conv(3, 8), conv(8, 8)),
        [COPY, FIRST, (0, 4 * (240 + 240)), (8 * 8 * 30, 4 * (240 + 240 + 64 + 8)), RESULT],
    ),
    "two outputs": (
        Net(lambda x, a: (a(x), x[:, 1:]), conv(3, 8)), [COPY, FIRST, RESULT, (0, 4 * (60 + 60))],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", COUNTS)
def test_what_a_step_computes_and_moves(name: str) -> None:
    network, expected = COUNTS[name]
    program = compiled(network, (3, 6, 5))
    assert [(step.flops, step.bytes) for step in program.steps] == expected
    assert program.flops == sum(flops for flops, _ in expected)


def test_what_the_steps_of_two_convolutions_compute_and_move() -> None:
    fused = compiled(nn.Sequential(conv(2, 8), depthwise(stride=2)), LARGE).steps[1]
    assert fused.flops == 2 * 8 * 256**2 + 8 * 9 * 128**2
    assert fused.bytes == 4 * (2 * 256**2 + 8 * 128**2 + 16 + 8 + 72 + 8)
    pooled = compiled(nn.Sequential(conv(3, 8, 3, padding=1), nn.MaxPool2d(3, 2, 1)), (3, 9, 17)).steps[0]
    assert pooled.flops == 8 * 27 * 9 * 17
    assert pooled.bytes == 4 * (3 * 9 * 17 + 8 * 5 * 9 + 216 + 8)
