"""What `--report` and `--plots` write, and saved runs in place of networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from shufflekit.cli._output import notice
from shufflekit.errors import InputError, one_line
from shufflekit.files import write_atomic
from shufflekit.records import read_text

if TYPE_CHECKING:
    from shufflekit.report import PaperTable, Subject


def read_run(path: Path) -> list[Subject]:
    """The networks in a file that `audit --json` or `profile --json` printed; those without a label get the file's name.

    Raises:
        InputError: it cannot be read, or is something else.
    """
    from shufflekit.report import read_json

    text = read_text(path)
    try:
        return read_json(text, label=path.stem)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def write_report(
    subjects: Sequence[Subject], rules: Mapping[str, str], threads: int, report: Path | None, plots: Path | None
) -> None:
    """Writes the page and the charts that were asked for, and says so on stderr.

    Args:
        subjects: the networks, of unlike labels.
        rules: the text of each rule in Markdown, by its code.
        threads: of the paper's tables on the page.
        report: the page, or None.
        plots: a folder for the charts, or None.

    Raises:
        InputError: a file cannot be written.
        MissingExtraError: what draws is not installed.
    """
    if report is not None:
        from shufflekit.report import render_html

        page = render_html(subjects, rules, _tables(threads)).encode()
        with _told(report):
            write_atomic(report, page)
        notice(str(report))
    if plots is not None:
        from shufflekit.report import runs_of, save_charts

        with _told(plots):
            files = save_charts(runs_of(subjects), plots)
        for file in files:
            notice(str(file))


def _tables(threads: int) -> list[PaperTable]:
    """Tables 1 to 4 of the paper as they were last measured here, for which PyTorch is needed."""
    if find_spec("torch") is None:
        return []
    from shufflekit.report import PaperTable
    from shufflekit.reproduce.guidelines import judge
    from shufflekit.reproduce.guidelines.cells import header, rows
    from shufflekit.reproduce.guidelines.kept import kept_tables

    found = []
    for table in kept_tables(threads, warn=notice):
        title = f"Table {table.number}, {table.guideline}: {table.title}; threads: {table.threads}"
        verdicts = (judge(table, engine) for engine in (*table.engines, "gpu", "arm"))
        cells = tuple(tuple(row) for block in rows(table) for row in block)
        found.append(PaperTable(title, tuple(header(table)), cells, tuple(str(each) for each in verdicts if each is not None)))
    return found


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or one_line(error)}") from None


def numbered(subjects: Sequence[Subject]) -> list[Subject]:
    """A network against itself, say before and after, must still have two names; on several engines it has one."""
    labels = [(subject.label, subject.audit.profile.engine) for subject in subjects]
    return [
        replace(subject, label=f"{subject.label} ({before + 1})") if (before := labels[:i].count(labels[i])) else subject
        for i, subject in enumerate(subjects)
    ]
