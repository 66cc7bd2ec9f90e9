"""The charts of docs/: a reader's font is wider than that of the converter, which laid them out, and no text may be cut."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

DOCS = Path(__file__).parents[1] / "docs"
EM = {"normal": 0.57, "bold": 0.60}  # a letter's mean width in DejaVu Sans, which is among the widest, of a font size
BEFORE = {"start": 0.0, "middle": 0.5, "end": 1.0}  # how much of a text lies before its anchor


@pytest.mark.parametrize("path", sorted(DOCS.rglob("*.svg")), ids=lambda path: str(path.relative_to(DOCS)))
def test_no_text_is_cut(path: Path) -> None:
    root = ET.parse(path).getroot()
    left, top, width, height = map(float, root.attrib["viewBox"].split())
    cut = [
        text
        for text, ends in texts(root, 1 + 0j, 0j)
        if not all(left <= end.real <= left + width and top <= end.imag <= top + height for end in ends)
    ]
    assert cut == []


def texts(element: ET.Element, turn: complex, at: complex) -> Iterator[tuple[str, tuple[complex, complex]]]:
    """Each text below, and where its line begins and ends, as x + iy; what is drawn there is turned and then moved."""
    for name, numbers in re.findall(r"(\w+)\(([^)]*)\)", element.get("transform", "")):
        values = [float(number) for number in numbers.split(",")]
        if name == "translate":
            at += turn * complex(*values)
        else:
            assert name == "rotate", name
            turn *= complex(math.cos(math.radians(values[0])), math.sin(math.radians(values[0])))
    if element.tag.endswith("}text") and element.text:
        size = float(element.attrib["font-size"].removesuffix("px"))
        long = len(element.text) * size * EM[element.get("font-weight", "normal")]
        begin = -long * BEFORE[element.get("text-anchor", "start")]
        yield element.text, (at + turn * begin, at + turn * (begin + long))
    for child in element:
        yield from texts(child, turn, at)
