"""Windows of maps as columns and back, and maps whose pixels are each the nearest of another's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from shufflekit.graph.from_torch.call import Call
from shufflekit.graph.from_torch.nodes import Nodes, Step
from shufflekit.graph.images import Images
from shufflekit.graph.operator import BATCH
from shufflekit.graph.ops.conv_transpose import ConvTranspose
from shufflekit.graph.ops.moves import Concat, Permute, Reshape, Slice, Take
from shufflekit.graph.ops.pad import Pad


def _pairs(call: Call, *names: str) -> list[tuple[int, int]]:
    found = [[int(each) for each in call[name]] for name in names]
    return [(each[0], each[-1]) for each in found]


def _columns(call: Call) -> Nodes:
    """(N, C, H, W) as (N, C * taps, windows): for each tap of a window the pixels of all windows."""
    name, (_, channels, *sides) = call.name(), call.sizes("self")
    kernel, dilation, padding, stride = _pairs(call, "kernel_size", "dilation", "padding", "stride")
    counts = [
        (side + 2 * pad - step * (size - 1) - 1) // apart + 1
        for side, pad, step, size, apart in zip(sides, padding, dilation, kernel, stride)
    ]
    around = (0, 0, *padding)
    steps: list[Step] = [(Pad(around, around, 0.0), (name,))] if any(padding) else []
    x: str | int = 0 if steps else name
    taps: list[int] = []
    for place in np.ndindex(*kernel):
        part = x
        for dim, (tap, step, apart, count) in enumerate(zip(place, dilation, stride, counts), start=2):
            first = tap * step
            steps.append((Slice(dim, first, first + (count - 1) * apart + 1, apart), (part,)))
            part = len(steps) - 1
        steps.append((Reshape((BATCH, channels, 1, *counts)), (part,)))
        taps.append(len(steps) - 1)
    steps.append((Concat(2), tuple(taps)))
    return Nodes([*steps, (Reshape(call.shape), (len(steps) - 1,))])


def _of_columns(call: Call) -> Nodes:
    """The other way: a pixel is the sum of what the windows over it have there."""
    name, (_, rows, _) = call.name(), call.sizes("self")
    kernel, dilation, padding, stride, sides = _pairs(call, "kernel_size", "dilation", "padding", "stride", "output_size")
    channels = rows // (kernel[0] * kernel[1])
    extents = [step * (size - 1) + 1 for step, size in zip(dilation, kernel)]
    counts = [(side + 2 * pad - size) // apart + 1 for side, pad, size, apart in zip(sides, padding, extents, stride)]
    if kernel == stride and extents == [*kernel] and not any(padding) and not any(a % b for a, b in zip(sides, kernel)):
        steps: list[Step] = [(Reshape((BATCH, channels, *kernel, *counts)), (name,)), (Permute((0, 1, 4, 2, 5, 3)), (0,))]
        return Nodes([*steps, (Reshape((BATCH, channels, *sides)), (1,))])
    more = tuple((side + 2 * pad - size) % apart for side, pad, size, apart in zip(sides, padding, extents, stride))
    conv = ConvTranspose(stride, padding * 2, more, dilation, channels)
    taps = np.eye(kernel[0] * kernel[1], dtype=np.float32).reshape(-1, 1, *kernel)
    return Nodes([(Reshape((BATCH, rows, *counts)), (name,)), (conv, (0, np.tile(taps, (channels, 1, 1, 1))))])


def _windows(call: Call) -> Nodes:
    """Of a dimension all windows of a size; a window's elements are the last dimension."""
    name, x = call.place()
    dim, size, step = int(call["dimension"]) % len(x.sizes), int(call["size"]), int(call["step"])
    count = (x.sizes[dim] - size) // step + 1
    stored = x.stored_dim(dim)
    numbers = (np.arange(count)[:, np.newaxis] * step + np.arange(size)).reshape(-1)
    apart = Images((*x.sizes[:dim], count, size, *x.sizes[dim + 1 :]), x.axis + (x.axis > dim), x.outer)
    if step == size:
        taken: Step = (Slice(stored, 0, count * size), (name,))
    else:
        taken = (Take(stored, tuple(numbers.tolist())), (name,))
    order = [*(each for each in range(len(apart.sizes)) if each != dim + 1), dim + 1]
    return Nodes([taken, (Reshape(apart.stored), (0,)), (Permute(apart.stored_order(order)), (1,))], apart.permuted(order))


def nearest(size: int, out: int, factor: float | None, exact: bool) -> list[int]:
    """Which pixel of `size` each of `out` is, counted in float32 as torch does.

    Args:
        exact: by the middles of pixels.

    Example:
        >>> nearest(2, 4, None, False), nearest(3, 2, None, True)
        ([0, 0, 1, 1], [0, 2])
    """
    step = np.float32(1 / factor) if factor else np.float32(size) / np.float32(out)
    at = np.arange(out, dtype=np.float32) + np.float32(0.5 if exact else 0)
    found: list[int] = np.minimum(np.floor(at * step).astype(np.int64), size - 1).tolist()
    return found


def _nearest(exact: bool, *arguments: str) -> Callable[[Call], Nodes]:
    def translate(call: Call) -> Nodes:
        source = "self" if call.has("self") else "input"
        sides, out = call.sizes(source)[2:], call.output.sizes[2:]
        factors: Sequence[float | None] = (
            call["scale_factors"] if call.has("scale_factors") else [call[each] for each in arguments]
        ) or (None,) * len(sides)
        steps: list[Step] = []
        for dim, (side, size, factor) in enumerate(zip(sides, out, factors), start=2):
            numbers = tuple(nearest(side, size, factor, exact))
            steps.append((Take(dim, numbers), (len(steps) - 1 if steps else call.name(source),)))
        return Nodes(steps)

    return translate


_SCALES = {1: ("scales",), 2: ("scales_h", "scales_w"), 3: ("scales_d", "scales_h", "scales_w")}

TRANSLATIONS: dict[str, Callable[[Call], Nodes]] = {
    "aten.im2col": _columns,
    "aten.col2im": _of_columns,
    "aten.unfold": _windows,
    **{
        f"aten._upsample_nearest_exact{sides}d{end}": _nearest(True, *names)
        for sides, names in _SCALES.items()
        for end in ("", ".vec")
    },
    **{f"aten.upsample_nearest3d{end}": _nearest(False, *_SCALES[3]) for end in ("", ".vec")},
}
