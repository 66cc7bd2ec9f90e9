"""Writes docs/guidelines.md from the docstrings of the rules.

python scripts/guideline_pages.py
"""

from __future__ import annotations

from pathlib import Path

from shufflekit.guidelines import RULES

PAGE = Path(__file__).resolve().parents[1] / "docs" / "guidelines.md"
HEAD = """# The guidelines

Four guidelines of ShuffleNet V2 (Ma et al., ECCV 2018, arXiv 1807.11164) and one of ours, as `shufflekit audit` applies
them. Written by `python scripts/guideline_pages.py` from the rules' own files. [audit.md](audit.md) says how a finding gets
its price.
"""


def page() -> str:
    """All rules, one section each."""
    return "\n".join([HEAD, *("#" + rule.page for rule in RULES)])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
