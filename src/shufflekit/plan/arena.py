"""Where each plane lies in the arena: planes that live at the same time do not overlap, dead ones make room."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shufflekit.plan.program import BORDER, plane_bytes


@dataclass(frozen=True, eq=False)
class Lifetimes:
    """A step's output: `channels` planes of `pixels`, written by step `born`; plane c is last read by step `dies[c]`.

    `heir_of` has, by channel, the number of an earlier value and the channel of it whose plane this one is written over:
    a plane of the same size that step `born` is the last to read. `element` is the bytes of one.
    """

    born: int
    pixels: int
    dies: NDArray[np.int64]
    heir_of: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    element: int = 4


def place(values: Sequence[Lifetimes]) -> tuple[list[NDArray[np.int64]], int]:
    """Lays planes out, lowest free addresses first, each plane by itself: views may leave any of them alive.

    A plane that a step reads for the last time is free after that step, not during it. Values of one-pixel planes stay
    together, so that what a linear layer writes is one vector.

    Args:
        values: by `born`, rising.

    Returns:
        The offsets of each value's planes, in its elements, and the size of the arena in bytes.

    Example:
        >>> first = Lifetimes(born=0, pixels=20, dies=np.array([1, 5]))
        >>> second = Lifetimes(born=2, pixels=20, dies=np.array([5, 5]))
        >>> place([first, second])[0]  # the second takes the place of the first one's plane that died
        [array([ 0, 32]), array([ 0, 64])]
    """
    free = _FreeList()
    pending: defaultdict[int, set[tuple[int, int]]] = defaultdict(set)  # by the step they die at, starts and bytes
    places: list[NDArray[np.int64]] = []  # bytes
    for value in values:
        for dead in [step for step in pending if step < value.born]:
            for start, size in pending.pop(dead):
                free.give(start, size)
        if value.pixels == 1:
            size = -(-len(value.dies) * value.element // BORDER) * BORDER
            start = free.take(size)
            pending[int(value.dies.max())].add((start, size))
            places.append(start + np.arange(len(value.dies)) * value.element)
        else:
            size = plane_bytes(value.pixels, value.element)
            starts = []
            for channel in range(len(value.dies)):
                if channel in value.heir_of:
                    other, plane = value.heir_of[channel]
                    starts.append(int(places[other][plane]))
                    pending[value.born].remove((starts[-1], size))
                else:
                    starts.append(free.take(size))
            for dies, start in zip(value.dies.tolist(), starts):
                pending[dies].add((start, size))
            places.append(np.array(starts, np.int64))
    return [starts // value.element for starts, value in zip(places, values)], free.end


class _FreeList:
    """Free stretches below `end`, by address; neighbours are joined."""

    def __init__(self) -> None:
        self.end = 0
        self._starts: list[int] = []
        self._ends: list[int] = []

    def take(self, size: int) -> int:
        for i, (start, end) in enumerate(zip(self._starts, self._ends)):
            if end - start >= size:
                self._starts[i] += size
                if self._starts[i] == end:
                    del self._starts[i], self._ends[i]
                return start
        start = self.end
        if self._ends and self._ends[-1] == self.end:  # grow what is free at the end
            start = self._starts.pop()
            self._ends.pop()
        self.end = start + size
        return start

    def give(self, start: int, size: int) -> None:
        i = bisect_left(self._starts, start)
        self._starts.insert(i, start)
        self._ends.insert(i, start + size)
        for left in (i, i - 1):
            if 0 <= left < len(self._starts) - 1 and self._ends[left] == self._starts[left + 1]:
                self._ends[left] = self._ends[left + 1]
                del self._starts[left + 1], self._ends[left + 1]
