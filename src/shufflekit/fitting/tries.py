"""What the searches have in common: networks that were tried, and the time that is left."""

from __future__ import annotations

import time

from shufflekit.fitting.record import Candidate, size

Values = tuple[int, ...]


class Tries:
    """Of a search: its fields are said there."""

    budget_ms: float
    maximise: str
    end: float
    measured: dict[Values, Candidate | None]

    def best(self) -> Candidate | None:
        """The largest within the budget so far."""
        inside = [each for each in self.measured.values() if each and each.ms <= self.budget_ms]
        return max(inside, key=lambda each: size(each, self.maximise), default=None)

    def _left(self) -> bool:
        return time.monotonic() < self.end
