"""Writes docs/results.md and docs/accuracy from what is kept in results/tables and results/accuracy.

shufflekit reproduce v1.table6 -o results/tables   # and so on
shufflekit reproduce v1.table3 --scale small --data ../shared/data/cifar10 -o results/accuracy   # and so on
python scripts/results_page.py
"""

from __future__ import annotations

from pathlib import Path
from statistics import mean

import altair as alt
from claims import Evidence, claims_table
from guidelines_measured import read_results

from shufflekit.models import build_model
from shufflekit.models.shufflenet_v1 import ShuffleNetV1
from shufflekit.reproduce.accuracy_tables import ACCURACY_TABLES, accuracy_record, errors_of, small_groups, verdict
from shufflekit.reproduce.reach import wired_reach
from shufflekit.reproduce.record import Record, shown
from shufflekit.reproduce.runs import Trained, read_runs
from shufflekit.reproduce.tables import TABLES, Entry, title_of

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results" / "tables"
ACCURACY = ROOT / "results" / "accuracy"
GUIDELINES = ROOT / "results" / "guidelines"
PAGE = ROOT / "docs" / "results.md"
PICTURES = ROOT / "docs" / "accuracy"
ROOM = {
    "left": 40,
    "right": 30,
    "top": 5,
    "bottom": 5,
}  # pixels around a chart: a reader's font can be wider than the converter's

_OPENING = """# The papers' tables, made again

{claims}
**Holds**, **does not hold** and **not decided** are said of an order of errors by the paired 95 % interval of the difference
over seeds ([how](reproduce.md#accuracy)); of a guideline it is said how far the measured times follow it.

What ShuffleNet (V1) and ShuffleNet V2 print stands below beside what this package counts and measures on one machine. Columns
that begin with "paper:" are quoted. FLOPs are multiply-adds. Times are medians of one image on one thread, all runtimes in turn
within one process; "of limit" is the share of what the machine could do at most ([Bench](bench.md)).

Networks were trained for the accuracy tables alone (V1 2 to 5, `v2.table8.accuracy`), at [a small
scale](reproduce.md#accuracy): the 32x32 forms on CIFAR-10, one recipe, paired seeds. Their errors are not those of ImageNet
beside them; what is asked is the order. All other errors are the papers' own. [Runs on 64x64 images](results-64x64.md) that
came before could not decide it.

`python scripts/results_page.py` writes this page from `results/`.
"""


def page(evidence: Evidence) -> str:
    """The page: what was claimed, then every table in the papers' order, those without a record with what is missing."""
    parts = [_OPENING.format(claims=claims_table(evidence))]
    for name, entry in TABLES.items():
        parts.append(f'<a id="{name.replace(".", "")}"></a>\n\n## {name}: {title_of(name)}\n')
        record = evidence.records.get(name)
        parts.append(_absent(name, entry) if record is None else _section(record))
        if name == "v1.table3" and any(one.reach for one in evidence.runs):
            parts.append(_REACH)
    return "\n".join(parts)


_LEGEND = (
    "Runs as dots, their mean as a bar; on the right the paired difference with its 95 % interval, the paper's as a diamond.\n"
)

_REACH = """### What the shuffle connects, and what is used of it

![From how many groups of channels an output channel draws](accuracy/reach.svg)

The channels that the first unit puts out are eight or three groups. One group after the other is set to zero; what that changes
in an output channel of a later unit, as a share of what all of them change there, is how much it draws from that group. An
output channel that takes all from one group has 1, one that takes the same from all has as many as there are ("used": 1 / sum
of squared shares, mean over channels and seeds, 250 held-out images). "Wired" counts the groups that it is connected to at all.
Without the shuffle nothing crosses within a stage, and the concatenation of each stride-2 unit doubles what a group can see.
"""


def _absent(name: str, entry: Entry) -> str:
    """Why there is nothing to show."""
    if name in ACCURACY_TABLES:
        command = f"shufflekit reproduce {name} --scale small --data DATA -o results/accuracy"
        return f"Accuracy; nothing trained yet: `{command}`.\n"
    kind = f"{entry.kind[0].upper()}{entry.kind[1:]}"
    if entry.make is None:  # the other tables that another command makes are those of the guidelines
        return f"{kind}, and `--threads 2`; [measured](guidelines-measured.md), the paper's rows beside ours.\n"
    return f"{kind}; not measured yet: `shufflekit reproduce {name} -o results/tables`.\n"


def _section(record: Record) -> str:
    rule = ["--:" if any(isinstance(row[i], int | float) for row in record.rows) else "---" for i in range(len(record.columns))]
    lines = [record.columns, rule, *([shown(cell) for cell in row] for row in record.rows)]
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    notes = "".join(f"- {note}\n" for note in record.notes)
    picture = (
        f"![Errors of the runs, and their paired differences](accuracy/{record.table}.svg)\n\n{_LEGEND}\n"
        if record.table in ACCURACY_TABLES
        else ""
    )
    return f"`{record.command}`, {record.machine}, {record.date}.\n\n{table}\n{picture}{notes}"


def draw(name: str, runs: list[Trained]) -> alt.TopLevelMixin:
    """An accuracy table: the error of each run, what each network errs more than the first of its level, and the paper's."""
    errors, rows, intervals, order = errors_of(runs), [], [], []
    groups = small_groups(name)
    for group in groups:
        for row in group.rows:
            is_clear = len(groups) == 1 or group.level.endswith(row.label)
            label = row.label if is_clear else f"{row.label}, {group.level}"
            order.append(label)
            at = {"network": label, "level": group.level}
            rows += [at | {"error": error} for error in errors.get(row.network, {0: None}).values()]  # a line without runs
            found = verdict(errors.get(group.rows[0].network, {}), errors.get(row.network, {}))
            if row is group.rows[0]:
                intervals.append(at)
            else:
                known = {} if found.word == "not finished" else {"low": found.difference - found.margin,
                         "more": found.difference, "high": found.difference + found.margin}  # fmt: skip
                intervals.append(at | known | {"paper": row.error - group.rows[0].error})
    y = alt.Y("network:N", title=None, sort=order, axis=alt.Axis(labelLimit=300, grid=True))
    bare = alt.Y(
        "network:N", title=None, sort=order, scale=alt.Scale(domain=order), axis=alt.Axis(labels=False, ticks=False, grid=True)
    )
    color = alt.Color("level:N", legend=None)

    def x(field: str, title: str) -> alt.X:
        return alt.X(field, title=title, scale=alt.Scale(zero=False, padding=10), axis=alt.Axis(tickCount=6))

    here, more = "test error of each run, %", "points more than the first of its level"
    base = alt.Chart(alt.Data(values=rows)).encode(y=y, color=color)
    dots = base.mark_point(filled=True, size=35, opacity=0.6).encode(x=x("error:Q", here))
    means = base.mark_tick(thickness=2, size=14).encode(x=x("mean(error):Q", here))
    beside = alt.Chart(alt.Data(values=intervals)).encode(y=bare, color=color)
    zero = alt.Chart(alt.Data(values=[{"zero": 0}])).mark_rule(color="gray").encode(x="zero:Q")
    bars = beside.mark_rule(strokeWidth=2).encode(x=x("low:Q", more), x2="high:Q")
    middle = beside.mark_point(filled=True, size=45).encode(x=x("more:Q", more))
    paper = beside.mark_point(shape="diamond", size=50).encode(x=x("paper:Q", more))
    panels = ((dots + means).properties(width=330), (zero + bars + middle + paper).properties(width=330))
    sized = (panel.properties(height=alt.Step(20)) for panel in panels)
    return alt.hconcat(*sized).properties(background="white", padding=ROOM)


def draw_reach(runs: list[Trained]) -> alt.TopLevelMixin:
    """From how many groups an output channel draws, unit by unit, a panel for each pair, with what is wired."""
    rows = []
    for group in small_groups("v1.table3"):
        for row in group.rows:
            reached = [one.reach for one in runs if one.network_name == row.network]
            if not reached:
                continue
            network = build_model(row.trained.network, small_input=True, **row.trained.options)
            assert isinstance(network, ShuffleNetV1)
            wired = wired_reach(network)
            for place, unit in enumerate(wired):
                at = {"panel": group.level, "network": row.label, "unit": place + 2}
                rows.append(at | {"line": "used", "groups": mean(one[unit] for one in reached)})
                rows.append(at | {"line": "wired", "groups": wired[unit]})
    line = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(interpolate="step-after")
        .encode(
            x=alt.X("unit:Q", title="unit", axis=alt.Axis(tickMinStep=1)),
            y=alt.Y("groups:Q", title="groups drawn from"),
            color=alt.Color("network:N", title=None),
            strokeDash=alt.StrokeDash("line:N", title=None, sort=["used", "wired"]),
        )
    )
    panels = line.properties(width=260, height=200).facet(alt.Facet("panel:N", title=None), columns=2)
    return panels.properties(background="white", padding=ROOM)


def read_evidence() -> Evidence:
    """All that is kept."""
    records = [Record.from_json(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))]
    runs = read_runs(ACCURACY)
    records += [record for name in ACCURACY_TABLES if (record := accuracy_record(name, runs))]
    return Evidence({record.table: record for record in records}, runs, read_results(GUIDELINES))


def main() -> None:
    """Reads what is kept, and writes the page and its pictures."""
    evidence = read_evidence()
    PAGE.write_text(page(evidence), encoding="utf-8")
    PICTURES.mkdir(exist_ok=True)
    for name in ACCURACY_TABLES:
        if name in evidence.records:
            draw(name, evidence.runs).save(PICTURES / f"{name}.svg")
    if any(one.reach for one in evidence.runs):
        draw_reach(evidence.runs).save(PICTURES / "reach.svg")


if __name__ == "__main__":
    main()
