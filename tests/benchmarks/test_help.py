"""Every benchmark starts: what it imports is there, and its command line is sound."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.py")))
def test_it_says_what_it_does(name: str) -> None:
    said = subprocess.run([sys.executable, FOLDER / name, "--help"], capture_output=True, text=True, timeout=120)
    assert said.returncode == 0, said.stderr
    assert "Usage" in said.stdout
