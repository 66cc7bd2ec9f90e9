"""The calibrated latency model of a device: what an operator takes, from its shapes."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from shufflekit.cost.surface import Surface
from shufflekit.cost.works import Work
from shufflekit.records import parsed, record

_LEAST_POINTS = 6  # of a family that gets a surface of its own
_MOST_POINTS = 600  # more make it slow and no better
_STARTING_MS = {"torch": 2e-3, "native": 2e-4}  # what the smallest call takes: a floor under the physical limit


@dataclass(frozen=True, eq=False)
class CostModel:
    """Predicts the time of an operator: its physical limit, times what a surface through measured ones says.

    Args:
        engine: "torch" or "native".
        threads: of it.
        machine: what the model holds for, as text; a model from another machine is not used.
        surfaces: by family.
        typical: logarithm of the factor for families that were not calibrated.
        between_ms: what passes between two operators of a network; below 0 where operators that are timed one by one take
            longer than in a pass.

    Example:
        >>> measured = [(Work("copy", (float(i), 1.0), 2.0**i), 3 * 2.0**i) for i in range(8)]
        >>> model = CostModel.through(measured, "torch", 1, "here", between_ms=0.0)
        >>> 2.7 < model.predict_ms(Work("copy", (2.5, 1.0), 1.0)) < 3.3
        True
    """

    engine: str
    threads: int
    machine: str
    surfaces: Mapping[str, Surface]
    typical: float
    between_ms: float

    @classmethod
    def through(
        cls, measured: Iterable[tuple[Work, float]], engine: str, threads: int, machine: str, between_ms: float
    ) -> CostModel:
        """Fits surfaces to measured works, in ms."""
        families: dict[str, list[tuple[tuple[float, ...], float]]] = defaultdict(list)
        for work, ms in measured:
            families[work.family].append((work.features, math.log(ms / (work.limit_ms + _STARTING_MS[engine]))))
        surfaces = {}
        for family, rows in sorted(families.items()):
            if len(rows) >= _LEAST_POINTS:
                kept = rows[:: math.ceil(len(rows) / _MOST_POINTS)]
                points, values = (np.array(column, np.float64) for column in zip(*kept))
                surfaces[family] = Surface.through(points, values)
        every = [value for rows in families.values() for _, value in rows]
        return cls(engine, threads, machine, surfaces, float(np.median(every)), between_ms)

    def knows(self, work: Work) -> bool:
        """Whether operators of this family were measured; others get the factor that is typical here."""
        return work.family in self.surfaces

    def predict_ms(self, work: Work) -> float:
        """Time of an operator inside a network."""
        return self.predict_each_ms([work])[0]

    def predict_each_ms(self, works: Sequence[Work]) -> list[float]:
        """The same for many."""
        factors = np.full(len(works), self.typical)
        for family in {work.family for work in works} & {*self.surfaces}:
            places = [place for place, work in enumerate(works) if work.family == family]
            factors[places] = self.surfaces[family](np.array([works[place].features for place in places], np.float64))
        return [(work.limit_ms + _STARTING_MS[self.engine]) * float(np.exp(f)) for work, f in zip(works, factors)]

    def predict_total_ms(self, works: Sequence[Work]) -> float:
        """Time of a network that runs these."""
        return self.pass_ms(self.predict_each_ms(works))

    def pass_ms(self, each_ms: Sequence[float]) -> float:
        """Time of a pass from those of its operators; of many tiny ones at least half."""
        total = sum(each_ms)
        return max(total + self.between_ms * len(each_ms), total / 2)

    def to_json(self) -> str:
        """All of it, the measured points too."""
        surfaces = {
            family: {
                "points": surface.points.tolist(),
                "values": surface.values.tolist(),
                "scales": surface.scales.tolist(),
                "noise": surface.noise,
            }
            for family, surface in self.surfaces.items()
        }
        own = {name: getattr(self, name) for name in ("engine", "threads", "machine", "typical", "between_ms")}
        return json.dumps({**own, "surfaces": surfaces}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> CostModel:
        """Reads what `to_json` wrote.

        Raises:
            InputError: it is something else, or holds a number that is none.
        """
        found = record(_Kept, parsed(text, "cost model"), "cost model")
        surfaces = {family: each.surface() for family, each in found.surfaces.items()}
        return cls(**vars(found) | {"surfaces": surfaces})


@dataclass(frozen=True)
class _KeptSurface:
    points: list[list[float]]
    values: list[float]
    scales: list[float]
    noise: float

    def surface(self) -> Surface:
        return Surface(np.array(self.points), np.array(self.values), np.array(self.scales), self.noise)

    def wrong(self) -> str | None:
        """What no surface can have, for `record`."""
        if not self.points or len(self.values) != len(self.points) or {len(self.scales)} != {*map(len, self.points)}:
            return "points, values and scales do not fit together"
        return None if min(*self.scales, self.noise) > 0 else "scales and noise must be above 0"


@dataclass(frozen=True)
class _Kept:
    """A cost model as it lies in its file."""

    engine: Literal["torch", "native"]
    threads: int
    machine: str
    surfaces: dict[str, _KeptSurface]
    typical: float
    between_ms: float
