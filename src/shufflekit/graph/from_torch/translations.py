"""What each operator of torch is called in a graph.

A translator takes a `Call` and returns the nodes that the operator becomes, or what it passes on as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from shufflekit.graph.graph import ACTIVATIONS
from shufflekit.graph.images import Images, RefusedError

Constant = NDArray[np.float32]
Step = tuple[str, tuple[str | int | Constant, ...], dict[str, Any], tuple[int, ...]]


@dataclass(frozen=True)
class Nodes:
    """What an operator becomes.

    Args:
        steps: (op, inputs, attrs, shape) of each node; an input is a name, an array, or the number of a step before.
        images: where the last one's images lie; by default dimension 0 counts them.
    """

    steps: Sequence[Step]
    images: Images | None = None


@dataclass(frozen=True)
class Same:
    """The value of another node of torch's graph."""

    node: fx.Node


class Known(Protocol):
    """What the capture has found out before."""

    def value(self, node: fx.Node) -> tuple[str, Images] | None:
        """Name and images of what is computed from the network's input; None where it is not."""

    def constant(self, node: fx.Node) -> Any:
        """A tensor or number that is computed from weights and numbers alone.

        Raises:
            RefusedError: it is not.
        """

    def keep(self, node: fx.Node) -> str:
        """The name under which the graph has a constant from now on."""


class Call:
    """The arguments of one operator, by the names of its schema."""

    def __init__(self, node: fx.Node, known: Known) -> None:
        self.node, self._known = node, known
        schema = getattr(node.target, "_schema", None)
        self._arguments: dict[str, Any] = {}
        if schema is not None:
            self._arguments = {argument.name: argument.default_value for argument in schema.arguments}
            self._arguments |= {argument.name: value for argument, value in zip(schema.arguments, node.args)}
            self._arguments |= node.kwargs

    def __getitem__(self, name: str) -> Any:
        """A number, list, string, constant tensor or None."""
        return fx.node.map_arg(self._arguments[name], self._known.constant)

    def has(self, argument: str) -> bool:
        """Whether the operator's schema has such an argument."""
        return argument in self._arguments

    def nodes(self, argument: str) -> list[fx.Node]:
        """A tensor, or those of a list."""
        found = self._arguments[argument]
        return [found] if isinstance(found, fx.Node) else list(found)

    def place(self, argument: str = "self", number: int = 0) -> tuple[str, Images]:
        """The value behind a tensor, and where its images lie."""
        found = self._known.value(self.nodes(argument)[number])
        if found is None:
            raise RefusedError(f"{argument} must be computed from the network's input, which a weight or constant is not")
        return found

    def name(self, argument: str = "self") -> str:
        """The value behind a tensor whose dimension 0 counts the images."""
        name, images = self.place(argument)
        if not images.is_first:
            raise RefusedError(f"dimension 0 must count the images of the batch and nothing else, found {images}")
        return name

    def weights(self, *arguments: str) -> tuple[str, ...]:
        """The constants behind tensors, absent ones left out."""
        return tuple(self._known.keep(self._arguments[each]) for each in arguments if self._arguments[each] is not None)

    def number(self, argument: str) -> torch.Tensor | None:
        """What does not depend on the network's input, as a tensor; None for what does."""
        found = self._arguments[argument]
        if isinstance(found, fx.Node) and self._known.value(found):
            return None
        return torch.as_tensor(self[argument])

    def sizes(self, argument: str) -> tuple[int, ...]:
        """Of an input, the batch taken as 1."""
        return sizes_of(self.nodes(argument)[0].meta["val"])[0]

    def is_off(self) -> bool:
        """Whether a dropout drops nothing."""
        return self.has("train") and (not self["train"] or self["p"] == 0)

    def of(self, node: fx.Node) -> Call:
        """Another operator's."""
        return Call(node, self._known)

    @property
    def output(self) -> Images:
        """Of the first output, where dimension 0 counts the images."""
        value = self.node.meta["val"]
        sizes, axis = sizes_of(value[0] if isinstance(value, tuple | list) else value)
        images = None if axis is None else Images(sizes, axis)
        if images is None or not images.is_first:
            raise RefusedError(f"dimension 0 of its result must count the images of the batch and nothing else, found {images}")
        return images

    @property
    def shape(self) -> tuple[int, ...]:
        return self.output.stored

    def dim(self, argument: str = "dim", x: str = "self") -> int:
        return int(self[argument]) % len(self.sizes(x))


def sizes_of(tensor: Any) -> tuple[tuple[int, ...], int | None]:
    """The sizes of a tensor, the batch taken as 1, and which dimension is a multiple of the batch.

    Raises:
        RefusedError: one depends on the batch in another way, or two do.
    """
    sizes: list[int] = []
    axis = None
    for dim, size in enumerate(tensor.shape):
        if not isinstance(size, torch.SymInt):
            sizes.append(size)
            continue
        expression = size.node.expr
        symbols = list(expression.free_symbols)
        count = expression / symbols[0] if len(symbols) == 1 else expression
        if not count.is_Integer or (symbols and axis is not None):
            shape = str(tuple(tensor.shape))
            for symbol in symbols:
                shape = shape.replace(str(symbol), "N")
            raise RefusedError(f"its result of shape {shape} does not keep the images of the batch apart")
        sizes.append(int(count))
        axis = dim if symbols else axis
    return tuple(sizes), axis


def _pair(value: Any) -> tuple[int, int]:
    values = [int(v) for v in (value if isinstance(value, Sequence) else [value])]
    return (values[0], values[-1])


def _each(op: str, **attrs: Any) -> Callable[[Call], Nodes]:
    """An operator that takes element by element, wherever the images lie."""
    return lambda call: _elementwise(call, op, attrs)


def _elementwise(call: Call, op: str, attrs: dict[str, Any]) -> Nodes:
    name, images = call.place("self")
    return Nodes([(op, (name,), attrs, images.stored)], images)


def _linear(call: Call) -> Nodes:
    return Nodes([("linear", (call.name("input"), *call.weights("weight", "bias")), {}, call.shape)])


def _conv(call: Call) -> Nodes:
    dilation, weight = _pair(call["dilation"]), call.sizes("weight")
    padding = call["padding"]
    if padding == "valid":
        padding = (0, 0)
    elif padding == "same":
        extents = [d * (k - 1) for d, k in zip(dilation, weight[2:])]
        if any(extent % 2 for extent in extents):
            raise RefusedError(f"padding 'same' needs odd kernels, found {weight[2:]}")
        padding = [extent // 2 for extent in extents]
    attrs = {"stride": _pair(call["stride"]), "padding": _pair(padding), "dilation": dilation, "groups": int(call["groups"])}
    return Nodes([("conv", (call.name("input"), *call.weights("weight", "bias")), attrs, call.shape)])


def _batch_norm(call: Call) -> Nodes:
    name, channels = call.name("input"), call.sizes("input")[1]
    if (call.has("training") and call["training"]) or call["running_mean"] is None:
        raise RefusedError("it must normalise by running statistics, not by those of the batch")
    weight = call.weights("weight") or (np.ones(channels, np.float32),)
    bias = call.weights("bias") or (np.zeros(channels, np.float32),)
    inputs = (name, *weight, *bias, *call.weights("running_mean", "running_var"))
    return Nodes([("batch_norm", inputs, {"eps": float(call["eps"])}, call.shape)])


_CHUNKS = ("chunk", "split.Tensor", "split.sizes", "split_with_sizes", "unsafe_chunk", "unsafe_split.Tensor", "unbind.int")
_SPLITS = tuple(f"aten.{op}" for op in _CHUNKS)


def _getitem(call: Call) -> Nodes | Same:
    source, index = call.node.args
    assert isinstance(source, fx.Node)
    assert isinstance(index, int)
    whole = call.of(source)
    if operator_of(source) not in _SPLITS:
        if index != 0:
            raise RefusedError("only an operator's first output can be used")
        return Same(source)
    dim, parts = whole.dim(), source.meta["val"]
    if operator_of(source) == "aten.unbind.int":
        return _selected(whole, dim, index)
    start, size = (sum(int(part.shape[dim]) for part in some) for some in (parts[:index], parts[index : index + 1]))
    return _sliced(whole, dim, slice(start, start + size, 1))


def _window(call: Call) -> dict[str, Any]:
    kernel = _pair(call["kernel_size"])
    attrs = {"kernel": kernel, "stride": _pair(call["stride"]) if call["stride"] else kernel, "padding": _pair(call["padding"])}
    return {**attrs, "ceil_mode": bool(call["ceil_mode"])}


def _max_pool(call: Call) -> Nodes:
    return Nodes([("max_pool", (call.name(),), {**_window(call), "dilation": _pair(call["dilation"])}, call.shape)])


def _avg_pool(call: Call) -> Nodes:
    if call["divisor_override"] is not None:
        raise RefusedError("divisor_override is not supported")
    attrs = {**_window(call), "count_include_pad": bool(call["count_include_pad"])}
    return Nodes([("avg_pool", (call.name(),), attrs, call.shape)])


def _adaptive(op: str) -> Callable[[Call], Nodes]:
    return lambda call: Nodes([(op, (call.name(),), {"output_size": _pair(call["output_size"])}, call.shape)])


def _mean(call: Call) -> Nodes:
    x = call.place()[1]
    dims = sorted(int(d) % len(x.sizes) for d in call["dim"] or range(len(x.sizes)))
    if len(x.sizes) != 4 or dims != [2, 3]:
        raise RefusedError(f"only the mean over height and width is supported, found dim={call['dim']} of {x}")
    pooled = (*x.stored[:2], 1, 1)
    steps: list[Step] = [("adaptive_avg_pool", (call.name(),), {"output_size": (1, 1)}, pooled)]
    return Nodes(steps if call["keepdim"] else [*steps, ("reshape", (0,), {"shape": call.shape}, call.shape)])


def _arithmetic(op: str, inverse: Callable[[torch.Tensor], torch.Tensor] | None = None) -> Callable[[Call], Nodes]:
    """add and mul; sub and div are their inverses with a constant."""

    def translate(call: Call) -> Nodes:
        a, b = call.number("self"), call.number("other")
        if call.has("alpha") and call["alpha"] != 1:
            raise RefusedError(f"alpha must be 1, found {call['alpha']}")
        if b is None and a is None:
            if inverse:
                raise RefusedError("of two computed tensors is not supported")
            return _of_two(call, op)
        if inverse and a is not None:
            raise RefusedError("with a constant on the left is not supported")
        constant, value = (b, "self") if b is not None else (a, "other")
        assert constant is not None
        return _scaled(call, op, value, inverse(constant.float()) if inverse else constant.float())

    return translate


def _of_two(call: Call, op: str) -> Nodes:
    (a, x), (b, y) = call.place("self"), call.place("other")
    if x == y:
        return Nodes([(op, (a, b), {}, x.stored)], x)
    if len(x.sizes) != len(y.sizes):
        raise RefusedError(f"of {x} and {y}: both must have as many dimensions")
    return Nodes([(op, (call.name("self"), call.name("other")), {}, call.shape)])


def _scaled(call: Call, op: str, value: str, constant: torch.Tensor) -> Nodes:
    """A sum or product with a constant is affine: one scale and one shift a channel."""
    name, x = call.place(value)
    shape = tuple(constant.shape)
    if len(shape) > len(x.sizes) or (shape and sizes_of(call.node.meta["val"])[0] != x.sizes):
        raise RefusedError(f"the constant of shape {shape} must not widen {x}")
    wide = constant.reshape((1,) * (len(x.sizes) - len(shape)) + shape)
    if any(size != 1 for axis, size in enumerate(wide.shape) if axis != 1 or not x.is_first):
        raise RefusedError(f"the constant must be one number, or one a channel, found shape {shape}")
    channels = x.stored[1] if len(x.stored) > 1 else 1
    each = np.broadcast_to(wide.reshape(-1).cpu().numpy(), (channels,)).astype(np.float32)
    scale, shift = (np.ones_like(each), each) if op == "add" else (each, np.zeros_like(each))
    return Nodes([("affine", (name, scale, shift), {}, x.stored)], x)


def _clamp(call: Call) -> Nodes:
    bounds = ("min", "max") if call.has("min") else ("min_val", "max_val")
    low, high = (call[bound] if call.has(bound) else None for bound in bounds)
    names: dict[Any, str] = {(0, None): "relu", (0, 6): "relu6"}
    op = names.get((low, high))
    if op is None:
        raise RefusedError(f"only the bounds of relu and relu6 are supported, found {low} and {high}")
    return _elementwise(call, op, {})


def _leaky_relu(call: Call) -> Nodes:
    return _elementwise(call, "leaky_relu", {"slope": float(call["negative_slope"])})


def _softmax(call: Call) -> Nodes:
    return Nodes([("softmax", (call.name(),), {"dim": call.dim()}, call.shape)])


def _local_response_norm(call: Call) -> Nodes:
    attrs = {"size": int(call["size"]), **{name: float(call[name]) for name in ("alpha", "beta", "k")}}
    return Nodes([("local_response_norm", (call.name("input"),), attrs, call.shape)])


def _concat(call: Call) -> Nodes:
    places = [call.place("tensors", number) for number in range(len(call.nodes("tensors")))]
    x = places[0][1]
    return _joined([name for name, _ in places], [images for _, images in places], int(call["dim"]) % len(x.sizes))


def _joined(names: Sequence[str | int], parts: Sequence[Images], dim: int, steps: Sequence[Step] = ()) -> Nodes:
    if len({(part.axis, part.outer, part.inner) for part in parts}) > 1:
        raise RefusedError(f"of {', '.join(map(str, parts))}: all must count the images of the batch in the same way")
    stored, x = parts[0].stored_dim(dim), parts[0]
    images = Images((*x.sizes[:dim], sum(part.sizes[dim] for part in parts), *x.sizes[dim + 1 :]), x.axis, x.outer)
    return Nodes([*steps, ("concat", tuple(names), {"dim": stored}, images.stored)], images)


def _stack(call: Call) -> Nodes:
    places = [call.place("tensors", number) for number in range(len(call.nodes("tensors")))]
    dim = int(call["dim"]) % (len(places[0][1].sizes) + 1)
    parts = [images.unsqueezed(dim) for _, images in places]
    steps: list[Step] = [
        ("reshape", (name,), {"shape": part.stored}, part.stored) for (name, _), part in zip(places, parts, strict=True)
    ]
    return _joined(range(len(steps)), parts, dim, steps)


def _slice(call: Call) -> Nodes | Same:
    return _sliced(call, call.dim(), slice(call["start"], call["end"], int(call["step"])))


def _sliced(call: Call, dim: int, part: slice) -> Nodes | Same:
    name, x = call.place()
    size = x.sizes[dim]
    if part.step == 1 and part.start in (None, 0) and (part.stop is None or part.stop >= (2**31 if dim == x.axis else size)):
        return Same(call.nodes("self")[0])
    stored = x.stored_dim(dim)
    start, stop, step = part.indices(size)
    images = Images((*x.sizes[:dim], len(range(start, stop, step)), *x.sizes[dim + 1 :]), x.axis, x.outer)
    return Nodes([("slice", (name,), {"dim": stored, "start": start, "stop": stop, "step": step}, images.stored)], images)


def _select(call: Call) -> Nodes:
    return _selected(call, call.dim(), int(call["index"]))


def _selected(call: Call, dim: int, index: int) -> Nodes:
    name, x = call.place()
    stored, index = x.stored_dim(dim), index % x.sizes[dim]
    one = Images((*x.sizes[:dim], 1, *x.sizes[dim + 1 :]), x.axis, x.outer)
    images = one.squeezed(dim)
    return Nodes(
        [
            ("slice", (name,), {"dim": stored, "start": index, "stop": index + 1, "step": 1}, one.stored),
            ("reshape", (0,), {"shape": images.stored}, images.stored),
        ],
        images,
    )


def _index_select(call: Call) -> Nodes:
    return _taken(call, call.dim(), call["index"])


def _index(call: Call) -> Nodes:
    found = {dim: index for dim, index in enumerate(call["indices"]) if index is not None}
    if len(found) != 1:
        raise RefusedError(f"an index in one dimension is supported, found {len(found)}")
    return _taken(call, *next(iter(found.items())))


def _taken(call: Call, dim: int, index: torch.Tensor) -> Nodes:
    name, x = call.place()
    if index.ndim != 1 or index.dtype not in (torch.int64, torch.int32):
        raise RefusedError(f"an index must be a list of whole numbers, found {index.dtype} of shape {tuple(index.shape)}")
    numbers = tuple(int(number) % x.sizes[dim] for number in index.tolist())
    images = Images((*x.sizes[:dim], len(numbers), *x.sizes[dim + 1 :]), x.axis, x.outer)
    return Nodes([("take", (name,), {"dim": x.stored_dim(dim), "index": numbers}, images.stored)], images)


def _reshape(call: Call) -> Nodes:
    name, x = call.place()
    sizes, axis = sizes_of(call.node.meta["val"])
    if axis is None:
        raise RefusedError("its result has no dimension that counts the images of the batch")
    images = x.reshaped(sizes, axis)
    return Nodes([("reshape", (name,), {"shape": images.stored}, images.stored)], images)


def _permute(call: Call) -> Nodes:
    return _permuted(call, [int(d) for d in call["dims"]])


def _transpose(call: Call) -> Nodes:
    dims = list(range(len(call.sizes("self"))))
    a, b = call.dim("dim0"), call.dim("dim1")
    dims[a], dims[b] = dims[b], dims[a]
    return _permuted(call, dims)


def _permuted(call: Call, dims: Sequence[int]) -> Nodes:
    name, x = call.place()
    dims = [d % len(x.sizes) for d in dims]
    images = x.permuted(dims)
    return Nodes([("permute", (name,), {"dims": x.stored_order(dims)}, images.stored)], images)


def _channel_shuffle(call: Call) -> Nodes:
    n, c, *rest = call.shape
    groups = int(call["groups"])
    split, mixed = (n, groups, c // groups, *rest), (n, c // groups, groups, *rest)
    order = (0, 2, 1, *range(3, len(split)))
    return Nodes(
        [
            ("reshape", (call.name(),), {"shape": split}, split),
            ("permute", (0,), {"dims": order}, mixed),
            ("reshape", (1,), {"shape": call.shape}, call.shape),
        ]
    )


def _resize(mode: str) -> Callable[[Call], Nodes]:
    def translate(call: Call) -> Nodes:
        source = "self" if call.has("self") else "input"
        x, out = call.sizes(source), call.shape
        corners = bool(call.has("align_corners") and call["align_corners"])
        factors = call["scale_factors"] if call.has("scale_factors") else (call["scales_h"], call["scales_w"])
        scale = input_steps(mode, x[2:], out[2:], factors, corners)
        attrs = {"mode": mode, "align_corners": corners, "scale": scale, "size": out[2:]}
        return Nodes([("resize", (call.name(source),), attrs, out)])

    return translate


def input_steps(
    mode: str, sizes: Sequence[int], out: Sequence[int], factors: Sequence[float | None] | None, corners: bool
) -> tuple[float, ...]:
    """Input pixels for one output pixel, down and across, as torch computes them from the factors or else from the sizes."""
    if corners:
        return tuple((a - 1) / (b - 1) if b > 1 else 0.0 for a, b in zip(sizes, out))
    # Whatever the factor, bilinear copies where a size stays; nearest copies and doubles in torch's kernel for small outputs.
    exact = {"bilinear": (1,), "nearest": (1, 2) if sum(out) <= 128 else ()}[mode]
    given = [None if b in [k * a for k in exact] else f for a, b, f in zip(sizes, out, factors or (None, None))]
    return tuple(1.0 / f if f else a / b for a, b, f in zip(sizes, out, given))


def _same(argument: str = "self") -> Callable[[Call], Same]:
    return lambda call: Same(call.nodes(argument)[0])


def _dropout(call: Call) -> Same:
    if not call.is_off():
        raise RefusedError("it drops at random, in evaluation too")
    return Same(call.nodes("input")[0])


CANONICAL: Mapping[str, Callable[[Call], Nodes | Same]] = {
    "aten.conv2d": _conv,
    "aten.conv2d.padding": _conv,
    "aten.linear": _linear,
    "aten.batch_norm": _batch_norm,
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
    "aten.sub.Tensor": _arithmetic("add", torch.neg),
    "aten.sub.Scalar": _arithmetic("add", torch.neg),
    "aten.div.Tensor": _arithmetic("mul", torch.reciprocal),
    "aten.div.Scalar": _arithmetic("mul", torch.reciprocal),
    **{f"aten.{op}": _each(op) for op in ACTIVATIONS if op != "leaky_relu"},
    "aten.clamp": _clamp,
    "aten.clamp_min": _clamp,
    "aten.hardtanh": _clamp,
    "aten.leaky_relu": _leaky_relu,
    "aten.softmax.int": _softmax,
    "aten._softmax": _softmax,
    "shufflekit.local_response_norm": _local_response_norm,
    "aten.cat": _concat,
    "aten.stack": _stack,
    "aten.slice.Tensor": _slice,
    "aten.select.int": _select,
    "aten.index_select": _index_select,
    "aten.index.Tensor": _index,
    **{f"aten.{op}": _reshape for op in ("view", "_unsafe_view", "reshape", "flatten.using_ints", "view_as", "reshape_as")},
    **{f"aten.{op}": _reshape for op in ("squeeze", "squeeze.dim", "squeeze.dims", "unsqueeze", "unflatten.int")},
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
    # Casts: a result of another type is refused before.
    **{f"aten.{op}": _same() for op in ("to.dtype", "to.dtype_layout", "to.device", "to.other", "type_as", "_to_copy")},
    **{f"aten.{op}": _dropout for op in ("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout")},
}

# What computes a tensor of its own, which nothing else can be a view of.
FRESH = (
    *(
        f"aten.{op}"
        for op in ("conv2d", "conv2d.padding", "linear", "batch_norm", "max_pool2d", "avg_pool2d", "mean.dim", "cat")
    ),
    *(f"aten.{op}.Tensor" for op in ("add", "sub", "mul", "div")),
    *(f"aten.{op}" for op in (*ACTIVATIONS, "clamp", "clamp_min", "hardtanh")),
    "aten.adaptive_avg_pool2d",
)


def operator_of(node: fx.Node) -> str:
    """The name in `CANONICAL`; one in place is called as the one that is not."""
    name = str(node.target).removesuffix(".default")
    if not is_in_place(node):
        return name
    namespace, operator, *overload = name.split(".")
    return ".".join([namespace, operator.removesuffix("_"), *overload])


def is_in_place(node: fx.Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    return schema is not None and bool(schema.is_mutable)
