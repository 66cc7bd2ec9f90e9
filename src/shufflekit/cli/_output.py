"""Where a verb writes: results on stdout, progress and notices on stderr, bars only on a terminal."""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


def stdout() -> Console:
    """The console for results; wide enough for every table where it is no terminal."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=200)


def stderr() -> Console:
    """The console for progress and notices."""
    return Console(stderr=True, highlight=False)


def print_json(value: Any) -> None:
    """Writes `value` on stdout as indented JSON, and nothing else."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def notice(message: str) -> None:
    """Writes one line on stderr, as the errors are written."""
    stderr().print(f"shufflekit: {message}", markup=False, soft_wrap=True)


def progress(*columns: str) -> Progress:
    """A progress bar on stderr that draws nothing where stderr is no terminal.

    Args:
        columns: more text columns, in rich's format, as in `"{task.fields[speed]:.0f} images/s"`.
    """
    console = stderr()
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        *(TextColumn(column) for column in columns),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
