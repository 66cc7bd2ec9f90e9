"""What it writes, and where the tests would run; a run itself takes a root of Debian's."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(SCRIPTS)
    yield import_module("debian_suite")
    for name in ("debian_suite", "wheels"):
        del sys.modules[name]


@pytest.mark.parametrize(
    ("last", "result"),
    [
        ("1 failed, 20 passed, 3 skipped in 71.20s (0:01:11)", "1 failed, 20 passed, 3 skipped"),
        ("=== 2 passed in 0.10s ===", "2 passed"),
    ],
)
def test_the_line_says_what_ran_and_what_came_of_it(script: ModuleType, last: str, result: str) -> None:
    line = script.row("trixie", "3.13.5, 2.6.0", ["tests/plan", "-m", "not slow"], f"...\nSKIPPED 1 in x\n{last}\n")
    assert line.startswith(f"| trixie | 3.13.5, 2.6.0 | `tests/plan -m 'not slow'` | {result} | 20")


def test_a_run_that_was_cut_off_has_no_line(script: ModuleType) -> None:
    with pytest.raises(script.WheelError, match="pytest did not come to its end"):
        script.row("trixie", "3.13.5, 2.6.0", ["tests"], "....F\n")


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
