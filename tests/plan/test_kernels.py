"""What Python and the compiled part say of kernels is the same: their words, variants, limits, and which sizes they take."""

from __future__ import annotations

from dataclasses import fields
from typing import get_args

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shufflekit.errors import InputError
from shufflekit.plan.choose import variants_of
from shufflekit.plan.kernels import (
    KERNELS,
    PANEL,
    WIDE,
    Activation,
    Affine,
    AffineGemm,
    AverageInt8,
    Binary,
    BinaryConstant,
    Cell,
    Constant,
    Convolution,
    ConvolutionInt8,
    ConvolutionPool,
    Depthwise,
    DepthwiseInt8,
    Dequantize,
    GatedGemm,
    GateInt8,
    Gather,
    Gemm,
    GemmInt8,
    GemmInt8Float,
    GridSample,
    Kernel,
    LocalResponseNorm,
    Lookup,
    MatMul,
    MaxPoolInt8,
    Normalize,
    Operation,
    Pad,
    Pick,
    PointwiseDepthwise,
    Pool,
    Pooling,
    Position,
    Quantize,
    Recurrent,
    Reduce,
    Reduction,
    Resample,
    Resize,
    Resizing,
    Softmax,
    Suppress,
    TopK,
    Unary,
    Unpack,
    UnpackFloat,
    Window,
)
from shufflekit.plan.program import BORDER, ELEMENTS, FORMAT, Program, Step, Tensor, plane_bytes
from shufflekit.runtime import Engine
from shufflekit.runtime.engine import _MOST_THREADS

native = pytest.importorskip("shufflekit._native", reason="the compiled part is not built")


def test_kernels_and_variants_are_those_of_the_engine() -> None:
    ours = {(kernel, variant.name) for kernel in KERNELS for variant in variants_of(kernel)}
    assert ours == {(kernel, variant) for kernel, variant, _ in native.kernels()}


def test_each_kernel_has_a_variant_that_takes_everything_and_each_variant_scalar_code() -> None:
    assert [kernel for kernel, variant, _ in native.kernels() if variant == "any"] == sorted(KERNELS)
    assert {sets[-1] for _, _, sets in native.kernels()} == {"scalar"}


def test_words_are_those_of_the_engine() -> None:
    ours = {"activation": Activation, "pooling": Pooling, "operation": Operation, "reduction": Reduction, "resizing": Resizing}
    ours |= {"cell": Cell}
    assert native.words() == {**{name: list(get_args(words)) for name, words in ours.items()}, "type": list(ELEMENTS)}


def test_limits_are_those_of_the_engine() -> None:
    assert native.limits() == {"format": FORMAT, "border": BORDER, "panel": PANEL, "threads": _MOST_THREADS}
    assert WIDE * ELEMENTS["float32"] == BORDER


@given(st.integers(1, 5000), st.sampled_from([1, 2, 4]))
def test_planes_own_as_much_as_in_the_engine(pixels: int, element: int) -> None:
    assert plane_bytes(pixels, element) == native.plane_bytes(pixels, element)


HALVES = Window(8, 6, 4, 3, kernel_y=3, kernel_x=2, stride_y=2, stride_x=2, pad_y=1)  # 6 taps, 12 of 48 pixels
POOLED = Window(4, 3, 2, 2, kernel_y=3, kernel_x=3, stride_y=2, stride_x=2, pad_y=1, pad_x=1)
END = ("relu", 0.0, 0.0)
SPREAD = (64, 32, 8, 1, 8, 0, 0, 1)  # a whole plane, and a row of 8 for all rows
# By hand: planes and pixels of each table that it reads; its multiply-adds, parameters and elements that it moves besides; its
# surface of the cost model, and where on it, in octaves, with vectors of 16 and a residual; what is printed.
RECORDS: list[tuple[Kernel, dict[str, tuple[int, int]], tuple[int, int, float], str, tuple[float, ...], str]] = [
    (
        Gemm(2, 4, 8, 64, *END), {"in": (16, 64), "residual": (8, 64)}, (4096, 72, 0), "gemm",
        (6, 3, 2, 1, 0, 1, 1), "16 -> 8, 64 pixels, 2 groups",
    ),
    (
        Gemm(1, 16, 8, 1, *END), {"in": (8, 1), "residual": (16, 1)}, (128, 144, 0), "linear",
        (0, 3, 4, 0, 4, 0, 1), "8 -> 16, 1 pixels",
    ),
    (
        AffineGemm(2, 4, 8, 64, *END, "relu"), {"in": (16, 64), "residual": (8, 64)}, (4096, 72 + 32, 1024), "gemm",
        (6, 3, 2, 1, 0, 1, 1), "16 -> 8, 64 pixels, 2 groups, scaled first",
    ),
    (
        GatedGemm(2, 4, 8, 64, *END), {"in": (16, 64), "gate": (16, 1), "residual": (8, 64)}, (4096, 72, 144), "gemm",
        (6, 3, 2, 1, 0, 1, 1), "16 -> 8, 64 pixels, 2 groups, gated",
    ),
    (
        GemmInt8(2, 4, 8, 64), {"in": (16, 64), "residual": (8, 64)}, (4096, 72, 0), "gemm of bytes",
        (6, 3, 2, 1, 0, 1), "16 -> 8, 64 pixels, 2 groups",
    ),
    (
        GemmInt8(1, 4, 8, 1), {"in": (8, 1), "residual": (4, 1)}, (32, 36, 0), "linear of bytes",
        (0, 3, 2, 0, 4, 1), "8 -> 4, 1 pixels",
    ),
    (
        GemmInt8Float(1, 16, 8, 2, *END), {"in": (8, 2)}, (256, 144, 0), "gemm of bytes to floats",
        (1, 3, 4, 0, 3, 0, 1), "8 -> 16, 2 pixels",
    ),
    (GemmInt8Float(1, 16, 8, 1, *END), {"in": (8, 1)}, (128, 144, 0), "linear of bytes to floats", (0, 3, 4, 0, 4, 0, 1), ""),
    (
        MatMul(2, 4, 8, 64, True, 0.5, *END), {"in": (16, 64), "a": (16, 4), "residual": (8, 64)}, (4096, 0, 64), "matmul",
        (6, 3, 2, 1), "16 -> 8, 64 pixels, 2 groups",
    ),
    (
        MatMul(2, 4, 8, 64, False, 0.5, *END), {"in": (16, 64), "a": (8, 8), "residual": (8, 64)}, (4096, 0, 64), "matmul",
        (6, 3, 2, 1), "16 -> 8, 64 pixels, 2 groups",
    ),
    (
        Convolution(4, 8, HALVES, *END, 2), {"in": (16, 48), "residual": (8, 12)}, (8 * 48 * 12, 8 * 49, 0), "convolution",
        (np.log2(12), 3, 2, 1, np.log2(6), 1, np.log2(3), np.log2(16 / 3)), "16x8x6 -> 3x2 8x4x3, 2 groups",
    ),
    (
        ConvolutionInt8(4, 8, HALVES), {"in": (8, 48), "residual": (4, 12)}, (4 * 48 * 12, 4 * 49, 0), "convolution_int8",
        (np.log2(12), 3, 2, 0, np.log2(6), 1, np.log2(3), 1), "8x8x6 -> 3x2 4x4x3",
    ),
    (
        ConvolutionPool(4, 8, HALVES, *END, POOLED), {"in": (8, 48)}, (4 * 48 * 12, 4 * 49, 0), "convolution_pool",
        (np.log2(12), 3, 2, 0, np.log2(6), 1, np.log2(3), np.log2(16 / 3)), "8x8x6 -> 3x2 4x2x2, pooled 3x3",
    ),
    (
        Depthwise(8, HALVES, *END), {"in": (8, 48), "residual": (8, 12)}, (8 * 6 * 12, 8 * 7, 0), "depthwise",
        (np.log2(12), 3, np.log2(6), 1, np.log2(16 / 3), 1), "8x8x6 -> 3x2 8x4x3",
    ),
    (
        DepthwiseInt8(8, HALVES), {"in": (8, 48), "residual": (8, 12)}, (8 * 6 * 12, 8 * 7, 0), "depthwise_int8",
        (np.log2(12), 3, np.log2(6), 1, np.log2(16 / 3), 1), "8x8x6 -> 3x2 8x4x3",
    ),
    (
        PointwiseDepthwise(4, 8, HALVES, *END, "none"), {"in": (8, 48)}, (4 * 8 * 48 + 4 * 6 * 12, 4 * 9 + 4 * 7, 9 * 48),
        "pointwise_depthwise", (np.log2(12), 3, 2, 1), "8x8x6 -> 3x2 4x4x3, pointwise first",
    ),
    (
        Pool(8, HALVES, "average", True, *END), {"in": (8, 48)}, (0, 0, 0), "average pool",
        (np.log2(48), np.log2(12), 3, np.log2(6), np.log2(16 / 3)), "8x8x6 -> 3x2 8x4x3",
    ),
    (
        Pool(8, HALVES, "adaptive_maximum", False, *END), {"in": (8, 48)}, (0, 0, 0), "adaptive pool",
        (np.log2(48), np.log2(12), 3, np.log2(6), np.log2(16 / 3)), "8x8x6 -> 8x4x3",
    ),
    (
        MaxPoolInt8(8, HALVES), {"in": (8, 48)}, (0, 0, 0), "max_pool_int8",
        (np.log2(48), np.log2(12), 3, np.log2(6)), "8x8x6 -> 3x2 8x4x3",
    ),
    (Unary(8, 64, "sin"), {"in": (8, 64)}, (0, 0, 0), "unary", (3, 6), "8 -> 8, 64 pixels"),
    (Affine(8, 64, *END), {"in": (8, 64)}, (0, 16, 0), "affine", (3, 6), "8 -> 8, 64 pixels"),
    (Quantize(8, 64), {"in": (8, 64)}, (0, 16, 0), "quantize", (3, 6), "8 -> 8, 64 pixels"),
    (Dequantize(8, 64), {"in": (8, 64)}, (0, 16, 0), "dequantize", (3, 6), "8 -> 8, 64 pixels"),
    (Unpack(3, 64, 4), {"in": (3, 64)}, (0, 0, 0), "unpack", (np.log2(3), 6), "3 -> 3, 64 pixels"),
    (UnpackFloat(3, 64, 4), {"in": (3, 64)}, (0, 6, 0), "unpack_float", (np.log2(3), 6), "3 -> 3, 64 pixels"),
    (Lookup(8, 64), {"in": (8, 64)}, (0, 256 * 8, 0), "lookup", (3, 6), "8 -> 8, 64 pixels"),
    (AverageInt8(8, 64), {"in": (8, 64)}, (0, 8, 0), "average_int8", (3, 6), "8 -> 8, 64 pixels"),
    (GateInt8(8, 64), {"in": (8, 64), "gate": (8, 1)}, (0, 24, 0), "gate_int8", (3, 6), "8 -> 8, 64 pixels"),
    (LocalResponseNorm(8, 64, 5, 3, 1, 1), {"in": (8, 64)}, (0, 0, 0), "local_response_norm", (3, 6), "8 -> 8, 64 pixels"),
    (
        Binary(8, 2, 4, 8, "add", *SPREAD, *END), {"a": (8, 64), "b": (8, 8)}, (0, 0, 0), "binary of scalars",
        (3, 6), "8 -> 8, 64 pixels, add",
    ),
    (
        Binary(8, 2, 4, 8, "less", *SPREAD[4:], *SPREAD[4:], *END), {"a": (8, 8), "b": (8, 8)}, (0, 0, 0), "binary",
        (3, 6), "8 -> 8, 64 pixels, less",
    ),
    (
        BinaryConstant(8, 2, 4, 8, "divide", *SPREAD, *END, False, 16), {"in": (8, 64)}, (0, 16, 0), "binary_constant",
        (3, 6), "8 -> 8, 64 pixels, divide",
    ),
    (
        BinaryConstant(8, 2, 4, 8, "divide", *SPREAD, *END, True, 16), {"in": (8, 8)}, (0, 16, 0), "binary_constant",
        (3, 6), "8 -> 8, 64 pixels, divide",
    ),
    (
        Reduce(4, 2, 2, 16, 8, "sum", 1, *END), {"in": (8, 256)}, (0, 0, 0), "reduce",
        (3, 8), "8 -> 4, 256 pixels, lines of 32",
    ),
    (Position(4, 2, 2, 16, 8, True, False), {"in": (8, 256)}, (0, 0, 0), "position", (3, 8), "8 -> 4, 256 pixels, lines of 32"),
    (TopK(2, 4, 32, 5, True), {"in": (2, 128)}, (0, 0, 0), "top_k", (1, 7), "2 -> 2, 128 pixels, lines of 32"),
    (Pick(2, 32, 4, 8, 1), {"in": (2, 128), "index": (2, 8)}, (0, 0, 0), "pick", (1, 5), "2 -> 2, 128 pixels"),
    (Pick(2, 32, 4, 8, 4), {"in": (2, 128), "index": (2, 32)}, (0, 0, 0), "pick", (1, 5), "2 -> 2, 128 pixels"),
    (
        Suppress(32, 8, 5, 0.5, 0.25, False), {"in": (1, 128), "scores": (8, 32)}, (0, 0, 0), "suppress",
        (3, 5), "1 -> 1, 128 pixels",
    ),
    *(
        (
            GridSample(8, 4, 16, 32, mode, "zeros", True), {"in": (8, 64), "grid": (1, 64)}, (8 * 32 * reads, 0, 0),
            "grid_sample", (3, 5), "8x4x16 -> 8x32",
        )
        for mode, reads in (("nearest", 1), ("linear", 4), ("cubic", 16))
    ),
    (Softmax(4, 2, 2, 16, 8, False), {"in": (8, 256)}, (0, 0, 0), "softmax", (3, 8), "8 -> 8, 256 pixels, lines of 32"),
    (
        Normalize(4, 2, 2, 16, 8, True, 0.1, 8, 16, *END), {"in": (8, 256)}, (0, 256, 0), "normalize",
        (3, 8), "8 -> 8, 256 pixels, lines of 32",
    ),
    (Resize(8, 8, 4, 16, 8, "nearest", 0.5, 0.5), {"in": (8, 32)}, (0, 0, 0), "resize nearest", (3, 7), "8x8x4 -> 8x16x8"),
    (Pad(8, 8, 4, 16, 8, 4, 2, 0.5), {"in": (8, 32)}, (0, 0, 0), "pad", (3, 7), "8x8x4 -> 8x16x8"),
    (Resample(8, 2, 4, 8, 16, 3), {"in": (8, 64)}, (3 * 8 * 256, 0, 0), "resample", (3, 8), "8 -> 8, 64 pixels"),
    (
        Recurrent("lstm", 8, 16, False), {"in": (32, 16)}, (32 * 8 * 16, 32 * 9, 0), "recurrent",
        (3, 4), "32 -> 8, 16 pixels, lstm",
    ),
    (Recurrent("gru", 8, 16, True), {"in": (24, 16)}, (24 * 8 * 16, 24 * 9, 0), "recurrent", (3, 4), "24 -> 8, 16 pixels, gru"),
    # From element 3 on, in reach of it: 8 further in one digit; a step of -1 leads back.
    (Gather(4, 2, 8, (2, 2, 4), (2, 0, 0), (0, 8, -1), 3), {"in": (4, 12)}, (0, 0, 0), "gather", (1, 3), "4 -> 2, 8 pixels"),
    (Constant(2, 8), {}, (0, 16, 0), "constant", (1, 3), "0 -> 2, 0 pixels"),
]  # fmt: skip


@pytest.mark.parametrize(("kernel", "tables", "counts", "family", "octaves", "text"), RECORDS)
def test_what_a_record_says_of_its_step(
    kernel: Kernel,
    tables: dict[str, tuple[int, int]],
    counts: tuple[int, int, float],
    family: str,
    octaves: tuple[float, ...],
    text: str,
) -> None:
    assert {name: (kernel.planes_of(name), kernel.pixels_read(name)) for name in (*kernel.reads, *kernel.may_read)} == tables
    written = kernel.planes_written * kernel.pixels_written
    if not isinstance(kernel, Gather):
        assert kernel.maps == (*(planes * pixels for planes, pixels in (tables[name] for name in kernel.reads)), written)
    assert (kernel.flops, kernel.params, kernel.copies, kernel.family) == (*counts, family)
    assert kernel.features(16, True) == pytest.approx(octaves)
    assert not text or str(kernel) == text


def test_a_gather_reads_as_much_as_it_writes() -> None:
    assert Gather(4, 2, 8, (2, 2, 4), (2, 0, 0), (0, 8, -1), 3).maps == (16, 16)


def test_every_kernel_has_a_record_here() -> None:
    assert {kernel.kernel for kernel, *_ in RECORDS} == set(KERNELS)


def refusal(arguments: Kernel, variant: str = "any", has_residual: bool = False, weight: int = 0) -> str:
    """Why the engine does not take a step with these arguments, planes one behind another; nothing where it takes it.

    Weights are bytes of this number, but for the first, which are 0.
    """
    (channels, *_), pixels_read = arguments.in_shape, arguments.pixels_read("in")
    read, written = (plane_bytes(pixels) // arguments.element for pixels in (pixels_read, arguments.pixels_written))
    out = [channels * read + number * written for number in range(arguments.planes_written)]
    tables = {"in": np.arange(channels) * read, "out": np.array(out)} | ({"residual": np.array(out)} if has_residual else {})
    places = dict(zip(tables, np.cumsum([0, *map(len, tables.values())]).tolist()))
    end = arguments.element * (out[-1] + written)
    shape = arguments.planes_written, arguments.pixels_written
    hand_out = Gather.of_planes(*shape)
    starts, handed = np.arange(shape[0]) * shape[1], sum(map(len, tables.values()))
    program = Program(
        name="one step",
        inputs=(Tensor("x", (1,)),),
        outputs=(Tensor("y", shape),),
        arena=end,
        steps=(
            Step(arguments, "it", places, dict.fromkeys(arguments.own_weights, 0), variant=variant),
            Step(hand_out, "y", {"in": handed, "out": handed + len(out)}, out_buffer=1),
        ),
        tables=np.concatenate([*tables.values(), np.array(out) * arguments.element // 4, starts]).astype(np.int32),
        weights=np.where(np.arange(1 << 16) < 128, 0, weight).astype(np.uint8),
    )
    try:
        Engine(program.to_bytes())
    except InputError as error:
        return str(error)
    return ""


sides = st.one_of(st.integers(1, 40), st.sampled_from([15, 16, 17]))


@st.composite
def windows(draw: st.DrawFn) -> Window:
    """Mostly what the fused kernels take, now and then with one number that is another."""
    out_height, out_width, stride = draw(sides), draw(sides), draw(st.sampled_from([1, 2]))
    numbers = {
        "in_height": max(1, stride * out_height - draw(st.integers(0, 1))),
        "in_width": max(1, stride * out_width - draw(st.integers(0, 1))),
        "out_height": out_height,
        "out_width": out_width,
        **dict.fromkeys(("kernel_y", "kernel_x"), 3),
        **dict.fromkeys(("stride_y", "stride_x"), stride),
        **dict.fromkeys(("pad_y", "pad_x", "dilation_y", "dilation_x"), 1),
    }
    if draw(st.booleans()):
        numbers[draw(st.sampled_from([field.name for field in fields(Window)]))] = draw(st.integers(1, 4))
    return Window(**numbers)


activations = st.sampled_from(get_args(Activation))


@given(windows(), activations, activations)
def test_both_agree_on_what_pointwise_depthwise_computes(window: Window, first: Activation, second: Activation) -> None:
    arguments = PointwiseDepthwise(2, 3, window, first, 0.5, 0.5, second)
    refused = refusal(arguments)
    assert arguments.is_computed == (refused == "")
    assert arguments.is_computed or "window must be 3x3 with padding 1" in refused


@given(st.integers(1, 3), activations)
def test_both_agree_on_what_affine_gemm_computes(pixels: int, before: Activation) -> None:
    arguments = AffineGemm(1, 2, 3, pixels, "none", 0.0, 0.0, before)
    refused = refusal(arguments)
    assert arguments.is_computed == (refused == "")
    assert arguments.is_computed or "affine_activation must be relu, relu6 or none" in refused


@example(Window(1, 1, 3, 3, 3, 3, pad_y=2, pad_x=2), "relu")  # planes of one pixel, in and out
@example(Window(5, 5, 1, 1, 5, 5), "relu")
@given(windows(), activations)
def test_both_agree_on_which_windows_channels_side_by_side_take(window: Window, activation: Activation) -> None:
    arguments = Depthwise(3, window, activation, 0.5, 0.5)
    takes = next(each.takes for each in variants_of("depthwise") if each.name == "channels")(arguments, False)
    assert takes == (refusal(arguments, "channels") == "")


@given(windows(), windows(), st.sampled_from((None, 0, 1)))
def test_both_agree_on_what_convolution_pool_computes(window: Window, pool: Window, short: int | None) -> None:
    if short is not None:  # of half the rows and columns
        rows, columns = (max(1, (side + 1) // 2 - short) for side in window.out_plane)
        pool = Window(*window.out_plane, rows, columns, 3, 3, 2, 2, 1, 1)
    arguments = ConvolutionPool(2, 3, window, "none", 0.0, 0.0, pool)
    refused = refusal(arguments)
    assert arguments.is_computed == (refused == "")
    assert arguments.is_computed or "window must be" in refused


@given(windows(), st.booleans())
def test_both_agree_on_what_each_variant_of_a_convolution_computes(window: Window, has_residual: bool) -> None:
    arguments = Convolution(2, 3, window, "none", 0.0, 0.0, groups=2)
    for variant in variants_of("convolution"):
        refused = refusal(arguments, variant.name, has_residual)
        assert variant.takes(arguments, has_residual) == (refused == "")
        assert not refused or "variant must be any" in refused


@given(windows(), st.booleans())
def test_both_agree_on_what_each_variant_of_a_convolution_of_bytes_computes(window: Window, has_residual: bool) -> None:
    arguments = ConvolutionInt8(2, 3, window, groups=2)
    for variant in variants_of("convolution_int8"):
        refused = refusal(arguments, variant.name, has_residual)
        assert variant.takes(arguments, has_residual) == (refused == "")
        assert not refused or "variant must be any" in refused


@pytest.mark.parametrize(("weight", "is_refused"), [(113, False), (120, True), (256 - 113, False), (256 - 120, True)])
def test_tiles_of_bytes_are_refused_where_their_sums_would_not_fit(weight: int, is_refused: bool) -> None:
    arguments = ConvolutionInt8(2, 128, Window(4, 4, 4, 4, 3, 3, pad_y=1, pad_x=1))
    refused = refusal(arguments, "winograd4", weight=weight)
    assert ("variant must be any for weights whose sums have more than 26 bits" in refused) == is_refused


def test_a_kernel_or_variant_that_the_engine_has_not_is_refused() -> None:
    assert refusal(Gemm(1, 2, 3, 4, "none", 0.0, 0.0)) == ""
    assert "variant must be one that the engine has, found winograd" in refusal(Gemm(1, 2, 3, 4, "none", 0.0, 0.0), "winograd")
