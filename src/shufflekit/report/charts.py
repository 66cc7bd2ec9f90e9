"""The charts of a report: time by category, and each operator under the roof of the device."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert

from shufflekit.files import write_together
from shufflekit.guidelines.record import Audit
from shufflekit.profiling.record import MeasuredLayer, MeasuredProfile

Chart = alt.Chart | alt.LayerChart | alt.FacetChart

# Told apart on white and on black, and by readers who do not see red and green as different.
COLOURS = {"convolution": "#2f86c9", "data movement": "#e0701a", "element-wise": "#b55fa8", "other": "#8c8c8c"}
_INK = "#444444"
SEPARATOR = " · "  # between the parts of what a point says


def roofline(
    profile: MeasuredProfile, title: str, beside: Iterable[MeasuredProfile] = (), width: int = 560, height: int = 320
) -> Chart:
    """A point for each operator: multiply-adds a second over multiply-adds a byte; its area is its share, up to a tenth.

    The lines are what the device can do at most: the peak, and the bandwidth of memory and of the nearest cache. An operator
    that multiplies nothing stands at the left edge, where its bytes a second have the same height under the same lines.

    Args:
        profile: what is drawn.
        title: of the chart.
        beside: what is drawn in other charts, which get the same axes.
        width: of the plot, in pixels.
        height: of the plot, in pixels.
    """
    shown = [profile, *beside]
    computing = [layer.intensity for each in shown for layer in each.layers if layer.intensity]
    left = 10.0 ** math.floor(math.log10(min(computing, default=1.0)))
    right = 10.0 ** math.ceil(math.log10(max(computing, default=1.0) * 1.01))
    heights = [point["y"] for each in shown for point in (*_points(each, left), *_roofs(each, left, right))]
    x = alt.X(
        "x:Q",
        title=f"multiply-adds a byte of memory access; at {left:g}: none",
        scale=alt.Scale(type="log", domain=[left / 1.25, right], nice=False),
        axis=_decades(left, right),
    )
    y = alt.Y(
        "y:Q",
        title="G multiply-adds a second",
        scale=alt.Scale(type="log", domain=[min(heights) / 1.5, max(heights) * 1.5], nice=False),
        axis=_decades(min(heights) / 1.5, max(heights) * 1.5),
    )
    dash = alt.StrokeDash("roof:N", legend=alt.Legend(title=None, orient="top", columns=1))
    lines = (
        alt.Chart(alt.Data(values=_roofs(profile, left, right)))
        .mark_line(color=_INK, strokeWidth=1.2, aria=False)
        .encode(x=x, y=y, detail="roof:N", strokeDash=dash)
    )
    peak = _limits(profile)[0]
    top = (
        alt.Chart(alt.Data(values=[{"x": right, "y": peak / 1e9, "says": f"peak {peak / 1e9:.1f} G/s"}]))
        .mark_text(align="right", dy=-7, color=_INK, aria=False)
        .encode(x=x, y=y, text="says:N")
    )
    marks = (
        alt.Chart(alt.Data(values=_points(profile, left)))
        .mark_circle(opacity=0.7, stroke=_INK, strokeWidth=0.4)
        .encode(
            x=x,
            y=y,
            size=alt.Size("share:Q", scale=alt.Scale(domain=[0, 0.1], range=[18, 420], clamp=True), legend=None),
            color=_category_colour(),
            description="says:N",
        )
    )
    return alt.layer(lines, top, marks).properties(width=width, height=height, title=title)


def categories(runs: Mapping[str, MeasuredProfile], width: int = 560) -> Chart:
    """A bar for each run: ms of each category of ShuffleNet V2's Figure 2."""
    values = [
        {
            "run": run,
            "category": category,
            "ms": ms,
            "order": list(COLOURS).index(category),
            "says": SEPARATOR.join((run, category, f"{ms:.3f} ms", f"{ms / profile.ms:.1%}")),
        }
        for run, profile in runs.items()
        for category, ms in profile.by_category.items()
        if ms
    ]
    return (
        alt.Chart(alt.Data(values=values))
        .mark_bar(height=18)
        .encode(
            x=alt.X("ms:Q", title="ms, sum over the operators", axis=alt.Axis(tickCount=6, grid=False)),
            y=alt.Y("run:N", sort=list(runs), title=None, axis=alt.Axis(labelLimit=200, ticks=False, labelPadding=6)),
            color=_category_colour(),
            order="order:Q",
            description="says:N",
        )
        .properties(width=width, height=30 * len(runs))
    )


def remedies(audit: Audit, width: int = 560) -> Chart:
    """A bar for the network as it is, and one for each change that gains, as long as before less its gain; with intervals.

    Changes have their number and rule, as the words of long ones would be wider than their place in another font.
    """
    first = audit.gaining[0]
    now = first.before_ms
    says = SEPARATOR.join(("as it is", f"{now:.3f} ms"))
    values = [{"what": "as it is", "ms": now, "low": now, "high": now, "is": "before", "says": says}]
    for number, remedy in enumerate(audit.gaining, start=1):
        share = now / remedy.before_ms  # each was raced by itself
        ms, low, high = (share * (remedy.before_ms - each) for each in (remedy.gain_ms, remedy.high_ms, remedy.low_ms))
        says = SEPARATOR.join((remedy.text, f"{ms:.3f} ms"))
        values.append({"what": f"{number}. {remedy.rule}", "ms": ms, "low": low, "high": high, "is": "after", "says": says})
    base = alt.Chart(alt.Data(values=values)).encode(
        y=alt.Y("what:N", sort=None, title=None, axis=alt.Axis(ticks=False, labelPadding=6))
    )
    colours = alt.Scale(domain=["before", "after"], range=["#9aa0a6", "#2f86c9"])
    bars = base.mark_bar(height=16).encode(
        x=alt.X("ms:Q", title="ms for as many multiply-adds", axis=alt.Axis(tickCount=6, grid=False)),
        color=alt.Color("is:N", scale=colours, legend=None),
        description="says:N",
    )
    spread = base.mark_rule(color=_INK, strokeWidth=1.5, aria=False).encode(x="low:Q", x2="high:Q")
    return alt.layer(bars, spread).properties(width=width, height=30 * len(values))


def inline_svg(chart: Chart) -> str:
    """The chart for a page: without a background, and with the colour of the text around it in place of the ink."""
    themed = chart.configure(background="transparent").configure_view(stroke=None)
    return _svg(_styled(themed, "#010203")).replace("#010203", "currentColor").replace(_INK, "currentColor")


def save_charts(runs: Mapping[str, MeasuredProfile], folder: Path) -> list[Path]:
    """Writes the categories of all runs and the roofline of each, as SVG and PNG.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    charts: dict[str, Chart] = {"categories": categories(runs)}
    charts |= {f"roofline_{_file_name(run)}": roofline(profile, run, runs.values()) for run, profile in runs.items()}
    files = []
    for name, chart in charts.items():
        svg = _svg(_styled(chart.configure(background="white"), _INK))
        files += [folder / f"{name}.svg", folder / f"{name}.png"]
        write_together({files[-2]: svg.encode(), files[-1]: vl_convert.svg_to_png(svg, ppi=144)})
    return files


def _styled(chart: Any, ink: str) -> Any:
    words = {"labelColor": ink, "titleColor": ink, "labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal"}
    return (
        chart.configure_axis(domainColor=ink, tickColor=ink, **words)
        .configure_legend(labelColor=ink, labelFontSize=11)
        .configure_title(color=ink, fontSize=13, anchor="start")
    )


def _svg(chart: Any) -> str:
    return vl_convert.vegalite_to_svg(chart.to_dict())


def _category_colour() -> alt.Color:
    scale = alt.Scale(domain=list(COLOURS), range=list(COLOURS.values()))
    return alt.Color("category:N", title=None, scale=scale, legend=alt.Legend(orient="bottom", columns=4, columnPadding=24))


def _decades(low: float, high: float) -> alt.Axis:
    powers = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
    return alt.Axis(format="~g", values=[10.0**power for power in powers], grid=False)


def _roofs(profile: MeasuredProfile, left: float, right: float) -> list[dict[str, Any]]:
    peak, bandwidths = _limits(profile)
    return [
        {"roof": f"{name}: {rate / 1e9:.0f} GB/s", "x": x, "y": min(rate * x, peak) / 1e9}
        for name, rate in bandwidths.items()
        for x in (left, min(max(peak / rate, left), right), right)
    ]


def _points(profile: MeasuredProfile, left: float) -> list[dict[str, Any]]:
    """The largest first, so that none hides another."""
    timed = [layer for layer in profile.layers if layer.ms > 0 and layer.mac_bytes > 0]
    return [_point(profile, layer, left) for layer in sorted(timed, key=lambda layer: -layer.ms)]


def _point(profile: MeasuredProfile, layer: MeasuredLayer, left: float) -> dict[str, Any]:
    says = (f"{layer.name or profile.network} ({layer.operator})", shapes(layer), f"{layer.ms:.3f} ms", f"{layer.share:.1%}")
    return {
        "x": layer.intensity if layer.flops else left,
        "y": (layer.flops or layer.mac_bytes * left) / layer.ms / 1e6,
        "share": layer.share,
        "category": layer.category,
        "says": SEPARATOR.join(says),
    }


def shapes(layer: MeasuredLayer) -> str:
    """What goes in first and what comes out.

    Example:
        >>> shapes(MeasuredLayer("a", "relu", ((1, 8, 4, 4),), ((1, 8, 4, 4),), 0, 0, 256))
        '1x8x4x4 to 1x8x4x4'
    """
    ends = (layer.input_shapes[:1], layer.output_shapes[:1])
    return " to ".join("x".join(map(str, shape)) for end in ends for shape in end)


def _limits(profile: MeasuredProfile) -> tuple[float, dict[str, float]]:
    """Multiply-adds and bytes a second on the threads that ran."""
    device, alone = profile.device, profile.threads == 1
    peak = device.peak.one_core if alone else device.peak.all_cores
    copies = sorted(device.copies, key=lambda copy: copy.working_set_bytes)
    rates = {}
    for name, copy in (("nearest cache", copies[0]), ("memory", copies[-1])):
        rates[name] = (copy.one_core if alone or copy.all_cores is None else copy.all_cores).best
    return peak.best, rates


def _file_name(run: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in run.replace(", ", "_")).lower()
