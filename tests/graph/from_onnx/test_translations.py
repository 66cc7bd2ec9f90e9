"""Each operator, in each version, is what ONNX's reference evaluator computes, at drawn shapes and attributes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shufflekit.graph.from_onnx.translations import TRANSLATIONS
from tests.graph.from_onnx.files import Case, TensorProto, check, computed, node, versions

Draw = Callable[[st.SearchStrategy[Any]], Any]
side = st.integers(1, 7)


def floats(draw: Draw, *shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(draw(st.integers(0, 2**32 - 1))).uniform(-2, 2, shape).astype(np.float32)


def image(draw: Draw) -> tuple[int, int, int]:
    return draw(st.tuples(st.integers(1, 6), side, side))


def given_as(opset: int, since: int, name: str, value: Any) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Whole numbers as an attribute, and as a constant from an opset on."""
    if opset < since:
        return {name: value}, {}
    return {}, {name: np.array(value, np.int64)}


def elementwise(operator: str, **attributes: st.SearchStrategy[Any]) -> Callable[[Draw, int], Case]:
    def case(draw: Draw, opset: int) -> Case:
        chosen = {name: draw(values) for name, values in attributes.items()}
        return Case(image(draw), [node(operator, **{k: v for k, v in chosen.items() if v is not None})])

    return case


slopes = st.sampled_from([None, 0.0625, 0.25, 0.5])


def prelu(draw: Draw, opset: int) -> Case:
    c, h, w = image(draw)
    return Case(
        (c, h, w), [node("PRelu", ["x", "s"])], {"s": floats(draw, *draw(st.sampled_from([(c, 1, 1), (1, 1, 1), (1,)])))}
    )


def clip(draw: Draw, opset: int) -> Case:
    low, high = draw(st.sampled_from([(0.0, 6.0), (-1.0, 1.0), (0.0, None), (None, 2.0), (None, None)]))
    bounds = {name: bound for name, bound in (("min", low), ("max", high)) if bound is not None}
    if opset < 11:
        return Case(image(draw), [node("Clip", **bounds)])
    constants = {name: np.float32(bound) for name, bound in bounds.items()}
    return Case(image(draw), [node("Clip", ["x", *(name if name in bounds else "" for name in ("min", "max"))])], constants)


def extreme(operator: str) -> Callable[[Draw, int], Case]:
    """Of tensors and constants, one number or more."""

    def case(draw: Draw, opset: int) -> Case:
        c, h, w = image(draw)
        constants = {"c": floats(draw, *draw(st.sampled_from([(), (1,), (w,), (c, 1, 1), (1, c, h, w)])))}
        names = draw(st.permutations(["x", "a", "c"]))[: draw(st.integers(2, 3))]
        names = names if {"x", "a"} & set(names) else ["x", *names]
        return Case((c, h, w), [node("Neg", ["x"], ["a"]), node(operator, names)], constants)

    return case


def of_positive(operator: str) -> Callable[[Draw, int], Case]:
    """Of numbers from 0 to 1."""
    return lambda draw, opset: Case(image(draw), [node("Sigmoid", ["x"], ["a"]), node(operator, ["a"])])


def power(draw: Draw, opset: int) -> Case:
    c, h, w = image(draw)
    exponent = np.float32(draw(st.sampled_from([2.0, 3.0, 0.5, -1.0, 1.7])))
    names, constants = draw(
        st.sampled_from(
            [
                (["a", "c"], exponent),
                (["a", "c"], np.full((c, 1, 1), exponent)),
                (["c", "x"], exponent**2),
                (["a", "b"], exponent),
            ]
        )
    )
    nodes = [node("Sigmoid", ["x"], ["a"]), node("Tanh", ["x"], ["b"]), node("Pow", names)]
    return Case((c, h, w), nodes, {"c": constants})


def arithmetic(operator: str) -> Callable[[Draw, int], Case]:
    def case(draw: Draw, opset: int) -> Case:
        c, h, w = image(draw)
        shape = draw(st.sampled_from([(), (1,), (w,), (h, w), (1, 1), (c, 1, 1), (c, h, w), (1, c, 1, 1), (1, c, h, w)]))
        constant = floats(draw, *shape)
        constant = np.where(np.abs(constant) < 0.1, np.float32(0.5), constant)
        if draw(st.booleans()):
            return Case((c, h, w), [node(operator, ["x", "c"])], {"c": constant})
        both = [node("Sigmoid", ["x"], ["a"]), node(operator, ["c", "a"])]  # whose values keep from zero
        return Case((c, h, w), both, {"c": constant})

    return case


def of_two(operator: str) -> Callable[[Draw, int], Case]:
    def case(draw: Draw, opset: int) -> Case:
        pooled = draw(st.booleans())
        second = node("GlobalAveragePool", ["s"], ["b"]) if pooled else node("Relu", ["s"], ["b"])
        order = draw(st.permutations(["x", "b"]))
        last = node(operator, order if operator != "Div" else ["x", "b"])
        return Case(image(draw), [node("Sigmoid", ["x"], ["s"]), second, last])

    return case


def window(draw: Draw, kernel: tuple[int, ...]) -> dict[str, Any]:
    mode = draw(st.sampled_from(["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"]))
    found: dict[str, Any] = {"kernel_shape": kernel, "strides": [draw(st.integers(1, min(2, size))) for size in kernel]}
    return found | ({"auto_pad": mode} if mode != "NOTSET" else {"pads": [draw(st.integers(0, k - 1)) for k in kernel * 2]})


def conv(draw: Draw, opset: int) -> Case:
    groups, depth, each = draw(st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 3)))
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    sizes = (groups * depth, draw(st.integers(5, 9)), draw(st.integers(5, 9)))
    attributes = {"group": groups, **window(draw, kernel)}
    if attributes.get("auto_pad", "NOTSET") in ("NOTSET", "VALID"):
        attributes["dilations"] = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    constants = {"w": floats(draw, groups * each, depth, *kernel), "b": floats(draw, groups * each)}
    names = draw(st.sampled_from([["x", "w"], ["x", "w", "b"]]))
    return Case(sizes, [node("Conv", names, **attributes)], constants)


def conv_of_three_sides(draw: Draw, opset: int) -> Case:
    groups, depth, each = draw(st.tuples(st.integers(1, 2), st.integers(1, 2), st.integers(1, 2)))
    kernel, sides = draw(st.tuples(*[st.integers(1, 2)] * 3)), draw(st.tuples(*[st.integers(3, 5)] * 3))
    attributes = {"group": groups, "strides": draw(st.tuples(*[st.integers(1, 2)] * 3)), "dilations": (2, 1, 1)}
    attributes["pads"] = draw(st.tuples(*[st.integers(0, 1 if each > 1 else 0) for each in kernel * 2]))
    constants = {"w": floats(draw, groups * each, depth, *kernel), "b": floats(draw, groups * each)}
    return Case((groups * depth, *sides), [node("Conv", ["x", "w", "b"], **attributes)], constants)


def conv_transpose(draw: Draw, opset: int) -> Case:
    groups, depth, each = draw(st.tuples(st.integers(1, 2), st.integers(1, 2), st.integers(1, 2)))
    sides = draw(st.sampled_from([1, 2, 2]))
    kernel, strides, dilations = (tuple(draw(st.integers(1, most)) for _ in range(sides)) for most in (3, 3, 2))
    sizes = (groups * depth, *(draw(st.integers(3, 5)) for _ in range(sides)))
    attributes: dict[str, Any] = {"group": groups, "strides": strides, "dilations": dilations}
    whole = [(n - 1) * s + d * (k - 1) + 1 for n, s, k, d in zip(sizes[1:], strides, kernel, dilations)]
    how = draw(st.sampled_from(["pads", "more", "output_shape", "SAME_UPPER", "SAME_LOWER", "VALID"]))
    if how == "pads":
        attributes["pads"] = [draw(st.integers(0, 1)) for _ in range(2 * sides)]
    elif how == "more":
        attributes["output_padding"] = [stride - 1 for stride in strides]
    elif how == "output_shape":
        attributes["output_shape"] = [size - draw(st.integers(-1, min(2, size - 1))) for size in whole]
    elif how == "VALID" or all(size >= n * s for size, n, s in zip(whole, sizes[1:], strides)):
        attributes["auto_pad"] = how
    constants = {"w": floats(draw, groups * depth, each, *kernel), "b": floats(draw, groups * each)}
    names = draw(st.sampled_from([["x", "w"], ["x", "w", "b"]]))
    return Case(sizes, [node("ConvTranspose", names, **attributes)], constants)


def pool(operator: str) -> Callable[[Draw, int], Case]:
    def case(draw: Draw, opset: int) -> Case:
        kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
        attributes = window(draw, kernel)
        if operator == "AveragePool" and attributes.get("auto_pad", "NOTSET") == "NOTSET":
            attributes["count_include_pad"] = draw(st.integers(0, 1))
        return Case((2, draw(st.integers(5, 9)), draw(st.integers(5, 9))), [node(operator, **attributes)])

    return case


def gemm(draw: Draw, opset: int) -> Case:
    c, k, transposed = draw(st.tuples(st.integers(1, 5), st.integers(1, 5), st.booleans()))
    weight = floats(draw, k, c) if transposed else floats(draw, c, k)
    bias = floats(draw, *draw(st.sampled_from([(k,), (1, k), (1,), ()])))
    last = node("Gemm", ["f", "w", "b"], transB=int(transposed), alpha=draw(st.sampled_from([1.0, 0.5])), beta=0.5)
    return Case((c, 1, 1), [node("Flatten", ["x"], ["f"]), last], {"w": weight, "b": bias})


def matmul(draw: Draw, opset: int) -> Case:
    c, h, w = image(draw)
    return Case((c, h, w), [node("MatMul", ["x", "w"])], {"w": floats(draw, w, draw(side))})


def matmul_from_the_left(draw: Draw, opset: int) -> Case:
    c, h, w = image(draw)
    return Case((c, h, w), [node("MatMul", ["w", "x"])], {"w": floats(draw, *draw(st.sampled_from([(3, h), (1, 1, 2, h)])))})


def matmul_of_two(draw: Draw, opset: int) -> Case:
    """x, whose first rows or whose mean are another one, times x turned around."""
    c, h, w = image(draw)
    nodes = [node("Transpose", ["x"], ["t"], perm=(0, 1, 3, 2)), node("Sigmoid", ["x"], ["s"])]
    if draw(st.booleans()):
        return Case((c, h, w), [*nodes, node("MatMul", ["s", "t"])])
    first = [node("Slice", ["s", "zero", "one", "one"], ["f"])]
    ends = {"zero": np.array([0], np.int64), "one": np.array([1], np.int64)}
    if opset < 10:
        first, ends = [node("Slice", ["s"], ["f"], axes=[1], starts=[0], ends=[1])], {}
    return Case((c, h, w), [*nodes, *first, node("MatMul", ["f", "t"])], ends)


def batch_norm(draw: Draw, opset: int) -> Case:
    c, h, w = image(draw)
    constants = {name: floats(draw, c) for name in ("scale", "bias", "mean")} | {"var": np.abs(floats(draw, c))}
    return Case(
        (c, h, w), [node("BatchNormalization", ["x", *constants], epsilon=draw(st.sampled_from([1e-5, 1e-3])))], constants
    )


def lrn(draw: Draw, opset: int) -> Case:
    size = draw(st.sampled_from([1, 3, 5]))
    return Case(image(draw), [node("LRN", size=size, alpha=0.1, beta=draw(st.sampled_from([0.5, 0.75])), bias=2.0)])


def softmax(operator: str) -> Callable[[Draw, int], Case]:
    return lambda draw, opset: Case(image(draw), [node(operator, axis=draw(st.sampled_from([1, 2, 3, -1])))])


def instance_norm(draw: Draw, opset: int) -> Case:
    c, h, w = image(draw)
    constants = {"scale": floats(draw, c), "bias": floats(draw, c)}
    return Case(
        (c, h, w), [node("InstanceNormalization", ["x", *constants], epsilon=draw(st.sampled_from([1e-5, 0.1])))], constants
    )


def group_norm(draw: Draw, opset: int) -> Case:
    groups, each = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    size = groups if opset < 21 else groups * each
    constants = {"scale": floats(draw, size), "bias": floats(draw, size)}
    nodes = [node("GroupNormalization", ["x", *constants], num_groups=groups, epsilon=1e-3)]
    return Case((groups * each, draw(side), draw(side)), nodes, constants)


def layer_norm(draw: Draw, opset: int) -> Case:
    sizes = image(draw)
    axis = draw(st.sampled_from([1, 2, 3, -1]))
    shape = sizes[axis - 1 :] if axis > 0 else sizes[axis:]
    constants = {"scale": floats(draw, *shape), "bias": floats(draw, *shape)}
    names = draw(st.sampled_from([["x", "scale"], ["x", "scale", "bias"]]))
    return Case(sizes, [node("LayerNormalization", names, axis=axis, epsilon=1e-3)], constants)


def rms_norm(draw: Draw, opset: int) -> Case:
    sizes, axis = image(draw), draw(st.sampled_from([1, 2, 3, -1]))
    constants = {"scale": floats(draw, *(sizes[axis - 1 :] if axis > 0 else sizes[axis:]))}
    return Case(sizes, [node("RMSNormalization", ["x", "scale"], axis=axis, epsilon=1e-3)], constants)


def log_sum(draw: Draw, opset: int) -> Case:
    case = reduction("ReduceLogSum")(draw, opset)
    case.nodes[0].input[0] = "s"
    case.nodes.insert(0, node("Sigmoid", ["x"], ["s"]))
    return case


def mean_variance_norm(draw: Draw, opset: int) -> Case:
    c, h, w = image(draw)
    axes = draw(st.sampled_from([(2, 3), (1, 2, 3), (1,), (3,)]))
    sizes = (c, h + 4, w + 4) if axes != (1,) else (c + 4, h, w)  # of two close values the reference is not exact
    return Case(sizes, [node("MeanVarianceNormalization", axes=axes)])


def lp_norm(draw: Draw, opset: int) -> Case:
    return Case(image(draw), [node("LpNormalization", axis=draw(st.sampled_from([1, 2, -1])), p=draw(st.integers(1, 2)))])


def reduction(operator: str) -> Callable[[Draw, int], Case]:
    def case(draw: Draw, opset: int) -> Case:
        axes = draw(st.sampled_from([(2, 3), (-1, -2), (1,), (3,), (1, 2, 3), (1, 3)]))
        since = 13 if operator == "ReduceSum" else 18
        attributes, constants = given_as(opset, since, "axes", axes)
        keepdims = draw(st.integers(0, 1))
        few = draw(st.tuples(*[st.integers(1, 3)] * 3))  # of more a product is no float any more
        sizes = few if operator == "ReduceProd" else image(draw)
        return Case(sizes, [node(operator, ["x", *constants], keepdims=keepdims, **attributes)], constants)

    return case


def resize(draw: Draw, opset: int) -> Case:
    mode = draw(st.sampled_from(["nearest", "linear"]))
    sizes = draw(st.tuples(st.integers(1, 2), st.integers(2, 6), st.integers(2, 6)))
    scales = (1.0, 1.0, draw(st.sampled_from([1.0, 1.5, 2.0, 3.0])), draw(st.sampled_from([1.0, 2.0, 2.5])))
    if opset == 10:
        return Case(sizes, [node("Resize", ["x", "s"], mode=mode)], {"s": np.array(scales, np.float32)})
    places = ["half_pixel", "asymmetric", "align_corners"]
    attributes = {"mode": mode, "coordinate_transformation_mode": draw(st.sampled_from(places))}
    if mode == "nearest":
        rounding = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]
        attributes["nearest_mode"] = draw(st.sampled_from(rounding))
    if draw(st.booleans()):
        constants = {"none": np.zeros(0, np.float32), "s": np.array(scales, np.float32)}
        return Case(sizes, [node("Resize", ["x", "none", "s"], **attributes)], constants)
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Slice", ["shape", "zero", "two"], ["first"]),
        node("Concat", ["first", "sides"], ["sizes"], axis=0),
        node("Resize", ["x", "none", "none", "sizes"] if opset < 13 else ["x", "", "", "sizes"], **attributes),
    ]
    ends = {"zero": [0], "two": [2], "sides": draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))}
    constants = {name: np.array(each, np.int64) for name, each in ends.items()}
    return Case(sizes, nodes, constants | {"none": np.zeros(0, np.float32)})


def resize_by_weights(draw: Draw, opset: int) -> Case:
    """Cubic, and linear in the coordinates of other frameworks."""
    mode = draw(st.sampled_from(["cubic", "linear"])) if opset > 10 else "linear"
    sizes = draw(st.tuples(st.integers(1, 2), st.integers(2, 6), st.integers(2, 6)))
    scales = np.array((1, 1, draw(st.sampled_from([0.5, 1, 2, 3])), draw(st.sampled_from([1, 2, 2.5]))), np.float32)
    if opset == 10:
        return Case(sizes, [node("Resize", ["x", "s"], mode=mode)], {"s": scales})
    places = ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric"][
        : 5 if opset > 18 else 4
    ]
    attributes: dict[str, Any] = {"mode": mode, "coordinate_transformation_mode": draw(st.sampled_from(places))}
    if mode == "cubic":
        attributes |= {"cubic_coeff_a": draw(st.sampled_from([-0.75, -0.5])), "exclude_outside": draw(st.integers(0, 1))}
    return Case(sizes, [node("Resize", ["x", "none", "s"], **attributes)], {"none": np.zeros(0, np.float32), "s": scales})


def resize_smoothly(draw: Draw, opset: int) -> Case:
    """Antialiased, from opset 18 on."""
    mode = draw(st.sampled_from(["cubic", "linear"]))
    scales = np.array((1, 1, *draw(st.tuples(*[st.sampled_from([0.3, 0.5, 0.8, 1, 2])] * 2))), np.float32)
    attributes = {"mode": mode, "antialias": 1, "exclude_outside": draw(st.integers(0, 1))}
    if opset < 18:
        return resize_by_weights(draw, opset)
    sizes = draw(st.tuples(st.integers(1, 2), st.integers(4, 9), st.integers(4, 9)))
    return Case(sizes, [node("Resize", ["x", "none", "s"], **attributes)], {"none": np.zeros(0, np.float32), "s": scales})


def unpool(draw: Draw, opset: int) -> Case:
    """Of windows side by side, some of whose elements are equal."""
    down, across = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    sizes = (draw(st.integers(1, 3)), down * draw(st.integers(1, 3)), across * draw(st.integers(1, 3)))
    windows = {"kernel_shape": (down, across), "strides": (down, across)}
    nodes = [node("Ceil", ["x"], ["c"]), node("MaxPool", ["c"], ["v", "i"], **windows), node("Neg", ["v"], ["u"])]
    return Case(sizes, [*nodes, node("MaxUnpool", ["u", "i"], **windows)])


def resize_of_other_sides(draw: Draw, opset: int) -> Case:
    """Of one or three."""
    sizes, mode = draw(st.sampled_from([(2, 5), (2, 2, 3, 4)])), draw(st.sampled_from(["nearest", "linear"]))
    scales = [1.0, 1.0, *(draw(st.sampled_from([1.0, 1.5, 2.0, 3.0])) for _ in sizes[1:])]
    constants = {"s": np.array(scales, np.float32), "r": np.zeros(0, np.float32)}
    return Case(sizes, [node("Resize", ["x", "s"] if opset == 10 else ["x", "r", "s"], mode=mode)], constants)


def upsample(draw: Draw, opset: int) -> Case:
    scales = (1.0, 1.0, draw(st.sampled_from([1.0, 2.0, 3.0])), draw(st.sampled_from([1.0, 2.0])))
    if opset < 9:
        return Case(image(draw), [node("Upsample", mode="nearest", scales=scales)])
    return Case(image(draw), [node("Upsample", ["x", "s"], mode="nearest")], {"s": np.array(scales, np.float32)})


def pad(draw: Draw, opset: int) -> Case:
    pads, value = [0, 0, *(draw(st.integers(-1, 2)) for _ in range(2))] * 2, draw(st.sampled_from([0.0, 1.5]))
    sizes = (2, draw(st.integers(3, 6)), draw(st.integers(3, 6)))
    if opset < 11:
        return Case(sizes, [node("Pad", pads=pads, value=value)])
    constants = {"pads": np.array(pads, np.int64), "value": np.float32(value)}
    mode = draw(st.sampled_from(["constant", "reflect", "edge"]))
    if mode != "constant":
        constants["pads"] = np.array(pads, np.int64).clip(0)
        return Case(sizes, [node("Pad", ["x", "pads"], mode=mode)], {"pads": constants["pads"]})
    if opset < 18:
        return Case(sizes, [node("Pad", ["x", "pads", "value"])], constants)
    constants |= {"pads": np.array([pads[3], 1, 0, 2], np.int64), "axes": np.array([-1, 1], np.int64)}
    return Case(sizes, [node("Pad", ["x", "pads", "value", "axes"])], constants)


def concat(draw: Draw, opset: int) -> Case:
    nodes = [node("Relu", ["x"], ["a"]), node("Concat", ["x", "a", "x"], axis=draw(st.sampled_from([1, 2, 3, -1])))]
    return Case(image(draw), nodes)


def split(draw: Draw, opset: int) -> Case:
    sizes = draw(st.tuples(st.integers(2, 6), st.integers(2, 6), st.integers(2, 6)))
    axis = draw(st.sampled_from([1, 2, -1]))
    first = draw(st.integers(1, sizes[axis - 1 if axis > 0 else axis] - 1))
    attributes, constants = given_as(opset, 13, "split", [first, sizes[axis - 1 if axis > 0 else axis] - first])
    nodes = [node("Split", ["x", *constants], ["a", "b"], axis=axis, **attributes), node("Concat", ["b", "a"], axis=axis)]
    return Case(sizes, nodes, constants)


def split_evenly(draw: Draw, opset: int) -> Case:
    """Three parts, of which the last is what is left."""
    if opset < 18:  # num_outputs is of later versions
        return split(draw, opset)
    size = draw(st.sampled_from([3, 5, 6, 7, 8, 9]))
    nodes = [node("Split", ["x"], ["a", "b", "c"], axis=2, num_outputs=3), node("Concat", ["c", "a", "b"], axis=2)]
    return Case((2, size, 3), nodes)


def slice_(draw: Draw, opset: int) -> Case:
    sizes = draw(st.tuples(st.integers(3, 6), st.integers(3, 6), st.integers(3, 6)))
    axes = draw(st.permutations([1, 2, 3]))[: draw(st.integers(1, 3))]
    starts, ends = [draw(st.integers(0, 1)) for _ in axes], [draw(st.sampled_from([2, -1, 2**31 - 1])) for _ in axes]
    if opset < 10:
        return Case(sizes, [node("Slice", axes=axes, starts=starts, ends=ends)])
    constants = {"starts": starts, "ends": ends, "axes": axes, "steps": [draw(st.integers(1, 2)) for _ in axes]}
    if draw(st.booleans()):
        constants |= {"starts": [-1] * len(axes), "ends": [-(2**31)] * len(axes), "steps": [-1] * len(axes)}
    return Case(sizes, [node("Slice", ["x", *constants])], {name: np.array(each, np.int64) for name, each in constants.items()})


def gather(draw: Draw, opset: int) -> Case:
    sizes = image(draw)
    axis = draw(st.sampled_from([1, 2, 3]))
    size = sizes[axis - 1]
    index = draw(st.one_of(st.integers(-size, size - 1), st.lists(st.integers(0, size - 1), min_size=1, max_size=4)))
    return Case(sizes, [node("Gather", ["x", "i"], axis=axis)], {"i": np.array(index, np.int64)})


def expand(draw: Draw, opset: int) -> Case:
    c, h, w = image(draw)
    nodes = [node("GlobalAveragePool", ["x"], ["p"]), node("Expand", ["p", "s"])]
    return Case((c, h, w), nodes, {"s": np.array(draw(st.sampled_from([(1, c, h, w), (h, w), (1, 1, 1, w)])), np.int64)})


def tile(draw: Draw, opset: int) -> Case:
    repeats = draw(st.tuples(st.just(1), st.integers(1, 2), st.integers(1, 3), st.integers(1, 2)))
    return Case(image(draw), [node("Tile", ["x", "r"])], {"r": np.array(repeats, np.int64)})


def reshape(draw: Draw, opset: int) -> Case:
    c, h, w = image(draw)
    target = draw(st.sampled_from([(0, -1), (-1, c, h * w), (0, 0, -1), (0, 1, c, w, h), (-1, c * h * w)]))
    return Case((c, h, w), [node("Reshape", ["x", "s"])], {"s": np.array(target, np.int64)})


def shuffle(draw: Draw, opset: int) -> Case:
    """Channels in groups, turned around; the batch is read off the input."""
    g, c, h, w = draw(st.integers(1, 3)), *image(draw)
    ends = {"i0": np.array([0], np.int64), "rest": np.array([g, c, h, w], np.int64), "back": np.array([g * c, h, w], np.int64)}
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "i0"], ["n"], axis=0),
        node("Concat", ["n", "rest"], ["to"], axis=0),
        node("Concat", ["n", "back"], ["from"], axis=0),
        node("Reshape", ["x", "to"], ["a"]),
        node("Transpose", ["a"], ["b"], perm=(0, 2, 1, 3, 4)),
        node("Reshape", ["b", "from"]),
    ]
    return Case((g * c, h, w), nodes, ends)


def flatten(draw: Draw, opset: int) -> Case:
    return Case(image(draw), [node("Flatten", axis=1)])


def squeeze(draw: Draw, opset: int) -> Case:
    attributes, constants = given_as(opset, 13, "axes", [2, 3])
    nodes = [node("GlobalMaxPool", ["x"], ["p"]), node("Squeeze", ["p", *constants], **attributes)]
    return Case(image(draw), nodes, constants)


def unsqueeze(draw: Draw, opset: int) -> Case:
    attributes, constants = given_as(opset, 13, "axes", draw(st.sampled_from([[1], [2, 4], [-1]])))
    return Case(image(draw), [node("Unsqueeze", ["x", *constants], **attributes)], constants)


def transpose(draw: Draw, opset: int) -> Case:
    order = draw(st.permutations([1, 2, 3]))
    return Case(image(draw), [node("Transpose", perm=[0, *order])])


def depth_to_space(draw: Draw, opset: int) -> Case:
    mode = {"mode": draw(st.sampled_from(["DCR", "CRD"]))} if opset >= 11 else {}
    block = draw(st.integers(1, 3))
    return Case((2 * block**2, draw(side), draw(side)), [node("DepthToSpace", blocksize=block, **mode)])


def space_to_depth(draw: Draw, opset: int) -> Case:
    block = draw(st.integers(1, 3))
    return Case((2, block * draw(side), block * draw(side)), [node("SpaceToDepth", blocksize=block)])


def affine(draw: Draw, opset: int) -> Case:
    attributes = {name: value for name in ("alpha", "beta") if (value := draw(slopes)) is not None}
    return Case(image(draw), [node("Affine", **attributes)])


def image_scaler(draw: Draw, opset: int) -> Case:
    c, h, w = image(draw)
    return Case((c, h, w), [node("ImageScaler", bias=floats(draw, c).tolist(), scale=draw(st.sampled_from([1.0, 0.5])))])


def matmul_of_constants(draw: Draw, opset: int) -> Case:
    """Of one for each channel, on either side; or a row."""
    (c, h, w), k = image(draw), draw(side)
    constants = {"left": floats(draw, c, k, h), "right": floats(draw, 1, c, w, k), "row": floats(draw, w)}
    inputs = draw(st.sampled_from([["left", "x"], ["x", "right"], ["x", "row"]]))
    return Case((c, h, w), [node("MatMul", inputs)], constants)


def einsum(draw: Draw, opset: int) -> Case:
    """Of two tensors, and of one and a constant on either side."""
    c, h, w = image(draw)
    left, right, constants = draw(
        st.sampled_from(
            [
                ("nchw,nchv->nhwv", ["x", "a"], ()),
                ("nchw,ncgw->ncgh", ["x", "b"], ()),
                ("nchw,nkhw->nck", ["x", "a"], ()),
                ("nchw,ck->nkhw", ["x", "k"], (c, 3)),
                ("kc,nchw->nhwk", ["k", "x"], (3, c)),
                ("nchw,hwk->nkc", ["x", "k"], (h, w, 2)),
            ]
        )
    )
    nodes = [node("Sigmoid", ["x"], ["a"]), node("Relu", ["x"], ["b"]), node("Einsum", right, equation=left)]
    return Case((c, h, w), nodes, {"k": floats(draw, *constants)})


def compared(operator: str) -> Callable[[Draw, int], Case]:
    """Of a tensor and a constant, or of two tensors, some elements of which are equal."""

    def case(draw: Draw, opset: int) -> Case:
        c, h, w = image(draw)
        constant = np.rint(floats(draw, *draw(st.sampled_from([(), (w,), (c, 1, 1), (1, c, h, w)]))))
        operands = draw(st.sampled_from([["a", "k"], ["k", "a"], ["a", "p"]]))
        nodes = [node("Ceil", ["x"], ["a"]), node("GlobalMaxPool", ["a"], ["p"]), node(operator, operands, ["m"])]
        return Case((c, h, w), [*nodes, node("Cast", ["m"], to=TensorProto.FLOAT)], {"k": constant})

    return case


def logical(operator: str) -> Callable[[Draw, int], Case]:
    def case(draw: Draw, opset: int) -> Case:
        operands = ["m"] if operator == "Not" else ["m", draw(st.sampled_from(["n", "k"]))]
        nodes = [node("Less", ["x", "zero"], ["m"]), node("Greater", ["x", "one"], ["n"]), node(operator, operands, ["t"])]
        moved = [node("Transpose", ["t"], ["u"], perm=[0, 2, 3, 1]), node("Cast", ["u"], to=TensorProto.FLOAT)]
        c, h, w = image(draw)
        constants = {"zero": np.float32(0), "one": np.float32(-1), "k": floats(draw, c, 1, w) > 0}
        return Case((c, h, w), [*nodes, *moved], constants)

    return case


def where(draw: Draw, opset: int) -> Case:
    c, h, w = image(draw)
    constants = {"zero": np.float32(0), "k": floats(draw, c, 1, 1), "mask": floats(draw, h, w) > 0}
    choices = (("m", "x", "k"), ("m", "k", "x"), ("mask", "x", "k"), ("mask", "k", "x"))
    return Case((c, h, w), [node("Less", ["x", "zero"], ["m"]), node("Where", draw(st.sampled_from(choices)))], constants)


def position(operator: str) -> Callable[[Draw, int], Case]:
    def case(draw: Draw, opset: int) -> Case:
        attributes = {"axis": draw(st.sampled_from([1, 2, -1])), "keepdims": draw(st.integers(0, 1))}
        if opset >= 12:
            attributes["select_last_index"] = draw(st.integers(0, 1))
        nodes = [node("Ceil", ["x"], ["a"]), node(operator, ["a"], ["p"], **attributes)]
        return Case(image(draw), [*nodes, node("Cast", ["p"], to=TensorProto.FLOAT)])

    return case


def top_k(draw: Draw, opset: int) -> Case:
    """The values and their places, one above the other."""
    sizes = image(draw)
    axis, largest = draw(st.sampled_from([1, 2, -1])), draw(st.integers(0, 1))
    count = draw(st.integers(1, (0, *sizes)[axis]))
    attributes = {"axis": axis, **({"k": count} if opset < 10 else {}), **({"largest": largest} if opset >= 11 else {})}
    nodes = [node("TopK", ["x", "k"][: 1 + (opset >= 10)], ["v", "p"], **attributes), node("Cast", ["p"], ["f"], to=1)]
    return Case(sizes, [*nodes, node("Concat", ["v", "f"], axis=2)], {} if opset < 10 else {"k": np.array([count], np.int64)})


def gather_elements(draw: Draw, opset: int) -> Case:
    """By computed numbers; tests of constants, which are those of one image, are in test_picking.py."""
    axis = draw(st.sampled_from([1, 2, 3]))
    picked = node("ArgMax", ["x"], ["p"], axis=axis, keepdims=1)
    return Case(image(draw), [picked, node("GatherElements", ["x", "p"], axis=axis)])


def gather_computed(draw: Draw, opset: int) -> Case:
    """A row of a table for each place of the largest."""
    sizes = image(draw)
    table = floats(draw, sizes[0], *draw(st.lists(st.integers(1, 3), max_size=2)))
    return Case(sizes, [node("ArgMax", ["x"], ["p"], axis=1, keepdims=0), node("Gather", ["t", "p"], axis=0)], {"t": table})


def grid_sample(draw: Draw, opset: int) -> Case:
    modes = ("bilinear", "nearest", "bicubic") if opset < 20 else ("linear", "nearest", "cubic")
    attributes = {"mode": draw(st.sampled_from(modes)), "align_corners": draw(st.integers(0, 1))}
    attributes["padding_mode"] = draw(st.sampled_from(["zeros", "border", "reflection"]))
    nodes = [node("Slice", ["x", "a", "b", "one"], ["two"]), node("Tanh", ["two"], ["t"])]
    nodes += [node("Transpose", ["t"], ["g"], perm=[0, 2, 3, 1]), node("GridSample", ["x", "g"], **attributes)]
    constants = {name: np.array([value]) for name, value in (("a", 0), ("b", 2), ("one", 1))}
    least = 2 if attributes["padding_mode"] == "reflection" else 1  # between corners of one pixel the reference divides by 0
    sides = [max(least, side) for side in image(draw)[1:]]
    return Case((draw(st.integers(2, 4)), *sides), nodes, constants)


def recurrent(operator: str) -> Callable[[Draw, int], Case]:
    """All moments, or the last, of (N, T, features) in the order that recurrent layers take."""

    def case(draw: Draw, opset: int) -> Case:
        length, features, hidden = draw(st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4)))
        direction = draw(st.sampled_from(["forward", "reverse", "bidirectional"]))
        count, gates = 1 + (direction == "bidirectional"), 4 if operator == "LSTM" else 3
        shapes = {
            "w": (count, gates * hidden, features),
            "r": (count, gates * hidden, hidden),
            "b": (count, 2 * gates * hidden),
        }
        constants = {name: floats(draw, *shape) for name, shape in shapes.items()}
        attributes = {"linear_before_reset": draw(st.integers(0, 1))} if operator == "GRU" else {}
        operands = ["t", "w", "r", *(["b"] if draw(st.booleans()) else [])]
        layer = node(operator, operands, ["all", "last"], hidden_size=hidden, direction=direction, **attributes)
        ends = {"all": node("Transpose", ["all"], perm=[2, 0, 1, 3]), "last": node("Transpose", ["last"], perm=[1, 0, 2])}
        end = ends[draw(st.sampled_from(sorted(ends)))]
        return Case((length, features), [node("Transpose", ["x"], ["t"], perm=[1, 0, 2]), layer, end], constants)

    return case


def number_wherever_images_lie(draw: Draw, opset: int) -> Case:
    turned = [node("Transpose", ["x"], ["t"], perm=(1, 0, 2, 3)), node("Mul", ["t", "c"], ["m"])]
    number = floats(draw, *draw(st.sampled_from([(), (1,), (1, 1)])))
    return Case(image(draw), [*turned, node("Transpose", ["m"], perm=(1, 0, 2, 3))], {"c": number})


def crop(draw: Draw, opset: int) -> Case:
    border = [draw(st.integers(0, 3)) for _ in range(4)]
    sizes = (2, border[1] + border[3] + draw(side), border[0] + border[2] + draw(side))
    some = {"scale": [draw(st.integers(1, sizes[1] - border[1])), draw(st.integers(1, sizes[2] - border[0]))]}
    return Case(sizes, [node("Crop", border=border, **draw(st.sampled_from([{}, some])))])


def scatter_nd(draw: Draw, opset: int) -> Case:
    """Twice some planes in the place of others, which the file has in front of the images."""
    sizes, axis = image(draw), draw(st.integers(1, 3))
    numbers = np.array(draw(st.lists(st.integers(0, sizes[axis - 1] - 1), min_size=1, unique=True)))
    order = (axis, *(dim for dim in range(4) if dim != axis))
    attributes = draw(st.sampled_from([{}, {"reduction": "add"}, {"reduction": "mul"}])) if opset >= 16 else {}
    nodes = [
        node("Transpose", ["x"], ["t"], perm=order),
        node("Gather", ["t", "n"], ["some"]),
        node("Add", ["some"] * 2, ["u"]),
    ]
    nodes += [
        node("ScatterND", ["t", "i", "u"], ["s"], **attributes),
        node("Transpose", ["s"], perm=np.argsort(order).tolist()),
    ]
    return Case(sizes, nodes, {"n": numbers, "i": numbers[:, np.newaxis]})


def gather_nd(draw: Draw, opset: int) -> Case:
    """Of constants the products of rows and columns, in front of the images; or rows or elements by computed numbers."""
    c, h, w = image(draw)
    if opset >= 12 and draw(st.booleans()):
        nodes = [node("Reshape", ["x", "s"], ["f"]), node("ArgMax", ["f"], ["p"], axis=1)]
        nodes += [node("Transpose", ["p"], ["r"], perm=(0, 2, 1)), node("Mod", ["r", "c"], ["q"])]
        nodes += [node("Concat", ["r", "q"], ["both"], axis=2)]
        end = node("GatherND", ["f", draw(st.sampled_from(["r", "both"]))], batch_dims=1)
        return Case((c, h, w), [*nodes, end], {"s": np.array([0, h * w, c]), "c": np.array(c)})
    numbers = [
        draw(st.lists(st.integers(-size, size - 1), min_size=1, max_size=3, unique_by=lambda n, size=size: n % size))
        for size in (c, h)
    ]
    index = np.stack(np.meshgrid(*numbers, indexing="ij"), -1)
    nodes = [node("Transpose", ["x"], ["t"], perm=(1, 2, 0, 3)), node("GatherND", ["t", "i"], ["g"])]
    return Case((c, h, w), [*nodes, node("Transpose", ["g"], perm=(2, 0, 1, 3))], {"i": index})


def attention(draw: Draw, opset: int) -> Case:
    heads, times, length, width = draw(st.tuples(st.integers(1, 2), st.integers(1, 2), st.integers(1, 4), st.integers(1, 4)))
    attributes = {"is_causal": draw(st.integers(0, 1)), "softcap": draw(st.sampled_from([0.0, 2.0]))}
    attributes |= draw(st.sampled_from([{}, {"scale": 0.3}]))
    mask = draw(st.sampled_from([[], ["m"], ["b"]]))
    constants: dict[str, NDArray[Any]] = {"m": floats(draw, length, length), "b": np.tril(np.ones((length, length), bool))}
    if draw(st.booleans()):
        constants |= {"from": np.array([0]), "to": np.array([heads]), "axis": np.array([1])}
        nodes = [node("Slice", ["x", "from", "to", "axis"], ["kv"]), node("Attention", ["x", "kv", "kv", *mask], **attributes)]
        return Case((heads * times, length, width), nodes, constants)
    attributes |= {"q_num_heads": heads, "kv_num_heads": heads}
    return Case((length, heads * width), [node("Attention", ["x", "x", "x", *mask], **attributes)], constants)


def attention_of_computed_masks(draw: Draw, opset: int) -> Case:
    """Of truth values, and added."""
    length, width = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    nodes = [node("Transpose", ["x"], ["t"], perm=[0, 1, 3, 2]), node("MatMul", ["x", "t"], ["m"])]
    nodes += [node("Greater", ["m", "bound"], ["g"]), node("Or", ["g", "first"], ["truth"])]
    end = node("Attention", ["x", "x", "x", draw(st.sampled_from(["truth", "m"]))])
    constants = {"bound": np.array(1, np.float32), "first": np.arange(length) == 0}
    return Case((2, length, width), [*nodes, end], constants)


def rotary(draw: Draw, opset: int) -> Case:
    heads, length, half, more = draw(st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 3), st.integers(0, 1)))
    width, attributes = 2 * half + 2 * more, {"interleaved": draw(st.integers(0, 1)), "rotary_embedding_dim": 2 * half * more}
    numbered = draw(st.booleans())
    shape = (9, half) if numbered else (1, length, half)
    constants = {"c": floats(draw, *shape), "s": floats(draw, *shape)}
    if numbered:
        constants["p"] = np.array([draw(st.lists(st.integers(0, 8), min_size=length, max_size=length))])
    if draw(st.booleans()):
        return Case((heads, length, width), [node("RotaryEmbedding", ["x", *constants], **attributes)], constants)
    attributes["num_heads"] = heads
    return Case((length, heads * width), [node("RotaryEmbedding", ["x", *constants], **attributes)], constants)


def hardmax(draw: Draw, opset: int) -> Case:
    return Case(image(draw), [node("Hardmax", axis=draw(st.integers(1, 3)) if opset >= 13 else 3)])


def one_hot(draw: Draw, opset: int) -> Case:
    sizes, axis = image(draw), draw(st.integers(1, 4))
    nodes = [node("ArgMax", ["x"], ["p"], axis=1), node("OneHot", ["p", "d", "v"], axis=axis)]
    return Case(sizes, nodes, {"d": np.array(sizes[0] + draw(st.integers(0, 2))), "v": floats(draw, 2)})


def trilu(draw: Draw, opset: int) -> Case:
    k = {"k": np.array(draw(st.integers(-3, 3)))} if draw(st.booleans()) else {}
    return Case(image(draw), [node("Trilu", ["x", *k], upper=draw(st.integers(0, 1)))], k)


def not_finite(operator: str) -> Callable[[Draw, int], Case]:
    def case(draw: Draw, opset: int) -> Case:
        signs = [{}, {"detect_negative": 0}, {"detect_positive": 0}]
        attributes = draw(st.sampled_from(signs)) if operator == "IsInf" else {}
        sizes = image(draw)
        added = np.random.default_rng(0).choice(np.array([0, np.inf, -np.inf, np.nan], np.float32), (1, *sizes))
        nodes = [node("Add", ["x", "c"], ["a"]), node(operator, ["a"], ["t"], **attributes), node("Cast", ["t"], to=1)]
        return Case(sizes, nodes, {"c": added})

    return case


def cumsum(draw: Draw, opset: int) -> Case:
    sizes, axis = image(draw), draw(st.integers(1, 3))
    attributes = {"reverse": draw(st.integers(0, 1)), "exclusive": draw(st.integers(0, 1)) if sizes[axis - 1] > 1 else 0}
    return Case(sizes, [node("CumSum", ["x", "a"], **attributes)], {"a": np.array(axis)})


def mod(draw: Draw, opset: int) -> Case:
    """Of a place and of floats, with what else is done to places."""
    c, h, w = image(draw)
    if draw(st.booleans()):
        return Case(
            (c, h, w), [node("Mod", ["x", "p"], fmod=1)], {"p": np.array(draw(st.sampled_from([0.5, 1.0, 2.0])), np.float32)}
        )
    d = np.array([draw(st.integers(1, 9))])
    nodes = [node("Flatten", ["x"], ["f"]), node("ArgMax", ["f"], ["p"], axis=1), node("Mul", ["p", "d"], ["t"])]
    nodes += [node("Add", ["t", "p"], ["a"]), node("Div", ["a", "d"], ["q"]), node("Mod", ["a", "d"], ["r"])]
    nodes += [node("Sub", ["q", "r"], ["s"]), node("Max", ["s", "r"], ["m"]), node("Cast", ["m"], to=1)]
    return Case((c, h, w), nodes, {"d": d})


def lp_pool(draw: Draw, opset: int) -> Case:
    sizes = draw(st.tuples(st.integers(1, 3), st.integers(3, 6), st.integers(3, 6)))
    attributes = {"kernel_shape": draw(st.tuples(st.integers(1, 3), st.integers(1, 3))), "p": draw(st.integers(1, 3))}
    return Case(sizes, [node("LpPool", strides=draw(st.tuples(st.integers(1, 2), st.integers(1, 2))), **attributes)])


def cast_like(draw: Draw, opset: int) -> Case:
    return Case(image(draw), [node("CastLike", ["x", "c"])], {"c": floats(draw, 1)})


def of_windows(case: Callable[[Draw, int], Case]) -> Callable[[Draw, int], Case]:
    """The same of several maps of an image, (N, windows, ...), that the file counts with the images."""

    def windowed(draw: Draw, opset: int) -> Case:
        one, windows = case(draw, opset), draw(st.integers(2, 3))
        out = computed(one, opset).shape[1:]
        names = {"x": "maps", "y": "results"}
        for each in one.nodes:
            each.input[:], each.output[:] = ([names.get(name, name) for name in part] for part in (each.input, each.output))
        nodes = [node("Reshape", ["x", "apart"], ["maps"]), *one.nodes, node("Reshape", ["results", "together"])]
        sizes = {"apart": np.array([-1, *one.sizes]), "together": np.array([-1, windows, *out])}
        return Case((windows, *one.sizes), nodes, {**one.constants, **sizes})

    return windowed


CASES: list[tuple[str, Callable[[Draw, int], Case]]] = [
    *((name, elementwise(name)) for name in ("Relu", "Sigmoid", "HardSwish", "Neg", "Identity", "Dropout")),
    ("LeakyRelu", elementwise("LeakyRelu", alpha=slopes)),
    ("PRelu", prelu),
    ("HardSigmoid", elementwise("HardSigmoid", alpha=slopes, beta=slopes)),
    ("Clip", clip),
    *((name, extreme(name)) for name in ("Max", "Min")),
    *(
        (name, elementwise(name))
        for name in ("Exp", "Abs", "Tanh", "Erf", "Softplus", "Softsign", "Mish", "Floor", "Ceil", "Round")
    ),
    *((name, elementwise(name, alpha=slopes)) for name in ("Elu", "Celu", "ThresholdedRelu")),
    ("Selu", elementwise("Selu", alpha=slopes, gamma=slopes)),
    ("Gelu", elementwise("Gelu", approximate=st.sampled_from(["none", "tanh"]))),
    *((name, of_positive(name)) for name in ("Log", "Sqrt", "Reciprocal")),
    ("Pow", power),
    *((name, arithmetic(name)) for name in ("Add", "Sub", "Mul", "Div")),
    *((name, of_two(name)) for name in ("Add", "Sub", "Mul", "Div", "Sum")),
    ("Mul", number_wherever_images_lie),
    ("Mean", lambda draw, opset: Case(image(draw), [node("Sigmoid", ["x"], ["s"]), node("Mean", ["x", "s", "x"])])),
    ("Affine", affine),
    ("ImageScaler", image_scaler),
    ("Crop", crop),
    ("Conv", conv),
    ("Conv", conv_of_three_sides),
    *(
        (name, of_windows(case))
        for name, case in (
            *(("Conv", conv), ("ConvTranspose", conv_transpose), ("BatchNormalization", batch_norm), ("Gemm", gemm)),
            *(("InstanceNormalization", instance_norm), ("GroupNormalization", group_norm), ("Pad", pad)),
            *((name, pool(name)) for name in ("MaxPool", "AveragePool")),
            *((name, elementwise(name)) for name in ("GlobalAveragePool", "GlobalMaxPool")),
            *(("Resize", resize), ("Resize", resize_by_weights), ("Mul", arithmetic("Mul"))),
        )
    ),
    ("MaxUnpool", unpool),
    ("ConvTranspose", conv_transpose),
    ("Gemm", gemm),
    *(("MatMul", case) for case in (matmul, matmul_from_the_left, matmul_of_two, matmul_of_constants)),
    ("Einsum", einsum),
    ("BatchNormalization", batch_norm),
    ("LRN", lrn),
    *((name, softmax(name)) for name in ("Softmax", "LogSoftmax")),
    ("InstanceNormalization", instance_norm),
    ("GroupNormalization", group_norm),
    ("LayerNormalization", layer_norm),
    ("RMSNormalization", rms_norm),
    ("ReduceLogSum", log_sum),
    ("MeanVarianceNormalization", mean_variance_norm),
    ("LpNormalization", lp_norm),
    *((name, pool(name)) for name in ("MaxPool", "AveragePool")),
    *((name, elementwise(name)) for name in ("GlobalAveragePool", "GlobalMaxPool")),
    *((f"Reduce{name}", reduction(f"Reduce{name}")) for name in ("Mean", "Sum", "Max", "Min", "Prod", "L1", "L2", "SumSquare")),
    *((name, compared(name)) for name in ("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual")),
    *((name, logical(name)) for name in ("Not", "And", "Or", "Xor")),
    ("Where", where),
    *((name, position(name)) for name in ("ArgMax", "ArgMin")),
    *((name, recurrent(name)) for name in ("LSTM", "GRU")),
    *((name, elementwise(name)) for name in ("Sin", "Cos", "Sign")),
    ("TopK", top_k),
    ("GatherElements", gather_elements),
    ("Gather", gather_computed),
    ("GridSample", grid_sample),
    ("ScatterND", scatter_nd),
    ("GatherND", gather_nd),
    ("Attention", attention),
    ("Attention", attention_of_computed_masks),
    ("RotaryEmbedding", rotary),
    ("Hardmax", hardmax),
    ("OneHot", one_hot),
    ("Trilu", trilu),
    *((name, not_finite(name)) for name in ("IsNaN", "IsInf")),
    ("Shrink", elementwise("Shrink", lambd=slopes, bias=slopes)),
    ("CumSum", cumsum),
    ("ReduceLogSumExp", reduction("ReduceLogSumExp")),
    ("CastLike", cast_like),
    ("Mod", mod),
    ("LpPool", lp_pool),
    ("Resize", resize),
    ("Resize", resize_by_weights),
    ("Resize", resize_of_other_sides),
    ("Resize", resize_smoothly),
    ("Upsample", upsample),
    ("Pad", pad),
    ("Concat", concat),
    ("Split", split),
    ("Split", split_evenly),
    ("Slice", slice_),
    ("Gather", gather),
    ("Expand", expand),
    ("Tile", tile),
    ("Reshape", reshape),
    ("Shape", shuffle),
    ("Flatten", flatten),
    ("Squeeze", squeeze),
    ("Unsqueeze", unsqueeze),
    ("Transpose", transpose),
    ("DepthToSpace", depth_to_space),
    ("SpaceToDepth", space_to_depth),
]
# Up to which opset the reference lacks an operator, or has it otherwise than its specification: there ONNX Runtime says.
_BY_RUNTIME = {
    "Affine": 23,
    "GridSample": 19,
    "ImageScaler": 23,
    "Crop": 23,
    "BatchNormalization": 13,
    "ConvTranspose": 23,
    "LRN": 23,
    "MaxPool": 23,
    "MaxUnpool": 23,
    "LpPool": 23,
    "Pad": 23,
    "Resize": 23,
    "Upsample": 9,
    "Softmax": 12,
    "LogSoftmax": 12,
    "LpNormalization": 23,
}


@pytest.mark.parametrize(
    ("name", "opset", "case"),
    [
        pytest.param(name, opset, case, id=f"{name}-{opset}-{number}")
        for number, (name, case) in enumerate(CASES)
        for opset in versions(name)
    ],
)
@given(data=st.data())
@settings(
    max_examples=5,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_it_is_what_the_reference_computes(
    name: str, opset: int, case: Callable[[Draw, int], Case], data: st.DataObject, tmp_path: Path
) -> None:
    check(case(data.draw, opset), opset, tmp_path, by_runtime=opset <= _BY_RUNTIME.get(name, 0))


@pytest.mark.parametrize("mode", ["linear", "cubic"])
@pytest.mark.parametrize("places", ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric"])
def test_resizing_takes_every_coordinate(mode: str, places: str, tmp_path: Path) -> None:
    attributes = {"mode": mode, "coordinate_transformation_mode": places}
    for scales in ((1.6, 2.5), (0.3, 0.7)):  # the second to one row
        constants = {"s": np.array((1, 1, *scales), np.float32)}
        case = Case((2, 4, 7), [node("Resize", ["x", "", "s"], **attributes)], constants)
        check(case, 19, tmp_path, by_runtime=True)


@pytest.mark.parametrize("antialias", [0, 1])
def test_the_cubic_kernel_has_the_files_coefficient(antialias: int, tmp_path: Path) -> None:
    for a in ({}, {"cubic_coeff_a": -0.5}):
        resize = node("Resize", ["x", "", "s"], mode="cubic", antialias=antialias, **a)
        case = Case((2, 6, 7), [resize], {"s": np.array((1, 1, 0.6, 0.7), np.float32)})
        check(case, 19, tmp_path, by_runtime=True)


def test_every_operator_has_a_case() -> None:
    assert {name for name, _ in CASES} | {"Cast", "Size", "NonMaxSuppression", "ScatterElements"} == set(TRANSLATIONS)
