"""Writes docs/results.md and docs/accuracy from what is kept in results/tables and results/accuracy.

shufflekit reproduce v1.table6 -o results/tables   # and so on
shufflekit reproduce v1.table3 --scale small --data ../shared/data/tiny_imagenet25 -o results/accuracy   # and so on
python scripts/results_page.py
"""

from __future__ import annotations

from pathlib import Path

import altair as alt

from shufflekit.reproduce.accuracy_tables import ACCURACY_TABLES, accuracy_record, groups_of
from shufflekit.reproduce.record import Record, shown
from shufflekit.reproduce.runs import Run, Trained, read_runs
from shufflekit.reproduce.tables import TABLES, Entry, title_of

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results" / "tables"
ACCURACY = ROOT / "results" / "accuracy"
PAGE = ROOT / "docs" / "results.md"
PICTURES = ROOT / "docs" / "accuracy"

_OPENING = """# The papers' tables, made again

What ShuffleNet (V1) and ShuffleNet V2 print, beside what this package counts and measures on one machine. Columns that begin
with "paper:" are quoted. FLOPs are multiply-adds. Times are medians of one image on one thread, all runtimes in turn within
one process; "of limit" is the share of what the machine could do at most ([Bench](bench.md)).

Networks were trained for the accuracy tables alone (V1 2 to 5, `v2.table8.accuracy`), at [a small scale](reproduce.md): 25
classes of 64x64 images, 30 epochs, one recipe, three seeds. Their errors are not those of ImageNet beside them; what is asked
is the order. It **holds** or **does not hold** where all three runs of one network err less than all three of the other
(by chance once in 20), and is **not decided** where they overlap. All other errors are the papers' own.

`python scripts/results_page.py` writes this page from `results/`.
"""

# What the kept runs say beyond their table; theirs alone, so it is not in the package.
_READINGS = {
    "v1.table3": (
        "why: in all six pairs the mean training loss is lower with the shuffle, so it does what the paper says, but the error "
        "follows in two only. From 500 images a class networks of this size learn by heart more than they carry over (at four "
        "times the multiply-adds, 0.5x to 1x, the error falls by 1 to 3 points); ImageNet has 1,300 images a class"
    ),
    "v2.table8.accuracy": (
        "the two that come before ShuffleNet v2 here, ShuffleNet v1 and DenseNet, have the lower training loss too: they fit "
        "better, it is not v2 that carries over less. Why they do at 64x64 was not looked for"
    ),
}


def page(records: dict[str, Record]) -> str:
    """The page: every table of the papers in their order, those without a record with what is missing.

    Args:
        records: by the table's name.
    """
    parts = [_OPENING]
    for name, entry in TABLES.items():
        parts.append(f"## {name}: {title_of(name)}\n")
        record = records.get(name)
        parts.append(_absent(name, entry) if record is None else _section(record))
    return "\n".join(parts)


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
    readings = [_READINGS[record.table]] if record.table in _READINGS else []
    notes = "".join(f"- {note}\n" for note in [*record.notes, *readings])
    picture = f"![Error of each run](accuracy/{record.table}.svg)\n\n" if record.table in ACCURACY_TABLES else ""
    return f"`{record.command}`, {record.machine}, {record.date}.\n\n{table}\n{picture}{notes}"


def draw(name: str, runs: list[Trained]) -> alt.TopLevelMixin:
    """The errors of an accuracy table's runs, a dot each, and the paper's beside them."""
    rows, order = [], []
    for group in (group for group in groups_of(name) if group.small):
        for row in group.rows:
            label = row.label if group.level.endswith(row.label) else f"{row.label}, {group.level}"
            order.append(label)
            network = Run(row.built, 0).network_name
            errors = [one.error for one in runs if one.network_name == network]
            rows += [{"network": label, "level": group.level, "error": error, "paper": row.error} for error in errors]
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y("network:N", title=None, sort=order, axis=alt.Axis(labelLimit=300, grid=True)),
        color=alt.Color("level:N", legend=None),
    )

    def x(field: str, title: str) -> alt.X:
        return alt.X(field, title=title, scale=alt.Scale(zero=False, padding=10))

    here, there = "error of each run here, %", "error in the paper, ImageNet, %"
    dots = base.mark_point(filled=True, size=45, opacity=0.7).encode(x=x("error:Q", here))
    means = base.mark_tick(thickness=2, size=14).encode(x=x("mean(error):Q", here))
    paper = base.mark_point(filled=True, shape="diamond", size=60).encode(
        x=x("mean(paper):Q", there),
        y=alt.Y("network:N", title=None, sort=order, axis=alt.Axis(labels=False, ticks=False, grid=True)),
    )
    panels = ((dots + means).properties(width=360), paper.properties(width=260))
    return alt.hconcat(*(panel.properties(height=alt.Step(20)) for panel in panels)).properties(background="white")


def read_records() -> tuple[dict[str, Record], list[Trained]]:
    """All tables that can be shown, by name, and the runs behind the accuracy tables."""
    records = [Record.from_json(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))]
    runs, probe = read_runs(ACCURACY)
    records += [record for name in ACCURACY_TABLES if (record := accuracy_record(name, runs, probe))]
    return {record.table: record for record in records}, runs


def main() -> None:
    """Reads what is kept, and writes the page and its pictures."""
    records, runs = read_records()
    PAGE.write_text(page(records), encoding="utf-8")
    for name in ACCURACY_TABLES:
        if name in records:
            PICTURES.mkdir(exist_ok=True)
            draw(name, runs).save(PICTURES / f"{name}.svg")


if __name__ == "__main__":
    main()
