"""Grids on the engine: to the bit what whole numbers give, and steps of bytes where they can be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from shufflekit.graph import BATCH, Builder, Graph, Node, interpret
from shufflekit.graph.ops.activations import Activation, Clamp, PRelu, Relu, Relu6, Sigmoid, Silu
from shufflekit.graph.ops.arithmetic import Mul
from shufflekit.graph.ops.conv import Conv
from shufflekit.graph.ops.linear import Linear
from shufflekit.graph.ops.moves import Concat, Permute, Reshape, Slice
from shufflekit.graph.ops.pools import AdaptiveAvgPool, AvgPool, MaxPool
from shufflekit.graph.ops.quantize import FakeQuantize
from shufflekit.graph.ops.resize import Resize
from shufflekit.plan.build import build
from shufflekit.runtime import Engine
from shufflekit.runtime.engine import _instruction_sets
from tests.plan.bytes_reference import in_bytes


class Net(Builder):
    """Graphs of a test, with random weights and grids."""

    range = (-128, 128)  # of whole weights

    def __init__(self, *sizes: int, seed: int = 0) -> None:
        super().__init__()
        self.random = np.random.default_rng(seed)
        self.x = self.grid(self.input("x", (BATCH, *sizes)), 0.05)

    def node(self, operator: object, *reads: str, **more: object) -> str:
        name = f"{operator.name}{len(self.nodes)}"
        return self.add(Node(operator, name, "", reads, name, **more))

    def grid(self, x: str, scale: float, axis: int = 1) -> str:
        """A scale and a zero point for each channel."""
        channels = self.shape(x)[axis]
        scales = tuple((scale * self.random.uniform(0.1, 3, channels)).astype(np.float32).tolist())
        return self.node(FakeQuantize(scales, tuple(self.random.integers(0, 256, channels).tolist()), axis), x)

    def weights(self, x: str, shape: Sequence[int], groups: int = 1) -> str:
        """On a grid that takes the scales of the planes in."""
        scales = self.scales(x).reshape(groups, 1, -1).repeat(shape[0] // groups, 1).reshape(shape[0], -1)
        worth = self.random.uniform(1e-4, 2e-4, (shape[0], 1))
        grid = (worth / scales).astype(np.float32).reshape(shape[0], shape[1], *(1,) * (len(shape) - 2))
        whole = self.random.integers(*self.range, shape)
        return self.constant(f"w{len(self.constants)}", (whole * grid).astype(np.float32), grid)

    def scales(self, x: str) -> NDArray[np.float64]:
        """By plane."""
        return self.spread(x).reshape(1, self.shape(x)[1], -1)[0, :, 0]

    def spread(self, x: str) -> NDArray[np.float64]:
        """The scale of every element, which moves bring to other places."""
        node, sizes = self.nodes[x], (1, *self.shape(x)[1:])
        if isinstance(node.operator, FakeQuantize):
            return np.broadcast_to(np.reshape(node.operator.scale, (-1, *(1,) * (len(sizes) - 2))), sizes)
        if isinstance(node.operator, MaxPool):
            return np.broadcast_to(self.spread(node.inputs[0])[:, :, :1, :1], sizes)
        return node.operator.reference(*map(self.spread, node.inputs))

    def product(self, x: str, channels: int, kernel: int = 1, groups: int = 1, residual: str = "", **fields: object) -> str:
        activation = fields.pop("activation", None)
        shape = channels, self.shape(x)[1] // groups, kernel, kernel
        bias = self.constant(f"b{len(self.constants)}", self.random.standard_normal(channels))
        reads = x, self.weights(x, shape, groups), bias
        return self.node(Conv(groups=groups, **fields), *reads, residual=residual, activation=activation)

    def done(self, y: str) -> Graph:
        return self.graph([y])


def assert_exact(graph: Graph, kernels: set[str], seed: int = 1, scale: float = 4, variant: str = "any") -> None:
    """Every instruction set gives the oracle's bits, by these kernels, a variant where there are some, and changes over."""
    x = scale * np.random.default_rng(seed).standard_normal((2, *graph.values["x"].sizes)).astype(np.float32)
    program = build(graph, price=lambda _arguments, name: float(name != variant))
    assert variant in {step.variant for step in program.steps}
    assert {step.kernel for step in program.steps} - {"gather", "dequantize"} == {"quantize", *kernels}
    (expected,) = in_bytes(graph, x)
    assert len(np.unique(expected)) > 12
    for instruction_set in _instruction_sets():
        for threads in (1, 2):
            found = Engine(program.to_bytes(), threads, instruction_set)(x)
            np.testing.assert_array_equal(found, expected, instruction_set)


ENDS: list[Activation | None] = [None, Relu(), Relu6(), Clamp(-0.5, float("inf"))]


@pytest.mark.parametrize("activation", ENDS, ids=str)
@pytest.mark.parametrize("groups", [1, 3])
def test_a_pointwise_convolution(activation, groups) -> None:
    net = Net(9, 7, 11)
    y = net.product(net.x, 15, groups=groups, activation=activation)
    assert_exact(net.done(net.grid(y, 0.02)), {"gemm_int8"})


@pytest.mark.parametrize("kernel", [1, 3])
def test_weights_of_seven_bits_are_multiplied_in_another_way_with_the_same_bits(kernel: int) -> None:
    """As large as they may be: two products of one more with bytes of 255 would not fit into 16 bits."""
    net = Net(9, 7, 11)
    net.range = (-64, -63)
    y = net.product(net.x, 8, kernel, padding=(kernel // 2,) * 4)
    assert_exact(net.done(net.grid(y, 0.3)), {"gemm_int8" if kernel == 1 else "convolution_int8"}, scale=40)


@pytest.mark.parametrize("activation", ENDS, ids=str)
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2)])
def test_a_depthwise_convolution_with_zero_points_in_its_border(activation, kernel, stride) -> None:
    net = Net(5, 12, 17)
    padding = (kernel // 2,) * 4
    y = net.product(net.x, 5, kernel, 5, stride=(stride, stride), padding=padding, activation=activation)
    assert_exact(net.done(net.grid(y, 0.02)), {"depthwise_int8"})


@pytest.mark.parametrize("activation", ENDS, ids=str)
@pytest.mark.parametrize(
    ("kernel", "stride", "groups", "padding"), [(3, 1, 1, (1, 1, 1, 1)), (3, 2, 2, (0, 1, 1, 0)), (1, 2, 1, (0, 0, 0, 0))]
)
def test_a_dense_convolution(activation, kernel, stride, groups, padding) -> None:
    net = Net(6, 12, 17)
    y = net.product(net.x, 10, kernel, groups, stride=(stride, stride), padding=padding, activation=activation)
    assert_exact(net.done(net.grid(y, 0.02)), {"convolution_int8"})


@pytest.mark.parametrize(("channels", "groups", "sides"), [(5, 1, (12, 17)), (6, 3, (9, 33)), (20, 1, (7, 7))])
def test_tiles_of_a_3x3_convolution_give_the_same_bits(channels, groups, sides) -> None:
    """Odd numbers of channels, a residual, sides that are no whole tiles."""
    net = Net(channels, *sides)
    rows = 17 * groups
    first = net.grid(net.product(net.x, rows, groups=groups, activation=Relu()), 0.02)
    y = net.product(net.x, rows, 3, groups, padding=(1, 1, 1, 1), residual=first)
    assert_exact(net.done(net.grid(y, 0.05)), {"gemm_int8", "convolution_int8"}, variant="winograd4")


@pytest.mark.parametrize(("weight", "variant"), [(113, "winograd4"), (-114, "winograd4"), (115, "any"), (-115, "any")])
def test_tiles_are_left_where_their_sums_would_not_fit(weight: int, variant: str) -> None:
    """Of 128 channels: 9 x 128 x 114 x 255 is just below 2^25, and all bytes may be 255."""
    net = Net(128, 4, 4)
    net.range = (weight, weight + 1)
    graph = net.done(net.grid(net.product(net.x, 2, 3, padding=(1, 1, 1, 1)), 1.5))
    program = build(graph, price=lambda _arguments, name: float(name == "any"))
    assert [step.variant for step in program.steps if step.kernel == "convolution_int8"] == [variant]


@pytest.mark.parametrize(("groups", "kernel"), [(1, "convolution_int8"), (8, "depthwise_int8"), (0, "gemm_int8")])
def test_a_residual(groups, kernel) -> None:
    net = Net(8, 6, 6)
    first = net.grid(net.product(net.x, 8, activation=Relu()), 0.02)
    more = {"kernel": 3, "groups": groups, "padding": (1, 1, 1, 1)} if groups else {}
    y = net.product(first, 8, residual=net.x, **more)
    assert_exact(net.done(net.grid(y, 0.05)), {"gemm_int8", kernel})


def test_the_largest_of_bytes_needs_no_grid_behind() -> None:
    net = Net(5, 13, 10)
    y = net.grid(net.product(net.x, 7), 0.02)
    pooled = net.node(MaxPool((3, 2), (2, 1), (1, 0, 1, 0), (1, 2)), y)
    assert_exact(net.done(net.grid(net.product(pooled, 9), 0.02)), {"gemm_int8", "max_pool_int8"})


@pytest.mark.parametrize("activation", ENDS, ids=str)
@pytest.mark.parametrize(
    "pool",
    [
        AvgPool((3, 3), (2, 2), (1, 1, 1, 1)),
        AvgPool((2, 3), (1, 2), (0, 1, 1, 0)),
        AvgPool((2, 2), (2, 2), count_include_pad=False),
    ],
    ids=str,
)
def test_the_mean_of_windows_is_a_sum_of_bytes(activation, pool) -> None:
    net = Net(5, 12, 17)
    y = net.node(pool, net.x, activation=activation)
    assert_exact(net.done(net.grid(y, 0.04)), {"depthwise_int8"})


@pytest.mark.parametrize("activation", ENDS, ids=str)
@pytest.mark.parametrize("sides", [(7, 7), (1, 1), (12, 17)], ids=str)
def test_the_mean_of_planes_is_a_sum_of_bytes(activation, sides) -> None:
    net = Net(40, *sides)
    y = net.grid(net.node(AdaptiveAvgPool((1, 1)), net.x, activation=activation), 0.05)
    assert_exact(net.done(net.grid(net.product(y, 48), 0.02)), {"average_int8", "gemm_int8"})


@pytest.mark.parametrize("activation", ENDS, ids=str)
@pytest.mark.parametrize("sides", [(7, 7), (1, 1), (12, 17)], ids=str)
@pytest.mark.parametrize("gate_first", [False, True])
def test_a_gate_multiplies_bytes(activation, sides, gate_first) -> None:
    net = Net(40, *sides)
    gate = net.grid(net.node(AdaptiveAvgPool((1, 1)), net.x), 0.05)
    y = net.node(Mul(), *((gate, net.x) if gate_first else (net.x, gate)), activation=activation)
    assert_exact(net.done(net.grid(y, 0.05)), {"average_int8", "gate_int8"})


@pytest.mark.parametrize("case", ["two maps", "no grid behind", "a gate of floats"])
def test_other_products_of_two_are_computed_in_floats(case) -> None:
    net = Net(5, 12, 17)
    mean = net.node(AdaptiveAvgPool((1, 1)), net.x)
    other = net.grid(net.x, 0.05) if case == "two maps" else mean if case == "a gate of floats" else net.grid(mean, 0.05)
    y = net.node(Mul(), net.x, other)
    graph = net.done(y if case == "no grid behind" else net.grid(y, 0.05))
    program = build(graph)
    assert "gate_int8" not in {step.kernel for step in program.steps}
    x = np.random.default_rng(1).standard_normal((2, 5, 12, 17)).astype(np.float32)
    apart = np.abs(Engine(program.to_bytes())(x) - interpret(graph, x)[0])
    assert (apart > 1e-4).mean() < 0.01


@pytest.mark.parametrize(
    "pool",
    [
        AdaptiveAvgPool((2, 1)),
        AvgPool((3, 3), (2, 2), (1, 1, 1, 1), count_include_pad=False),
        AvgPool((3, 3), (2, 2), (1, 1, 1, 1), ceil_mode=True),
        AvgPool((33, 32), (1, 1)),
        AvgPool((3, 3), (2, 2)),
    ],
    ids=["more than one", "padding does not count", "less at the end", "too many taps", "no grid behind"],
)
def test_means_of_unlike_windows_are_computed_in_floats(pool) -> None:
    net = Net(3, 36, 34)
    y = net.node(pool, net.x)
    graph = net.done(y if pool == AvgPool((3, 3), (2, 2)) else net.grid(y, 0.02))
    program = build(graph)
    assert {"pool", "dequantize"} <= {step.kernel for step in program.steps}
    assert not {"depthwise_int8", "average_int8"} & {step.kernel for step in program.steps}
    x = np.random.default_rng(1).standard_normal((2, 3, 36, 34)).astype(np.float32)
    apart = np.abs(Engine(program.to_bytes())(x) - interpret(graph, x)[0])
    assert (apart > 1e-4).mean() < 0.01


@pytest.mark.parametrize(("mode", "stays"), [("nearest", True), ("bilinear", False)])
def test_a_resized_map_stays_bytes_where_its_numbers_are_those_that_were(mode: str, stays: bool) -> None:
    net = Net(5, 6, 5)
    resized = net.node(Resize(mode, False, (0.5, 0.5), (12, 10)), net.grid(net.product(net.x, 7), 0.02))
    weights = net.weights(resized, (9, 7, 1, 1))
    graph = net.done(net.grid(net.node(Conv(), resized, weights), 0.02))
    kernels = [step.kernel for step in build(graph).steps]
    assert kernels.count("gemm_int8") == 1 + stays
    assert kernels.count("gemm") == 1 - stays
    x = np.random.default_rng(1).standard_normal((2, 5, 6, 5)).astype(np.float32)
    (expected,) = interpret(graph, x)
    assert np.abs(Engine(build(graph).to_bytes())(x) - expected).max() <= 1.01 * max(net.nodes[graph.outputs[0]].operator.scale)


def test_moves_between_are_no_steps() -> None:
    """A unit of ShuffleNet V2: split, branch, concat, shuffle, each plane with the scale that it has."""
    net = Net(8, 6, 6)
    left, right = net.node(Slice(1, 0, 4, 1), net.x), net.node(Slice(1, 4, 8, 1), net.x)
    y = net.grid(net.product(right, 4, activation=Relu()), 0.02)
    y = net.grid(net.product(y, 4, 3, 4, padding=(1, 1, 1, 1)), 0.02)
    y = net.grid(net.product(y, 4, activation=Relu()), 0.02)
    both = net.node(Concat(1), left, y)
    apart = net.node(Permute((0, 2, 1, 3, 4)), net.node(Reshape((BATCH, 2, 4, 6, 6)), both))
    shuffled = net.node(Reshape((BATCH, 8, 6, 6)), apart)
    graph = net.done(net.grid(net.product(shuffled, 6), 0.02))
    assert_exact(graph, {"gemm_int8", "depthwise_int8"})
    assert sum(step.kernel == "quantize" for step in build(graph).steps) == 1


def test_a_linear_layer() -> None:
    net = Net(37)
    bias = net.constant("bias", net.random.standard_normal(21))
    y = net.node(Linear(), net.x, net.weights(net.x, (21, 37)), bias, activation=Relu())
    assert_exact(net.done(net.grid(y, 0.02)), {"gemm_int8"})


@pytest.mark.parametrize("is_linear", [True, False])
def test_without_a_grid_behind_the_sums_are_floats(is_linear) -> None:
    net = Net(37) if is_linear else Net(37, 9, 8)
    bias = net.constant("bias", net.random.standard_normal(21))
    shape = (21, 37) if is_linear else (21, 37, 1, 1)
    y = net.node(Linear() if is_linear else Conv(), net.x, net.weights(net.x, shape), bias)
    assert_exact(net.done(y), {"gemm_int8_float"})


def test_a_float_end_has_any_activation() -> None:
    net = Net(8, 6, 6)
    graph = net.done(net.product(net.x, 9, activation=Silu()))
    x = np.random.default_rng(1).standard_normal((2, 8, 6, 6)).astype(np.float32)
    assert "gemm_int8_float" in {step.kernel for step in build(graph).steps}
    np.testing.assert_allclose(Engine(build(graph).to_bytes())(x), interpret(graph, x)[0], rtol=0, atol=1e-3)


@pytest.mark.parametrize("activation", [Silu(), Sigmoid(), PRelu((0.1, -0.5, 2.0))], ids=str)
def test_an_activation_between_grids_is_a_table(activation) -> None:
    net = Net(3, 16, 16)
    graph = net.done(net.grid(net.node(activation, net.x), 0.01))
    x = 4 * np.random.default_rng(1).standard_normal((2, 3, 16, 16)).astype(np.float32)
    program = build(graph)
    assert [step.kernel for step in program.steps] == ["quantize", "lookup", "dequantize", "gather"]
    expected = interpret(graph, x.astype(np.float64))[0]
    for instruction_set in _instruction_sets():
        found = Engine(program.to_bytes(), 1, instruction_set)(x)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("sizes", [(5,), (5, 7), (5, 6, 3)])
@pytest.mark.parametrize("by_channel", [True, False])
def test_rounding_is_the_references_to_the_bit(sizes, by_channel) -> None:
    random = np.random.default_rng(len(sizes))
    for axis in range(1, len(sizes) + 1):
        count = sizes[axis - 1] if by_channel else 1
        grid = FakeQuantize(tuple(random.uniform(0.01, 0.1, count)), tuple(random.integers(0, 256, count).tolist()), axis)
        builder = Builder()
        y = builder.add(Node(grid, "y", "", (builder.input("x", (BATCH, *sizes)),), "y"))
        graph = builder.graph([builder.add(Node(Relu(), "z", "", (y,), "z"))])
        x = random.uniform(-12, 12, (3, *sizes)).astype(np.float32)
        x.reshape(-1)[:3] = np.nan, np.inf, -np.inf
        np.testing.assert_array_equal(Engine(build(graph).to_bytes())(x), interpret(graph, x)[0])


KINDS = ((1, 1), (3, 1), (3, 8))  # kernel and groups: GEMM, dense and depthwise
WHYS = [(why, *kind) for why in ("no grid of weights", "weights off their grid", "sums too large") for kind in KINDS]
WHYS += [("scales apart", *kind) for kind in KINDS[:2]]  # those of a depthwise filter's planes are its own
WHYS += [("two readers", *kind) for kind in KINDS[1:]]  # a GEMM of bytes hands out floats


@pytest.mark.parametrize(("why", "kernel", "groups"), WHYS)
def test_what_bytes_do_not_have_is_computed_in_floats(why, kernel, groups) -> None:
    net = Net(8, 6, 6)
    y = net.product(net.x, 8, kernel, groups)
    weights = net.nodes[y].inputs[1]
    if why == "no grid of weights":
        del net.grids[weights]
    if why == "weights off their grid":
        net.constants[weights] = net.constants[weights] + 0.3 * net.grids[weights]
    if why == "scales apart":
        factor = 2.0 ** -net.random.integers(0, 2, (1, 8, 1, 1))
        net.constants[weights], net.grids[weights] = (
            each * np.float32(factor) for each in (net.constants[weights], net.grids[weights])
        )
    if why == "sums too large":
        net.constants[net.nodes[y].inputs[2]] += np.float32(1e6)
    z = net.grid(y, 0.02)
    graph = net.graph([z, y] if why == "two readers" else [z])
    program = build(graph)
    assert not {"gemm_int8", "gemm_int8_float", "convolution_int8", "depthwise_int8"} & {step.kernel for step in program.steps}
    x = np.random.default_rng(1).standard_normal((2, 8, 6, 6)).astype(np.float32)
    step = max(net.nodes[z].operator.scale)
    found = Engine(program.to_bytes())(x)
    for one, other in zip(found if isinstance(found, list) else [found], interpret(graph, x), strict=True):
        assert np.abs(one - other).max() < 1.01 * step + 1e-4 + 1e-6 * np.abs(other).max()


def test_a_stem_is_pooled_before_it_is_quantized() -> None:
    net = Net(3, 40, 40)
    floats = net.node(Conv((2, 2), (1, 1, 1, 1)), net.x, net.constant("w", net.random.standard_normal((24, 3, 3, 3))))
    pooled = net.node(MaxPool((3, 3), (2, 2), (1, 1, 1, 1), (1, 1)), net.grid(floats, 0.1))
    graph = net.done(net.grid(net.product(pooled, 8), 0.02))
    steps = [step.kernel for step in build(graph).steps]
    assert steps[:2] == ["quantize", "dequantize"]
    assert steps[2:-4] in (["convolution", "pool"], ["convolution_pool"])
    assert steps[-4:] == ["quantize", "gemm_int8", "dequantize", "gather"]
    x = np.random.default_rng(1).standard_normal((2, 3, 40, 40)).astype(np.float32)
    apart = np.abs(Engine(build(graph).to_bytes())(x) - interpret(graph, x)[0])
    assert (apart > 1e-4).mean() < 0.05
