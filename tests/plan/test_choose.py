"""What is computed together and by which variant goes by the price that is handed in, and only as the kernels take it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from shufflekit.graph import Graph, simplify
from shufflekit.graph.from_torch import capture
from shufflekit.plan.build import build
from shufflekit.plan.choose import Precision, Price, choose, estimate, packed, variants_of
from shufflekit.plan.kernels import Convolution, ConvolutionInt8, Depthwise, Gemm, Kernel, Window
from shufflekit.plan.lower import lower

PAIR = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, 1, 1, groups=8))
SCALED = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 8, 1))
STEM = nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(3, 2, 1))


def graph_of(network: nn.Module, side: int = 32) -> Graph:
    return simplify(capture(network.eval(), (1, 3, side, side)))


def chosen(graph: Graph, price: Price = estimate, precision: Precision = "float32") -> list[tuple[str, str]]:
    """Kernels and variants, without those that only move data."""
    drafts = choose(lower(graph), price, precision).drafts
    return [(draft.arguments.kernel, draft.variant) for draft in drafts if draft.arguments.kernel != "gather"]


def dear(*kernels: str) -> Price:
    return lambda arguments, variant: 1e9 if arguments.kernel in kernels or variant in kernels else 1.0


def test_lowering_emits_a_step_for_each_operator() -> None:
    for network, kernels in ((PAIR, ["gemm", "depthwise"]), (STEM, ["convolution", "pool"])):
        drafts = lower(graph_of(network)).drafts
        assert [draft.arguments.kernel for draft in drafts if draft.arguments.kernel != "gather"] == kernels


@pytest.mark.parametrize(
    ("network", "apart", "together"),
    [
        (PAIR, [("gemm", "any"), ("depthwise", "channels")], ("pointwise_depthwise", "any")),
        (STEM, [("convolution", "rows"), ("pool", "any")], ("convolution_pool", "any")),
        (SCALED, [("affine", "any"), ("gemm", "any")], ("affine_gemm", "any")),
    ],
)
def test_neighbours_become_one_where_that_is_cheaper(
    network: nn.Module, apart: list[tuple[str, str]], together: tuple[str, str]
) -> None:
    graph = graph_of(network)
    assert chosen(graph, lambda *_: 1.0) == [together]
    assert chosen(graph, dear(together[0])) == apart
    # As dear as both: two steps, which more threads share.
    assert chosen(graph, lambda arguments, _: 2.0 if arguments.kernel == together[0] else 1.0) == apart


@pytest.mark.parametrize(
    "ends",
    [
        [nn.Sigmoid(), nn.Conv2d(3, 8, 1)],
        [nn.ReLU(), nn.Conv2d(3, 8, 3)],
        [nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 8, 1)],
    ],
    ids=["no bounds", "3x3", "one pixel"],
)
def test_what_else_is_scaled_stays_apart(ends: list[nn.Module]) -> None:
    assert "affine" in [kernel for kernel, _ in chosen(graph_of(nn.Sequential(nn.BatchNorm2d(3), *ends)))]


class Plus(nn.Module):
    """What a module makes of its input, and the input."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.module(x) + x


class Gated(nn.Module):
    """A map, a number for each of its planes, what is done with both, and what reads that."""

    def __init__(self, reader: nn.Module, gate: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.map, self.excite, self.reader, self.gate = nn.Conv2d(3, 8, 3, 1, 1), nn.Conv2d(8, 8, 1), reader, gate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.map(x)
        return self.reader(self.gate(x, torch.sigmoid(self.excite(x.mean((2, 3), keepdim=True)))))


@pytest.mark.parametrize("gate", [lambda x, s: x * s, lambda x, s: s * x], ids=["after", "before"])
def test_gates_go_to_the_weights_of_what_reads_them_where_that_is_cheaper(gate: Callable[..., torch.Tensor]) -> None:
    graph = graph_of(Gated(nn.Conv2d(8, 4, 1), gate))
    apart, together = [("binary", "any"), ("gemm", "any")], [("gated_gemm", "any")]
    assert chosen(graph)[-1:] == chosen(graph, lambda *_: 1.0)[-1:] == together
    assert chosen(graph, dear("gated_gemm"))[-2:] == apart
    assert chosen(graph_of(Gated(nn.Conv2d(8, 300, 1), gate), side=8))[-2:] == apart  # more weights than the map has elements


@pytest.mark.parametrize(
    ("reader", "gate"),
    [
        (nn.Conv2d(8, 4, 1), lambda x, s: x + s),
        (nn.Conv2d(8, 4, 1), lambda x, s: F.relu(x * s)),
        (nn.Conv2d(8, 4, 1), lambda x, s: x * s.mean(1, keepdim=True) * x.mean(3, keepdim=True)),
        (nn.Conv2d(8, 4, 1), lambda x, s: s * x.mean((2, 3), keepdim=True)),
        (nn.Conv2d(8, 4, 3), lambda x, s: x * s),
        (Plus(nn.Conv2d(8, 8, 1)), lambda x, s: x * s),
    ],
    ids=["sum", "activated", "of rows", "one pixel", "3x3", "residual too"],
)
def test_what_else_is_multiplied_stays_apart(reader: nn.Module, gate: Callable[..., torch.Tensor]) -> None:
    graph = graph_of(Gated(reader, gate))
    assert "gated_gemm" not in [kernel for kernel, _ in chosen(graph, lambda *_: 1.0)]
    assert build(graph).steps


def test_a_scaled_map_that_is_a_residual_too_stays_apart() -> None:
    graph = graph_of(
        nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1), nn.Sigmoid(), nn.BatchNorm2d(8), nn.ReLU(), Plus(nn.Conv2d(8, 8, 1)))
    )
    assert [kernel for kernel, _ in chosen(graph, lambda *_: 1.0)][-2:] == ["affine", "gemm"]
    assert build(graph, price=lambda *_: 1.0).steps


class Scaled(nn.Module):
    """The input, scaled, and a sum: the one is a buffer of its own, and the other lies in the arena."""

    def __init__(self) -> None:
        super().__init__()
        self.scaled, self.other = SCALED, nn.Conv2d(3, 8, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.other(x) + self.scaled(x)


def test_a_step_reads_one_buffer() -> None:
    graph = graph_of(Scaled())
    apart = chosen(graph, lambda arguments, _: 0.0 if arguments.kernel == "affine_gemm" else 1.0)
    assert sorted(kernel for kernel, _ in apart) == ["affine", "gemm", "gemm"]
    assert build(graph).steps


@pytest.mark.parametrize(
    ("side", "kernel", "stride", "variant"),
    [
        (7, 5, 1, "channels"),
        (14, 5, 2, "channels"),
        (28, 5, 1, "channels"),
        (7, 3, 1, "any"),
        (14, 3, 2, "any"),
        (56, 5, 2, "any"),
    ],
)
def test_lanes_are_channels_where_that_pays(side: int, kernel: int, stride: int, variant: str) -> None:
    """Wide windows of planes that stay in the L1 cache."""
    out, pad = side // stride if stride > 1 else side, kernel // 2
    step = Depthwise(96, Window(side, side, out, out, kernel, kernel, stride, stride, pad, pad), "relu", 0.0, 0.0)
    fit = [each.name for each in variants_of("depthwise") if each.takes(step, False)]
    assert min(fit, key=lambda name: estimate(step, name)) == variant


def test_a_map_that_leaves_the_cache_is_dearer_than_bands_that_are_copied() -> None:
    sides = {64: "depthwise", 256: "pointwise_depthwise"}  # 8 channels: 128 KiB and 2 MiB
    assert {side: chosen(graph_of(PAIR, side))[-1][0] for side in sides} == sides


def test_a_stem_is_always_pooled_at_once() -> None:
    assert [chosen(graph_of(STEM, side)) for side in (16, 64)] == 2 * [[("convolution_pool", "any")]]


def only(variant: str) -> Price:
    return lambda _arguments, name: float(name != variant)


def test_a_variant_goes_by_the_price_among_those_that_take_the_step() -> None:
    wide, narrow = (graph_of(nn.Conv2d(3, 8, 3, padding=1), side) for side in (16, 15))
    for variant in ("rows", "winograd2", "winograd4", "patches", "any"):
        assert chosen(wide, only(variant)) == [("convolution", variant)]
    assert chosen(narrow, only("rows")) != [("convolution", "rows")]
    strided = graph_of(nn.Conv2d(3, 8, 3, 2, 1), 16)
    for variant in ("winograd2_stride2", "winograd2_taps_stride2", "winograd4_stride2"):
        assert chosen(strided, only(variant)) == [("convolution", variant)]
        assert chosen(wide, only(variant)) != [("convolution", variant)]


@pytest.mark.parametrize(
    ("channels", "out", "side", "variant"),
    [(64, 64, 56, "winograd4"), (512, 512, 7, "winograd2"), (256, 256, 14, "winograd4"), (4, 4, 28, "any"), (64, 64, 3, "any")],
)
def test_tiles_are_taken_where_they_pay(channels: int, out: int, side: int, variant: str) -> None:
    """Many channels on both sides; where weights weigh more than the map, smaller tiles."""
    step = Convolution(out, channels, Window(side, side, side, side, 3, 3, pad_y=1, pad_x=1), "none", 0.0, 0.0)
    fit = [each.name for each in variants_of("convolution") if each.takes(step, False)]
    assert min(fit, key=lambda name: estimate(step, name)) == variant


@pytest.mark.parametrize(
    ("channels", "rows", "side", "variant"),
    [
        (512, 1024, 14, "winograd2_taps_stride2"),
        (128, 256, 20, "winograd2_taps_stride2"),
        (256, 512, 28, "winograd2_stride2"),  # tiles in many vectors
        (100, 100, 14, "winograd2_stride2"),  # panels that are not whole
    ],
)
def test_taps_are_taken_where_few_tiles_wait_for_them(channels: int, rows: int, side: int, variant: str) -> None:
    step = Convolution(rows, channels, Window(side, side, side // 2, side // 2, 3, 3, 2, 2, 1, 1), "none", 0.0, 0.0)
    fit = [each.name for each in variants_of("convolution") if each.takes(step, False)]
    assert min(fit, key=lambda name: estimate(step, name)) == variant


@pytest.mark.parametrize(
    ("groups", "channels", "out", "side", "taps", "variant"),
    [
        (1, 16, 16, 56, 3, "any"),
        (7, 8, 8, 56, 3, "any"),
        (32, 8, 8, 56, 3, "any"),
        (1, 256, 128, 56, 1, "any"),
        (1, 3, 16, 224, 3, "rows"),
        (1, 32, 32, 112, 3, "rows"),  # the ends of two rows are a vector
        (1, 24, 48, 48, 3, "rows"),
        (1, 32, 36, 112, 3, "winograd4_stride2"),  # panels that are not whole
        (1, 64, 64, 112, 3, "winograd4_stride2"),
    ],
)
def test_rows_are_split_by_stride_where_products_are_many(
    groups: int, channels: int, out: int, side: int, taps: int, variant: str
) -> None:
    """Of HRNet, RegNet, ResNeXt and ResNet-50 they are too few for that."""
    half, pad = side // 2, taps // 2
    window = Window(side, side, half, half, taps, taps, stride_y=2, stride_x=2, pad_y=pad, pad_x=pad)
    step = Convolution(out, channels, window, "relu", 0.0, 0.0, groups)
    fit = [each.name for each in variants_of("convolution") if each.takes(step, False)]
    assert min(fit, key=lambda name: estimate(step, name)) == variant


@pytest.mark.parametrize(
    ("channels", "side", "variant"),
    [(64, 56, "winograd4"), (128, 28, "winograd4"), (256, 14, "winograd4"), (512, 7, "any"), (128, 10, "any"), (8, 28, "any")],
)
def test_tiles_of_bytes_are_taken_where_they_pay(channels: int, side: int, variant: str) -> None:
    """Many channels, and tiles enough for what their weights take."""
    step = ConvolutionInt8(channels, channels, Window(side, side, side, side, 3, 3, pad_y=1, pad_x=1))
    assert min(("winograd4", "any"), key=lambda name: estimate(step, name)) == variant


@pytest.mark.parametrize("number", [1.0, float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_not_mixed_with_others(number: float) -> None:
    conv = nn.Conv2d(3, 8, 3, padding=1)
    with torch.no_grad():
        conv.weight[5, 1, 2, 0] = number
    variants = [variant for _, variant in chosen(graph_of(conv), only("winograd4"))]
    assert (variants == ["winograd4"]) == (number == 1)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        return x + self.conv(F.hardtanh(x, 0, 6))


def test_a_convolution_with_a_residual_is_not_computed_by_rows() -> None:
    assert ("convolution", "rows") not in chosen(graph_of(Residual()), only("rows"))


def test_the_price_is_asked_of_what_can_run_alone() -> None:
    """A variant that does not take the arguments is never priced."""
    seen: list[tuple[Kernel, str]] = []

    def price(arguments: Kernel, variant: str) -> float:
        seen.append((arguments, variant))
        return 1.0

    chosen(graph_of(nn.Conv2d(3, 8, 3), 10), price)
    priced = [variant for arguments, variant in seen if isinstance(arguments, Convolution)]
    assert priced == ["winograd2", "winograd4", "patches", "any"]


def test_bfloat16_is_taken_by_who_asks_for_it_where_it_pays() -> None:
    network = nn.Sequential(nn.Conv2d(3, 64, 1), nn.ReLU(), nn.Conv2d(64, 64, 1), nn.ReLU(), nn.Conv2d(64, 2, 1))
    graph = graph_of(network)
    assert chosen(graph, only("bfloat16")) == 3 * [("gemm", "any")]
    # Rounding 64 planes for two rows would take longer than they do.
    assert chosen(graph, precision="bfloat16") == [("gemm", "bfloat16"), ("gemm", "bfloat16"), ("gemm", "any")]


def test_weights_are_packed_as_the_variant_reads_them() -> None:
    (gemm,) = (draft for draft in choose(lower(graph_of(PAIR))).drafts if isinstance(draft.arguments, Gemm))
    assert {name: array.shape for name, array in gemm.weights.items()} == {"weights": (8, 3), "bias": (8,)}
    assert {name: array.shape for name, array in packed(gemm).items()} == {"weights": (1, 1, 3, 8), "bias": (1, 1, 8)}
