"""NaN and infinities go through every operator of the engine as through PyTorch's, on every instruction set.

PyTorch itself is not of one mind where a bilinear sample falls on a pixel. Whether the neighbour's share is 0, and makes a NaN
of an infinity there, depends on a fused multiply-add: its AVX2 and AVX-512 code has it. The engine computes as that does.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import get_args
from unittest.mock import patch

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import shufflekit as sk
from shufflekit.graph import simplify
from shufflekit.graph.from_torch import capture
from shufflekit.plan import choose
from shufflekit.plan.build import build
from shufflekit.plan.choose import variants_of
from shufflekit.plan.kernels import (
    KERNELS,
    Activation,
    Cell,
    Kernel,
    Operation,
    Outside,
    Pooling,
    Reduction,
    Resizing,
    Sampling,
    UnaryFunction,
)
from shufflekit.runtime import Engine
from tests.runtime.random_networks import ACTIVATIONS

native = pytest.importorskip("shufflekit._native", reason="the compiled part is not built")


class Of(nn.Module):
    """A function as a network, behind layers."""

    def __init__(self, function: Callable[[Tensor], Tensor], *layers: nn.Module) -> None:
        super().__init__()
        self.layers, self.function = nn.Sequential(*layers), function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.layers(x))


class Residual(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layer(x)


class Moments(nn.Module):
    """A recurrent layer, whose moments are pixels."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x.flatten(2).transpose(1, 2))[0]
        return y


def is_of_bytes(kind: type[Kernel]) -> bool:
    """Bytes are numbers; what NaN becomes on the way there, tests/plan/lowering/test_int8.py says."""
    return kind.element == 1 or kind.kernel in ("dequantize", "gemm_int8_float", "unpack_float")


def resized(**how: object) -> Of:
    return Of(lambda x: F.interpolate(x, **how))  # type: ignore[arg-type]


def sampled(x: Tensor, mode: str, outside: str) -> Tensor:
    """At places of two kinds, between pixels."""
    places = (x[:, :2] > 0).float().permute(0, 2, 3, 1) * 1.37 - 0.71
    return F.grid_sample(x, places, mode, outside, align_corners=False)


UNARY = {
    **{name: getattr(torch, name) for name in ("exp", "log", "sqrt", "rsqrt", "reciprocal", "square", "abs", "erf")},
    **{name: getattr(torch, name) for name in ("floor", "ceil", "round")},
    "log_sigmoid": F.logsigmoid,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "power": lambda x: x**3,
    "root": lambda x: x**0.3,
    "threshold": lambda x: F.threshold(x, 0.5, -1),
}
REDUCTIONS = {
    **{name: getattr(torch, name) for name in ("mean", "amax", "amin", "prod")},
    "l1": lambda x, dim: torch.linalg.vector_norm(x, 1, dim),
    "l2": lambda x, dim: torch.linalg.vector_norm(x, 2, dim),
}
SPREAD: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "difference": torch.sub,
    "quotient": torch.div,
    "minimum": torch.minimum,
    "maximum": torch.maximum,
    "a power": torch.pow,
    "equal": lambda a, b: (a == b).float(),
    "less": lambda a, b: (a < b).float(),
    "at most": lambda a, b: (a <= b).float(),
    "chosen": lambda a, b: torch.where(a > 0, a, b),
}


def networks() -> dict[str, nn.Module]:
    """Of 4 channels."""
    return {
        **{name: Of(function) for name, function in ACTIVATIONS.items()},
        **{f"convolution, {name}": Of(function, nn.Conv2d(4, 9, 3, 1, 1)) for name, function in ACTIVATIONS.items()},
        "clamp": Of(lambda x: x.clamp(0, 6)),
        **{name: Of(function) for name, function in UNARY.items()},
        **{f"{name} of a map": Of(lambda x, f=f: f(x, x[:, :1])) for name, f in SPREAD.items()},
        **{f"{name} of numbers": Of(lambda x, f=f: f(torch.arange(4.0).reshape(4, 1, 1) - 1, x)) for name, f in SPREAD.items()},
        **{f"{name} of channels": Of(lambda x, f=f: f(x, dim=1)) for name, f in REDUCTIONS.items()},
        **{f"{name} of a row": Of(lambda x, f=f: f(x, dim=3)) for name, f in REDUCTIONS.items()},
        "log softmax": Of(lambda x: x.log_softmax(3)),
        "softmax of columns": Of(lambda x: x.softmax(2)),
        "group norm": nn.GroupNorm(2, 4),
        "layer norm of channels": Of(lambda x: F.layer_norm(x.movedim(1, 3), (4,)).movedim(3, 1)),
        "pointwise": nn.Conv2d(4, 11, 1),
        "grouped pointwise, residual, relu": Of(F.relu, Residual(nn.Conv2d(4, 4, 1, groups=2))),
        "dilated convolution": nn.Conv2d(4, 8, 3, 1, 2, dilation=2, groups=2),
        "depthwise": nn.Conv2d(4, 4, 3, 1, 1, groups=4),
        "depthwise, stride 2, relu6": Of(F.relu6, nn.Conv2d(4, 4, 3, 2, 1, groups=4)),
        "depthwise 5x5": nn.Conv2d(4, 4, 5, 2, 2, groups=4),
        "pointwise and depthwise": nn.Sequential(nn.Conv2d(4, 8, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 1, 1, groups=8)),
        "stem and pool": nn.Sequential(nn.Conv2d(4, 8, 3, 2, 1), nn.ReLU(), nn.MaxPool2d(3, 2, 1)),
        "stem and pool, stride 1": nn.Sequential(nn.Conv2d(4, 8, 3, 1, 1), nn.MaxPool2d(3, 2, 1)),
        "max 3x3": nn.Sequential(nn.Conv2d(4, 4, 1), nn.MaxPool2d(3, 2, 1)),
        "max 3x3, stride 1": nn.Sequential(nn.ReLU(), nn.MaxPool2d(3, 1, 1)),
        "max 3x3, stride 2, no padding": nn.Sequential(nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True)),
        "max of the input": nn.MaxPool2d(3, 2, 1),
        "max 2x2": nn.MaxPool2d(2),
        "max 5x4, dilated": nn.MaxPool2d((5, 4), 1, 2, dilation=2),
        "adaptive max": nn.AdaptiveMaxPool2d((4, 3)),
        "global max": nn.AdaptiveMaxPool2d(1),
        "average 3x3": nn.Sequential(nn.ReLU(), nn.AvgPool2d(3, 2, 1)),
        "average 3x3, padding left out": nn.Sequential(nn.ReLU(), nn.AvgPool2d(3, 1, 1, count_include_pad=False)),
        "average 2x2": nn.AvgPool2d(2),
        "adaptive average": nn.AdaptiveAvgPool2d((4, 3)),
        "global average and linear": nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 7)),
        "transposed convolution": nn.ConvTranspose2d(4, 6, 4, 2, 1),
        "transposed convolution of pixels": nn.ConvTranspose2d(4, 6, 2, 2),
        "product of matrices": Of(lambda x: x @ x.transpose(2, 3)),
        "padding": nn.ConstantPad2d((1, 0, 2, 3), 0.5),
        "padding of channels": Of(lambda x: F.pad(x.relu(), (0, 0, 0, 0, 1, 2))),
        "channels last": Of(lambda x: x.movedim(1, 3)),
        "batch norm": nn.BatchNorm2d(4),
        "batch norm, relu and pointwise": nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 1)),
        "depthwise 5x5, stride 1": nn.Conv2d(4, 4, 5, 1, 2, groups=4),
        "sum": Of(lambda x: x + x.sigmoid()),
        "product": Of(lambda x: x * x.relu()),
        "gate": Of(lambda x: x * x.mean((2, 3), keepdim=True).sigmoid()),
        "gate and pointwise": nn.Sequential(
            nn.Conv2d(4, 4, 1), Of(lambda x: x * x.mean((2, 3), keepdim=True).sigmoid()), nn.Conv2d(4, 3, 1)
        ),
        "softmax": Of(lambda x: x.softmax(1)),
        "local response norm": nn.LocalResponseNorm(3),
        "shuffle": nn.ChannelShuffle(2),
        "nearest": resized(scale_factor=2.0),
        "nearest, smaller": resized(size=(5, 4)),
        "bilinear": resized(scale_factor=1.5, mode="bilinear"),
        "bilinear, one side": resized(size=(11, 1000), mode="bilinear"),
        "bilinear, corners": resized(size=(6, 5), mode="bilinear", align_corners=True),
        "cubic": resized(size=(13, 9), mode="bicubic"),
        "place of the largest": Of(lambda x: x.argmax(1)),
        **{name: Of(getattr(torch, name)) for name in ("sin", "cos", "sign")},
        "largest": Of(lambda x: x.topk(3, 1)[0]),
        "smallest": Of(lambda x: x.topk(3, 2, largest=False)[0]),
        **{
            f"{mode} at {outside}": Of(partial(sampled, mode=mode, outside=outside))
            for mode, outside in (("nearest", "border"), ("bilinear", "zeros"), ("bicubic", "reflection"))
        },
        "place of the smallest in a row": Of(lambda x: x.argmin(3)),
        "lstm": Moments(nn.LSTM(4, 5, batch_first=True)),
        "gru": Moments(nn.GRU(4, 5, batch_first=True)),
        "bilinear, the same size": resized(scale_factor=1.01, mode="bilinear"),
    }


SIDES = {"wide": (11, 37), "narrow": (7, 7), "pixel": (1, 1)}
NOT_FINITE = (float("nan"), float("inf"), float("-inf"))


def images(height: int, width: int) -> Tensor:
    """One for each number that is not finite and each of three places, one with two of them, and one that is all finite."""
    places = ((0, 0), (height // 2, width // 2), (height - 1, width - 1))
    x = torch.randn(len(NOT_FINITE) * len(places) + 2, 4, height, width, generator=torch.Generator().manual_seed(0))
    for image, (number, (y, column)) in zip(x, itertools.product(NOT_FINITE, places)):
        image[1, y, column] = number
    x[-2, 0, 0, 0], x[-2, 3, -1, -1] = float("inf"), float("-inf")
    return x


def case(name: str, side: str) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    return networks()[name].eval(), images(*SIDES[side])


def compiled(network: nn.Module, x: Tensor) -> Engine:
    with patch.object(choose, "_CACHE", 0):  # else only large planes are computed by pointwise_depthwise
        return sk.compile(network, (1, *x.shape[1:]))


def cases() -> list[object]:
    """All but windows larger than their padded input, and more rows than there are; the wide ones always."""
    large = [name for name in networks() if name == "smallest" or any(word in name for word in ("2x2", "5x4", "no padding"))]
    fit = [(name, side) for name, side in itertools.product(networks(), SIDES) if side != "pixel" or name not in large]
    return [pytest.param(*case, marks=() if case[1] == "wide" else pytest.mark.slow) for case in fit]


@pytest.mark.parametrize(("name", "side"), cases())
def test_what_is_not_finite_is_as_in_pytorch(name: str, side: str) -> None:
    network, x = case(name, side)
    if name == "gelu":
        x[x == np.inf] = 1  # PyTorch's vectors make a NaN of it, and its single floats do not
    compare(compiled(network, x).program.to_bytes(), network, x)


@pytest.mark.parametrize("variant", [each.name for each in variants_of("convolution") if each.mixes])
def test_tiles_keep_to_themselves_what_is_not_finite(variant: str) -> None:
    torch.manual_seed(0)
    x = images(*SIDES["wide"])
    strided = variant.endswith("_stride2")
    network = nn.Conv2d(4, 4, 3, 2, 1) if strided else Residual(nn.Conv2d(4, 4, 3, 1, 1))
    graph = simplify(capture(network.eval(), (1, *x.shape[1:])))
    program = build(graph, price=lambda _arguments, name: float(name != variant))
    assert variant in [step.variant for step in program.steps]
    compare(program.to_bytes(), network, x)


@pytest.mark.parametrize("side", SIDES)
def test_what_is_not_finite_stays_so_in_bfloat16(side: str) -> None:
    torch.manual_seed(0)
    x, network = images(*SIDES[side]), nn.Conv2d(4, 11, 1, groups=1)
    with torch.no_grad():
        network.weight[2, 1], network.weight[9, 0] = float("inf"), float("nan")
        network.weight[:] = network.weight.bfloat16().float()
    graph = simplify(capture(network.eval(), (1, *x.shape[1:])))
    program = build(graph, price=lambda _arguments, name: float(name != "bfloat16"), precision="bfloat16")
    assert "bfloat16" in [step.variant for step in program.steps]
    compare(program.to_bytes(), network, x.bfloat16().float())


def compare(content: bytes, network: nn.Module, x: Tensor) -> None:
    """What a plan gives, with PyTorch."""
    with torch.inference_mode():
        expected = network(x).numpy()
    for instruction_set in native.instruction_sets():
        found = Engine(content, instruction_set=instruction_set)(x.numpy())
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5, equal_nan=True, err_msg=instruction_set)


def test_every_kernel_and_activation_is_among_the_networks() -> None:
    steps = [step for name in networks() for step in compiled(*case(name, "wide")).program.steps]
    assert {step.kernel for step in steps} == {name for name, kind in KERNELS.items() if not is_of_bytes(kind)} - {
        "suppress"
    }  # which PyTorch has not
    all_words = {
        "activation": Activation,
        "pooling": Pooling,
        "operation": Operation,
        "reduction": Reduction,
        "resizing": Resizing,
        "cell": Cell,
        "function": UnaryFunction,
        "mode": Sampling,
        "outside": Outside,
    }
    of_files_alone = {"gru_reset_first"}  # torch has none
    for field, words in all_words.items():
        found = {getattr(step.arguments, field) for step in steps if hasattr(step.arguments, field)}
        assert found == set(get_args(words)) - of_files_alone


@pytest.mark.parametrize("name", list(ACTIVATIONS))
def test_the_ends_of_float32_are_as_in_pytorch(name: str) -> None:
    x = torch.tensor([3e38, -3e38, 1e37, -1e37, 90, -90, 88.5, -88.5, 1e-45, -0.0]).reshape(1, 1, 2, 5)
    engine = sk.compile(Of(ACTIVATIONS[name]), x.shape)
    np.testing.assert_allclose(engine(x).numpy(), ACTIVATIONS[name](x).numpy(), rtol=1e-5, atol=1e-30)
