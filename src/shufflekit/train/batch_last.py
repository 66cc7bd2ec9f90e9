"""A training step on maps whose innermost axis is the batch: convolution, batch norm, residual sum and activation as one step.

Training small networks is bound by passes over memory. Here a network is called with a `Map` in place of its images. A map
stands for a tensor and puts off what is asked of it: a convolution waits for the batch norm behind it, that one for a
residual and an activation, a concatenation and a channel shuffle are lists of channels. What has come together then runs as
one native step (native/training/conv_norm.h), whose gradient is one step too. Anything else runs in PyTorch.
"""

from __future__ import annotations

import atexit
import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from shufflekit.errors import one_line

_native: Any
try:
    from shufflekit import _native
except ImportError:  # without the compiled part everything trains as PyTorch does
    _native = None

IMAGES = 16
"Batches are multiples of it: the widest vector."


def is_compiled() -> bool:
    """Whether the native part is there."""
    return _native is not None


class UnfitError(RuntimeError):
    """A network does something with its maps that cannot be put off."""


def plane_stride(n: int, h: int, w: int) -> int:
    """Floats from a channel of a map to the next: an odd number of cache lines.

    Planes are often of 2^k lines. Without a gap, all channels of a pixel would share a few places of each cache.
    """
    lines = n * h * w // IMAGES
    gap = 0 if lines % 2 else 17 if lines >= 128 else 1
    return (lines + gap) * IMAGES


def _strides(n: int, h: int, w: int) -> tuple[int, int, int, int]:
    return (1, plane_stride(n, h, w), w * n, n)


def is_batch_last(x: Tensor) -> bool:
    """Whether a tensor (N, C, H, W) lies as C planes, `plane_stride` apart, of H rows of W pixels of N images."""
    n, _, h, w = x.shape
    wanted = _strides(n, h, w)
    return all(size == 1 or stride == want for size, stride, want in zip(x.shape, x.stride(), wanted))


def to_batch_last(x: Tensor) -> Tensor:
    """The tensor itself where it lies so, else a copy that does.

    Example:
        >>> to_batch_last(torch.zeros(16, 3, 4, 4)).stride()
        (1, 272, 64, 16)
    """
    return x if is_batch_last(x) else _empty(*x.shape).copy_(x)


def _empty(n: int, c: int, h: int, w: int) -> Tensor:
    return torch.empty_strided((n, c, h, w), _strides(n, h, w))


@dataclass
class _Bounds:
    """The activation of a map; `masked_by_reader`: its one reader takes the gradient through it."""

    low: float = -math.inf
    high: float = math.inf
    masked_by_reader: bool = False

    @property
    def binds(self) -> bool:
        return self.low > -math.inf or self.high < math.inf


@lru_cache(maxsize=4096)
def _layer(shape: tuple[int, ...], order: tuple[int, ...]) -> Any:
    return _native.TrainingLayer(list(shape), list(order), "")


atexit.register(_layer.cache_clear)  # while the native module is still there


@dataclass
class _Settings:
    """What a step needs beside the tensors that have gradients."""

    layer: Any
    out_shape: tuple[int, int, int, int]
    moments: int
    "How many numbers they are, where no sums are kept."
    running_mean: Tensor | None
    running_var: Tensor | None
    epsilon: float
    momentum: float
    bounds: _Bounds
    x_bounds: _Bounds | None


def _address(x: Tensor | None) -> int:
    return 0 if x is None else x.data_ptr()


class _ConvNorm(Function):
    """One step; beside its result it returns its input, so that the gradients of all later readers come through it."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, gamma: Tensor, beta: Tensor, residual: Tensor | None, settings: _Settings
    ) -> tuple[Tensor, Tensor]:
        s = settings
        y = _empty(*s.out_shape)
        z = None if s.moments else _empty(*s.out_shape)
        moments = gamma.new_empty(s.moments) if s.moments else None
        mean, inverse = gamma.new_empty(2, gamma.numel())
        s.layer.forward(
            *map(_address, (x, weight, gamma, beta, residual, z, moments, y, mean, inverse, s.running_mean, s.running_var)),
            s.epsilon,
            s.momentum,
            s.bounds.low,
            s.bounds.high,
            torch.get_num_threads(),
        )
        ctx.save_for_backward(x, weight, gamma, beta, mean, inverse, z, moments, y)
        ctx.settings, ctx.has_residual = s, residual is not None
        ctx.set_materialize_grads(False)
        return y, x

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor | None, added: Tensor | None) -> tuple[Tensor | None, ...]:
        if dy is None:
            return (added, *[None] * 5)
        x, weight, gamma, beta, mean, inverse, z, moments, y = ctx.saved_tensors
        s: _Settings = ctx.settings
        dy = to_batch_last(dy)
        added = None if added is None else to_batch_last(added)
        wants_x, wants_weight, _, _, wants_residual, _ = ctx.needs_input_grad
        is_masked = s.bounds.binds and not s.bounds.masked_by_reader
        dx = _empty(*x.shape) if wants_x else None
        dweight = torch.empty(weight.shape) if wants_weight else None
        dgamma, dbeta = torch.empty_like(gamma), torch.empty_like(beta)
        dresidual = _empty(*dy.shape) if wants_residual and is_masked else None
        masks_x = s.x_bounds is not None
        x_bounds = s.x_bounds or _Bounds()
        mask = y if ctx.has_residual or moments is not None else None
        s.layer.backward(
            *map(_address, (x, weight, gamma, beta, mean, inverse, z, moments, mask, dy, added)),
            *map(_address, (dx, dweight, dgamma, dbeta, dresidual)),
            s.bounds.low,
            s.bounds.high,
            x_bounds.low,
            x_bounds.high,
            is_masked,
            masks_x,
            torch.get_num_threads(),
        )
        if wants_residual and not is_masked:
            dresidual = dy
        return dx, dweight, dgamma, dbeta, dresidual, None


def _planes(tensors: Sequence[Tensor]) -> list[int]:
    """The addresses of all channels of some maps."""
    found: list[int] = []
    for x in tensors:
        n, c, h, w = x.shape
        stride = 4 * plane_stride(n, h, w)
        found += range(x.data_ptr(), x.data_ptr() + c * stride, stride)
    return found


class _Gather(Function):
    """Maps that hold chosen channels of others, each exactly once: concatenation, shuffle and split in one copy."""

    @staticmethod
    def forward(ctx: Any, order: list[int], sizes: list[int], *tensors: Tensor) -> tuple[Tensor, ...]:
        n, _, h, w = tensors[0].shape
        ctx.order, ctx.sizes, ctx.channels = order, sizes, [x.shape[1] for x in tensors]
        ctx.set_materialize_grads(False)
        ctx.size = (n, h, w)
        results = [_empty(n, c, h, w) for c in sizes]
        planes = _planes(tensors)
        _native.copy_planes(_planes(results), [planes[c] for c in order], h * w * n)
        return tuple(results)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
        n, h, w = ctx.size
        if len(grads) == 1 and grads[0] is not None and ctx.order == _identity(len(ctx.order)):  # nothing but a concatenation
            return (None, None, *to_batch_last(grads[0]).split(ctx.channels, 1))
        filled = [_empty(n, c, h, w).zero_() if g is None else to_batch_last(g) for g, c in zip(grads, ctx.sizes, strict=True)]
        results = [_empty(n, c, h, w) for c in ctx.channels]
        planes = _planes(results)
        _native.copy_planes([planes[c] for c in ctx.order], _planes(filled), h * w * n)
        return (None, None, *results)


class _AveragePool(Function):
    """Zeros beyond the border count."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: Any) -> Tensor:
        ctx.layer, ctx.shape = layer, x.shape
        y = _empty(x.shape[0], x.shape[1], *layer.out_size)
        layer.mean(x.data_ptr(), y.data_ptr(), False, torch.get_num_threads())
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None]:
        dy, dx = to_batch_last(dy), _empty(*ctx.shape)
        ctx.layer.mean(dy.data_ptr(), dx.data_ptr(), True, torch.get_num_threads())
        return dx, None


class _GlobalMean(Function):
    """(N, C, H, W) to (N, C)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        n, c, h, w = ctx.shape = x.shape
        return x.permute(1, 2, 3, 0).reshape(c, h * w, n).mean(1).t().contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        n, c, h, w = ctx.shape
        dx = _empty(n, c, h, w)
        dx.permute(1, 2, 3, 0).copy_((dy / (h * w)).t().contiguous()[:, None, None])
        return dx


def _moments(channels: int, depth: int, groups: int) -> int:
    """How many moments stand in for the sums of a pointwise layer; none where sums are less work.

    Threads share the groups of a layer with moments.
    """
    rows = channels // groups
    is_less = rows >= depth if depth <= 16 else rows >= 4 * depth and depth <= 64
    return groups * depth * (depth + 1) if is_less and groups >= torch.get_num_threads() else 0


@dataclass
class _Part:
    """Some channels of a map: a tensor, or a step that has not run yet."""

    shape: tuple[int, int, int, int]
    value: Tensor | None = None
    bounds: _Bounds = field(default_factory=_Bounds)
    was_read: bool = False
    "By somebody who takes no gradients for others."
    was_convolved: bool = False
    source: Map | None = None
    convolution: tuple[Any, ...] = ()
    "weight, stride, padding, dilation, groups"
    norm: tuple[Any, ...] = ()
    "running_mean, running_var, weight, bias, momentum, eps"
    residual: Tensor | None = None

    @property
    def waits(self) -> bool:
        return self.value is None

    def tensor(self) -> Tensor:
        if self.value is None:
            self.value = self._run() if self.norm else self._convolve()
        return self.value

    def read(self) -> Tensor:
        value = self.tensor()
        self.was_read = True
        return value

    def activate(self, low: float, high: float) -> None:
        if self.bounds.low >= low and self.bounds.high <= high:
            return
        if self.was_read or self.was_convolved:
            raise UnfitError("an activation changes a map that was read before")
        if self.waits and self.norm and not self.bounds.binds:
            self.bounds = _Bounds(low, high)
            return
        x = self.tensor()
        self.value, self.bounds = to_batch_last(F.relu(x) if high == math.inf else F.hardtanh(x, low, high)), _Bounds()

    def _convolve(self) -> Tensor:
        weight, stride, padding, dilation, groups = self.convolution
        assert self.source is not None
        return to_batch_last(F.conv2d(self.source.tensor().contiguous(), weight, None, stride, padding, dilation, groups))

    def _run(self) -> Tensor:
        assert self.source is not None
        weight, stride, padding, dilation, groups = self.convolution
        running_mean, running_var, gamma, beta, momentum, epsilon = self.norm
        part, order = self.source.single()
        x = part.tensor()
        n, c, h, w = part.shape
        planes = (plane_stride(n, h, w), plane_stride(n, *self.shape[2:]))
        layer = _layer(
            (n, c, self.shape[1], groups, h, w, *weight.shape[2:], *stride, *padding, *dilation, *planes), tuple(order)
        )
        is_pointwise = weight.shape[2:] == (1, 1) and stride == (1, 1) and padding == (0, 0)
        reads_alone = part.bounds.binds and not part.was_read and x.requires_grad
        if reads_alone:
            part.bounds.masked_by_reader = True
        settings = _Settings(
            layer,
            self.shape,
            _moments(self.shape[1], weight.shape[1], groups) if is_pointwise else 0,
            running_mean,
            running_var,
            epsilon,
            momentum,
            self.bounds,
            part.bounds if reads_alone else None,
        )
        y, again = _ConvNorm.apply(x, weight, gamma, beta, self.residual, settings)
        # Whoever reads the input from now on reads `again`, so its gradient comes here and is added while dx is written.
        part.value = again
        if reads_alone:
            part.bounds = _Bounds(part.bounds.low, part.bounds.high)  # a second reader has nothing to mask
            part.was_read = True
        self.source, self.residual = None, None
        return y


def _identity(channels: int) -> list[int]:
    return list(range(channels))


class Map:
    """Stands for a tensor (N, C, H, W) of a network in training.

    Args:
        parts: whose channels follow each other.
        order: which of them are this map's, in its order; all by default.
    """

    def __init__(self, parts: list[_Part], order: list[int] | None = None) -> None:
        self._parts = parts
        self._order = _identity(sum(part.shape[1] for part in parts)) if order is None else order
        self._halves: dict[int, tuple[Map, Map]] = {}

    @classmethod
    def of(cls, x: Tensor) -> Map:
        """Of a tensor, float32 on the CPU."""
        if x.dtype != torch.float32 or x.device.type != "cpu" or x.dim() != 4 or x.shape[0] % IMAGES:
            raise UnfitError(f"a map is of {IMAGES} images or a multiple, float32 on the CPU, found {x.dtype} {tuple(x.shape)}")
        return cls([_Part((x.shape[0], x.shape[1], x.shape[2], x.shape[3]), to_batch_last(x))])

    @property
    def shape(self) -> torch.Size:
        n, _, h, w = self._parts[0].shape
        return torch.Size((n, len(self._order), h, w))

    @property
    def ndim(self) -> int:
        return 4

    def dim(self) -> int:
        return 4

    def size(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.shape[dim]

    def is_contiguous(self, **_: Any) -> bool:
        return True

    def single(self) -> tuple[_Part, list[int]]:
        """Its channels as one part, and their order."""
        if len(self._parts) > 1 or len(self._order) != self._parts[0].shape[1]:
            self._gather([len(self._order)])
        return self._parts[0], self._order

    def tensor(self) -> Tensor:
        """The tensor that it stands for, for a reader that knows nothing of maps."""
        _, order = self.single()
        if order != _identity(len(order)):
            self._gather([len(order)])
        return self._parts[0].read()

    def _gather(self, sizes: list[int]) -> list[_Part]:
        if len(set(self._order)) != sum(part.shape[1] for part in self._parts) or len(set(self._order)) != len(self._order):
            raise UnfitError("a map leaves channels out")
        n, _, h, w = self.shape
        found = _Gather.apply(self._order, sizes, *[part.read() for part in self._parts])
        parts = [_Part((n, c, h, w), x) for c, x in zip(sizes, found, strict=True)]
        self._parts, self._order = parts, _identity(sum(sizes))
        return parts

    def _split(self, at: int) -> tuple[Map, Map]:
        if at not in self._halves:
            left, right = self._gather([at, self.shape[1] - at])
            self._halves[at] = Map([left]), Map([right])
        return self._halves[at]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, tuple) and len(index) == 2 and index[0] == slice(None) and isinstance(index[1], slice):
            first, last, step = index[1].indices(self.shape[1])
            channels = self.shape[1]
            if step == 1 and 0 == first < last < channels:
                return self._split(last)[0]
            if step == 1 and 0 < first < last == channels:
                return self._split(first)[1]
        return _wrapped(self.tensor()[index])

    def view(self, *sizes: Any) -> Any:
        n, c, h, w = self.shape
        sizes = tuple(sizes[0]) if len(sizes) == 1 and not isinstance(sizes[0], int) else sizes
        if len(sizes) == 5 and (sizes[0], *sizes[3:]) == (n, h, w) and sizes[1] * sizes[2] == c:
            return _Grouped(self, sizes[1])
        return _wrapped(self.tensor().reshape(sizes))

    reshape = view

    def _plus(self, other: Any) -> Any:
        if isinstance(other, Map) and self._addable() is None:
            self, other = other, self
        mine = self._addable()
        if not isinstance(other, Map | Tensor) or other.shape != self.shape or mine is None or other is self:
            return _in_pytorch(torch.add, (self, other), {})
        mine.residual = other.tensor() if isinstance(other, Map) else to_batch_last(other)
        return Map([mine])

    def _addable(self) -> _Part | None:
        """Its only part, where that is a norm that still waits and that a residual can be added to."""
        part = self._parts[0]
        fits = len(self._parts) == 1 and part.waits and part.norm and part.residual is None and not part.bounds.binds
        return part if fits and self._order == _identity(part.shape[1]) else None

    __add__ = __radd__ = __iadd__ = _plus

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = getattr(Tensor, name)
        if not callable(found):
            return getattr(self.tensor(), name)
        if name.endswith("_"):
            raise UnfitError(f"{name} changes a map in place")
        return lambda *args, **kwargs: Map.__torch_function__(found, (), (self, *args), kwargs)

    @classmethod
    def __torch_function__(
        cls, function: Callable[..., Any], _types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        handler = _HANDLERS.get(function)
        kwargs = kwargs or {}
        if handler is not None:
            result = handler(*args, **kwargs)
            if result is not NotImplemented:
                return result
        return _in_pytorch(function, args, kwargs)


for _name in ("mul", "rmul", "sub", "rsub", "truediv", "neg", "pow", "gt", "lt"):

    def _operator(self: Map, *args: Any, _name: str = f"__{_name}__") -> Any:
        return _in_pytorch(getattr(Tensor, _name), (self, *args), {})

    setattr(Map, f"__{_name}__", _operator)


class _Grouped:
    """A map seen as (N, g, C/g, H, W): the first step of a channel shuffle."""

    def __init__(self, of: Map, groups: int, swapped: bool = False) -> None:
        self._map, self._groups, self._swapped = of, groups, swapped

    def transpose(self, first: int, second: int) -> Any:
        if {first, second} == {1, 2} and not self._swapped:
            return _Grouped(self._map, self._groups, True)
        return self._tensor().transpose(first, second)

    def reshape(self, *sizes: Any) -> Any:
        sizes = tuple(sizes[0]) if len(sizes) == 1 and not isinstance(sizes[0], int) else sizes
        if sizes != tuple(self._map.shape):
            return _wrapped(self._tensor().reshape(sizes))
        channels = len(self._map._order)
        if not self._swapped:
            return self._map
        each = channels // self._groups
        order = [self._map._order[g * each + c] for c in range(each) for g in range(self._groups)]
        return Map(self._map._parts, order)

    def _tensor(self) -> Tensor:
        n, c, h, w = self._map.shape
        x = self._map.tensor().reshape(n, self._groups, c // self._groups, h, w)
        return x.transpose(1, 2) if self._swapped else x

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tensor(), name)


def _wrapped(x: Any) -> Any:
    """A map again, where an operator returned one."""
    fits = isinstance(x, Tensor) and x.dim() == 4 and x.dtype == torch.float32 and x.shape[0] % IMAGES == 0
    return Map.of(x) if fits else x


def _plain(x: Any) -> Any:
    if isinstance(x, Map):
        return x.tensor()
    if isinstance(x, _Grouped):
        return x._tensor()
    return type(x)(map(_plain, x)) if type(x) in (list, tuple) else x


def _in_pytorch(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if getattr(function, "__name__", "").rstrip("_") != getattr(function, "__name__", "") and not function.__name__.startswith(
        "_"
    ):
        raise UnfitError(f"{function.__name__} changes a map in place")
    kwargs = {name: _plain(value) for name, value in kwargs.items() if name != "inplace"}
    result = function(*_plain(args), **kwargs)
    return type(result)(map(_wrapped, result)) if type(result) in (list, tuple) else _wrapped(result)


def _convolve(
    x: Any, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Any:
    if not isinstance(x, Map) or bias is not None or isinstance(padding, str) or x.shape[1] != weight.shape[1] * groups:
        return NotImplemented
    stride, padding, dilation = (_pair(v) for v in (stride, padding, dilation))
    n, _, *size = x.shape
    h, w = (
        (side + 2 * pad - step * (kernel - 1) - 1) // stride_ + 1
        for side, pad, step, kernel, stride_ in zip(size, padding, dilation, weight.shape[2:], stride, strict=True)
    )
    if h < 1 or w < 1 or weight.dtype != torch.float32 or not weight.is_contiguous():
        return NotImplemented
    part, _ = x.single()
    part.tensor()
    part.was_convolved = True
    source = Map(x._parts, x._order)
    return Map([_Part((n, weight.shape[0], h, w), source=source, convolution=(weight, stride, padding, dilation, groups))])


def _normalise(
    x: Any,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    if not isinstance(x, Map) or not training or weight is None or bias is None or len(x._parts) > 1:
        return NotImplemented
    part = x._parts[0]
    if not part.waits or part.norm or x._order != _identity(part.shape[1]):
        return NotImplemented
    n, _, h, w = part.shape
    tensors = [x for x in (running_mean, running_var, weight, bias) if x is not None]
    if n * h * w < 2 or any(x.dtype != torch.float32 or not x.is_contiguous() for x in tensors):
        return NotImplemented
    part.norm = (running_mean, running_var, weight, bias, momentum, eps)
    return Map([part])


def _activate(x: Any, low: float, high: float) -> Any:
    if not isinstance(x, Map):
        return NotImplemented
    for part in x._parts:
        part.activate(low, high)
    return x


def _relu(x: Any, **_: Any) -> Any:
    return _activate(x, 0.0, math.inf)


def _relu6(x: Any, **_: Any) -> Any:
    return _activate(x, 0.0, 6.0)


def _hardtanh(x: Any, min_val: float = -1.0, max_val: float = 1.0, **_: Any) -> Any:
    return _activate(x, min_val, max_val)


def _concatenate(tensors: Any, dim: int = 0) -> Any:
    if dim not in (1, -3):
        return NotImplemented
    maps = [x if isinstance(x, Map) else Map.of(x) for x in tensors]
    parts: list[_Part] = []
    order: list[int] = []
    for each in maps:
        start = sum(part.shape[1] for part in parts)
        if len(each._order) != sum(part.shape[1] for part in each._parts):
            return NotImplemented
        parts += each._parts
        order += [start + channel for channel in each._order]
    return Map(parts, order)


def _average_pool(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    kernel, stride, padding = (_pair(v) for v in (kernel_size, stride or kernel_size, padding))
    if kernel == (1, 1) or ceil_mode or not count_include_pad or divisor_override:
        return _pool(F.avg_pool2d)(x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    n, c, h, w = x.shape
    rows, columns = (
        (side + 2 * pad - k) // step + 1 for side, pad, k, step in zip((h, w), padding, kernel, stride, strict=True)
    )
    planes = (plane_stride(n, h, w), plane_stride(n, rows, columns))
    layer = _layer((n, c, c, c, h, w, *kernel, *stride, *padding, 1, 1, *planes), tuple(range(c)))
    return _pool(lambda planes: _AveragePool.apply(planes.transpose(0, 1), layer).transpose(0, 1))(x)


def _mean(x: Any, dim: Any = None, keepdim: bool = False, **others: Any) -> Any:
    if not isinstance(x, Map) or others or dim is None or sorted(d % 4 for d in _tuple(dim)) != [2, 3]:
        return NotImplemented
    found = _GlobalMean.apply(x.tensor())
    return Map.of(found[:, :, None, None]) if keepdim else found


def _tuple(values: Any) -> tuple[int, ...]:
    return tuple(values) if isinstance(values, Sequence) else (values,)


def _pair(values: Any) -> tuple[int, int]:
    return tuple(values) if isinstance(values, Sequence) else (values, values)


def _pool(function: Callable[..., Any]) -> Callable[..., Any]:
    """A pooling of a batch-last tensor (N, C, H, W): to PyTorch its transpose (C, N, H, W) is one in channels_last."""

    def pool(x: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(x, Map) or kwargs.get("return_indices"):
            return NotImplemented
        part, _ = x.single()
        bounds = _Bounds(part.bounds.low, part.bounds.high)
        result = Map.of(function(x.tensor().transpose(0, 1), *args, **kwargs).transpose(0, 1))
        if bounds.low >= 0:  # what is padded with zeros stays within bounds that hold zero
            result._parts[0].bounds = _Bounds(0.0, bounds.high)
            result._parts[0].was_read = True
        return result

    return pool


_HANDLERS: dict[Any, Callable[..., Any]] = {
    torch.conv2d: _convolve,
    F.batch_norm: _normalise,
    F.relu: _relu,
    torch.relu: _relu,
    F.relu6: _relu6,
    F.hardtanh: _hardtanh,
    torch.cat: _concatenate,
    F.avg_pool2d: _average_pool,
    torch.mean: _mean,
    Tensor.mean: _mean,
    F.max_pool2d: _pool(F.max_pool2d),
    torch.max_pool2d: _pool(torch.max_pool2d),
    torch.add: lambda x, other: x._plus(other) if isinstance(x, Map) else other._plus(x),
    Tensor.add: lambda x, other: x._plus(other) if isinstance(x, Map) else other._plus(x),
}


# Of a gradient and of a statistic. A right step is off by 0.02 %. But rounding can put a value at the corner of an activation
# on its other side, in PyTorch's own float32 as in ours: that moved gradients by up to 6 % in one trial of ten, and hence there
# are several. A mistake in what belongs together moves some gradient by 100 % in all of them.
_GRADIENT_OFF, _STATISTIC_OFF, _TRIALS = 0.02, 1e-3, 5
_ZERO = 1e-3  # of the largest gradient: below it a gradient is the noise of one that is zero


def reason_against(model: nn.Module, input_shape: tuple[int, ...], classes: int) -> str:
    """Why a network cannot train on maps, or nothing: then gradients and statistics of a trial step are PyTorch's.

    Args:
        model: copied; neither it nor the random numbers of the process change. Dropout is off meanwhile.
        input_shape: (N, C, H, W) of a training step; the trial takes 16 images.
        classes: of the labels.
    """
    if _native is None:
        return "the compiled part is missing"
    if input_shape[0] % IMAGES:
        return f"a batch must be a multiple of {IMAGES}, found {input_shape[0]}"
    generator = torch.Generator().manual_seed(0)
    off = ""
    for _ in range(_TRIALS):
        images = torch.randn((IMAGES, *input_shape[1:]), generator=generator)
        labels = torch.randint(classes, (IMAGES,), generator=generator)
        with torch.random.fork_rng():
            wanted_gradients, wanted_statistics = _step(model, images, labels)
            try:
                gradients, statistics = _step(model, Map.of(images), labels)
            except (RuntimeError, TypeError, ValueError, AttributeError) as error:
                return one_line(error)
        off = _difference(gradients, wanted_gradients, _GRADIENT_OFF)
        off = off or _difference(statistics, wanted_statistics, _STATISTIC_OFF)
        if not off:
            break
    return off


def _difference(found: dict[str, Tensor], wanted: dict[str, Tensor], most: float) -> str:
    """The first tensor that is off by more than a share of its size, in words."""
    if found.keys() != wanted.keys():
        return f"{min(found.keys() ^ wanted.keys())} has a gradient in one of both only"
    size = max((x.norm().item() / math.sqrt(x.numel()) for x in wanted.values()), default=0.0)
    for name, x in wanted.items():
        off = (found[name] - x).norm().item() / (x.norm().item() + _ZERO * size * math.sqrt(x.numel()))
        if not off <= most:
            return f"{name} is off by {100 * off:.2g} % in a trial step"
    return ""


def _step(model: nn.Module, images: Any, labels: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Gradients and buffers after a step of a copy."""
    network = copy.deepcopy(model).train()
    for module in network.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
    F.cross_entropy(network(images), labels).backward()
    gradients = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    return gradients, {name: buffer.float() for name, buffer in network.named_buffers()}
