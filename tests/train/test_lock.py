"""A run's folder belongs to one process while it lives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shufflekit.errors import InputError, UsageError
from shufflekit.train.lock import folder_lock

_HOLDER = """
import sys, time
from pathlib import Path
from shufflekit.train.lock import folder_lock
with folder_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_the_folder_is_held_until_its_process_dies(tmp_path: Path) -> None:
    out = tmp_path / "runs" / "one"
    with subprocess.Popen([sys.executable, "-c", _HOLDER, str(out)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(UsageError, match=f"out: another run is at work in {out}"), folder_lock(out):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    for _ in range(2):
        with folder_lock(out):
            pass


def test_the_other_processes_of_a_run_leave_it_to_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with folder_lock(tmp_path):
        monkeypatch.setenv("RANK", "1")
        with folder_lock(tmp_path):
            pass
        monkeypatch.setenv("RANK", "0")
        with pytest.raises(UsageError, match="another run"), folder_lock(tmp_path):
            pass


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="^out: .*: (Not a directory|File exists)$"), folder_lock(tmp_path / "file" / "run"):
        pass
    assert os.listdir(tmp_path) == ["file"]  # noqa: PTH208  # the names alone
