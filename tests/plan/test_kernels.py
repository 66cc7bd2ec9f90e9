"""What Python and the compiled part say of kernels is the same: their words, variants, limits, and which sizes they take."""

from __future__ import annotations

from dataclasses import fields
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shufflekit.errors import InputError
from shufflekit.plan.choose import variants_of
from shufflekit.plan.kernels import (
    KERNELS,
    PANEL,
    WIDE,
    Activation,
    Cell,
    Convolution,
    ConvolutionPool,
    Gather,
    Gemm,
    Kernel,
    Operation,
    PointwiseDepthwise,
    Pooling,
    Reduction,
    Resizing,
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


def refusal(arguments: Kernel, variant: str = "any", has_residual: bool = False) -> str:
    """Why the engine does not take a step with these arguments, planes one behind another; nothing where it takes it."""
    (channels, *_), pixels_read = arguments.in_shape, arguments.pixels_read("in")
    read = plane_bytes(pixels_read) // 4
    out = [channels * read + number * plane_bytes(arguments.pixels_written) // 4 for number in range(arguments.planes_written)]
    tables = {"in": np.arange(channels) * read, "out": np.array(out)} | ({"residual": np.array(out)} if has_residual else {})
    places = dict(zip(tables, np.cumsum([0, *map(len, tables.values())]).tolist()))
    end = out[-1] + plane_bytes(arguments.pixels_written) // 4
    shape = arguments.planes_written, arguments.pixels_written
    hand_out = Gather.of_planes(*shape)
    starts = np.arange(shape[0]) * shape[1]
    program = Program(
        name="one step",
        inputs=(Tensor("x", (1,)),),
        outputs=(Tensor("y", shape),),
        arena=4 * end,
        steps=(
            Step(arguments, "it", places, dict.fromkeys(arguments.own_weights, 0), variant=variant),
            Step(hand_out, "y", {"in": places["out"], "out": sum(map(len, tables.values()))}, out_buffer=1),
        ),
        tables=np.concatenate([*tables.values(), starts]).astype(np.int32),
        weights=np.zeros(1 << 16, np.uint8),
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


def test_a_kernel_or_variant_that_the_engine_has_not_is_refused() -> None:
    assert refusal(Gemm(1, 2, 3, 4, "none", 0.0, 0.0)) == ""
    assert "variant must be one that the engine has, found winograd" in refusal(Gemm(1, 2, 3, 4, "none", 0.0, 0.0), "winograd")
