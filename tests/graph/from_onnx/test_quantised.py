"""Quantised files: each operator is ONNX Runtime's, whole files of its quantiser, and what is refused."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from shufflekit.errors import InputError
from shufflekit.graph import interpret
from shufflekit.graph.from_onnx import load_onnx
from shufflekit.graph.ops.quantize import FakeQuantize
from tests.graph.from_onnx.files import TensorProto, helper, node, numpy_helper, onnx, runtime

SIZES = (6, 5, 4)
random = np.random.default_rng(0)


def model(
    nodes: Sequence[Any], sizes: Sequence[int] = SIZES, opset: int = 17, kind: int = TensorProto.FLOAT, **constants: Any
) -> Any:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ("N", *sizes))
    y = helper.make_tensor_value_info("y", kind, None)
    stored = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "graph", [x], [y], stored)
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def loaded(content: Any, folder: Path) -> Any:
    onnx.save(content, folder / "net.onnx")
    return load_onnx(folder / "net.onnx").graph


def in_runtime(content: Any, x: NDArray[Any], optimise: bool = False) -> NDArray[Any]:
    options = runtime().SessionOptions()
    level = runtime().GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimise else level.ORT_DISABLE_ALL
    return runtime().InferenceSession(content.SerializeToString(), options).run(None, {"x": x})[0]


def images(sizes: Sequence[int] = SIZES) -> NDArray[np.float32]:
    return np.random.default_rng(1).uniform(-3, 3, (3, *sizes)).astype(np.float32)


def check(content: Any, folder: Path, step: float, sizes: Sequence[int] = SIZES) -> Any:
    """Within one step of the output's grid, and nearly always the same."""
    graph = loaded(content, folder)
    x = images(sizes)
    (found,), expected = interpret(graph, x), in_runtime(content, x)
    steps = np.abs(found - expected) / step
    assert steps.max() < 1.01
    assert (steps > 0.01).mean() < 0.02
    return graph


def both(name: str, source: str, scale: str, zero: str, **axis: int) -> list[Any]:
    """QuantizeLinear and DequantizeLinear."""
    return [
        node("QuantizeLinear", [source, scale, zero], [f"{name}_q"], **axis),
        node("DequantizeLinear", [f"{name}_q", scale, zero], [name], **axis),
    ]


@pytest.mark.parametrize("opset", [10, 13, 19, 21, 23])
@pytest.mark.parametrize(("kind", "zero"), [(np.uint8, 131), (np.int8, -7)])
def test_a_pair_is_one_rounding(opset, kind, zero, tmp_path) -> None:
    content = model(both("y", "x", "s", "z"), opset=opset, s=np.float32(0.02), z=kind(zero))
    graph = check(content, tmp_path, 0.02)
    only, _ = graph.nodes  # the other one gives the output its name
    assert only.operator == FakeQuantize((float(np.float32(0.02)),), (131 if kind is np.uint8 else 121,))


@pytest.mark.parametrize("axis", [1, 2, -1])
def test_scales_along_an_axis(axis, tmp_path) -> None:
    count = (1, *SIZES)[axis]
    scales = np.linspace(0.01, 0.05, count).astype(np.float32)
    content = model(both("y", "x", "s", "z", axis=axis), s=scales, z=np.arange(count, dtype=np.uint8))
    graph = check(content, tmp_path, 0.01)
    assert graph.nodes[0].operator.axis == axis % 4


def conv_file(kind: Any, by_channel: bool, groups: int = 1) -> tuple[Any, NDArray[Any]]:
    weights = random.integers(-127, 128, (8, 6 // groups, 3, 3)).astype(np.int8)
    scale = random.uniform(0.001, 0.01, 8 if by_channel else 1).astype(np.float32)
    scale = scale if by_channel else scale[0]
    zero = kind(120 if kind is np.uint8 else -8)
    nodes = [
        *both("x0", "x", "sx", "zx"),
        node("DequantizeLinear", ["w8", "sw", "zw"], ["w"], axis=0),
        node("DequantizeLinear", ["b32", "sb", "zb"], ["b"], axis=0),
        node("Conv", ["x0", "w", "b"], ["c"], pads=[1, 1, 1, 1], group=groups),
        node("Relu", ["c"], ["r"]),
        *both("y", "r", "sy", "zy"),
    ]
    sb = np.float32(0.02) * scale
    content = model(
        nodes,
        sx=np.float32(0.02),
        zx=zero,
        w8=weights,
        sw=scale,
        zw=np.zeros(scale.shape, np.int8),
        b32=random.integers(-2000, 2000, 8).astype(np.int32),
        sb=sb,
        zb=np.zeros(sb.shape, np.int32),
        sy=np.float32(0.05),
        zy=kind(0 if kind is np.uint8 else -128),
    )
    return content, weights


@pytest.mark.parametrize("kind", [np.uint8, np.int8])
@pytest.mark.parametrize(("by_channel", "groups"), [(True, 1), (False, 1), (True, 2)])
def test_weights_keep_their_grid(kind, by_channel, groups, tmp_path) -> None:
    content, weights = conv_file(kind, by_channel, groups)
    graph = check(content, tmp_path, 0.05)
    (conv,) = (each for each in graph.nodes if each.op == "conv")
    assert [each.op for each in graph.nodes] == ["fake_quantize", "conv", "relu", "fake_quantize", "reshape"]
    np.testing.assert_allclose(graph.constants[conv.inputs[1]] / graph.grids[conv.inputs[1]], weights, atol=1e-4)


@pytest.mark.parametrize("operator", ["MatMul", "Gemm"])
def test_a_turned_matrix_keeps_its_grid(operator, tmp_path) -> None:
    weights = random.integers(-127, 128, (6, 5)).astype(np.int8)
    nodes = [*both("x0", "x", "s", "z"), node("DequantizeLinear", ["w8", "sw", "zw"], ["w"], axis=1)]
    nodes.append(node(operator, ["x0", "w"], ["y"]))
    scale = random.uniform(0.001, 0.01, 5).astype(np.float32)
    content = model(nodes, (6,), s=np.float32(0.02), z=np.uint8(100), w8=weights, sw=scale, zw=np.zeros(5, np.int8))
    graph = check(content, tmp_path, 1e-2, (6,))
    (linear,) = (each for each in graph.nodes if each.op == "linear")
    name = linear.inputs[1]
    np.testing.assert_allclose(graph.constants[name] / graph.grids[name], weights.T, atol=1e-4)


def test_weights_that_signed_bytes_do_not_hold_have_no_grid(tmp_path) -> None:
    weights = random.integers(0, 256, (8, 6, 1, 1)).astype(np.uint8)
    nodes = [node("DequantizeLinear", ["w8", "sw", "zw"], ["w"]), node("Conv", ["x", "w"], ["y"])]
    for zero, grids in ((3, 0), (128, 1), (200, 0)):
        graph = check(model(nodes, w8=weights, sw=np.float32(0.01), zw=np.uint8(zero)), tmp_path, 1e-2)
        assert len(graph.grids) == grids


def test_weights_rounded_in_the_file_are_constants_on_a_grid(tmp_path) -> None:
    """As PyTorch's and NNCF's exporters have them."""
    scale = random.uniform(0.01, 0.02, 8).astype(np.float32)
    nodes = [*both("w", "w0", "sw", "zw", axis=0), node("Conv", ["x", "w"], ["y"])]
    weights = random.uniform(-1, 1, (8, 6, 1, 1)).astype(np.float32)
    graph = check(model(nodes, w0=weights, sw=scale, zw=np.zeros(8, np.int8)), tmp_path, 1e-2)
    assert len(graph.grids) == 1


def test_what_moves_bytes_is_what_moves_numbers(tmp_path) -> None:
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("MaxPool", ["q"], ["pooled"], kernel_shape=[2, 2]),
        node("Transpose", ["pooled"], ["turned"], perm=[0, 2, 3, 1]),
        node("Slice", ["turned", "one", "three", "one"], ["cut"]),
        node("Concat", ["cut", "cut"], ["joined"], axis=3),
        node("DequantizeLinear", ["joined", "s", "z"], ["y"]),
    ]
    content = model(nodes, s=np.float32(0.02), z=np.uint8(9), one=np.array([1]), three=np.array([3]))
    assert check(content, tmp_path, 0.02).nodes[0].op == "fake_quantize"


@pytest.mark.parametrize("kind", [np.uint8, np.int8])
@pytest.mark.parametrize(
    ("operator", "attributes"),
    [
        ("QLinearAdd", {}),
        ("QLinearMul", {}),
        ("QLinearConcat", {"axis": 1}),
        ("QLinearLeakyRelu", {"alpha": 0.3}),
        ("QLinearSigmoid", {}),
        ("QLinearGlobalAveragePool", {"channels_last": 0}),
    ],
)
def test_operators_of_bytes(operator, attributes, kind, tmp_path) -> None:
    a, b, out = ["s", "z"], ["s2", "z2"], ["s3", "z3"]
    inputs = {
        "QLinearConcat": [*out, "q", *a, "p", *b],
        "QLinearAdd": ["q", *a, "p", *b, *out],
        "QLinearMul": ["q", *a, "p", *b, *out],
    }
    nodes = [
        node("QuantizeLinear", ["x", *a], ["q"]),
        node("QuantizeLinear", ["x", *b], ["p"]),
        node(operator, inputs.get(operator, ["q", *a, *out]), ["r"], domain="com.microsoft", **attributes),
        node("DequantizeLinear", ["r", *out], ["y"]),
    ]
    low = 0 if kind is np.uint8 else -128
    scales = {"s": np.float32(0.02), "s2": np.float32(0.03), "s3": np.float32(0.04)}
    check(model(nodes, **scales, z=kind(low + 100), z2=kind(low + 130), z3=kind(low + 90)), tmp_path, 0.04)


@pytest.mark.parametrize("kind", [np.uint8, np.int8])
def test_products_of_bytes(kind, tmp_path) -> None:
    low = 0 if kind is np.uint8 else -128
    weights, scale = random.integers(-127, 128, (8, 6, 3, 3)).astype(np.int8), random.uniform(0.001, 0.01, 8).astype(np.float32)
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("QLinearConv", ["q", "s", "z", "w", "sw", "zw", "s3", "z3", "b"], ["r"], pads=[1, 1, 1, 1]),
        node("DequantizeLinear", ["r", "s3", "z3"], ["y"]),
    ]
    grids = {"s": np.float32(0.02), "z": kind(low + 100), "s3": np.float32(0.1), "z3": kind(low + 128)}
    bias = random.integers(-2000, 2000, 8).astype(np.int32)
    graph = check(model(nodes, **grids, w=weights, sw=scale, zw=np.zeros(8, np.int8), b=bias), tmp_path, 0.1)
    assert len(graph.grids) == 1
    matrix = random.integers(-127, 128, (6, 5)).astype(np.int8)
    nodes[1] = node("QLinearMatMul", ["q", "s", "z", "w", "sw", "zw", "s3", "z3"], ["r"])
    graph = check(model(nodes, (6,), **grids, w=matrix, sw=np.float32(0.01), zw=np.int8(0)), tmp_path, 0.1, (6,))
    assert len(graph.grids) == 1
    nodes[1] = node(
        "QGemm", ["q", "s", "z", "w", "sw", "zw", "b", "s3", "z3"], ["r"], domain="com.microsoft", transB=1, alpha=1.0
    )
    weights = {"w": np.ascontiguousarray(matrix.T), "sw": np.float32(0.01), "zw": np.int8(0), "b": bias[:5]}
    assert len(check(model(nodes, (6,), **grids, **weights), tmp_path, 0.1, (6,)).grids) == 1


@pytest.mark.parametrize("optimise", [False, True])
@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
def test_a_whole_file_is_no_further_from_the_runtime_than_it_is_from_itself(form, optimise, tmp_path, caplog) -> None:
    quantization = pytest.importorskip("onnxruntime.quantization")
    nodes = [
        node("Conv", ["x", "w1"], ["c1"], pads=[1, 1, 1, 1]),
        node("Relu", ["c1"], ["r1"]),
        node("Conv", ["r1", "w2"], ["c2"], group=8),
        node("Concat", ["c2", "c2"], ["j"], axis=1),
        node("GlobalAveragePool", ["j"], ["p"]),
        node("Flatten", ["p"], ["f"]),
        node("MatMul", ["f", "w3"], ["y"]),
    ]
    shapes = {"w1": (8, 6, 3, 3), "w2": (8, 1, 3, 3), "w3": (16, 4)}
    weights = {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    onnx.save(model(nodes, **weights), tmp_path / "float.onnx")

    class Reader:
        def __init__(self) -> None:
            self.left = iter(images())

        def get_next(self) -> dict[str, Any] | None:
            x = next(self.left, None)
            return None if x is None else {"x": x[None]}

    caplog.set_level(logging.ERROR)  # the quantiser's advice; set back behind the test
    quantization.quantize_static(
        str(tmp_path / "float.onnx"),
        str(tmp_path / "net.onnx"),
        Reader(),
        quant_format=quantization.QuantFormat[form],
        per_channel=True,
    )
    content = onnx.load(tmp_path / "net.onnx")
    graph = load_onnx(tmp_path / "net.onnx").graph
    assert len(graph.grids) == 3
    (found,), exact = interpret(graph, images()), in_runtime(content, images())
    itself = np.abs(in_runtime(content, images(), optimise) - exact).max()
    assert np.abs(found - exact).max() <= itself + 1e-5 * np.abs(exact).max()


DYNAMIC = [
    node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
    node("ConvInteger", ["q", "w"], ["c"]),
    node("Cast", ["c"], ["y"], to=TensorProto.FLOAT),
]


def qlinear_concat(source: str, scale: str) -> list[Any]:
    """Of the image's bytes and others."""
    return [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("QLinearConcat", ["s", "z", "q", "s", "z", source, scale, "z"], ["r"], axis=1, domain="com.microsoft"),
        node("DequantizeLinear", ["r", "s", "z"], ["y"]),
    ]


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (
            DYNAMIC,
            r"ranges of a quantised file must be constants, .* DynamicQuantizeLinear \(1 times\), ConvInteger \(1",
        ),
        (
            [node("QuantizeLinear", ["x", "s", "z"], ["q"]), node("DequantizeLinear", ["q", "s2", "z"], ["y"])],
            "DequantizeLinear .*bytes must be read by the scale and zero point that they were written with",
        ),
        (
            [
                node("QuantizeLinear", ["x", "s", "z"], ["q"]),
                node("Relu", ["q"], ["r"]),
                node("DequantizeLinear", ["r", "s", "z"], ["y"]),
            ],
            r"Relu \(in node 1\): of bytes is not supported",
        ),
        (
            [
                node("QuantizeLinear", ["x", "s", "z"], ["q"]),
                node("Concat", ["q", "bytes"], ["r"], axis=1),
                node("DequantizeLinear", ["r", "s", "z"], ["y"]),
            ],
            r"Concat \(in node 1\): of bytes is not supported",
        ),
        (
            [
                node("QuantizeLinear", ["x", "many", "zeros"], ["q"], axis=1),
                node("Transpose", ["q"], ["r"], perm=[0, 2, 1, 3]),
                node("DequantizeLinear", ["r", "many", "zeros"], ["y"], axis=2),
            ],
            "of bytes whose channels have scales of their own is not supported",
        ),
        (qlinear_concat("q", "x"), "inputs must be bytes of a step before, each with constant scale and zero point"),
        (qlinear_concat("bytes", "s"), "inputs must be bytes of a step before, each with constant scale and zero point"),
        (both("y", "x", "s", "z16"), "zero points must be uint8 or int8, found int16"),
        (both("y", "x", "five", "fives"), "5 scales do not fit"),
    ],
    ids=[
        *("dynamic", "another scale", "a sum", "joined constants", "turned channels", "a scale of the image", "constants"),
        *("16 bits", "five"),
    ],
)
def test_what_is_refused(nodes, message, tmp_path) -> None:
    constants = {
        "s": np.float32(0.02),
        "s2": np.float32(0.03),
        "z": np.uint8(9),
        "z16": np.int16(9),
        "w": np.ones((2, 6, 1, 1), np.uint8),
        "many": np.full(6, 0.02, np.float32),
        "zeros": np.zeros(6, np.uint8),
        "five": np.full(5, 0.02, np.float32),
        "fives": np.zeros(5, np.uint8),
        "bytes": np.ones((1, 2, 5, 4), np.uint8),
    }
    used = {name for each in nodes for name in each.input}
    content = model(nodes, opset=21, **{name: array for name, array in constants.items() if name in used})
    with pytest.raises(InputError, match=message):
        loaded(content, tmp_path)


def test_bytes_as_an_output_are_refused(tmp_path) -> None:
    content = model([node("QuantizeLinear", ["x", "s", "z"], ["y"])], kind=TensorProto.UINT8, s=np.float32(1), z=np.uint8(0))
    with pytest.raises(InputError, match="output y must be of floats, found bytes"):
        loaded(content, tmp_path)
