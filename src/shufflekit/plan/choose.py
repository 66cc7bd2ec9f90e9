"""Which way each step is computed: by itself or together with the next one, and by which variant of its kernel.

Lowering emits one draft for each operator that computes. Here two neighbours become one where a kernel does both, and a
variant is chosen among those that take the step's arguments, whichever is cheaper by a price that is handed in. After that
weights are packed as the variant reads them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from shufflekit.plan.kernels import WIDE, Convolution, ConvolutionPool, Depthwise, Gemm, Kernel, PointwiseDepthwise, Pool
from shufflekit.plan.lowering.frame import Draft, Lowered
from shufflekit.plan.pack import Arrays, as_they_are, in_panels
from shufflekit.plan.views import Space

Price = Callable[[Kernel, str], float]  # of arguments and a variant

_CACHE = 1 << 21  # bytes: a map of 2 MB leaves the L2 cache of most cores; smaller ones are quicker in two steps


@dataclass(frozen=True)
class Variant:
    """A way of computing a kernel, as `native/kernels/kernels.inc` lists it.

    Args:
        takes: whether it computes these arguments, with a residual or without.
        pack: weights as it reads them.
        copies: elements that it moves besides its maps.
    """

    name: str = "any"
    takes: Callable[[Kernel, bool], bool] = lambda _arguments, _has_residual: True
    pack: Callable[[Kernel, Arrays], Arrays] = as_they_are
    copies: Callable[[Kernel], float] = lambda _arguments: 0.0


def _has_wide_rows(arguments: Kernel, has_residual: bool) -> bool:
    return arguments.out_shape[-1] >= WIDE and not has_residual


def _patches(arguments: Kernel) -> float:
    assert isinstance(arguments, Convolution)
    return arguments.flops / arguments.rows


_ONE = (Variant(),)
VARIANTS: Mapping[str, Sequence[Variant]] = {
    "gemm": (Variant(pack=in_panels),),
    "convolution": (
        Variant("rows", takes=_has_wide_rows, pack=in_panels),
        Variant(pack=in_panels, copies=_patches),
    ),
    "convolution_pool": (Variant(pack=in_panels),),
    "pointwise_depthwise": (Variant(pack=in_panels),),
}


def variants_of(kernel: str) -> Sequence[Variant]:
    """All of them; the one called `any` takes whatever the kernel takes."""
    return VARIANTS.get(kernel, _ONE)


def bytes_moved(arguments: Kernel, variant: str) -> float:
    """The price by default: bytes of the maps that a step reads and writes, twice for those that leave the cache, and copies.

    Example:
        >>> small, large = (Gemm(1, 8, 8, pixels, "none", 0.0, 0.0) for pixels in (1 << 10, 1 << 20))
        >>> bytes_moved(large, "any") / bytes_moved(small, "any")
        2048.0
    """
    maps = sum(size * (2 if size * arguments.element >= _CACHE else 1) for size in arguments.maps)
    copies = next(each.copies for each in variants_of(arguments.kernel) if each.name == variant)(arguments)
    return arguments.element * (maps + arguments.copies + copies)


def choose(lowered: Lowered, price: Price = bytes_moved) -> Lowered:
    """The same steps, neighbours together where that is cheaper, each with the cheapest variant that takes it.

    Args:
        lowered: what lowering emitted.
        price: of a step's arguments and the name of a variant.
    """
    readers = _readers(lowered)
    chosen: list[tuple[float, Draft]] = []
    for draft in lowered.drafts:
        cost, draft = _cheapest(draft, price)
        if chosen and _reads_all_of(draft, chosen[-1][1], lowered.space, readers):
            apart = chosen[-1][0] + cost
            both = [_cheapest(one, price) for fuse in FUSIONS if (one := fuse(chosen[-1][1], draft))]
            if both and (together := min(both, key=lambda pair: pair[0]))[0] < apart:
                chosen[-1] = together
                continue
        chosen.append((cost, draft))
    return replace(lowered, drafts=tuple(draft for _, draft in chosen))


def packed(draft: Draft) -> Arrays:
    """The weights of a draft as its variant reads them."""
    variant = next(each for each in variants_of(draft.arguments.kernel) if each.name == draft.variant)
    return variant.pack(draft.arguments, draft.weights)


def _cheapest(draft: Draft, price: Price) -> tuple[float, Draft]:
    fit = [each.name for each in variants_of(draft.arguments.kernel) if each.takes(draft.arguments, "residual" in draft.reads)]
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
    """Whether this is all that reads what the draft before wrote, in order."""
    if before.to_output or readers[before.writes] != 1 or "in" not in draft.reads:
        return False
    block = space.blocks[before.writes]
    return np.array_equal(draft.reads["in"], block.base + np.arange(block.channels) * block.pixels)


# Neighbours that one kernel computes: each gives the draft of both, or None where the kernel does not take them.


def pointwise_depthwise(first: Draft, second: Draft) -> Draft | None:
    """A pointwise convolution and the depthwise one behind it."""
    a, b = first.arguments, second.arguments
    if not isinstance(a, Gemm) or not isinstance(b, Depthwise) or a.groups != 1 or {"residual"} & {*first.reads, *second.reads}:
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


FUSIONS = (pointwise_depthwise, convolution_pool)
