"""Shows audits: as text, as JSON, and as one page that holds everything it needs."""

from shufflekit.report.html import render_html
from shufflekit.report.json import read_json, render_json
from shufflekit.report.subject import Subject
from shufflekit.report.text import render_text

__all__ = ["Subject", "read_json", "render_html", "render_json", "render_text"]
