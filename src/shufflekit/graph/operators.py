"""What each operator of torch is called in a graph.

A translator takes a `Call` and returns the name of a value that the operator passes on as it is, a constant that it makes,
or the nodes that it becomes as (op, inputs, attrs, shape); an input named "" is the node before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import fx

from shufflekit.graph.graph import ACTIVATIONS

Nodes = list[tuple[str, tuple[str, ...], dict[str, Any], tuple[int, ...]]]
Constant = NDArray[np.float32]


class RefusedError(Exception):
    """A use of an operator that the engine does not have; the message says which."""


class Call:
    """The arguments of one operator, by the names of its schema."""

    def __init__(
        self,
        node: fx.Node,
        names: Mapping[fx.Node, str],
        constants: Mapping[str, Constant],
        integers: Mapping[fx.Node, tuple[int, ...]],
    ) -> None:
        self._node, self._names, self._constants, self._integers = node, names, constants, integers
        schema = getattr(node.target, "_schema", None)
        self._arguments: dict[str, Any] = {}
        if schema is not None:
            self._arguments = {argument.name: argument.default_value for argument in schema.arguments}
            self._arguments |= {argument.name: value for argument, value in zip(schema.arguments, node.args)}
            self._arguments |= node.kwargs

    def __getitem__(self, name: str) -> Any:
        """A number, list, string or None."""
        return self._arguments[name]

    def name(self, argument: str = "self") -> str:
        """The value or constant behind a tensor."""
        found = self._arguments[argument]
        if found not in self._names:
            raise RefusedError(f"{argument} must be a float32 tensor of the network")
        return self._names[found]

    def name_of(self, node: fx.Node) -> str:
        """The value or constant that a node of torch's graph stands for."""
        return self._names[node]

    def has(self, argument: str) -> bool:
        """Whether the operator's schema has such an argument."""
        return argument in self._arguments

    def names(self, *arguments: str) -> tuple[str, ...]:
        """Those of tensors, absent ones left out."""
        return tuple(self.name(argument) for argument in arguments if self._arguments[argument] is not None)

    def constant(self, argument: str) -> Constant | None:
        """The array behind a constant or a number, None for a value."""
        found = self._arguments[argument]
        if isinstance(found, int | float):
            return np.array(found, np.float32)
        return self._constants.get(self._names.get(found, ""))

    def integers(self, argument: str) -> tuple[int, ...]:
        """Those of a buffer."""
        found = self._arguments[argument]
        if found not in self._integers:
            raise RefusedError(f"{argument} must be a buffer of the network")
        return self._integers[found]

    def input_shape(self, argument: str = "self") -> tuple[int, ...]:
        return tuple(int(size) for size in self._arguments[argument].meta["val"].shape)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the first output."""
        value = self._node.meta["val"]
        return tuple(int(size) for size in (value[0] if isinstance(value, tuple | list) else value).shape)

    @property
    def node(self) -> fx.Node:
        return self._node

    def dim(self, argument: str = "dim", x: str = "self") -> int:
        return int(self._arguments[argument]) % len(self.input_shape(x))


def _pair(value: Any) -> tuple[int, int]:
    values = [int(v) for v in (value if isinstance(value, Sequence) else [value])]
    return (values[0], values[-1])


def _one(op: str, *inputs: str, **attrs: Any) -> Callable[[Call], Nodes]:
    return lambda call: [(op, call.names(*inputs), dict(attrs), call.shape)]


def _conv(call: Call) -> Nodes:
    dilation, weight = _pair(call["dilation"]), call.input_shape("weight")
    padding = call["padding"]
    if padding == "valid":
        padding = (0, 0)
    elif padding == "same":
        extents = [d * (k - 1) for d, k in zip(dilation, weight[2:])]
        if any(extent % 2 for extent in extents):
            raise RefusedError(f"padding 'same' needs odd kernels, found {weight[2:]}")
        padding = [extent // 2 for extent in extents]
    attrs = {"stride": _pair(call["stride"]), "padding": _pair(padding), "dilation": dilation, "groups": int(call["groups"])}
    return [("conv", call.names("input", "weight", "bias"), attrs, call.shape)]


def _batch_norm(call: Call) -> Nodes:
    channels = call.input_shape("input")[1]
    if call["weight"] is None or call["bias"] is None:
        raise RefusedError(f"a batch norm of {channels} channels without weight and bias is not supported")
    return [
        ("batch_norm", call.names("input", "weight", "bias", "running_mean", "running_var"), {"eps": call["eps"]}, call.shape)
    ]


_SPLITS = ("aten.split.Tensor", "aten.split_with_sizes", "aten.chunk")


def _getitem(call: Call) -> Nodes | str:
    source, index = call.node.args
    assert isinstance(source, fx.Node)
    assert isinstance(index, int)
    name = call.name_of(source)
    operator = str(source.target).removesuffix(".default")
    if operator not in _SPLITS:
        if index != 0:
            raise RefusedError("only an operator's first output can be used")
        return name
    dim = source.args[2] if len(source.args) > 2 else source.kwargs.get("dim", 0)
    assert isinstance(dim, int)
    dim %= len(call.shape)
    start = sum(int(part.shape[dim]) for part in source.meta["val"][:index])
    part = {"dim": dim, "start": start, "stop": start + call.shape[dim], "step": 1}
    return [("slice", (name,), part, call.shape)]


def _window(call: Call) -> dict[str, Any]:
    kernel = _pair(call["kernel_size"])
    attrs = {"kernel": kernel, "stride": _pair(call["stride"]) if call["stride"] else kernel, "padding": _pair(call["padding"])}
    return {**attrs, "ceil_mode": bool(call["ceil_mode"])}


def _max_pool(call: Call) -> Nodes:
    return [("max_pool", call.names("self"), {**_window(call), "dilation": _pair(call["dilation"])}, call.shape)]


def _avg_pool(call: Call) -> Nodes:
    if call["divisor_override"] is not None:
        raise RefusedError("divisor_override is not supported")
    return [
        ("avg_pool", call.names("self"), {**_window(call), "count_include_pad": bool(call["count_include_pad"])}, call.shape)
    ]


def _adaptive(op: str) -> Callable[[Call], Nodes]:
    return lambda call: [(op, call.names("self"), {"output_size": _pair(call["output_size"])}, call.shape)]


def _mean(call: Call) -> Nodes:
    x = call.input_shape()
    dims = sorted(int(d) % len(x) for d in call["dim"] or range(len(x)))
    if len(x) != 4 or dims != [2, 3]:
        raise RefusedError(f"only the mean over height and width is supported, found dim={call['dim']} of {x}")
    pooled: Nodes = [("adaptive_avg_pool", call.names("self"), {"output_size": (1, 1)}, (*x[:2], 1, 1))]
    return pooled if call["keepdim"] else [*pooled, ("reshape", ("",), {"shape": call.shape}, call.shape)]


def _arithmetic(op: str, inverse: Callable[[Constant], Constant] | None = None) -> Callable[[Call], Nodes | Constant]:
    """add and mul; sub and div are their inverses with a constant."""

    def translate(call: Call) -> Nodes | Constant:
        a, b = call.constant("self"), call.constant("other")
        if call.has("alpha") and call["alpha"] != 1:
            raise RefusedError(f"alpha must be 1, found {call['alpha']}")
        if a is not None and b is not None:
            b = inverse(b) if inverse else b
            return np.asarray(a + b if op == "add" else a * b, np.float32)
        if b is None and a is None:
            if inverse:
                raise RefusedError("of two computed tensors is not supported")
            return [(op, (call.name("self"), call.name("other")), {}, call.shape)]
        if inverse and a is not None:
            raise RefusedError("with a constant on the left is not supported")
        constant, value = (b, "self") if b is not None else (a, "other")
        assert constant is not None
        return _scaled(call, op, value, inverse(constant) if inverse else constant)

    return translate


def _scaled(call: Call, op: str, value: str, constant: Constant) -> Nodes:
    """A sum or product with a constant is affine: one scale and one shift a channel."""
    x = call.input_shape(value)
    if call.shape != x:
        raise RefusedError(f"the constant of shape {constant.shape} must not widen {x}")
    channels = x[1] if len(x) > 1 else 1
    wide = constant.reshape((1,) * (len(x) - constant.ndim) + constant.shape)
    if any(size != 1 for axis, size in enumerate(wide.shape) if axis != 1):
        raise RefusedError(f"the constant must be one number, or one a channel, found shape {constant.shape}")
    each = np.broadcast_to(wide.reshape(-1), (channels,)).astype(np.float32)
    scale, shift = (np.ones_like(each), each) if op == "add" else (each, np.zeros_like(each))
    return [("affine", (call.name(value),), {"scale": scale, "shift": shift}, x)]


def _clamp(call: Call) -> Nodes:
    bounds = ("min", "max") if call.has("min") else ("min_val", "max_val")
    low, high = (call[bound] if call.has(bound) else None for bound in bounds)
    names: dict[Any, str] = {(0, None): "relu", (0, 6): "relu6"}
    op = names.get((low, high))
    if op is None:
        raise RefusedError(f"only the bounds of relu and relu6 are supported, found {low} and {high}")
    return [(op, call.names("self"), {}, call.shape)]


def _leaky_relu(call: Call) -> Nodes:
    return [("leaky_relu", call.names("self"), {"slope": float(call["negative_slope"])}, call.shape)]


def _softmax(call: Call) -> Nodes:
    return [("softmax", call.names("self"), {"dim": call.dim()}, call.shape)]


def _local_response_norm(call: Call) -> Nodes:
    attrs = {"size": int(call["size"]), **{name: float(call[name]) for name in ("alpha", "beta", "k")}}
    return [("local_response_norm", call.names("x"), attrs, call.shape)]


def _concat(call: Call) -> Nodes:
    tensors = call["tensors"]
    names = tuple(call.name_of(tensor) for tensor in tensors)
    dim = int(call["dim"]) % len(call.shape)
    return [("concat", names, {"dim": dim}, call.shape)]


def _slice(call: Call) -> Nodes | str:
    dim, step = call.dim(), int(call["step"])
    size = call.input_shape()[dim]
    start, stop, _ = slice(call["start"], call["end"]).indices(size)
    if (start, stop, step) == (0, size, 1):
        return call.name("self")
    return [("slice", call.names("self"), {"dim": dim, "start": start, "stop": stop, "step": step}, call.shape)]


def _select(call: Call) -> Nodes:
    dim, x = call.dim(), call.input_shape()
    index = int(call["index"]) % x[dim]
    one = (*x[:dim], 1, *x[dim + 1 :])
    cut = ("slice", call.names("self"), {"dim": dim, "start": index, "stop": index + 1, "step": 1}, one)
    return [cut, ("reshape", ("",), {"shape": call.shape}, call.shape)]


def _index_select(call: Call) -> Nodes:
    return [("take", call.names("self"), {"dim": call.dim(), "index": call.integers("index")}, call.shape)]


def _reshape(call: Call) -> Nodes:
    return [("reshape", call.names("self"), {"shape": call.shape}, call.shape)]


def _permute(call: Call) -> Nodes:
    dims = tuple(int(d) % len(call.shape) for d in call["dims"])
    return [("permute", call.names("self"), {"dims": dims}, call.shape)]


def _transpose(call: Call) -> Nodes:
    dims = list(range(len(call.shape)))
    a, b = call.dim("dim0"), call.dim("dim1")
    dims[a], dims[b] = dims[b], dims[a]
    return [("permute", call.names("self"), {"dims": tuple(dims)}, call.shape)]


def _channel_shuffle(call: Call) -> Nodes:
    n, c, *rest = call.shape
    groups = int(call["groups"])
    split, mixed = (n, groups, c // groups, *rest), (n, c // groups, groups, *rest)
    order = (0, 2, 1, *range(3, len(split)))
    return [
        ("reshape", call.names("self"), {"shape": split}, split),
        ("permute", ("",), {"dims": order}, mixed),
        ("reshape", ("",), {"shape": call.shape}, call.shape),
    ]


def _resize(mode: str) -> Callable[[Call], Nodes]:
    def translate(call: Call) -> Nodes:
        source = "self" if call.has("self") else "input"
        x, out = call.input_shape(source), call.shape
        corners = bool(call.has("align_corners") and call["align_corners"])
        factors = call["scale_factors"] if call.has("scale_factors") else (call["scales_h"], call["scales_w"])
        steps = zip(x[2:], out[2:], factors or (None, None))
        scale = tuple(_input_step(size, size_out, factor, corners) for size, size_out, factor in steps)
        attrs = {"mode": mode, "align_corners": corners, "scale": scale, "size": out[2:]}
        return [("resize", call.names(source), attrs, out)]

    return translate


def _input_step(size: int, out: int, factor: float | None, corners: bool) -> float:
    """Input pixels for one output pixel, as torch computes it."""
    if corners:
        return (size - 1) / (out - 1) if out > 1 else 0.0
    return 1.0 / factor if factor else size / out


def _same(argument: str = "self") -> Callable[[Call], str]:
    return lambda call: call.name(argument)


CANONICAL: Mapping[str, Callable[[Call], Nodes | Constant | str]] = {
    "aten.conv2d": _conv,
    "aten.conv2d.padding": _conv,
    "aten.linear": _one("linear", "input", "weight", "bias"),
    "aten._native_batch_norm_legit_no_training": _batch_norm,
    "<built-in function getitem>": _getitem,
    "aten.max_pool2d": _max_pool,
    "aten.avg_pool2d": _avg_pool,
    "aten.adaptive_avg_pool2d": _adaptive("adaptive_avg_pool"),
    "aten._adaptive_avg_pool2d": _adaptive("adaptive_avg_pool"),
    "aten.adaptive_max_pool2d": _adaptive("adaptive_max_pool"),
    "aten.mean.dim": _mean,
    "aten.add.Tensor": _arithmetic("add"),
    "aten.add.Scalar": _arithmetic("add"),
    "aten.mul.Tensor": _arithmetic("mul"),
    "aten.mul.Scalar": _arithmetic("mul"),
    "aten.sub.Tensor": _arithmetic("add", np.negative),
    "aten.sub.Scalar": _arithmetic("add", np.negative),
    "aten.div.Tensor": _arithmetic("mul", np.reciprocal),
    "aten.div.Scalar": _arithmetic("mul", np.reciprocal),
    **{f"aten.{op}": _one(op, "self") for op in ACTIVATIONS if op != "leaky_relu"},
    "aten.clamp": _clamp,
    "aten.clamp_min": _clamp,
    "aten.hardtanh": _clamp,
    "aten.leaky_relu": _leaky_relu,
    "aten.softmax.int": _softmax,
    "aten._softmax": _softmax,
    "shufflekit.local_response_norm": _local_response_norm,
    "aten.cat": _concat,
    "aten.slice.Tensor": _slice,
    "aten.select.int": _select,
    "aten.index_select": _index_select,
    **{f"aten.{op}": _reshape for op in ("view", "_unsafe_view", "reshape", "flatten.using_ints")},
    **{f"aten.{op}": _reshape for op in ("squeeze", "squeeze.dim", "squeeze.dims", "unsqueeze")},
    "aten.permute": _permute,
    "aten.transpose.int": _transpose,
    "aten.channel_shuffle": _channel_shuffle,
    "aten.native_channel_shuffle": _channel_shuffle,
    "aten.upsample_nearest2d": _resize("nearest"),
    "aten.upsample_nearest2d.vec": _resize("nearest"),
    "aten.upsample_bilinear2d": _resize("bilinear"),
    "aten.upsample_bilinear2d.vec": _resize("bilinear"),
    **dict.fromkeys(_SPLITS, _same()),
    **{f"aten.{op}": _same() for op in ("clone", "contiguous", "alias", "detach", "lift_fresh_copy")},
    "aten.dropout": _same("input"),
}
