"""Where a verb writes: results on stdout, progress and notices on stderr, bars only on a terminal."""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


def stdout() -> Console:
    """The console for results; wide enough for every table where it is no terminal."""
    console = _console()
    return console if console.is_terminal else _console(width=200)


def stderr() -> Console:
    """The console for progress and notices."""
    return _console(stderr=True)


def _console(**options: Any) -> Console:
    return Console(highlight=False, markup=False, emoji=False, **options)  # names of files may look like either


def print_json(value: Any) -> None:
    """Writes `value` on stdout as indented JSON, and nothing else; letters that stdout's encoding lacks as escapes."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=2, allow_nan=False)
    sys.stdout.write(text + "\n")


def notice(message: str) -> None:
    """Writes one line on stderr, as the errors are written."""
    stderr().print(f"shufflekit: {printable(' '.join(message.split()))}", soft_wrap=True)


def printable(text: str) -> str:
    """A text for one line: what is no visible character, as in odd file names, is written as an escape.

    Example:
        >>> printable("a\\nb \\x1b[2J ü.jpg")
        'a\\\\nb \\\\x1b[2J ü.jpg'
    """
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


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
