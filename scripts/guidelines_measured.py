"""Writes docs/guidelines-measured.md and its pictures from the measurements that are kept in results/guidelines.

shufflekit guidelines --table 1 --threads 1 --json > results/guidelines/table_1_threads_1.json   # and so on
python scripts/guidelines_measured.py
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shufflekit.device import Device
from shufflekit.reproduce.guidelines import NOTES, Table, Verdict, judge
from shufflekit.reproduce.guidelines.cells import PAPER, TITLES, header, rows

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results" / "guidelines"
PAGE = ROOT / "docs" / "guidelines-measured.md"

_OPENING = """# The guidelines, measured

ShuffleNet V2 rests on [four guidelines](guidelines.md), each with a table: networks of equal FLOPs that differ in one thing,
timed on a GPU (GTX 1080 Ti) and on a phone (Snapdragon 810). `shufflekit guidelines` builds these networks and times them on
your machine; this page is what it found on ours. `python scripts/guidelines_measured.py` writes it from `results/guidelines/`.
"""
_LEGEND = """x: how much longer the worst network takes per multiply-add than the one that heeds the guideline best, geometric
mean over the widths (least to most). ρ: rank correlation between what the rows vary and ms per
multiply-add, mean over the widths.
"""


@dataclass(frozen=True)
class Result:
    """One file of results."""

    command: str
    measured_on: str
    device: Device
    table: Table


def read_results(folder: Path) -> list[Result]:
    """All kept tables, by number and threads; each file holds one."""
    results = []
    for file in sorted(folder.glob("*.json")):
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        (table,) = found["tables"]
        table = {key: value for key, value in table.items() if key != "verdicts"}
        device = Device.from_json(json.dumps(found["device"]))
        results.append(Result(found["command"], found["measured_on"], device, Table.from_dict(table)))
    return sorted(results, key=lambda result: (result.table.number, result.table.threads))


def page(results: list[Result]) -> str:
    """The whole page."""
    device, days = results[0].device, sorted({result.measured_on for result in results})
    peak = f"{device.peak.instruction_set}, {device.peak.one_core.best / 1e9:.1f} G multiply-adds/s a core at most"
    parts = [
        _OPENING,
        f"{device.cpu}, {device.cores} cores, {peak}, {device.system}; {' and '.join(days)}.\n",
        "## In short\n",
        _LEGEND,
        _summary(results),
        *(_section(result) for result in results if result.table.threads == 1),
        "## Notes\n",
        "".join(f"- {note}\n" for note in NOTES),
        "Measured with:\n",
        "```\n" + "".join(f"{result.command}\n" for result in results) + "```\n",
    ]
    return "\n".join(parts)


def _summary(results: list[Result]) -> str:
    lines = [("guideline", "where", "worst", "x", "ρ", "followed")]
    for number in sorted({result.table.number for result in results}):
        of = [result.table for result in results if result.table.number == number]
        for engine in of[0].engines:
            for table in of:
                where = f"{TITLES[engine]}, {table.threads} thread{'s' * (table.threads > 1)}"
                lines.append(_verdict_line(where, judge(table, engine)))
        lines += [_verdict_line(name, judge(of[0], engine)) for engine, name in PAPER.items()]
    return _markdown(lines, left=3)


def _verdict_line(where: str, verdict: Verdict | None) -> tuple[str, ...]:
    assert verdict is not None
    slowdown = f"{verdict.slowdown:.2f} ({min(verdict.slowdowns):.2f} to {max(verdict.slowdowns):.2f})"
    return (verdict.guideline, where, verdict.worst, slowdown, f"{verdict.correlation:.2f}", verdict.follows)


def _section(result: Result) -> str:
    table = result.table
    sentences = [str(verdict) for engine in (*table.engines, *PAPER) if (verdict := judge(table, engine))]
    cells = [tuple(header(table)), *(tuple(row) for block in rows(table) for row in block)]
    return "\n".join(
        (
            f"## {table.guideline}: {table.title} (Table {table.number})\n",
            "".join(f"- {sentence}\n" for sentence in sentences),
            f"![Time per multiply-add against {table.varies}](guideline_{table.guideline.lower()}.svg)\n",
            "One thread; ms are medians with their 95 % intervals, ms/G per 1e9 multiply-adds.\n",
            _markdown(cells, left=2),
        )
    )


def _markdown(lines: list[tuple[str, ...]], left: int) -> str:
    rule = tuple("---" if i < left else "---:" for i in range(len(lines[0])))
    return "".join(f"| {' | '.join(line)} |\n" for line in (lines[0], rule, *lines[1:]))


def main() -> None:
    """Writes the page, and a picture of each table on one thread."""
    from shufflekit.reproduce.guidelines.plots import draw

    results = read_results(RESULTS)
    PAGE.write_text(page(results), encoding="utf-8")
    for result in results:
        if result.table.threads == 1:
            draw(result.table).save(PAGE.with_name(f"guideline_{result.table.guideline.lower()}.svg"))


if __name__ == "__main__":
    main()
