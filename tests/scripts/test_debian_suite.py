"""What it writes, and where the tests would run; a run itself takes a root of Debian's."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from subprocess import CompletedProcess
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(SCRIPTS)
    yield import_module("debian_suite")
    for name in ("debian_suite", "kept_results", "wheels"):
        del sys.modules[name]


def test_the_line_says_what_ran_and_what_came_of_it(script: ModuleType) -> None:
    outcomes = {"a": "passed", "b": "skipped", "c": "passed"}
    line = script.row("trixie", "3.13.5, 2.6.0", ["tests/plan", "-m", "not slow"], outcomes)
    assert line.startswith("| trixie | 3.13.5, 2.6.0 | `tests/plan -m 'not slow'` | 2 passed, 1 skipped | 20")


@pytest.mark.parametrize(("code", "has_line"), [(0, True), (1, True), (2, False), (-9, False), (5, True)])
def test_a_run_that_was_cut_off_has_no_line(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int, has_line: bool
) -> None:
    (tmp_path / "x.whl").write_bytes(b"wheel")
    page = tmp_path / "install.md"
    page.write_text(script.BEGIN + script.END)
    monkeypatch.setattr(script, "PAGE", page)
    monkeypatch.setattr(script, "prepare", lambda suite, wheel: (tmp_path, script.BUILD / "site"))
    monkeypatch.setattr(script, "run", lambda *_: "3.13.5, 2.13.0\n")
    monkeypatch.setattr(script, "read", lambda kept: {"a": "failed"})
    monkeypatch.setattr(script.subprocess, "run", lambda *_, **__: CompletedProcess((), code))
    assert script.main(["trixie", str(tmp_path / "x.whl")]) == int(code not in (0, 5))
    assert ("| 1 failed |" in page.read_text()) == has_line


def test_another_wheel_or_other_arguments_begin_anew(script: ModuleType, tmp_path: Path) -> None:
    for name, content in (("a", b"one"), ("b", b"another")):
        (tmp_path / name).write_bytes(content)
    names = {script.digest(tmp_path / name, *words) for name in "ab" for words in ((), ("tests",), ("tests", "-x"))}
    assert len(names) == 6


def test_the_last_run_of_a_release_stands_in_the_table(script: ModuleType) -> None:
    lines = ["| trixie | a |\n", "| testing | b |\n", "| trixie | c |\n"]
    found = ""
    for line in lines:
        found = script.table(found, line)
    assert found == script.HEAD + lines[1] + lines[2]


def test_the_tests_see_the_checkout_and_debians_root(script: ModuleType, tmp_path: Path) -> None:
    *unshared, program = script.inside(tmp_path, script.BUILD / "site", "python3", "-m", "pytest", "-k", "a or b")
    assert unshared == ["unshare", "--map-root-user", "--mount", "sh", "-ec"]
    words = shlex.split(program.splitlines()[-1])
    assert words[:5] == ["exec", "chroot", str(tmp_path), "env", "-i"]
    assert words[-5:] == ["python3", "-m", "pytest", "-k", "a or b"]
    assert f"PYTHONPATH=/project/{script.ROOT.name}/build/wheels/site" in words
    assert f"mount --rbind {script.ROOT} {tmp_path}/project/{script.ROOT.name}" in program


def test_without_a_wheel_it_is_wrong_usage(script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main(["trixie"]) == 2
    assert "SUITE WHEEL" in capsys.readouterr().err
