"""Streams that are closed, full or of another encoding: one line on stderr, the right exit code, and no traceback."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from shufflekit.cli import _streams
from shufflekit.cli._output import print_json, printable
from shufflekit.errors import InputError

SHUFFLEKIT = f"'{sys.executable}' -m shufflekit"


def shell(command: str) -> tuple[int, str, str]:
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.mark.parametrize(
    ("command", "code", "line"),
    [
        ("--version > /dev/full", 1, "standard output: cannot be written: No space left on device"),
        ("--help > /dev/full", 1, "standard output: cannot be written: No space left on device"),
        ("reproduce --list --json > /dev/full", 1, "standard output: cannot be written: No space left on device"),
        ("--version >&-", 1, "standard output: cannot be written: it is closed"),
        ("reproduce --list >&-", 1, "standard output: cannot be written: it is closed"),
        ("--version 1</dev/null", 1, "standard output: cannot be written: Bad file descriptor"),
        ("xyzzy 2>/dev/full", 2, ""),
        ("xyzzy 2>&-", 2, ""),
        ("xyzzy 2>&- >&- <&-", 2, ""),
    ],
)
def test_a_stream_that_fails_is_a_line_and_an_exit_code(command: str, code: int, line: str) -> None:
    assert shell(f"{SHUFFLEKIT} {command}") == (code, "", f"shufflekit: {line}\n" if line else "")


@pytest.mark.parametrize(
    ("system", "number", "raised"),
    [("nt", errno.EINVAL, BrokenPipeError), ("posix", errno.EINVAL, InputError), ("nt", errno.ENOSPC, InputError)],
)
def test_a_reader_who_left_is_known_by_what_windows_calls_it(
    monkeypatch: pytest.MonkeyPatch, system: str, number: int, raised: type[Exception]
) -> None:
    def write(text: str) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(_streams, "os", SimpleNamespace(name=system))
    monkeypatch.setattr(_streams, "drop", lambda _: None)
    with pytest.raises(raised):
        _streams._Results(SimpleNamespace(write=write)).write("text")


def test_what_was_closed_is_not_taken_for_a_file_that_is_opened_later(tmp_path: Path) -> None:
    code = (
        "import os; from shufflekit.cli._streams import kept_streams\n"
        "with kept_streams():\n"
        f"    file = open({str(tmp_path / 'weights')!r}, 'w')\n"
        "    os.write(1, b'from C'); file.write('right'); file.close()"
    )
    assert shell(f"'{sys.executable}' -c \"{code}\" >&-") == (0, "", "")
    assert (tmp_path / "weights").read_text() == "right"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_json_says_what_the_encoding_lacks_in_escapes(encoding: str) -> None:
    value = {"file": "猫 ü \U0001f600 \udcff.jpg"}
    code = f"from shufflekit.cli._output import print_json; print_json({value!a})"
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=environment)
    assert json.loads(done.stdout.decode(encoding)) == value


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_text_says_what_the_encoding_lacks_in_escapes(encoding: str) -> None:
    code, out, err = shell(f"PYTHONIOENCODING={encoding} {SHUFFLEKIT} predict --猫")
    assert (code, out, err) == (2, "", "shufflekit: no option is named --\\u732b, and no photo\n")


def test_letters_that_stdout_has_are_written_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"file": "猫"})
    assert "猫" in capsys.readouterr().out


def test_odd_file_names_stay_on_their_line() -> None:
    assert printable("a\nb\r\x1b[2J\udcff 猫 \U0001f600.jpg") == "a\\nb\\r\\x1b[2J\\udcff 猫 \U0001f600.jpg"
