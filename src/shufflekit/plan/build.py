"""Steps and views to a program: lifetimes, places in the arena, tables of offsets, one stretch of weights."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shufflekit.graph import Graph
from shufflekit.plan.arena import Lifetimes, place
from shufflekit.plan.choose import Precision, Price, choose, estimate, packed
from shufflekit.plan.kernels import Gather
from shufflekit.plan.lower import lower
from shufflekit.plan.lowering.frame import Draft, Lowered
from shufflekit.plan.program import BORDER, Program, Step, Tensor
from shufflekit.plan.views import Addresses


def build(
    graph: Graph,
    name: str = "",
    info: Mapping[str, Any] | None = None,
    price: Price = estimate,
    precision: Precision = "float32",
) -> Program:
    """Plans a simplified graph.

    Args:
        name: of the network.
        info: kept in the program for its users.
        price: by which kernels and their variants are chosen.
        precision: of products, as `choose` takes it.

    Raises:
        UsageError: the graph has an operator, or a use of one, that the engine cannot compute.
    """
    lowered = choose(lower(graph), price, precision)
    one = (1,) * graph.takes_one  # whose sizes are of all there is
    inputs = tuple(
        Tensor(name, (*one, *graph.values[name].sizes), graph.values[name].type, not graph.takes_one) for name in graph.inputs
    )
    elements = _elements(lowered, inputs)
    offsets, arena = _places(lowered, elements)
    tables, weights = _Pool(np.int32), _Pool(np.uint8)
    constants = [weights.add(_bytes(array)) // 4 for array in lowered.constants]
    steps = []
    for draft in lowered.drafts:
        located = {table: _locate(starts, lowered, offsets, len(inputs), constants) for table, starts in draft.reads.items()}
        (in_buffer,) = {buffer for _, buffer in located.values()} or {0}
        written = _written(draft, lowered, offsets)
        packs = packed(draft)
        steps.append(
            Step(
                arguments=draft.arguments,
                name=draft.name,
                variant=draft.variant,
                tables={name: tables.add(places) for name, (places, _) in located.items()} | {"out": tables.add(written)},
                weights={name: weights.add(_bytes(array)) for name, array in packs.items()},
                flops=draft.arguments.flops,
                bytes=_bytes_moved(draft, lowered, elements) + sum(_bytes(array).size for array in packs.values()),
                in_buffer=in_buffer,
                out_buffer=1 + draft.writes if draft.to_output else 0,
            )
        )
    return Program(
        name=name,
        inputs=inputs,
        outputs=tuple(
            Tensor(output, graph.fixed.get(output, (*one, *shape)), batched=not graph.takes_one)
            for output, shape in lowered.outputs
        ),
        arena=arena,
        steps=tuple(steps),
        tables=tables.joined(),
        weights=weights.joined(),
        info={"vanished": dict(lowered.vanished), **(info or {})},
    )


def _bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Weights as they lie in the file: floats as float32, others as they are."""
    return np.ascontiguousarray(array, np.float32 if array.dtype.kind == "f" else None).reshape(-1).view(np.uint8)


def _elements(lowered: Lowered, inputs: Sequence[Tensor]) -> NDArray[np.int64]:
    """Bytes of an element of each block: the inputs, then what steps write."""
    elements = np.zeros(len(lowered.space.blocks), np.int64)
    elements[: len(inputs)] = [tensor.element for tensor in inputs]
    elements[len(inputs) : len(inputs) + len(lowered.constants)] = 4
    for draft in lowered.drafts:
        if not draft.to_output:
            elements[draft.writes] = draft.arguments.element
    return elements


def _places(lowered: Lowered, elements: NDArray[np.int64]) -> tuple[dict[int, NDArray[np.int64]], int]:
    """Offsets of the planes of every block that a step writes, in its elements, and the size of the arena in bytes."""
    blocks = lowered.space.blocks
    born: dict[int, int] = {}
    dies = [np.zeros(block.channels, np.int64) for block in blocks]
    for number, draft in enumerate(lowered.drafts):
        for starts in draft.reads.values():
            which, channels, _ = lowered.space.find(starts)
            for block in np.unique(which):
                dies[block][channels[which == block]] = number
        if not draft.to_output:
            born[draft.writes] = number
            dies[draft.writes][:] = number
    order = sorted(born, key=lambda block: born[block])
    number_of = {block: number for number, block in enumerate(order)}
    lifetimes = []
    for block in order:
        heirs = _heirs(lowered, lowered.drafts[born[block]], born[block], dies)
        heir_of = {channel: (number_of[other], plane) for channel, (other, plane) in heirs.items()}
        lifetimes.append(Lifetimes(born[block], blocks[block].pixels, dies[block], heir_of, int(elements[block])))
    offsets, arena = place(lifetimes)
    return dict(zip(order, offsets)), arena


def _heirs(lowered: Lowered, draft: Draft, number: int, dies: Sequence[NDArray[np.int64]]) -> dict[int, tuple[int, int]]:
    """Output channels that are written over the residual they add: each plane that nobody else reads any more.

    By channel, the block and channel of that plane. The sum then stays where it was, and in the cache.
    """
    if "residual" not in draft.reads or lowered.space.blocks[draft.writes].pixels == 1:
        return {}
    residual, operand = (lowered.space.find(draft.reads[table]) for table in ("residual", "in"))
    planes = list(zip(*(part.tolist() for part in residual[:2])))
    times = Counter([*planes, *zip(*(part.tolist() for part in operand[:2]))])
    return {
        channel: (block, plane)
        for channel, (block, plane) in enumerate(planes)
        if dies[block][plane] == number and times[block, plane] == 1
    }


def _locate(
    starts: Addresses, lowered: Lowered, offsets: Mapping[int, NDArray[np.int64]], inputs: int, constants: Sequence[int]
) -> tuple[NDArray[np.int64], int]:
    """Offset of each address, and the buffer they lie in: 0 is the arena, 1 + i is input i, behind them the weights."""
    which, channels, pixels = lowered.space.find(starts)
    first = int(which[0])
    if first < inputs + len(constants):
        place = 0 if first < inputs else constants[first - inputs]
        return starts - lowered.space.blocks[first].base + place, 1 + min(first, inputs)
    places = np.empty(len(starts), np.int64)
    for block in np.unique(which):
        here = which == block
        places[here] = offsets[int(block)][channels[here]] + pixels[here]
    return places, 0


def _written(draft: Draft, lowered: Lowered, offsets: Mapping[int, NDArray[np.int64]]) -> NDArray[np.int64]:
    count, pixels = draft.arguments.planes_written, draft.arguments.pixels_written
    if draft.to_output:
        return np.arange(count) * pixels
    planes = offsets[draft.writes]
    if count == len(planes):
        return planes
    return (planes[:, None] + np.arange(lowered.space.blocks[draft.writes].pixels)).reshape(-1)  # element by element


def _bytes_moved(draft: Draft, lowered: Lowered, elements: NDArray[np.int64]) -> int:
    """Read and written. A view of single elements reads one of each plane, however large the planes are that they lie in."""
    a = draft.arguments
    read = sum(
        int(elements[lowered.space.find(np.unique(starts))[0]].sum()) * a.pixels_read(table)
        for table, starts in draft.reads.items()
    )
    if isinstance(a, Gather):  # which may pass over elements
        read = min(read, a.element * math.prod(a.out_shape))
    return read + a.element * math.prod(a.out_shape)


class _Pool:
    """Arrays one after another, each from a cache line's border on."""

    def __init__(self, dtype: Any) -> None:
        self._dtype = dtype
        self._parts: list[NDArray[Any]] = []
        self._end = 0

    def add(self, array: NDArray[Any]) -> int:
        start = self._end
        flat = np.ascontiguousarray(array, self._dtype).reshape(-1)
        missing = -len(flat) % (BORDER // flat.itemsize)
        self._parts += [flat, np.zeros(missing, self._dtype)]
        self._end += len(flat) + missing
        return start

    def joined(self) -> NDArray[Any]:
        parts: Sequence[NDArray[Any]] = self._parts or [np.zeros(0, self._dtype)]
        return np.concatenate(parts)
