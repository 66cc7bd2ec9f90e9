"""The kernels of the engine: one record each, of what a step computes and all that is asked of it.

Lowering makes these records; building, the file, the printed plan, prices and profiles read them. `native/kernels` has a folder
of the same name for each, with the arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

Activation = Literal[
    "none", "relu", "relu6", "clamp", "hardswish", "hardsigmoid", "sigmoid", "silu", "leaky_relu", "tanh", "gelu", "gelu_tanh",
    "elu", "selu", "mish", "softplus", "log_sigmoid", "threshold", "exp", "log", "sqrt", "rsqrt", "reciprocal",
    "square", "power", "abs", "erf", "floor", "ceil", "round", "prelu",
]  # fmt: skip
Pooling = Literal["maximum", "average", "adaptive_average", "adaptive_maximum"]
Operation = Literal[
    "add", "subtract", "multiply", "divide", "minimum", "maximum", "power", "equal", "less", "at_most", "keep", "drop",
]  # fmt: skip
UnaryFunction = Literal["sin", "cos", "sign"]
Sampling = Literal["nearest", "linear", "cubic"]
Outside = Literal["zeros", "border", "reflection"]
Cell = Literal["lstm", "gru", "gru_reset_first"]
Reduction = Literal["sum", "sum_of_sizes", "sum_of_squares", "maximum", "minimum", "product"]
Resizing = Literal["nearest", "bilinear", "bilinear_corners"]

WIDE = 16  # pixels: a row that fills the widest vector
DIGITS = 8  # of a gather at most (native/kernels/gather/gather.h)
PANEL = 8  # rows of the GEMM's weights that lie together (native/kernels/gemm/gemm.h)
INT8_PANEL = 4  # and of that of bytes, as many as operands (native/kernels/gemm_int8/gemm_int8.h)
LANES = 16  # channels whose depthwise weights lie together (native/kernels/depthwise/depthwise.h)
WINOGRAD_ROWS = 16  # output channels whose weights lie together (native/kernels/convolution/convolution.h)


@dataclass(frozen=True)
class Window:
    """Windows that slide over a plane; padding on the right and below follows from the output's size.

    Example:
        >>> halves = Window(8, 6, 4, 3, kernel_y=2, kernel_x=2, stride_y=2, stride_x=2, pad_y=0, pad_x=0)
        >>> halves.taps, halves.in_plane, halves.out_plane
        (4, (8, 6), (4, 3))
    """

    in_height: int
    in_width: int
    out_height: int
    out_width: int
    kernel_y: int = 1
    kernel_x: int = 1
    stride_y: int = 1
    stride_x: int = 1
    pad_y: int = 0
    pad_x: int = 0
    dilation_y: int = 1
    dilation_x: int = 1

    @property
    def in_plane(self) -> tuple[int, int]:
        return self.in_height, self.in_width

    @property
    def out_plane(self) -> tuple[int, int]:
        return self.out_height, self.out_width

    @property
    def kernel(self) -> tuple[int, int]:
        return self.kernel_y, self.kernel_x

    @property
    def stride(self) -> tuple[int, int]:
        return self.stride_y, self.stride_x

    @property
    def padding(self) -> tuple[int, int]:
        return self.pad_y, self.pad_x

    @property
    def dilation(self) -> tuple[int, int]:
        return self.dilation_y, self.dilation_x

    @property
    def taps(self) -> int:
        return self.kernel_y * self.kernel_x

    @property
    def pixels(self) -> int:
        """Of a plane of the output."""
        return self.out_height * self.out_width


@dataclass(frozen=True)
class Kernel:
    """What one kernel computes; the planes and weights are the step's.

    A class says which tables of planes its steps read, the main one first and those that may be missing last, and which
    weights they have.
    """

    kernel: ClassVar[str]
    reads: ClassVar[tuple[str, ...]] = ("in",)
    may_read: ClassVar[tuple[str, ...]] = ()
    weights: ClassVar[tuple[str, ...]] = ()
    takes_input: ClassVar[bool] = False  # reads planes that are not padded: the network's input where it lies
    element: ClassVar[int] = 4  # bytes of one that it writes
    multiplies_bytes: ClassVar[bool] = False

    @property
    def in_shape(self) -> tuple[int, ...]:
        """(C, H, W) of what it reads; (C, pixels) where it does not know of rows."""
        raise NotImplementedError

    @property
    def out_shape(self) -> tuple[int, ...]:
        """The same of what it writes."""
        return self.in_shape

    @property
    def planes_read(self) -> int:
        """Planes of the main table."""
        return self.in_shape[0]

    @property
    def planes_written(self) -> int:
        """Planes."""
        return self.out_shape[0]

    def planes_of(self, table: str) -> int:
        """Of a table that it reads."""
        return self.planes_written if table in self.may_read else self.planes_read

    def pixels_read(self, table: str) -> int:
        """Of each plane of a table."""
        return math.prod((self.out_shape if table in self.may_read else self.in_shape)[1:])

    @property
    def pixels_written(self) -> int:
        """Of each plane."""
        return math.prod(self.out_shape[1:])

    @property
    def maps(self) -> tuple[int, ...]:
        """Elements of each tensor that it reads or writes."""
        return (*(self.planes_of(table) * self.pixels_read(table) for table in self.reads), math.prod(self.out_shape))

    @property
    def own_weights(self) -> tuple[str, ...]:
        """Names of the weights of this step: of some activations too."""
        return (*self.weights, *(("slopes",) if getattr(self, "activation", "none") == "prelu" else ()))

    @property
    def copies(self) -> float:
        """Elements that it moves besides, in the caches."""
        return 0.0

    @property
    def flops(self) -> int:
        """Multiply-adds of one image."""
        return 0

    @property
    def params(self) -> int:
        """Elements of weights and biases, before they are packed."""
        return 0

    @property
    def family(self) -> str:
        """What is computed by the same code and so has one surface of the cost model."""
        return self.kernel

    def features(self, lanes: int, has_residual: bool) -> tuple[float, ...]:
        """Sizes in octaves, for the cost model: `lanes` are those of this machine's vectors."""
        raise NotImplementedError

    @property
    def _between(self) -> str:
        """Of the text: a window's size."""
        return ""

    @property
    def _remark(self) -> str:
        """Of the text: what comes last."""
        return ""

    def __str__(self) -> str:
        if len(self.in_shape) == 2:
            return f"{self.in_shape[0]} -> {self.out_shape[0]}, {self.in_shape[1]} pixels{self._remark}"
        return f"{_times(self.in_shape)} ->{self._between} {_times(self.out_shape)}{self._remark}"


@dataclass(frozen=True)
class _Product(Kernel):
    """Of `rows` x `depth` numbers and `depth` planes in each group."""

    groups: int
    rows: int
    depth: int
    pixels: int

    @property
    def in_shape(self) -> tuple[int, ...]:
        return self.groups * self.depth, self.pixels

    @property
    def out_shape(self) -> tuple[int, ...]:
        return self.groups * self.rows, self.pixels

    @property
    def flops(self) -> int:
        return self.groups * self.rows * self.depth * self.pixels

    @property
    def params(self) -> int:
        return self.groups * self.rows * (self.depth + 1)

    @property
    def _remark(self) -> str:
        return _groups(self.groups)


@dataclass(frozen=True)
class Gemm(_Product):
    """Pointwise convolutions, grouped or not, and linear layers, whose planes have one pixel.

    Example:
        >>> print(Gemm(groups=2, rows=4, depth=6, pixels=100, activation="relu", alpha=0.0, beta=0.0))
        12 -> 8, 100 pixels, 2 groups
    """

    activation: Activation
    alpha: float
    beta: float

    kernel = "gemm"
    may_read: ClassVar[tuple[str, ...]] = ("residual",)
    weights: ClassVar[tuple[str, ...]] = ("weights", "bias")

    @property
    def family(self) -> str:
        return "gemm" if self.pixels > 1 else "linear"

    def features(self, lanes: int, has_residual: bool) -> tuple[float, ...]:
        sizes = (octaves(self.pixels), octaves(self.depth), octaves(self.rows), octaves(self.groups))
        return (*sizes, waste(self.pixels, lanes), waste(self.rows, PANEL), float(has_residual))


@dataclass(frozen=True)
class AffineGemm(Gemm):
    """A scale, a shift and bounds for each plane of more than one pixel, and the pointwise convolution that alone reads them.

    Example:
        >>> print(AffineGemm(1, rows=4, depth=6, pixels=100, activation="relu", alpha=0.0, beta=0.0, affine_activation="relu"))
        6 -> 4, 100 pixels, scaled first
    """

    affine_activation: Activation

    kernel = "affine_gemm"
    weights = ("weights", "bias", "scale", "shift")
    takes_input = True

    @property
    def is_computed(self) -> bool:
        """Whether the kernel takes these planes and this activation."""
        return self.pixels > 1 and self.affine_activation in ("none", "relu", "relu6")

    @property
    def copies(self) -> float:
        return self.groups * self.depth * self.pixels

    @property
    def params(self) -> int:
        return super().params + 2 * self.groups * self.depth

    @property
    def _remark(self) -> str:
        return f"{super()._remark}, scaled first"


@dataclass(frozen=True)
class GatedGemm(Gemm):
    """A pointwise convolution whose planes have a computed factor each, as squeeze-and-excite makes them: weights are scaled.

    Example:
        >>> print(GatedGemm(1, rows=4, depth=6, pixels=100, activation="none", alpha=0.0, beta=0.0))
        6 -> 4, 100 pixels, gated
    """

    kernel = "gated_gemm"
    reads = ("in", "gate")

    def pixels_read(self, table: str) -> int:
        return 1 if table == "gate" else super().pixels_read(table)

    @property
    def copies(self) -> float:
        return 2 * self.params

    @property
    def _remark(self) -> str:
        return f"{super()._remark}, gated"


@dataclass(frozen=True)
class MatMul(_Product):
    """A product of two computed matrices in each group: a pointwise convolution whose weights are planes, times `scale`.

    Example:
        >>> scores = MatMul(4, rows=49, depth=32, pixels=49, a_is_across=True, scale=0.2, activation="none", alpha=0, beta=0)
        >>> print(scores, scores.flops)
        128 -> 196, 49 pixels, 4 groups 307328
    """

    a_is_across: bool
    scale: float
    activation: Activation
    alpha: float
    beta: float

    kernel = "matmul"
    reads = ("in", "a")
    may_read: ClassVar[tuple[str, ...]] = ("residual",)

    def planes_of(self, table: str) -> int:
        if table == "a" and not self.a_is_across:
            return self.planes_written
        return super().planes_of(table)

    def pixels_read(self, table: str) -> int:
        if table == "a":
            return self.rows if self.a_is_across else self.depth
        return super().pixels_read(table)

    @property
    def copies(self) -> float:
        return self.groups * self.rows * self.depth  # packed

    @property
    def params(self) -> int:
        return 0

    def features(self, lanes: int, has_residual: bool) -> tuple[float, ...]:  # makes no difference
        return octaves(self.pixels), octaves(self.depth), octaves(self.rows), octaves(self.groups)


@dataclass(frozen=True)
class _Convolved(Kernel):
    """A convolution with any window; `in_channels` is that of one group."""

    rows: int
    in_channels: int
    window: Window

    groups = 1  # where it is no field

    @property
    def in_shape(self) -> tuple[int, ...]:
        return self.groups * self.in_channels, *self.window.in_plane

    @property
    def out_shape(self) -> tuple[int, ...]:
        return self.groups * self.rows, *self.window.out_plane

    @property
    def depth(self) -> int:
        """Terms of a sum."""
        return self.in_channels * self.window.taps

    @property
    def flops(self) -> int:
        return self.groups * self.rows * self.depth * self.window.pixels

    @property
    def params(self) -> int:
        return self.groups * self.rows * (self.depth + 1)

    @property
    def _octaves(self) -> tuple[float, ...]:
        w = self.window
        sizes = (octaves(w.pixels), octaves(self.in_channels), octaves(self.rows), octaves(self.groups))
        return (*sizes, octaves(w.taps), octaves(w.stride_y), octaves(w.out_width))

    @property
    def _between(self) -> str:
        return f" {_times(self.window.kernel)}"

    @property
    def _remark(self) -> str:
        return _groups(self.groups)


@dataclass(frozen=True)
class _Dense(_Convolved):
    """Of float32."""

    activation: Activation
    alpha: float
    beta: float

    weights = ("weights", "bias")
    takes_input = True

    def features(self, lanes: int, has_residual: bool) -> tuple[float, ...]:  # makes no difference
        return (*self._octaves, waste(self.window.out_width, lanes))


@dataclass(frozen=True)
class Convolution(_Dense):
    """Dense or grouped."""

    groups: int = 1

    kernel = "convolution"
    may_read: ClassVar[tuple[str, ...]] = ("residual",)


@dataclass(frozen=True)
class ConvolutionPool(_Dense):
    """A convolution of one group and its 3x3 max pooling of stride 2, row by row."""

    pool_window: Window

    kernel = "convolution_pool"

    @property
    def is_computed(self) -> bool:
        """Whether the kernel takes these windows."""
        pool, conv = self.pool_window, self.window
        is_3x3 = pool.kernel == (3, 3) and pool.stride == (2, 2) and pool.padding == pool.dilation == (1, 1)
        halves = pool.out_plane == ((pool.in_height + 1) // 2, (pool.in_width + 1) // 2)
        return is_3x3 and halves and pool.in_plane == conv.out_plane and conv.out_width >= WIDE

    @property
    def out_shape(self) -> tuple[int, ...]:
        return self.rows, *self.pool_window.out_plane

    @property
    def _remark(self) -> str:
        return ", pooled 3x3"


@dataclass(frozen=True)
class _Windowed(Kernel):
    """Channel by channel, with a window."""

    channels: int
    window: Window

    @property
    def in_shape(self) -> tuple[int, ...]:
        return self.channels, *self.window.in_plane

    @property
    def out_shape(self) -> tuple[int, ...]:
        return self.channels, *self.window.out_plane

    @property
    def _between(self) -> str:
        return f" {_times(self.window.kernel)}"


@dataclass(frozen=True)
class _Filter(_Windowed):
    """A filter for each channel."""

    may_read: ClassVar[tuple[str, ...]] = ("residual",)

    @property
    def flops(self) -> int:
        return self.channels * self.window.taps * self.window.pixels

    @property
    def params(self) -> int:
        return self.channels * (self.window.taps + 1)

    def features(self, lanes: int, has_residual: bool) -> tuple[float, ...]:
        w = self.window
        sizes = (octaves(w.pixels), octaves(self.channels), octaves(w.taps), octaves(w.stride_y))
        return (*sizes, waste(w.out_width, lanes), float(has_residual))


@dataclass(frozen=True)
class Depthwise(_Filter):
    """One filter a channel."""

    activation: Activation
    alpha: float
    beta: float

    kernel = "depthwise"
    weights = ("weights", "bias")


@dataclass(frozen=True)
class PointwiseDepthwise(Kernel):
    """A pointwise convolution of one group and the 3x3 depthwise one behind it, a few rows at a time."""

    rows: int
    depth: int
    window: Window
    activation: Activation
    alpha: float
    beta: float
    depthwise_activation: Activation

    kernel = "pointwise_depthwise"
    groups: ClassVar[int] = 1
    weights = ("weights", "bias", "depthwise_weights", "depthwise_bias")

    @property
    def is_computed(self) -> bool:
        """Whether the kernel takes this window and these activations."""
        w = self.window
        slides = w.kernel == (3, 3) and w.padding == w.dilation == (1, 1) and w.stride in ((1, 1), (2, 2))
        inside = (w.out_width - 1) * w.stride_x < w.in_width and (w.out_height - 1) * w.stride_y < w.in_height
        bounds = {"none", "relu", "relu6"} >= {self.activation, self.depthwise_activation}
        return slides and inside and bounds and w.out_width >= WIDE

    @property
    def copies(self) -> float:
        # The map between, written and read, and two of eight rows moved on to the next.
        return 2.25 * self.rows * math.prod(self.window.in_plane)

    @property
    def in_shape(self) -> tuple[int, ...]:
        return self.depth, *self.window.in_plane

    @property
    def out_shape(self) -> tuple[int, ...]:
        return self.rows, *self.window.out_plane

    @property
    def flops(self) -> int:
        return self.rows * (self.depth * math.prod(self.window.in_plane) + self.window.taps * self.window.pixels)

    @property
    def params(self) -> int:
        return self.rows * (self.depth + 1 + self.window.taps + 1)

    def features(self, lanes: int, has_residual: bool) -> tuple[float, ...]:  # has neither
        return octaves(self.window.pixels), octaves(self.depth), octaves(self.rows), octaves(self.window.stride_y)

    @property
    def _between(self) -> str:
        return f" {_times(self.window.kernel)}"

    @property
    def _remark(self) -> str:
        return ", pointwise first"


@dataclass(frozen=True)
class GemmInt8(_Product):
    """As `Gemm`, of bytes."""

    kernel = "gemm_int8"
    multiplies_bytes = True
    element = 1
    may_read: ClassVar[tuple[str, ...]] = ("residual",)
    weights = ("weights", "ends")

    @property
    def family(self) -> str:
        return "gemm of bytes" if self.pixels > 1 else "linear of bytes"

    def features(self, lanes: int, has_residual: bool) -> tuple[float, ...]:
        sizes = (octaves(self.pixels), octaves(self.depth), octaves(self.rows), octaves(self.groups))
        return (*sizes, waste(self.pixels, lanes), float(has_residual))


@dataclass(frozen=True)
class GemmInt8Float(Gemm):
    """As `Gemm`, of bytes, but its result and its activation are float32."""

    kernel = "gemm_int8_float"
    multiplies_bytes = True
    may_read: ClassVar[tuple[str, ...]] = ()
    weights = ("weights", "ends")

    @property
    def family(self) -> str:
        return "gemm of bytes to floats" if self.pixels > 1 else "linear of bytes to floats"


@dataclass(frozen=True)
class DepthwiseInt8(_Filter):
    """As `Depthwise`, of bytes."""

    kernel = "depthwise_int8"
    multiplies_bytes = True
    element = 1
    weights = ("weights", "fill", "ends")


@dataclass(frozen=True)
class ConvolutionInt8(_Convolved):
    """As `Convolution`, of bytes."""

    groups: int = 1

    kernel = "convolution_int8"
    multiplies_bytes = True
    element = 1
    may_read: ClassVar[tuple[str, ...]] = ("residual",)
    weights = ("weights", "fill", "ends")

    def features(self, lanes: int, has_residual: bool) -> tuple[float, ...]:
        return (*self._octaves, float(has_residual))


@dataclass(frozen=True)
class MaxPoolInt8(_Windowed):
    """Maximum of sliding windows of bytes."""

    kernel = "max_pool_int8"
    element = 1

    def features(self, lanes: int, has_residual: bool) -> tuple[float, ...]:  # has none
        w = self.window
        return octaves(math.prod(w.in_plane)), octaves(w.pixels), octaves(self.channels), octaves(w.taps)


@dataclass(frozen=True)
class Pool(_Windowed):
    """Maximum or average of sliding or adaptive windows."""

    pooling: Pooling
    count_padding: bool
    activation: Activation
    alpha: float
    beta: float
    behind_y: int = 0  # padding below that counts, and on the right
    behind_x: int = 0

    kernel = "pool"
    takes_input = True

    @property
    def _is_adaptive(self) -> bool:
        return self.pooling.startswith("adaptive")

    @property
    def family(self) -> str:
        return "adaptive pool" if self._is_adaptive else f"{self.pooling} pool"

    def features(self, lanes: int, has_residual: bool) -> tuple[float, ...]:  # has none
        w = self.window
        sizes = (octaves(math.prod(w.in_plane)), octaves(w.pixels), octaves(self.channels))
        return (*sizes, octaves(w.taps), waste(w.out_width, lanes))

    @property
    def _between(self) -> str:
        return "" if self._is_adaptive else f" {_times(self.window.kernel)}"


@dataclass(frozen=True)
class _Plain(Kernel):
    """Pixel by pixel: as much is written as is read."""

    channels: int
    pixels: int

    @property
    def in_shape(self) -> tuple[int, ...]:
        return self.channels, self.pixels

    def features(self, lanes: int, has_residual: bool) -> tuple[float, ...]:  # whatever they are
        return octaves(self.channels), octaves(self.pixels)


@dataclass(frozen=True)
class Unary(_Plain):
    """A function that ends no other kernel."""

    function: UnaryFunction

    kernel = "unary"
    takes_input = True


@dataclass(frozen=True)
class Quantize(_Plain):
    """Floats to bytes, by a scale and a zero point for each plane."""

    kernel = "quantize"
    element = 1
    weights = ("scale", "zero_point")
    takes_input = True

    @property
    def params(self) -> int:
        return 2 * self.channels


@dataclass(frozen=True)
class Dequantize(_Plain):
    """Bytes to floats."""

    kernel = "dequantize"
    weights = ("scale", "zero_point")

    @property
    def params(self) -> int:
        return 2 * self.channels


@dataclass(frozen=True)
class Unpack(_Plain):
    """The bytes of photos to planes of bytes; `step` is the bytes from a pixel to the next."""

    step: int

    kernel = "unpack"
    element = 1
    takes_input = True


@dataclass(frozen=True)
class UnpackFloat(_Plain):
    """Likewise to floats, by a factor and a summand for each plane."""

    step: int

    kernel = "unpack_float"
    weights = ("scale", "shift")
    takes_input = True

    @property
    def params(self) -> int:
        return 2 * self.channels


@dataclass(frozen=True)
class Lookup(_Plain):
    """An activation of bytes: a table for each plane."""

    kernel = "lookup"
    element = 1
    weights = ("table",)

    @property
    def params(self) -> int:
        return 256 * self.channels


@dataclass(frozen=True)
class GateInt8(_Plain):
    """Planes of bytes by a byte each."""

    kernel = "gate_int8"
    element = 1
    reads = ("in", "gate")
    weights = ("zero_point", "ends")

    def pixels_read(self, table: str) -> int:
        return 1 if table == "gate" else self.pixels

    @property
    def params(self) -> int:
        return 3 * self.channels


@dataclass(frozen=True)
class AverageInt8(_Plain):
    """The mean of each plane of bytes."""

    kernel = "average_int8"
    element = 1
    weights = ("ends",)

    @property
    def out_shape(self) -> tuple[int, ...]:
        return self.channels, 1

    @property
    def params(self) -> int:
        return self.channels


@dataclass(frozen=True)
class Affine(_Plain):
    """A factor and a summand for each channel, and an activation."""

    activation: Activation
    alpha: float
    beta: float

    kernel = "affine"
    weights = ("scale", "shift")
    takes_input = True

    @property
    def params(self) -> int:
        return 2 * self.channels


@dataclass(frozen=True)
class _Arithmetic(Kernel):
    """Of two tensors, each spread over the other: a pixel of the output is read in `a` by its steps, and in `b` by its own."""

    channels: int
    depth: int
    height: int
    width: int
    operation: Operation
    a_pixels: int
    a_step_z: int
    a_step_y: int
    a_step_x: int
    b_pixels: int
    b_step_z: int
    b_step_y: int
    b_step_x: int
    activation: Activation
    alpha: float
    beta: float

    @property
    def in_shape(self) -> tuple[int, ...]:
        return self.channels, self.depth * self.height * self.width

    def features(self, lanes: int, has_residual: bool) -> tuple[float, ...]:  # has none
        return octaves(self.channels), octaves(self.pixels_written)

    @property
    def _remark(self) -> str:
        return f", {self.operation}"


@dataclass(frozen=True)
class Binary(_Arithmetic):
    """Both computed."""

    kernel = "binary"
    reads = ("a", "b")

    def pixels_read(self, table: str) -> int:
        return self.a_pixels if table == "a" else self.b_pixels

    @property
    def family(self) -> str:
        return "binary of scalars" if self.b_pixels < self.pixels_written == self.a_pixels else "binary"


@dataclass(frozen=True)
class BinaryConstant(_Arithmetic):
    """One is a constant of the plan, of so many `values`, in which each channel has a place."""

    constant_first: bool
    values: int

    kernel = "binary_constant"
    weights = ("constant", "places")

    def pixels_read(self, table: str) -> int:
        return self.b_pixels if self.constant_first else self.a_pixels

    @property
    def params(self) -> int:
        return self.values


@dataclass(frozen=True)
class _OfLines(Kernel):
    """Planes in groups of `count`, of outer x length x inner pixels: a line has `length` of each (native/kernels/spans.h)."""

    groups: int
    count: int
    outer: int
    length: int
    inner: int

    @property
    def in_shape(self) -> tuple[int, ...]:
        return self.groups * self.count, self.outer * self.length * self.inner

    def features(self, lanes: int, has_residual: bool) -> tuple[float, ...]:  # has none
        return octaves(self.in_shape[0]), octaves(self.in_shape[1])

    @property
    def _remark(self) -> str:
        return f", lines of {self.count * self.length}"


@dataclass(frozen=True)
class Reduce(_OfLines):
    """One number of each line."""

    reduction: Reduction
    scale: float
    activation: Activation
    alpha: float
    beta: float

    kernel = "reduce"
    takes_input = True

    @property
    def out_shape(self) -> tuple[int, ...]:
        return self.groups, self.outer * self.inner


@dataclass(frozen=True)
class Position(_OfLines):
    """Where in each line the largest element is, or the smallest."""

    smallest: bool
    last: bool

    kernel = "position"
    takes_input = True

    @property
    def out_shape(self) -> tuple[int, ...]:
        return self.groups, self.outer * self.inner


@dataclass(frozen=True)
class TopK(Kernel):
    """The numbers of the `kept` largest elements of each line, or of the smallest; a plane has `lines` one behind another.

    Example:
        >>> best = TopK(channels=1, lines=1, length=8400, kept=100, smallest=False)
        >>> best.in_shape, best.out_shape
        ((1, 8400), (1, 100))
    """

    channels: int
    lines: int
    length: int
    kept: int
    smallest: bool

    kernel = "top_k"
    takes_input = True

    @property
    def in_shape(self) -> tuple[int, ...]:
        return self.channels, self.lines * self.length

    @property
    def out_shape(self) -> tuple[int, ...]:
        return self.channels, self.lines * self.kept

    def features(self, lanes: int, has_residual: bool) -> tuple[float, ...]:  # has none
        return octaves(self.in_shape[0]), octaves(self.in_shape[1])

    @property
    def _remark(self) -> str:
        return f", lines of {self.length}"


@dataclass(frozen=True)
class Pick(Kernel):
    """In each group rows of `inner` elements by computed numbers, `of_index` for each row: one, or one for each element.

    Example:
        >>> boxes = Pick(groups=1, length=8400, inner=4, count=100, of_index=1)
        >>> boxes.in_shape, boxes.pixels_read("index"), boxes.out_shape
        ((1, 33600), 100, (1, 400))
    """

    groups: int
    length: int
    inner: int
    count: int
    of_index: int

    kernel = "pick"
    reads = ("in", "index")

    @property
    def in_shape(self) -> tuple[int, ...]:
        return self.groups, self.length * self.inner

    @property
    def out_shape(self) -> tuple[int, ...]:
        return self.groups, self.count * self.inner

    def pixels_read(self, table: str) -> int:
        return self.count * self.of_index if table == "index" else super().pixels_read(table)

    def features(self, lanes: int, has_residual: bool) -> tuple[float, ...]:  # has none
        return octaves(self.groups), octaves(self.pixels_written)


@dataclass(frozen=True)
class Suppress(Kernel):
    """Non-maximum suppression of boxes, with a plane of scores for each class; rows of (0, class, box).

    Example:
        >>> ends = Suppress(boxes=8400, classes=80, most=100, overlap=0.5, least=0.25, centred=False)
        >>> ends.in_shape, ends.planes_of("scores"), ends.out_shape
        ((1, 33600), 80, (1, 24000))
    """

    boxes: int
    classes: int
    most: int
    overlap: float
    least: float
    centred: bool

    kernel = "suppress"
    reads = ("in", "scores")

    @property
    def in_shape(self) -> tuple[int, ...]:
        return 1, 4 * self.boxes

    @property
    def out_shape(self) -> tuple[int, ...]:
        return 1, 3 * self.classes * self.most

    def planes_of(self, table: str) -> int:
        return self.classes if table == "scores" else super().planes_of(table)

    def pixels_read(self, table: str) -> int:
        return self.boxes if table == "scores" else super().pixels_read(table)

    def features(self, lanes: int, has_residual: bool) -> tuple[float, ...]:  # has none
        return octaves(self.classes), octaves(self.boxes)


@dataclass(frozen=True)
class Softmax(_OfLines):
    """Over each line, or its logarithm."""

    logarithm: bool

    kernel = "softmax"
    takes_input = True


@dataclass(frozen=True)
class Normalize(_OfLines):
    """By mean and variance of each line, or by its mean of squares alone; scale and shift by plane, or by element."""

    centred: bool
    eps: float
    scale_planes: int
    scale_length: int
    activation: Activation
    alpha: float
    beta: float

    kernel = "normalize"
    weights = ("scale", "shift")
    takes_input = True

    @property
    def params(self) -> int:
        return 2 * self.scale_planes * self.scale_length


@dataclass(frozen=True)
class LocalResponseNorm(_Plain):
    """Over neighbouring channels; `quarters` is four times the exponent."""

    size: int
    quarters: int
    scale: float
    bias: float

    kernel = "local_response_norm"


@dataclass(frozen=True)
class _Map(Kernel):
    """A map of another size."""

    channels: int
    in_height: int
    in_width: int
    out_height: int
    out_width: int

    @property
    def in_shape(self) -> tuple[int, ...]:
        return self.channels, self.in_height, self.in_width

    @property
    def out_shape(self) -> tuple[int, ...]:
        return self.channels, self.out_height, self.out_width

    def features(self, lanes: int, has_residual: bool) -> tuple[float, ...]:  # whatever they are
        return octaves(self.channels), octaves(self.out_height * self.out_width)


@dataclass(frozen=True)
class Resize(_Map):
    """With the coordinates of `torch.nn.functional.interpolate`; a scale is the input's steps for one of the output."""

    resizing: Resizing
    scale_y: float
    scale_x: float

    kernel = "resize"

    @property
    def family(self) -> str:
        return f"resize {self.resizing}"


@dataclass(frozen=True)
class Resample(Kernel):
    """One side of maps in another length: each row is a sum of `taps` rows; weights are (out_length, taps).

    Example:
        >>> halved = Resample(channels=8, outer=1, length=6, inner=5, out_length=3, taps=4)
        >>> halved.in_shape, halved.out_shape, halved.flops
        ((8, 30), (8, 15), 480)
    """

    channels: int
    outer: int
    length: int
    inner: int
    out_length: int
    taps: int

    kernel = "resample"
    weights = ("places", "weights")
    takes_input = True

    @property
    def in_shape(self) -> tuple[int, ...]:
        return self.channels, self.outer * self.length * self.inner

    @property
    def out_shape(self) -> tuple[int, ...]:
        return self.channels, self.outer * self.out_length * self.inner

    @property
    def flops(self) -> int:
        return math.prod(self.out_shape) * self.taps

    def features(self, lanes: int, has_residual: bool) -> tuple[float, ...]:  # has none
        return octaves(self.channels), octaves(self.pixels_written)


@dataclass(frozen=True)
class GridSample(Kernel):
    """Maps sampled at computed places, one plane of them for all channels.

    Example:
        >>> warped = GridSample(8, in_height=6, in_width=5, pixels=12, mode="linear", outside="zeros", corners=False)
        >>> warped.in_shape, warped.planes_of("grid"), warped.pixels_read("grid"), warped.out_shape
        ((8, 6, 5), 1, 24, (8, 12))
    """

    channels: int
    in_height: int
    in_width: int
    pixels: int
    mode: Sampling
    outside: Outside
    corners: bool

    kernel = "grid_sample"
    reads = ("in", "grid")

    @property
    def in_shape(self) -> tuple[int, ...]:
        return self.channels, self.in_height, self.in_width

    @property
    def out_shape(self) -> tuple[int, ...]:
        return self.channels, self.pixels

    def planes_of(self, table: str) -> int:
        return 1 if table == "grid" else super().planes_of(table)

    def pixels_read(self, table: str) -> int:
        return 2 * self.pixels if table == "grid" else super().pixels_read(table)

    @property
    def flops(self) -> int:
        return math.prod(self.out_shape) * {"nearest": 1, "linear": 4, "cubic": 16}[self.mode]

    def features(self, lanes: int, has_residual: bool) -> tuple[float, ...]:  # has none
        return octaves(self.channels), octaves(self.pixels)


@dataclass(frozen=True)
class Recurrent(Kernel):
    """An LSTM or a GRU, moment by moment, of what its input gives to the gates.

    Example:
        >>> lstm = Recurrent("lstm", hidden=8, length=25, reversed=False)
        >>> lstm.in_shape, lstm.out_shape, lstm.flops
        ((32, 25), (8, 25), 6400)
    """

    cell: Cell
    hidden: int
    length: int
    reversed: bool

    kernel = "recurrent"
    weights = ("weights", "bias")
    takes_input = True

    @property
    def _gates(self) -> int:
        return self.hidden * (4 if self.cell == "lstm" else 3)

    @property
    def in_shape(self) -> tuple[int, ...]:
        return self._gates, self.length

    @property
    def out_shape(self) -> tuple[int, ...]:
        return self.hidden, self.length

    @property
    def flops(self) -> int:
        return self._gates * self.hidden * self.length

    @property
    def params(self) -> int:
        return self._gates * (self.hidden + 1)

    def features(self, lanes: int, has_residual: bool) -> tuple[float, ...]:  # has none
        return octaves(self.hidden), octaves(self.length)

    @property
    def _remark(self) -> str:
        return f", {self.cell}"


@dataclass(frozen=True)
class Gather(Kernel):
    """Moves data and does nothing else: hands out results, cuts regions, transposes, brings the input in.

    The elements that it writes, plane after plane, are counted by digits of the bases `sizes`; each digit steps through the
    table of planes that are read (`steps`) and along them (`strides`), from element `first` on.

    Example:
        >>> channels_last = Gather(planes=8, channels=1, pixels=240, sizes=(30, 8), steps=(0, 1), strides=(1, 0))
        >>> channels_last.in_shape, channels_last.out_shape
        ((8, 30), (1, 240))
    """

    planes: int
    channels: int
    pixels: int
    sizes: tuple[int, ...]
    steps: tuple[int, ...]
    strides: tuple[int, ...]
    first: int = 0

    kernel = "gather"
    takes_input = True

    @classmethod
    def of_planes(cls, channels: int, pixels: int) -> Gather:
        """Whole planes, as they are."""
        return cls(channels, channels, pixels, (channels, pixels), (1, 0), (0, 1))

    @property
    def in_shape(self) -> tuple[int, ...]:
        """Of each plane as much as is reached from its start on."""
        reach = self.first + sum(max(stride, 0) * (size - 1) for stride, size in zip(self.strides, self.sizes))
        return self.planes, reach + 1

    @property
    def out_shape(self) -> tuple[int, ...]:
        return self.channels, self.pixels

    @property
    def maps(self) -> tuple[int, ...]:
        return self.channels * self.pixels, self.channels * self.pixels

    def features(self, lanes: int, has_residual: bool) -> tuple[float, ...]:  # has none
        return octaves(self.channels), octaves(self.pixels)

    def __str__(self) -> str:
        return f"{self.planes} -> {self.channels}, {self.pixels} pixels"


@dataclass(frozen=True)
class Pad(_Map):
    """By a number, around each plane."""

    top: int
    left: int
    value: float

    kernel = "pad"
    takes_input = True


@dataclass(frozen=True)
class Constant(_Plain):
    """Numbers of the plan, as planes."""

    kernel = "constant"
    reads = ()
    weights = ("values",)

    @property
    def in_shape(self) -> tuple[int, ...]:
        return 0, 0

    @property
    def out_shape(self) -> tuple[int, ...]:
        return self.channels, self.pixels

    @property
    def params(self) -> int:
        return self.channels * self.pixels


KERNELS: Mapping[str, type[Kernel]] = {
    kind.kernel: kind
    for kind in (
        *(Gemm, AffineGemm, GatedGemm, Convolution, ConvolutionPool, Depthwise, PointwiseDepthwise, Pool),
        *(Affine, Binary, BinaryConstant, Reduce, Softmax, Normalize, LocalResponseNorm, Resize),
        *(Gather, Pad, Constant, MatMul, Recurrent, Position, Resample),
        *(TopK, Pick, Suppress, GridSample, Unary, Unpack, UnpackFloat),
        *(
            Quantize,
            Dequantize,
            Lookup,
            GemmInt8,
            GemmInt8Float,
            ConvolutionInt8,
            DepthwiseInt8,
            MaxPoolInt8,
            AverageInt8,
            GateInt8,
        ),
    )
}


def octaves(count: int) -> float:
    """Logarithm of a size to base 2.

    Example:
        >>> octaves(8), octaves(0)
        (3.0, 0.0)
    """
    return math.log2(max(1, count))


def waste(count: int, lanes: int) -> float:
    """Octaves by which whole vectors are more than `count`.

    Example:
        >>> waste(8, 16), waste(16, 16)
        (1.0, 0.0)
    """
    return math.log2(math.ceil(count / lanes) * lanes / count) if count else 0.0


def _times(sizes: tuple[int, ...]) -> str:
    return "x".join(map(str, sizes))


def _groups(groups: int) -> str:
    return f", {groups} groups" if groups > 1 else ""
