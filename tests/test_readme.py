"""The README shows what is true: its Python prints its text, its commands parse, its table covers every network."""

from __future__ import annotations

import fnmatch
import re
import shlex
from pathlib import Path

import pytest

from shufflekit.cli.main import app, main
from shufflekit.models import list_models

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(kind: str, number: int = 0) -> str:
    return re.findall(rf"^```{kind}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)[number]


@pytest.mark.parametrize("number", range(README.count("```python\n")))
def test_python_block_prints_the_text_block(number, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(block("python", number), "README.md", "exec"), {})
    assert capsys.readouterr().out == block("text", number)


def test_commands_are_ones_that_the_command_line_takes():
    section = README[README.index("### Command line") : README.index("## Networks")]
    commands = [shlex.split(line, comments=True) for line in section.split("```")[1].split("\n")[1:-1]]
    assert len(commands) > 4
    for program, verb, *arguments in commands:
        assert program == "shufflekit"
        if arguments != ["--help"]:
            app.parse_args([verb, *arguments], exit_on_error=False, print_error=False)


def test_make_targets_exist_and_stand_in_the_first_screen():
    targets = re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    first_screen = "\n".join(README.splitlines()[:24])
    assert {"demo", "test"} <= {*targets}
    assert "make demo" in first_screen
    assert "make test" in first_screen


def test_table_of_networks_covers_all_of_them():
    table = README[README.index("## Networks") : README.index("## What it is not")]
    names = [line.split("|")[1] for line in table.splitlines() if line.startswith("|")]
    patterns = re.findall(r"`([a-z0-9_*]+)`", "\n".join(names))
    assert all(list_models(pattern) for pattern in patterns)
    assert [name for name in list_models() if not any(fnmatch.fnmatch(name, pattern) for pattern in patterns)] == []


def test_links_lead_somewhere():
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.slow
def test_docs_models_is_what_the_command_prints(capsys):
    assert main(["models", "--markdown"]) == 0
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    assert page.endswith("\n\n" + capsys.readouterr().out)
