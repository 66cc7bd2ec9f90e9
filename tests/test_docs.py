"""What docs/profile.md and docs/audit.md show runs: their Python, and their commands; on a made-up machine."""

from __future__ import annotations

import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

from shufflekit.cli.main import app
from tests.guidelines.nets import DEVICE
from tests.guidelines.test_audit import TWICE_THE_LIMIT

DOCS = Path(__file__).resolve().parents[1] / "docs"


@pytest.mark.parametrize("name", ["profile", "audit"])
def test_python_runs_and_prints(name, capsys, monkeypatch):
    rules = import_module("shufflekit.guidelines.audit")
    for module in ("profiling.profile", "profiling.graph"):
        monkeypatch.setattr(import_module(f"shufflekit.{module}"), "load_device", lambda: DEVICE)
    monkeypatch.setattr(rules, "load_cost_model", lambda *_, **__: TWICE_THE_LIMIT)
    blocks = re.findall(r"^```python\n(.*?)^```$", (DOCS / f"{name}.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert blocks
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, f"{name}.md", "exec"), names)
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("name", ["profile", "audit"])
def test_commands_are_ones_that_the_command_line_takes(name):
    commands = re.findall(r"^shufflekit (.+)$", (DOCS / f"{name}.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert commands
    for command in commands:
        app.parse_args(shlex.split(command, comments=True), exit_on_error=False, print_error=False)
