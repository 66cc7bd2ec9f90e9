"""What the races in bytes found, as it is kept in results/int8, and the parts of docs/int8.md that are written from it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import geometric_mean
from typing import Any, Literal, TypeVar

import altair as alt
import numpy as np
from engines import NETWORKS as TEN
from quantization import DETECTORS
from quantization import TEN as TEN_CLASSES

from contestants import CONTESTANTS, OURS
from shufflekit.errors import InputError
from shufflekit.files import write_atomic
from shufflekit.outputs import Array
from shufflekit.records import parsed, read_text, record

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "results" / "int8"
PAGE = ROOT / "docs" / "int8.md"
PICTURE = ROOT / "docs" / "int8" / "accuracy.svg"
TRAINED = (TEN_CLASSES, *DETECTORS)
_COLOURS = ["#0072b2", "#e69f00", "#cc79a7", "#56b4e9", "#009e73", "#d55e00", "#000000"]  # Okabe and Ito's
Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Entry:
    """A contestant on one network; `db` is the signal-to-noise ratio to PyTorch of its worst output."""

    contestant: str
    state: Literal["timed", "skipped", "failed", "wrong"]
    note: str = ""
    median_ms: float | None = None
    best_ms: float | None = None
    db: float | None = None


@dataclass(frozen=True)
class Unit:
    """One network on a number of threads, all contestants in turn; `complaints` tell of a machine that was busy."""

    network: str
    threads: int
    cpu: str
    date: str
    complaints: tuple[str, ...]
    entries: tuple[Entry, ...]

    def ms(self, contestant: str) -> float | None:
        """Its median."""
        return next((one.median_ms for one in self.entries if one.contestant == contestant), None)

    def least(self, ours: bool) -> tuple[float, str] | None:
        """The shortest median of this package, or of the others, and whose it is."""
        times = [(one.median_ms, one.contestant) for one in self.entries if one.median_ms is not None]
        return min(((ms, name) for ms, name in times if (name in OURS) == ours), default=None)

    @property
    def ratio(self) -> float | None:
        """The best peer's best over our best."""
        ours, theirs = self.least(True), self.least(False)
        return theirs[0] / ours[0] if ours and theirs else None


@dataclass(frozen=True)
class Score:
    """Top-1 or AP of a trained network as a contestant runs it, in points of a hundred; the note says why there is none."""

    network: str
    contestant: str
    score: float | None = None
    note: str = ""


def decibels(right: Array, found: Array) -> float:
    """Signal-to-noise ratio, 200 at most; of what is no number -200."""
    signal, noise = (float(np.square(x.astype(np.float64)).sum()) for x in (right, found.reshape(right.shape) - right))
    if not np.isfinite(noise):
        return -200.0
    return round(float(np.clip(10 * np.log10(max(signal, 1e-30) / max(noise, 1e-50)), -200, 200)), 2)


def keep(path: Path, found: Sequence[Any]) -> None:
    """Puts records into a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, (json.dumps([asdict(one) for one in found], indent=1) + "\n").encode())


def read(kind: type[Kind], path: Path) -> list[Kind]:
    """What `keep` put there; nothing where there is no file."""
    return [record(kind, one, path.name) for one in parsed(read_text(path), path.name)] if path.exists() else []


def read_units(results: Path) -> list[Unit]:
    """Of all races that are kept."""
    return read(Unit, results / "race.json")


def read_scores(results: Path) -> list[Score]:
    """Likewise."""
    return read(Score, results / "scores.json")


def put(page: Path, name: str, text: str) -> None:
    """Puts a text between the two marks of a name.

    Raises:
        InputError: the page has not both.
    """
    opening, closing = marks(name)
    content = page.read_text(encoding="utf-8")
    before, found, rest = content.partition(opening)
    _, ended, after = rest.partition(closing)
    if not (found and ended):
        count = sum(mark in content for mark in (opening, closing))
        raise InputError(f"{page}: must have the lines {opening} and {closing}, in this order, found {count} of them")
    write_atomic(page, f"{before}{opening}\n{text}{closing}{after}".encode())


def marks(name: str) -> tuple[str, str]:
    """The lines around what is written."""
    return f"<!-- {name}: written from results/int8 -->", f"<!-- {name}: end -->"


def race_table(units: Sequence[Unit]) -> str:
    """For each number of threads the times, and for one thread the noise."""
    if not units:
        return "\nNot raced yet.\n\n"
    parts = []
    for threads in sorted({one.threads for one in units}):
        own = [one for one in units if one.threads == threads]
        parts.append(_times(own, threads))
    (first, *_) = sorted({one.threads for one in units})
    parts.append(_noise([one for one in units if one.threads == first]))
    return "\n".join(("", *parts, ""))


def _times(units: Sequence[Unit], threads: int) -> str:
    names = [name for name in CONTESTANTS if any(one.ms(name) is not None for one in units)]
    rows = []
    for one in units:
        cells = ["" if (ms := one.ms(name)) is None else f"{ms:.2f}" for name in names]
        rows.append([one.network, *cells, "" if one.ratio is None else f"{one.ratio:.2f}"])
    header = ["network", *names, "best peer's best / our best"]
    dates, cpus = sorted({one.date for one in units}), ", ".join(sorted({one.cpu for one in units}))
    lines = [
        f"Medians in ms, {threads} thread{'s' * (threads > 1)}, {cpus}, {' to '.join(dict.fromkeys((dates[0], dates[-1])))}:\n",
        drawn(header, rows),
        *_means(units),
        *_untold(units),
    ]
    return "\n".join(lines) + "\n"


def _means(units: Sequence[Unit]) -> list[str]:
    """Geometric means over the ten networks, where all are there."""
    found = []
    ten = [one for one in units if one.network in TEN]
    ratios = [one.ratio for one in ten if one.ratio is not None]
    own = [exact / rounded for one in ten if (exact := one.ms(OURS[0])) and (rounded := one.ms(OURS[-1]))]
    if len(ratios) == len(own) == len(TEN):
        found.append(
            f"The ten networks' geometric mean is {geometric_mean(ratios):.2f} of the best peer's best over our best, "
            f"and {geometric_mean(own):.2f} of our float32 over our int8."
        )
    behind = [f"{one.network} {one.ratio:.2f}" for one in units if one.ratio is not None and one.ratio < 1]
    found.append(f"Behind the best peer: {', '.join(behind) or 'none'}.")
    return found


def _untold(units: Sequence[Unit]) -> list[str]:
    """Why there is no time, one line a reason, and why times may be those of a busy machine."""
    where: dict[str, list[str]] = {}
    for unit in units:
        for one in unit.entries:
            if one.state != "timed":
                where.setdefault(f"{one.contestant} {one.state}: {one.note}", []).append(unit.network)
        for complaint in unit.complaints:
            where.setdefault(complaint, []).append(unit.network)
    if not where:
        return []
    every = len(units)
    return ["", *(f"- {why} ({', '.join(names) if len(names) < every else 'every network'})" for why, names in where.items())]


def _noise(units: Sequence[Unit]) -> str:
    """Signal-to-noise ratios of what is not float32."""
    found = {(one.network, each.contestant): each.db for one in units for each in one.entries if each.db is not None}
    names = [
        name for name, one in CONTESTANTS.items() if not one.is_exact and any((unit.network, name) in found for unit in units)
    ]
    rows = [
        [one.network, *(f"{found[one.network, name]:.1f}" if (one.network, name) in found else "" for name in names)]
        for one in units
    ]
    opening = (
        "Signal-to-noise of the worst output, in dB, of one image of the calibration; of noise but for trained networks:\n"
    )
    return "\n".join([opening, drawn(["network", *names], rows)])


def score_table(scores: Sequence[Score]) -> str:
    """Top-1 and AP, and the points that each loses of our float32."""
    if not scores:
        return "\nNot scored yet.\n\n"
    by_key = {(one.network, one.contestant): one for one in scores}
    networks = [name for name in TRAINED if any(one.network == name for one in scores)]
    names = [name for name in CONTESTANTS if any(one.contestant == name and one.score is not None for one in scores)]
    rows = []
    for name in names:
        cells = []
        for network in networks:
            exact, one = by_key.get((network, OURS[0])), by_key.get((network, name))
            if one is None or one.score is None or exact is None or exact.score is None:
                cells.append("")
            else:
                cells.append(f"{one.score:.2f} ({one.score - exact.score:+.2f})")
        rows.append([name, *cells])
    missing: dict[str, list[str]] = {}
    for one in scores:
        if one.score is None:
            missing.setdefault(f"{one.contestant}: {one.note}", []).append(one.network)
    notes = [
        f"- {why} ({', '.join(where) if len(where) < len(networks) else 'every network'})" for why, where in missing.items()
    ]
    return "\n".join(["", drawn(["", *networks], rows), *notes, ""])


def drawn(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown, numbers to the right."""
    rule = ["---"] + ["--:"] * (len(header) - 1)
    return "".join(f"| {' | '.join(line)} |\n" for line in (header, rule, *rows))


def picture(units: Sequence[Unit], scores: Sequence[Score]) -> alt.TopLevelMixin | None:
    """Accuracy against latency on one thread, a panel a network; None where nothing has both."""
    times = {(one.network, each.contestant): each.median_ms for one in units if one.threads == 1 for each in one.entries}
    rows = []
    for one in scores:
        ms = times.get((one.network, one.contestant))
        if ms is not None and one.score is not None:
            runtime = CONTESTANTS[one.contestant].runtime.name
            precision = CONTESTANTS[one.contestant].precision
            rows.append({"network": one.network, "runtime": runtime, "precision": precision, "ms": ms, "score": one.score})
    if not rows:
        return None
    panels = []
    for network in dict.fromkeys(row["network"] for row in rows):
        own = alt.Data(values=[row for row in rows if row["network"] == network])
        title = "top-1 of 10,000 images, %" if network == TEN_CLASSES else "AP on 100 photos, times 100"
        points = alt.Chart(own).mark_point(filled=True, size=80, opacity=0.8)
        panels.append(
            points.encode(
                x=alt.X("ms:Q", title="median latency, one thread, ms", scale=alt.Scale(type="log", nice=False, padding=20)),
                y=alt.Y("score:Q", title=title, scale=alt.Scale(zero=False, padding=15)),
                color=alt.Color("runtime:N", title=None, scale=alt.Scale(range=_COLOURS)),
                shape=alt.Shape("precision:N", title=None),
            ).properties(width=300, height=220, title=network)
        )
    return alt.concat(*panels, columns=2).properties(background="white", padding=30)  # a reader's font can be wider
