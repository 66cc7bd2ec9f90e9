"""Which way each step is computed: by itself or together with the next one, and by which variant of its kernel.

Lowering emits one draft for each operator that computes. Here two neighbours become one where a kernel does both, and a
variant is chosen among those that take the step's arguments, whichever is cheaper by a price that is handed in. After that
weights are packed as the variant reads them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from shufflekit.plan.kernels import (
    PANEL,
    WIDE,
    WINOGRAD_ROWS,
    Affine,
    AffineGemm,
    Binary,
    Convolution,
    ConvolutionInt8,
    ConvolutionPool,
    Depthwise,
    GatedGemm,
    Gemm,
    Kernel,
    PointwiseDepthwise,
    Pool,
)
from shufflekit.plan.lowering.frame import Draft, Lowered
from shufflekit.plan.pack import (
    Arrays,
    as_they_are,
    for_winograd,
    for_winograd_int8,
    for_winograd_stride2,
    in_fours,
    in_lanes,
    in_pairs,
    in_panels,
)
from shufflekit.plan.views import Space

Price = Callable[[Kernel, str], float]  # of arguments and a variant
Precision = Literal["float32", "bfloat16"]

_LANES = 16  # of the widest vector
_FEWEST_TILES, _MOST_TILES = 7, 26  # at stride 2, of which sums are made at once (native/kernels/convolution/few_sums.h)
_MOST_ACROSS = 12  # pixels beyond whole vectors for which the GEMM takes vectors of rows
_BYTES_A_PRODUCT = 0.21  # bytes that come from memory while a core multiplies and adds once
_CACHE = 1 << 21  # bytes: a map of 2 MB leaves the L2 cache of most cores; smaller ones are quicker in two steps


@dataclass(frozen=True)
class Variant:
    """A way of computing a kernel, as `native/kernels/kernels.inc` lists it.

    Args:
        takes: whether it computes these arguments, with a residual or without.
        pack: weights as it reads them.
        copies: elements that it moves besides its maps.
        weights: elements of weights that it reads, which arrive while it multiplies.
        work: multiply-adds that take as long.
        mixes: it takes sums of weights, or leaves out those that see a border: one that is no number would spoil its
            neighbours, or spare the border.
        precision: of its products: bfloat16 is taken by who asked for it alone.
        holds: whether its sums hold what these weights make of bytes.
    """

    name: str = "any"
    takes: Callable[[Kernel, bool], bool] = lambda _arguments, _has_residual: True
    pack: Callable[[Kernel, Arrays], Arrays] = as_they_are
    copies: Callable[[Kernel], float] = lambda _arguments: 0.0
    weights: Callable[[Kernel], float] = lambda arguments: arguments.params
    work: Callable[[Kernel], float] = lambda arguments: arguments.flops
    mixes: bool = False
    precision: Precision = "float32"
    holds: Callable[[Arrays], bool] = lambda _weights: True


def _has_wide_rows(arguments: Kernel, has_residual: bool) -> bool:
    return arguments.out_shape[-1] >= WIDE and not has_residual


def _whole_rows(arguments: Kernel) -> float:
    """Rows of whole vectors, the last one by itself, a hundred cycles between two tiles, 12 for each row split by stride.

    Where two rows are vectors together, they are read as they lie (native/kernels/convolution/strided_rows.h).
    """
    assert isinstance(arguments, Convolution)
    w, width = arguments.window, arguments.out_shape[-1]
    is_in_pairs = width % _LANES == _LANES // 2 and w.in_width == 2 * width and w.pad_x == 1 and arguments.rows % PANEL == 0
    if _is_3x3(arguments, 2) and is_in_pairs:
        return arguments.flops / 1.05  # most bytes arrive while it multiplies
    tiles = -(-(width // _LANES) // 3) + (width % _LANES > 0)
    tiles *= w.out_height * arguments.groups * -(-arguments.rows // PANEL)
    split = w.out_height * arguments.groups * arguments.in_channels * w.kernel_y if w.stride_x > 1 else 0
    return arguments.flops * -(-width // _LANES) * _LANES / width / 0.95 + _LANES * (100 * tiles + 12 * split)


def _patches(arguments: Kernel) -> float:
    assert isinstance(arguments, Convolution)
    return arguments.flops / arguments.rows


def _gathered(arguments: Kernel) -> float:
    """Three cycles for each element of a patch, less what its bytes cost already."""
    return arguments.flops / 0.95 + 35 * _patches(arguments)


def _flat(arguments: Kernel) -> float:
    """The border's pixels are computed too; each element that is copied, in or out, takes 0.4 cycles."""
    assert isinstance(arguments, Convolution)
    w = arguments.window
    pitch = w.out_width + (w.kernel_x - 1) * w.dilation_x // w.stride_x
    rows = w.out_height + (w.kernel_y - 1) * w.dilation_y // w.stride_y
    copied = arguments.groups * arguments.in_channels * w.stride_y * w.stride_x * pitch * rows
    made = arguments.groups * arguments.rows * (pitch * (w.out_height - 1) + w.out_width)
    return made * arguments.in_channels * w.taps / 0.95 + 6 * (copied + made)


def _is_3x3(arguments: Kernel, stride: int) -> bool:
    assert isinstance(arguments, Convolution | ConvolutionInt8)
    w = arguments.window
    return w.kernel == (3, 3) and w.stride == (stride, stride) and w.dilation == (1, 1)


def _winograd(tile: int, stride: int, cycles_in: float, cycles_out: float) -> Variant:
    """The cycles are those in which a vector of tiles is transformed, there and back; each is worth a vector of products.

    Edges and tables take as long as a vector more.
    """
    products = (tile + 2) ** 2 if stride == 1 else (2 * tile + 1) ** 2

    def takes(arguments: Kernel, _has_residual: bool) -> bool:
        return _is_3x3(arguments, stride)

    def leads(arguments: Convolution) -> bool:
        """Of 4 x 4 tiles the first row and column have one output, and of it two products (convolution/tiles.h)."""
        w = arguments.window
        is_side = w.out_plane == (3 * tile + 1, 3 * tile + 1) and w.pad_y > 0 and w.pad_x > 0
        return stride == 2 and is_side and arguments.in_channels >= _LANES

    def weights(arguments: Kernel) -> float:
        assert isinstance(arguments, Convolution)
        return (tile + 2) ** 2 * arguments.groups * arguments.rows * arguments.in_channels

    def work(arguments: Kernel) -> float:
        assert isinstance(arguments, Convolution)
        tiles = math.prod(-(-size // tile) for size in arguments.window.out_plane)
        whole, rest = divmod(tiles, _LANES)
        vectors = whole + (rest / _LANES if rest <= _MOST_ACROSS else 1)
        if leads(arguments):
            vectors = ((3 * (2 * tile + 1) + 2) / (4 * (2 * tile + 1))) ** 2
        moves = (whole + (rest > 0) + 1) * (cycles_in * arguments.in_channels + cycles_out * arguments.rows)
        return _LANES * arguments.groups * (products * arguments.rows * arguments.in_channels * vectors + moves)

    if stride == 1:
        return Variant(f"winograd{tile}", takes, for_winograd(tile), weights=weights, work=work, mixes=True)
    pack = for_winograd_stride2(tile, tile + 2)
    return Variant(f"winograd{tile}_stride2", takes, pack, weights=weights, work=work, mixes=True)


def _winograd_taps(pieces: Variant) -> Variant:
    """Nine taps in place of 16 pieces, which are added on the way for few tiles and whole panels, else formed anew."""

    def work(arguments: Kernel) -> float:
        assert isinstance(arguments, Convolution)
        tiles = math.prod(-(-size // 2) for size in arguments.window.out_plane)
        is_few = _FEWEST_TILES <= tiles <= _MOST_TILES and arguments.rows % PANEL == 0 and arguments.in_channels >= 2 * _LANES
        return pieces.work(arguments) * (0.9 if is_few else 1.1)

    def weights(arguments: Kernel) -> float:
        return pieces.weights(arguments) * 9 / 16

    pack = for_winograd_stride2(2, 3)
    return replace(pieces, name="winograd2_taps_stride2", pack=pack, weights=weights, work=work)


# Of bytes: multiply-adds that one instruction of VNNI makes in a cycle.
_FOURS = 64


def _int8_flat(arguments: Kernel) -> float:
    """Blocks of 64 pixels, the border's among them, by four operands; a row of them ends in 100 cycles."""
    assert isinstance(arguments, ConvolutionInt8)
    w = arguments.window
    pitch = w.out_width + (w.kernel_x - 1) * w.dilation_x // w.stride_x
    blocks = -(-(pitch * (w.out_height - 1) + w.out_width) // _FOURS)
    fours = -(-arguments.in_channels * w.taps // 4)
    return _FOURS * arguments.groups * arguments.rows * blocks * (4 * fours + 100)


def _int8_winograd(arguments: Kernel) -> float:
    """36 products of two operands by 16 tiles; other cycles are those in which vectors, rows and weights are transformed."""
    assert isinstance(arguments, ConvolutionInt8)
    w = arguments.window
    pairs, chunks = -(-arguments.in_channels // 2), -(-arguments.rows // WINOGRAD_ROWS)
    tiles = math.prod(-(-size // 4) for size in w.out_plane)
    vectors, blocks = -(-tiles // _LANES), -(-tiles * pairs // 4000)
    products = 36 * 8 * -(-arguments.rows // 8) * pairs * (tiles + 2) / _LANES
    moves = pairs * (240 * vectors + 70 * w.out_height) + 260 * arguments.rows * vectors + 150 * pairs * chunks * blocks
    return _FOURS * arguments.groups * (products + moves)


def _int8_sums_fit(weights: Arrays) -> bool:
    """Sums of bytes by weights of one sign have 25 bits (native/kernels/convolution_int8/convolution_int8.h)."""
    whole = weights["weights"].astype(np.int64).reshape(len(weights["weights"]), -1)
    return bool((255 * np.maximum(whole, 0).sum(1) < 1 << 25).all() and (255 * np.minimum(whole, 0).sum(1) >= -1 << 25).all())


def _has_channels(arguments: Kernel, _has_residual: bool) -> bool:
    assert isinstance(arguments, Depthwise)
    w = arguments.window
    is_plain = w.kernel_x in (3, 5, 7) and w.stride_x <= 2 and w.dilation == (1, 1)
    return is_plain and math.prod(w.in_plane) > 1 and w.pixels > 1


def _lanes_of_channels(arguments: Kernel) -> float:
    """16 pixels of 16 channels are transposed in 110 cycles, there and back; what leaves the L1 cache takes longer."""
    assert isinstance(arguments, Depthwise)
    w = arguments.window
    copied = w.in_height * (w.in_width + w.kernel_x - 1) * _LANES
    tiles = -(-math.prod(w.in_plane) // _LANES) - (-w.pixels // _LANES)
    cycles = (w.pixels * w.taps + 110 * tiles) * (1 + copied / 1e5)
    return cycles * -(-arguments.channels // _LANES) * _LANES


def _windows(arguments: Kernel) -> float:
    """Cycles for each tap of a vector: of columns, or of narrow planes; 3x3 windows slide, for others planes are copied."""
    assert isinstance(arguments, Depthwise)
    w = arguments.window
    vectors, slides = w.out_height * -(-w.out_width // _LANES), w.kernel == (3, 3)
    cycles = (1.2 if slides else 1.7) * (1 if w.stride_x == 1 else 1.7)
    if slides and w.stride_x == 1 and 2 * w.in_width <= _LANES and w.pixels <= _LANES * PANEL:
        vectors, cycles = -(-w.pixels // _LANES), 2.2
    call = 0 if arguments.activation in ("none", "relu", "relu6", "clamp") else 45  # of an activation, for each plane
    return (cycles * vectors * w.taps + call) * arguments.channels * _LANES


def _halves(arguments: Kernel) -> float:
    """Two products at a time; an operand that is rounded takes as long as 1.4 products of float32."""
    assert isinstance(arguments, Gemm)
    return arguments.flops / 2 + 1.4 * arguments.groups * arguments.depth * arguments.pixels


_BFLOAT16 = Variant("bfloat16", pack=in_pairs, weights=lambda a: a.params / 2, work=_halves, precision="bfloat16")
_ONE = (Variant(),)
VARIANTS: Mapping[str, Sequence[Variant]] = {
    "gemm": (_BFLOAT16, Variant(pack=in_panels)),
    "affine_gemm": (Variant(pack=in_panels),),
    "gated_gemm": (Variant(pack=in_panels),),
    "gemm_int8": (Variant(pack=in_fours),),
    "gemm_int8_float": (Variant(pack=in_fours),),
    "convolution_int8": (
        Variant(
            "winograd4",
            takes=lambda arguments, _has_residual: _is_3x3(arguments, 1),
            pack=for_winograd_int8,
            work=_int8_winograd,
            holds=_int8_sums_fit,
        ),
        Variant(pack=in_fours, work=_int8_flat),
    ),
    "convolution": (
        Variant("rows", takes=_has_wide_rows, pack=in_panels, work=_whole_rows),
        _winograd(2, 1, 210, 120),
        _winograd(4, 1, 450, 270),
        _winograd(2, 2, 190, 150),
        _winograd_taps(_winograd(2, 2, 190, 150)),
        _winograd(4, 2, 1080, 630),
        Variant("patches", pack=in_panels, copies=_patches, work=_gathered),
        Variant(pack=in_panels, work=_flat),
    ),
    "convolution_pool": (Variant(pack=in_panels),),
    "depthwise": (
        Variant("channels", takes=_has_channels, pack=in_lanes, work=_lanes_of_channels, mixes=True),
        Variant(work=_windows),
    ),
    "pointwise_depthwise": (Variant(pack=in_panels),),
}


def variants_of(kernel: str) -> Sequence[Variant]:
    """All of them; the one called `any` takes whatever the kernel takes."""
    return VARIANTS.get(kernel, _ONE)


def bytes_moved(arguments: Kernel, variant: str) -> float:
    """Bytes of the maps that a step reads and writes, twice for those that leave the cache, and copies.

    Example:
        >>> small, large = (Gemm(1, 8, 8, pixels, "none", 0.0, 0.0) for pixels in (1 << 10, 1 << 20))
        >>> bytes_moved(large, "any") / bytes_moved(small, "any")
        2048.0
    """
    maps = sum(size * (2 if size * arguments.element >= _CACHE else 1) for size in arguments.maps)
    return arguments.element * (maps + arguments.copies + _variant(arguments, variant).copies(arguments))


def estimate(arguments: Kernel, variant: str) -> float:
    """The price by default: bytes that are moved, and those of weights or, if more, those that could be while it multiplies.

    Example:
        >>> from shufflekit.plan.kernels import Window
        >>> tower = Convolution(64, 64, Window(56, 56, 56, 56, 3, 3, pad_y=1, pad_x=1), "relu", 0.0, 0.0)
        >>> min(("rows", "winograd2", "winograd4"), key=lambda variant: estimate(tower, variant))
        'winograd4'
    """
    chosen = _variant(arguments, variant)
    weights = arguments.element * chosen.weights(arguments)
    return bytes_moved(arguments, variant) + max(_BYTES_A_PRODUCT * chosen.work(arguments), weights)


def choose(lowered: Lowered, price: Price = estimate, precision: Precision = "float32") -> Lowered:
    """The same steps, neighbours together where that is cheaper, each with the cheapest variant that takes it.

    Args:
        lowered: what lowering emitted.
        price: of a step's arguments and the name of a variant.
        precision: bfloat16 for variants whose products are rounded to it, too.
    """
    readers = _readers(lowered)
    chosen: list[tuple[float, Draft]] = []
    for draft in lowered.drafts:
        cost, draft = _cheapest(draft, price, precision)
        if chosen and _reads_all_of(draft, chosen[-1][1], lowered.space, readers):
            apart = chosen[-1][0] + cost
            both = [
                _cheapest(one, price, precision)
                for fuse in FUSIONS
                if (one := fuse(chosen[-1][1], draft)) and _lies_together(one, lowered)
            ]
            if both and (together := min(both, key=lambda pair: pair[0]))[0] < apart:
                chosen[-1] = together
                continue
        chosen.append((cost, draft))
    return replace(lowered, drafts=tuple(draft for _, draft in chosen))


def packed(draft: Draft) -> Arrays:
    """The weights of a draft as its variant reads them."""
    return _variant(draft.arguments, draft.variant).pack(draft.arguments, draft.weights)


def _variant(arguments: Kernel, name: str) -> Variant:
    return next(each for each in variants_of(arguments.kernel) if each.name == name)


def _cheapest(draft: Draft, price: Price, precision: Precision) -> tuple[float, Draft]:
    fit = [
        each.name
        for each in variants_of(draft.arguments.kernel)
        if each.precision in ("float32", precision)
        and each.takes(draft.arguments, "residual" in draft.reads)
        and not (each.mixes and not all(np.isfinite(array).all() for array in draft.weights.values()))
        and each.holds(draft.weights)
    ]
    cost, name = min(((price(draft.arguments, name), name) for name in fit), key=lambda pair: pair[0])
    return cost, replace(draft, variant=name)


def _readers(lowered: Lowered) -> Counter[int]:
    """How many drafts read of each block."""
    return Counter(
        int(block)
        for draft in lowered.drafts
        for block in {block for starts in draft.reads.values() for block in np.unique(lowered.space.find(starts)[0])}
    )


def _reads_all_of(draft: Draft, before: Draft, space: Space, readers: Counter[int]) -> bool:
    """Whether this is all that reads what the draft before wrote, in order and once: it is no residual too."""
    if before.to_output or readers[before.writes] != 1 or "in" not in draft.reads:
        return False
    if any(before.writes in space.find(starts)[0] for table, starts in draft.reads.items() if table != "in"):
        return False
    block = space.blocks[before.writes]
    return np.array_equal(draft.reads["in"], block.base + np.arange(block.channels) * block.pixels)


def _lies_together(draft: Draft, lowered: Lowered) -> bool:
    """Whether a step can read all of it: a network's input is a buffer of its own, and a residual lies in the arena."""
    made = {each.writes for each in lowered.drafts if not each.to_output}
    return len(draft.reads) == 1 or all(
        int(block) in made for starts in draft.reads.values() for block in np.unique(lowered.space.find(starts)[0])
    )


# Neighbours that one kernel computes: each gives the draft of both, or None where the kernel does not take them.


def pointwise_depthwise(first: Draft, second: Draft) -> Draft | None:
    """A pointwise convolution and the depthwise one behind it."""
    a, b = first.arguments, second.arguments
    if type(a) is not Gemm or not isinstance(b, Depthwise) or a.groups != 1 or {"residual"} & {*first.reads, *second.reads}:
        return None
    both = PointwiseDepthwise(a.rows, a.depth, b.window, a.activation, a.alpha, a.beta, b.activation)
    weights = {**first.weights, **{f"depthwise_{name}": array for name, array in second.weights.items()}}
    name = f"{first.name}+{second.name}"
    return Draft(both, name, first.reads, second.writes, weights) if both.is_computed else None


def convolution_pool(first: Draft, second: Draft) -> Draft | None:
    """A stem and its max pooling."""
    a, b = first.arguments, second.arguments
    if not isinstance(a, Convolution) or not isinstance(b, Pool) or a.groups != 1 or "residual" in first.reads:
        return None
    if b.pooling != "maximum" or b.activation != "none":
        return None
    both = ConvolutionPool(a.rows, a.in_channels, a.window, a.activation, a.alpha, a.beta, b.window)
    return Draft(both, first.name, first.reads, second.writes, first.weights) if both.is_computed else None


def affine_gemm(first: Draft, second: Draft) -> Draft | None:
    """A scale and shift, with bounds, and the pointwise convolution behind it."""
    a, b = first.arguments, second.arguments
    if not isinstance(a, Affine) or type(b) is not Gemm or len(first.weights["scale"]) != b.groups * b.depth:
        return None
    both = AffineGemm(b.groups, b.rows, b.depth, b.pixels, b.activation, b.alpha, b.beta, a.activation)
    reads, weights = {**second.reads, "in": first.reads["in"]}, {**first.weights, **second.weights}
    return Draft(both, second.name, reads, second.writes, weights) if both.is_computed else None


def gated_gemm(first: Draft, second: Draft) -> Draft | None:
    """A product with one number for each plane, and the pointwise convolution behind it."""
    a, b = first.arguments, second.arguments
    if not isinstance(a, Binary) or type(b) is not Gemm or (a.operation, a.activation) != ("multiply", "none"):
        return None
    if b.pixels == 1 or a.channels != b.groups * b.depth or sorted((a.a_pixels, a.b_pixels)) != [1, b.pixels]:
        return None
    x, gate = ("a", "b") if a.b_pixels == 1 else ("b", "a")
    both = GatedGemm(b.groups, b.rows, b.depth, b.pixels, b.activation, b.alpha, b.beta)
    reads = {**second.reads, "in": first.reads[x], "gate": first.reads[gate]}
    return Draft(both, second.name, reads, second.writes, second.weights)


FUSIONS = (pointwise_depthwise, convolution_pool, affine_gemm, gated_gemm)
