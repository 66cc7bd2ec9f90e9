"""What a fit found, as plain data that prints."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from shufflekit.graph import Graph


@dataclass(frozen=True)
class Candidate:
    """One network of a kind.

    Args:
        values: of the numbers that may change.
        ms: measured here.
        flops: multiply-adds.
        params: parameters.
        name: of a published one.
    """

    values: tuple[int, ...]
    ms: float
    flops: int
    params: int
    name: str = ""


@dataclass(frozen=True)
class Fit:
    """The network that uses a budget best, beside what else was measured.

    Args:
        network: what was fitted.
        budget_ms: what a pass may take.
        maximise: "flops" or "params".
        numbers: what may change, by name.
        best: the one with most of `maximise` within the budget.
        start: the network as it is.
        published: others of its kind as they were published.
        measured: all that were tried, most of them by the sum of their steps' times.
        call: how `best` is built, as code; nothing for a graph that was captured or read.
        architecture: of the registry, and
        options: what it is built with; nothing for a graph.
        graph: of `best`, with random weights.
        ratio: the time of `best` over that of the largest published one within the budget, in turn; None where that takes less
            than the budget, or there is none.
        most_flops: what the budget would be enough for if all of it passed in steps as fast as the quickest one that was seen.
    """

    network: str
    budget_ms: float
    maximise: str
    numbers: tuple[str, ...]
    best: Candidate
    start: Candidate
    published: tuple[Candidate, ...]
    measured: tuple[Candidate, ...]
    call: str
    architecture: str
    options: dict[str, Any]
    graph: Graph = field(repr=False, compare=False)
    ratio: float | None = None
    most_flops: int | None = None

    @property
    def frontier(self) -> tuple[Candidate, ...]:
        """Of what was measured, those than which none is both as quick and larger, the quickest first."""
        found: list[Candidate] = []
        for each in sorted(self.measured, key=lambda one: (one.ms, -size(one, self.maximise))):
            if not found or size(each, self.maximise) > size(found[-1], self.maximise):
                found.append(each)
        return tuple(found)

    @property
    def answer(self) -> str:
        """One sentence."""
        what = {"flops": "M multiply-adds", "params": "M parameters"}[self.maximise]
        best, beside = self.best, self._beside()
        text = f"{size(best, self.maximise) / 1e6:.1f} {what} in {best.ms:.3f} ms of {self.budget_ms:.3f}"
        if beside is None:
            return f"{text}."
        more = size(best, self.maximise) / size(beside, self.maximise) - 1
        in_turn = "" if self.ratio is None else f"; in turn it takes {self.ratio:.3f} of that"
        return f"{text}: {more:+.1%} of those of {beside.name}, which takes {beside.ms:.3f} ms{in_turn}."

    def _beside(self) -> Candidate | None:
        return published_within(self.budget_ms, self.maximise, (*self.published, self.start))

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists and numbers."""
        plain = {each.name: getattr(self, each.name) for each in fields(self) if each.name not in ("graph", *_CANDIDATES)}
        return {
            "answer": self.answer,
            **plain,
            "best": asdict(self.best),
            "start": asdict(self.start),
            **{name: [asdict(each) for each in getattr(self, name)] for name in ("frontier", "published", "measured")},
        }

    def to_csv(self) -> str:
        """A line for each network of the frontier, of the published ones and the best."""
        out = io.StringIO()
        lines = csv.writer(out, lineterminator="\n")
        lines.writerow(["name", "ms", "flops", "params", *self.numbers])
        for name, each in _named(self.frontier, self.published, self.best):
            lines.writerow([name, f"{each.ms:.4f}", each.flops, each.params, *each.values])
        return out.getvalue()


_CANDIDATES = ("best", "start", "published", "measured")
_SAME = 0.02  # of the budget


def published_within(budget_ms: float, maximise: str, networks: Sequence[Candidate]) -> Candidate | None:
    """The largest within the budget of those that have a name."""
    inside = [each for each in networks if each.ms <= budget_ms * (1 + _SAME) and each.name]
    return max(inside, key=lambda each: size(each, maximise), default=None)


def is_budget_of(network: Candidate, budget_ms: float) -> bool:
    """Whether a budget is what a network takes, as two measurements of it go."""
    return abs(network.ms / budget_ms - 1) <= _SAME


def size(one: Candidate, maximise: str) -> int:
    """What is to be as large as can be."""
    return one.flops if maximise == "flops" else one.params


def _named(frontier: Sequence[Candidate], published: Sequence[Candidate], best: Candidate) -> list[tuple[str, Candidate]]:
    return [
        *(("best" if each == best else "frontier", each) for each in frontier),
        *([] if best in frontier else [("best", best)]),
        *((each.name, each) for each in published),
    ]
