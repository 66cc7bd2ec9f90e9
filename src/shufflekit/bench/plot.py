"""Pictures of a bench: error against latency, as both papers draw it, and bars by runtime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import altair as alt

from shufflekit.bench.results import Result, Session
from shufflekit.bench.runtimes import RUNTIMES
from shufflekit.errors import UsageError

_WIDTH = 560
_SCALE = 2  # pixels of a PNG for one of the drawing


def draw(session: Session, errors: Mapping[str, float], folder: Path) -> list[Path]:
    """Draws what was timed, a pair of pictures for each size, batch and number of threads.

    Args:
        session: what was found.
        errors: published top-1 error of models, in %; those without are in the bars only.
        folder: made where it does not exist.

    Returns:
        The PNG files.

    Raises:
        UsageError: nothing was timed.
    """
    races: dict[tuple[int, int, int, int], list[Result]] = {}
    for result in session.results:
        if result.state == "timed":
            races.setdefault((result.height, result.width, result.batch, result.threads), []).append(result)
    if not races:
        raise UsageError("plot: nothing was timed")
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for (height, width, batch, threads), results in races.items():
        place = f"{height}x{width}, batch {batch}, {threads} thread{'s' * (threads > 1)}, {session.device.cpu}"
        name = f"{height}x{width}-batch{batch}-threads{threads}.png"
        pictures = {"bars": _bars(results, place)}
        if any(result.model in errors for result in results):
            pictures["error"] = _errors(results, errors, place)
        for kind, chart in pictures.items():
            path = folder / f"{kind}-{name}"
            chart.save(path, scale_factor=_SCALE)
            written.append(path)
    return written


def _values(results: list[Result], errors: Mapping[str, float] | None = None) -> Any:
    rows = [
        {
            "model": result.model,
            "family": result.model.rpartition("_x")[0] or result.model,
            "runtime": RUNTIMES[result.runtime].name,
            "ms": result.median_ms,
            "low": result.low_ms,
            "high": result.high_ms,
            "error": (errors or {}).get(result.model),
        }
        for result in results
    ]
    return alt.Data(values=rows if errors is None else [row for row in rows if row["error"] is not None])


def _bars(results: list[Result], place: str) -> alt.TopLevelMixin:
    """Latency by runtime, one panel a model, the quickest first; a thin line is the interval of the median."""
    panels = []
    for model in dict.fromkeys(result.model for result in results):
        own = sorted((result for result in results if result.model == model), key=lambda one: one.median_ms or 0.0)
        names = [RUNTIMES[result.runtime].name for result in own]
        base = alt.Chart(_values(own)).encode(y=alt.Y("runtime:N", title=None, sort=names))
        bars = base.mark_bar(color="#4c78a8").encode(x=alt.X("ms:Q", title="median latency, ms"))
        interval = base.mark_rule(color="black").encode(x="low:Q", x2="high:Q")
        text = base.mark_text(align="left", dx=6).encode(x="high:Q", text=alt.Text("ms:Q", format=".2f"))
        panels.append((bars + interval + text).properties(width=_WIDTH, title=alt.Title(model, anchor="start")))
    return alt.vconcat(*panels).properties(title=alt.Title(f"Latency: {place}", anchor="start"))


def _errors(results: list[Result], errors: Mapping[str, float], place: str) -> alt.TopLevelMixin:
    """Published error against the latency of each model in its quickest runtime, one line a family."""
    quickest: dict[str, Result] = {}
    for result in sorted(results, key=lambda one: one.median_ms or 0.0):
        quickest.setdefault(result.model, result)
    base = alt.Chart(_values(list(quickest.values()), errors)).encode(
        x=alt.X(
            "ms:Q", title="median latency in the quickest runtime, ms", scale=alt.Scale(type="log", nice=False, padding=60)
        ),
        y=alt.Y("error:Q", title="top-1 error on ImageNet as published, %", scale=alt.Scale(zero=False)),
        color=alt.Color("family:N"),
    )
    text = base.mark_text(align="left", dx=7, dy=-7, fontSize=9).encode(text="model:N")
    layers = base.mark_line() + base.mark_point(filled=True, size=70).encode(shape=alt.Shape("runtime:N")) + text
    return layers.properties(width=_WIDTH, height=380, title=alt.Title(f"Error against latency: {place}", anchor="start"))
