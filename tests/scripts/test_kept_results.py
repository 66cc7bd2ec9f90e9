from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
TESTS = """import os, pathlib, pytest

def test_elsewhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pathlib.Path(__file__).with_name("ran").open("a") as file:
        file.write("elsewhere ")

@pytest.fixture
def device():
    pytest.skip("not here")

def test_absent(device):
    raise AssertionError

@pytest.mark.parametrize("text", ["one\\ntwo"])
def test_mended(text):
    assert pathlib.Path(__file__).with_name("mended").exists()

def test_end():
    if pathlib.Path(__file__).with_name("stop").exists():
        os._exit(3)
"""


def run(folder: Path, workers: int) -> list[tuple[str, str]]:
    """What is kept after a run; names without the file's."""
    plugins = ("-p", "no:cacheprovider", "-p", "kept_results", "--kept", "kept")
    words = ("-q", "-n", str(workers), "--rootdir", ".", *plugins, "test_it.py")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SCRIPTS), os.environ.get("PYTHONPATH", "")])}
    subprocess.run([sys.executable, "-m", "pytest", *words], cwd=folder, env=environment, check=False, capture_output=True)
    lines = [json.loads(line) for line in (folder / "kept").read_text().splitlines()]
    return [(name.partition("::")[2], outcome) for name, outcome in lines]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_goes_on_after_what_did_not_fail(workers: int, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "stop").touch()
    before = {"test_elsewhere": "passed", "test_absent": "skipped", "test_mended[one\\ntwo]": "failed"}
    died = {"test_end": "failed"} if workers else {}  # one process alone takes pytest with it
    assert dict(run(tmp_path, workers)) == before | died

    (tmp_path / "stop").unlink()
    (tmp_path / "mended").touch()
    (tmp_path / "kept").write_text((tmp_path / "kept").read_text() + '["test_it.py::test_e')  # cut off
    lines = run(tmp_path, workers)
    assert dict(lines) == {**before, "test_mended[one\\ntwo]": "passed", "test_end": "passed"}
    assert len(lines) == len(set(lines))  # by one process alone
    assert (tmp_path / "ran").read_text() == "elsewhere "
