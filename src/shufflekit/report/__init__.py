"""Shows audits: as text, as JSON, and as one page that holds everything it needs.

The page and its charts need the extra `report`, and are imported only when they are asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from shufflekit.report.json import read_json, render_json, to_dict
from shufflekit.report.subject import PaperTable, Subject, runs_of
from shufflekit.report.text import render_text

if TYPE_CHECKING:
    from shufflekit.report.charts import save_charts
    from shufflekit.report.html import render_html

__all__ = [
    "PaperTable",
    "Subject",
    "read_json",
    "render_html",
    "render_json",
    "render_text",
    "runs_of",
    "save_charts",
    "to_dict",
]

_LATE = {"render_html": "shufflekit.report.html", "save_charts": "shufflekit.report.charts"}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATE[name]), name)
