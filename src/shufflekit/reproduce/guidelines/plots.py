"""A measured table as a picture: ours beside the paper's."""

from __future__ import annotations

from pathlib import Path

import altair as alt

from shufflekit.reproduce.guidelines.cells import PAPER, TITLES
from shufflekit.reproduce.guidelines.measure import Table

# The paper in greys, ours in colours that differ in brightness too.
_COLOURS = {"pytorch": "#d55e00", "native": "#0072b2", "cuda": "#009e73", "gpu": "#555555", "arm": "#aaaaaa"}
_NAMES = {**{engine: f"{title}, here" for engine, title in TITLES.items()}, **PAPER}


def draw(table: Table) -> alt.FacetChart:
    """A panel for each column: how much longer each network takes per multiply-add than the one with the least."""
    engines = [engine for engine in (*table.engines, *PAPER) if any(column.slowdowns(engine) for column in table.columns)]
    points = [
        {"column": column.name, "label": row.label, "slowdown": slowdown, "engine": _NAMES[engine]}
        for column in table.columns
        for engine in engines
        for row, slowdown in zip(column.rows, column.slowdowns(engine) or [])
    ]
    lines = (
        alt.Chart()
        .mark_line(point=alt.OverlayMarkDef(filled=True, size=45), strokeWidth=2)
        .encode(
            x=alt.X("label:N", sort=None, title=table.varies, axis=alt.Axis(labelAngle=-30)),
            y=alt.Y("slowdown:Q", title="time per multiply-add, x", scale=alt.Scale(zero=False)),
            color=alt.Color(
                "engine:N",
                title=None,
                sort=None,
                scale=alt.Scale(domain=[_NAMES[e] for e in engines], range=[_COLOURS[e] for e in engines]),
                legend=alt.Legend(orient="top"),
            ),
        )
        .properties(width=200, height=150)
    )
    title = f"{table.guideline}: {table.title} (Table {table.number} of ShuffleNet V2)"
    return (
        alt.layer(lines, data=alt.Data(values=points))
        .facet(
            facet=alt.Facet("column:N", sort=[column.name for column in table.columns], title=None),
            columns=2 if len(table.columns) == 4 else 3,
        )
        .properties(title=title, background="white", padding=20)  # a reader's font can be wider
        .configure_axis(labelFontSize=11, titleFontSize=11)
    )


def save_plots(table: Table, folder: Path) -> list[Path]:
    """Writes `guideline_g1.svg` and `.png` for Table 1, and so on.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    chart = draw(table)
    files = [folder / f"guideline_{table.guideline.lower()}{suffix}" for suffix in (".svg", ".png")]
    for file in files:
        chart.save(file, ppi=144)
    return files
