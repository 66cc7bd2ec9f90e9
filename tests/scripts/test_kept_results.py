from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

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


def run(folder: Path) -> dict[str, str]:
    """What is kept after a run; names without the file's."""
    words = ("-q", "-p", "no:cacheprovider", "-p", "kept_results", "--kept", "kept", "--rootdir", ".", "test_it.py")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SCRIPTS), os.environ.get("PYTHONPATH", "")])}
    subprocess.run([sys.executable, "-m", "pytest", *words], cwd=folder, env=environment, check=False, capture_output=True)
    lines = [json.loads(line) for line in (folder / "kept").read_text().splitlines()]
    return {name.partition("::")[2]: outcome for name, outcome in lines}


def test_a_run_goes_on_after_what_did_not_fail(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "stop").touch()
    before = {"test_elsewhere": "passed", "test_absent": "skipped", "test_mended[one\\ntwo]": "failed"}
    assert run(tmp_path) == before

    (tmp_path / "stop").unlink()
    (tmp_path / "mended").touch()
    (tmp_path / "kept").write_text((tmp_path / "kept").read_text() + '["test_it.py::test_e')  # cut off
    assert run(tmp_path) == {**before, "test_mended[one\\ntwo]": "passed", "test_end": "passed"}
    assert (tmp_path / "ran").read_text() == "elsewhere "
