"""The picture of a fit: latency and size of what was measured, with the published networks on it."""

from __future__ import annotations

import altair as alt
import vl_convert

from shufflekit.fitting.record import Candidate, Fit, size

_COLOURS = {"tried": "#bbbbbb", "frontier": "#2f86c9", "published": "#e0701a", "found": "#b55fa8"}


def frontier(found: Fit, suffix: str) -> bytes:
    """A file's content.

    Args:
        found: the fit.
        suffix: ".svg" or ".png".
    """
    chart = alt.layer(
        _points(found, found.measured, "tried"),
        _points(found, found.frontier, "frontier", line=True),
        _points(found, (found.start, *found.published), "published", named=True),
        _points(found, (found.best,), "found"),
        _budget(found),
    ).properties(width=560, height=340, title=f"{found.network}: within {found.budget_ms:g} ms")
    if suffix == ".png":
        return vl_convert.vegalite_to_png(chart.to_json(), scale=2)
    return vl_convert.vegalite_to_svg(chart.to_json()).encode()


def _points(
    found: Fit, networks: tuple[Candidate, ...], kind: str, line: bool = False, named: bool = False
) -> alt.LayerChart | alt.FacetChart:
    values = [{"ms": one.ms, "size": size(one, found.maximise) / 1e6, "kind": kind, "name": one.name} for one in networks]
    y_title = "M multiply-adds" if found.maximise == "flops" else "M parameters"
    base = alt.Chart(alt.Data(values=values)).encode(
        x=alt.X("ms:Q", title="ms", scale=alt.Scale(zero=False)),
        y=alt.Y("size:Q", title=y_title, scale=alt.Scale(zero=False)),
        color=alt.Color("kind:N", scale=alt.Scale(domain=[*_COLOURS], range=[*_COLOURS.values()]), title=None),
    )
    marks: list[alt.Chart] = [base.mark_circle(size=90 if kind == "found" else 45, opacity=1.0)]
    marks += [base.mark_line()] if line else []
    marks += [base.mark_text(align="left", dx=7, dy=4).encode(text="name:N")] if named else []
    return alt.layer(*marks)


def _budget(found: Fit) -> alt.Chart:
    values = alt.Data(values=[{"ms": found.budget_ms}])
    return alt.Chart(values).mark_rule(strokeDash=[4, 4], color="#444444").encode(x="ms:Q")
