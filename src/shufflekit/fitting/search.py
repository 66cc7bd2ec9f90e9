"""The search: a scale that fills the budget, then what is cheap here for what is dear."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from shufflekit.errors import UsageError
from shufflekit.fitting.record import Candidate, size
from shufflekit.fitting.spaces import Space
from shufflekit.fitting.tries import Tries, Values

Measure = Callable[[Values], Candidate]  # raises a UsageError where there is no such network

_HALVINGS = 6
_SIZES = (1, 2, 4)  # steps of an exchange
_FAILED = 40  # exchanges in a row, and there is none
_FAILED_OLD = 6  # by prices of another place, and these are taken anew


@dataclass
class Search(Tries):
    """Tries networks of a space, for a while, by a measurement that is handed in.

    Args:
        space: the networks.
        budget_ms: what one may take.
        maximise: "flops" or "params".
        measure: a network's time and size.
        end: `time.monotonic()` at which it stops.
        tell: called with what was found.
    """

    space: Space
    budget_ms: float
    maximise: str
    measure: Measure
    end: float
    tell: Callable[[str], None] = lambda _: None
    measured: dict[Values, Candidate | None] = field(default_factory=dict)
    prices: dict[int, tuple[float, float]] = field(default_factory=dict)  # ms and size of a step, where it was last taken
    moved: bool = False  # since then

    def run(self) -> None:
        """Fills `measured`."""
        start = tuple(dial.value for dial in self.space.dials)
        self._try(start)
        self._scale(start)
        self.refine()

    def refine(self) -> None:
        """Goes on, for a budget that may be another one now."""
        while self._left() and self._exchange():
            pass

    def _try(self, values: Values) -> Candidate | None:
        if values not in self.measured:
            try:
                self.measured[values] = self.measure(values)
            except UsageError:  # no such network, or widths that cannot be
                self.measured[values] = None
        return self.measured[values]

    def _scale(self, start: Values) -> None:
        """All widths times a factor, halving between one that is within the budget and one that is not."""
        low, high = 0.5, 4.0
        for _ in range(_HALVINGS):
            factor = (low * high) ** 0.5
            found = self._try(self._scaled(start, factor))
            low, high = (factor, high) if found is None or found.ms <= self.budget_ms else (low, factor)

    def _scaled(self, start: Values, factor: float) -> Values:
        return tuple(
            dial.moved(round(value * factor), 0) if dial.is_width else value
            for dial, value in zip(self.space.dials, start, strict=True)
        )

    def _exchange(self) -> bool:
        """One number up and another down, or one alone, which the prices promise most of; whether one did."""
        here = self.best()
        if here is None:
            return False
        for failed, values in enumerate(self._promising(here)):
            if failed == (_FAILED_OLD if self.moved else _FAILED) or not self._left():
                break
            found = self._try(values)
            if found and found.ms <= self.budget_ms and size(found, self.maximise) > size(here, self.maximise):
                self.moved = True
                self.tell(f"{size(found, self.maximise) / 1e6:.1f} M in {found.ms:.3f} ms")
                return True
        # A price is two networks: those of a place that was left are good enough until they mislead.
        again, self.moved = self.moved, False
        if again:
            self.prices.clear()
        return again

    def _promising(self, here: Candidate) -> Iterator[Values]:
        """Those that should be within the budget and larger, the largest first."""
        places = range(len(self.space.dials))
        for place in places:
            if place not in self.prices:
                self.prices[place] = self._price(here, place)
        prices = self.prices
        found: list[tuple[float, Values]] = []
        moves = [(place, steps) for place in places for size_ in _SIZES for steps in (size_, -size_)]
        for up, rise in moves:
            for down, fall in [(up, 0), *((place, steps) for place, steps in moves if place != up)]:
                ms = here.ms + rise * prices[up][0] + fall * prices[down][0]
                more = rise * prices[up][1] + fall * prices[down][1]
                if rise > 0 >= fall and more > 0 and ms <= self.budget_ms:
                    values = self._moved(self._moved(here.values, up, rise), down, fall)
                    found.append((more, values))
        best: dict[Values, float] = {}
        for more, values in found:
            if values not in self.measured:
                best[values] = max(more, best.get(values, 0.0))
        yield from sorted(best, key=lambda values: -best[values])

    def _price(self, here: Candidate, place: int) -> tuple[float, float]:
        """ms and size of one step more of a number; of what cannot be had, neither."""
        for steps in (1, -1):
            found = self._try(self._moved(here.values, place, steps)) if self._left() else None
            if found and found.values != here.values:
                return steps * (found.ms - here.ms), steps * (size(found, self.maximise) - size(here, self.maximise))
        return 0.0, 0.0

    def _moved(self, values: Values, place: int, steps: int) -> Values:
        dial = self.space.dials[place]
        return (*values[:place], dial.moved(values[place], steps) if steps else values[place], *values[place + 1 :])
