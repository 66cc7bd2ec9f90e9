"""The picture of a fit: latency and size of what was measured, with the published networks on it."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import vl_convert

from shufflekit.fitting.record import Candidate, Fit, size

_COLOURS = {"tried": "#bbbbbb", "frontier": "#2f86c9", "published": "#e0701a", "found": "#b55fa8"}


_BEYOND = 2.0  # budgets: what takes longer would squeeze the rest


def frontier(found: Fit, suffix: str) -> bytes:
    """A file's content; published networks that take more than two budgets are counted, not drawn.

    Args:
        found: the fit.
        suffix: ".svg" or ".png".
    """
    most = _BEYOND * found.budget_ms
    named = {one.values: one for one in (found.start, *found.published)}.values()  # a published name before one's own
    beyond = sum(one.ms > most for one in named)
    title = alt.TitleParams(
        f"{found.network}: within {found.budget_ms:g} ms",
        subtitle=f"{beyond} published beyond {most:g} ms" if beyond else "",
        anchor="start",
    )
    inside = [[one for one in each if one.ms <= most] for each in (found.measured, found.frontier, list(named))]
    chart = alt.layer(
        _points(found, inside[0], "tried"),
        _points(found, inside[1], "frontier", line=True),
        _points(found, inside[2], "published", named=True),
        _points(found, [found.best], "found"),
        _budget(found),
    ).properties(width=560, height=340, title=title)
    if suffix == ".png":
        return vl_convert.vegalite_to_png(chart.to_json(), scale=2)
    return vl_convert.vegalite_to_svg(chart.to_json()).encode()


def _points(
    found: Fit, networks: Sequence[Candidate], kind: str, line: bool = False, named: bool = False
) -> alt.LayerChart | alt.FacetChart:
    values = [{"ms": one.ms, "size": size(one, found.maximise) / 1e6, "kind": kind, "name": one.name} for one in networks]
    y_title = "M multiply-adds" if found.maximise == "flops" else "M parameters"
    base = alt.Chart(alt.Data(values=values)).encode(
        x=alt.X("ms:Q", title="ms", scale=alt.Scale(zero=False)),
        y=alt.Y("size:Q", title=y_title, scale=alt.Scale(zero=False)),
        color=alt.Color(
            "kind:N",
            scale=alt.Scale(domain=[*_COLOURS], range=[*_COLOURS.values()]),
            legend=alt.Legend(title=None, orient="bottom"),
        ),
    )
    marks: list[alt.Chart] = [base.mark_circle(size=90 if kind == "found" else 45, opacity=1.0)]
    marks += [base.mark_line()] if line else []
    if named:  # on the side of the middle of the picture
        left, right = (
            base.encode(text="name:N").transform_filter(f"datum.ms {side} {found.budget_ms}") for side in ("<=", ">")
        )
        marks += [left.mark_text(align="left", dx=7, dy=4), right.mark_text(align="right", dx=-7, dy=4)]
    return alt.layer(*marks)


def _budget(found: Fit) -> alt.Chart:
    values = alt.Data(values=[{"ms": found.budget_ms}])
    return alt.Chart(values).mark_rule(strokeDash=[4, 4], color="#444444").encode(x="ms:Q")
