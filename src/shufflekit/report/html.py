"""Audits as one page that holds everything it needs: no request goes to any host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from shufflekit.guidelines.record import Audit
from shufflekit.profiling.record import ENGINES as TITLES
from shufflekit.profiling.record import MeasuredProfile
from shufflekit.report import charts
from shufflekit.report.subject import PaperTable, Subject, runs_of
from shufflekit.report.text import by_network, changes, comparison, gain, widths

_FOLDER = Path(__file__).parent / "page"


def render_html(subjects: Sequence[Subject], rules: Mapping[str, str] | None = None, tables: Sequence[PaperTable] = ()) -> str:
    """One page about one network, or about several side by side.

    Args:
        subjects: the networks.
        rules: the text of each rule in Markdown, by its code ("G1"); shown with the findings.
        tables: of the paper, measured here.
    """
    runs = runs_of(subjects)
    taking_time = {name for profile in runs.values() for name, ms in profile.by_category.items() if ms}
    page = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page.globals |= {
        "gain": gain,
        "changes": changes,
        "widths": widths,
        "comparisons": [(each[0].label, comparison(each)) for each in by_network(subjects) if len(each) > 1],
        "shapes": charts.shapes,
        "roofline": _roofline,
        "categories": _categories,
        "before_and_after": _before_and_after,
    }
    page.globals["accused"] = partial(_accused, subjects)
    page.filters |= {"ms": _ms, "size": _size, "name": TITLES.get}
    return page.get_template("page.html.jinja").render(
        title=" against ".join(dict.fromkeys(subject.label for subject in subjects)),
        subjects=subjects,
        runs=runs,
        rules={code: Markup(MarkdownIt("commonmark", {"html": False}).render(text)) for code, text in (rules or {}).items()},
        tables=tables,
        warnings=[f"{run}: {warning}" for run, profile in runs.items() for warning in profile.warnings],
        category_names=[name for name in charts.COLOURS if name in taking_time],
        colours=charts.COLOURS,
        devices=list({profile.device.to_json(): profile.device for profile in runs.values()}.values()),
        style=Markup((_FOLDER / "page.css").read_text(encoding="utf-8")),
        script=Markup((_FOLDER / "page.js").read_text(encoding="utf-8")),
    )


def _accused(subjects: Sequence[Subject], profile: MeasuredProfile, place: int) -> list[str]:
    """The rules with a finding on that layer of a profile."""
    findings = [finding for subject in subjects if subject.audit.profile is profile for finding in subject.audit.findings]
    return sorted({finding.rule for finding in findings if place in finding.layers})


def _roofline(run: str, runs: Mapping[str, MeasuredProfile]) -> Markup:
    return Markup(charts.inline_svg(charts.roofline(runs[run], run, runs.values(), width=340, height=270)))


def _before_and_after(audit: Audit) -> Markup:
    return Markup(charts.inline_svg(charts.remedies(audit)))


def _categories(runs: Mapping[str, MeasuredProfile]) -> Markup:
    return Markup(charts.inline_svg(charts.categories(runs, width=300)))


def _ms(value: float) -> str:
    """Three decimals under a hundred ms, and never more digits than the stopwatch has.

    Example:
        >>> _ms(0.12345), _ms(123.4)
        ('0.123', '123.4')
    """
    return f"{value:.3f}" if value < 100 else f"{value:.1f}"


def _size(count: int) -> str:
    """Bytes with a unit.

    Example:
        >>> _size(32768), _size(2**25), _size(2**33)
        ('32 KiB', '32 MiB', '8 GiB')
    """
    for shift, unit in ((30, "GiB"), (20, "MiB")):
        if count >= 1 << shift:
            return f"{count / (1 << shift):.3g} {unit}"
    return f"{count / 1024:.3g} KiB"
