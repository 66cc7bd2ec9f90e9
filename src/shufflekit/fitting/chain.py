"""The search over networks of stages: what their parts take adds up, so the best of all of them can be worked out."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from shufflekit.errors import UsageError
from shufflekit.fitting.knapsack import largest
from shufflekit.fitting.parts import Parts
from shufflekit.fitting.record import Candidate, size
from shufflekit.fitting.spaces import Constructed
from shufflekit.fitting.tries import Tries, Values

_COUNTED = 24  # networks drawn by chance: more than the products of two widths of a part
_SAMPLES = 4  # and those that are timed
_WIDEST = 1.5
_TRIES = 100  # for numbers drawn by chance that can be
_LEVELS = 100  # of all widths together
_OTHERS = 6  # of other numbers
_AROUND = 3  # steps
_LESS = 0.999
_SHARES = (0.6, 0.75, 0.9, 1.15, 1.4)  # of the budget: what it would be worth to have another


@dataclass
class ChainSearch(Tries):
    """Measures some networks, works out which would be the largest within the budget, measures that, and again.

    Args:
        space: the networks.
        parts: what they consist of.
        budget_ms: for the sum over the steps of one.
        maximise: "flops" or "params".
        measure: a network's time and size, of which `parts` learns; raises a UsageError where there is no such network.
        end: `time.monotonic()` at which it stops.
        tell: called with what was found.
    """

    space: Constructed
    parts: Parts
    budget_ms: float
    maximise: str
    measure: Callable[[Values], Candidate]
    end: float
    tell: Callable[[str], None] = lambda _: None
    measured: dict[Values, Candidate | None] = field(default_factory=dict)
    chance: random.Random = field(default_factory=partial(random.Random, 0))
    _levels: list[tuple[int, ...]] = field(default_factory=list)  # of each number, from a half to four times of it

    def run(self) -> None:
        """Fills `measured`."""
        dials, chain = self.space.dials, self.space.chain
        self._try(tuple(dial.value for dial in dials))
        for _ in range(_COUNTED):
            if self._left() and (values := self._drawn(_WIDEST)):
                self._count(values)
        for _ in range(_SAMPLES):
            if self._left() and (values := self._drawn(0.0)):
                self._try(values)
        if not all(self.parts.steps.values()):
            return  # out of time
        count = _LEVELS // len(chain)
        self._levels = [dial.levels(count if place in chain else _OTHERS) for place, dial in enumerate(dials)]
        self.refine()
        for share in _SHARES:
            values = self._largest(self._levels, share * self.budget_ms) if self._left() else None
            if values and values not in self.measured:
                self._try(values)

    def refine(self) -> None:
        """Goes on, for a budget that may be another one now."""
        if not self._levels:
            return
        self._converge(self._levels)
        before = None
        while (here := self.best()) and here != before and self._left():
            before = here
            self._converge([dial.around(value, _AROUND) for dial, value in zip(self.space.dials, here.values, strict=True)])

    def _count(self, values: Values) -> None:
        try:
            self.parts.count(values, self.space.graph(values))
        except UsageError:  # no such network
            return

    def _try(self, values: Values) -> None:
        before = self.best()
        try:
            self.measured[values] = self.measure(values)
        except UsageError:  # no such network
            self.measured[values] = None
        if (found := self.best()) and found != before:
            self.tell(f"{size(found, self.maximise) / 1e6:.1f} M in {found.ms:.3f} ms")

    def _drawn(self, widest: float) -> Values | None:
        """Other numbers by chance, all about as many times as large: from a half to 2 to the power `widest`."""
        dials = self.space.dials
        for _ in range(_TRIES):
            factor = self.chance.uniform(-0.7, widest)
            values = tuple(dial.moved(round(dial.value * 2 ** (factor + self.chance.uniform(-0.4, 0.4))), 0) for dial in dials)
            values = tuple(max(2, each) if place in self.space.depths else each for place, each in enumerate(values))
            if self.space.in_order(values):
                return values
        return None

    def _converge(self, options: Sequence[Sequence[int]]) -> None:
        """Measures the best that can be put together of some numbers, until it was measured."""
        budget_ms = self.budget_ms
        while self._left() and (values := self._largest(options, budget_ms)):
            if values not in self.measured:
                self._try(values)
                continue
            found = self.measured[values]
            if found is None or found.ms <= self.budget_ms:
                return
            budget_ms *= _LESS  # sums of rounded times let it through

    def _largest(self, options: Sequence[Sequence[int]], budget_ms: float) -> Values | None:
        """By what parts take as far as is known."""
        parts = {part.name: part for part in self.parts.parts}
        chain, depths = self.space.chain, self.space.depths
        head = self.parts.table(parts["head"], _grid([options[chain[0]]]))
        links, ways = [], []
        for stage, (before, width) in enumerate(zip(chain, chain[1:])):
            first, rest = parts[f"first {stage}"], parts[f"rest {stage}"]
            factors = [options[place] for place in first.dials[2:]]
            shape = [len(options[before]), len(options[width]), *map(len, factors), 1]
            times = np.array(options[depths[stage]]) - 1
            ways.append(_named((*first.dials[2:], depths[stage]), [*factors, options[depths[stage]]]))
            both = zip(
                self.parts.table(first, _grid([options[before], options[width], *factors])),
                self.parts.table(rest, _grid([options[width], *factors])),
            )
            cost, counted = ((a.reshape(shape) + b.reshape([1, *shape[1:]]) * times).reshape(*shape[:2], -1) for a, b in both)
            goes = [[self.space.goes(width, one, other) for other in options[width]] for one in options[before]]
            links.append((np.where(np.array(goes)[..., None], cost, np.inf), counted))
        tail = parts["tail"]
        ends = [options[place] for place in tail.dials[1:]]
        ways.append(_named(tail.dials[1:], ends))
        shape = [len(options[chain[-1]]), 1, -1]
        cost, counted = (each.reshape(shape) for each in self.parts.table(tail, _grid([options[chain[-1]], *ends])))
        found = largest(head, [*links, (cost, counted)], budget_ms)
        if found is None:
            return None
        values = dict(enumerate(dial.value for dial in self.space.dials))
        values[chain[0]] = options[chain[0]][found[0]]
        for (_, way), numbers in zip(found[1], ways, strict=True):
            values |= numbers[way]
        for (state, _), place in zip(found[1], chain[1:]):  # behind the tail there is none
            values[place] = options[place][state]
        return tuple(values.values())


def _named(places: Sequence[int], options: Sequence[Sequence[int]]) -> list[dict[int, int]]:
    """All combinations by the places of their numbers, as in `_grid`."""
    return [dict(zip(places, numbers, strict=True)) for numbers in itertools.product(*options)]


def _grid(options: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """All combinations, one a row, the last number changing first."""
    return np.array(list(itertools.product(*options)), float)
