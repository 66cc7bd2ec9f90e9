"""Sizes of dimensions as sums of widths, so that what follows from a change can be worked out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ONE = -1  # the width that is always 1: numbers are multiples of it


@dataclass(frozen=True)
class Size:
    """A sum of multiples of widths, in the order in which channels lie.

    Args:
        parts: (factor, width) of each.

    Example:
        >>> halves = Size(((1, 0), (1, 1)))
        >>> halves.value({0: 24, 1: 216}), halves.times(3).value({0: 24, 1: 216}), number(7).value({})
        (240, 720, 7)
    """

    parts: tuple[tuple[int, int], ...]

    def value(self, widths: Mapping[int, int]) -> int:
        return sum(factor * (1 if width == ONE else widths[width]) for factor, width in self.parts)

    @property
    def is_number(self) -> bool:
        return all(width == ONE for _, width in self.parts)

    def times(self, factor: int) -> Size:
        return Size(tuple((factor * each, width) for each, width in self.parts))

    def over(self, divisor: int) -> Size | None:
        """A whole part of it, where every factor can be divided."""
        if any(factor % divisor for factor, _ in self.parts):
            return None
        return Size(tuple((factor // divisor, width) for factor, width in self.parts))


def number(value: int) -> Size:
    """A size that stays."""
    return Size(((value, ONE),))


def joined(sizes: Sequence[Size]) -> Size:
    """One behind the other; numbers side by side are one number."""
    parts: list[tuple[int, int]] = []
    for factor, width in (part for size in sizes for part in size.parts):
        if parts and width == parts[-1][1] == ONE:
            parts[-1] = (parts[-1][0] + factor, ONE)
        elif factor:
            parts.append((factor, width))
    return Size(tuple(parts))


def difference(a: Size, b: Size) -> dict[int, int]:
    """The factor of each width in a - b, but for those that vanish."""
    sums: Counter[int] = Counter()
    for sign, size in ((1, a), (-1, b)):
        for factor, width in size.parts:
            sums[width] += sign * factor
    return {width: factor for width, factor in sums.items() if factor}
