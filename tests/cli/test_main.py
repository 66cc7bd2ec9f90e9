"""The frame of the command line: help, wrong usage, and how errors become one line and an exit code."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import shufflekit
from shufflekit.cli import main as frame
from shufflekit.cli.main import main
from shufflekit.errors import InputError, UsageError


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "shufflekit", *arguments], capture_output=True, text=True, check=False)


def test_help_lists_every_verb_and_loads_no_torch() -> None:
    code = "import sys; from shufflekit.cli.main import main; main(['--help']); print('torch' in sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == "False\n"
    for verb in frame._VERBS:
        assert f" {verb} " in done.stdout


def test_every_verb_has_a_file_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in frame._VERBS:
        assert main([verb, "--help"]) == 0
        assert f"shufflekit {verb}" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == shufflekit.__version__


def test_the_entry_point_is_main() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"shufflekit": "shufflekit.cli.main:main"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["devise"], "no command is named 'devise'; did you mean device?"),
        (["xyzzy"], f"no command is named 'xyzzy'; one of {', '.join(frame._VERBS)} is needed"),
        (["device", "--jsno"], "Unknown option: --jsno. Did you mean --json?"),
        (["device", "now"], "Unused Tokens: ['now']."),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(arguments: list[str], message: str) -> None:
    done = command(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("shufflekit: ")
    assert message.split(".")[0].lower() in done.stderr.lower()


@pytest.mark.parametrize(
    ("raised", "code", "line"),
    [
        (InputError("a.jpg: no\n image"), 1, "shufflekit: a.jpg: no image\n"),
        (UsageError("topk: must be 1 or more, found 0"), 2, "shufflekit: topk: must be 1 or more, found 0\n"),
        (KeyboardInterrupt(), 130, ""),
        (ModuleNotFoundError("No module named 'kornia.x'", name="kornia.x"), 2, "pip install 'shufflekit[train]'\n"),
        (OSError(28, "No space left on device", "net.plan"), 1, "shufflekit: net.plan: No space left on device\n"),
        (OSError(), 1, "shufflekit: OSError\n"),
        (MemoryError(), 1, "shufflekit: memory: there is too little (MemoryError)\n"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), 1, "can't allocate memory: you tried)\n"),
        (RecursionError("maximum recursion depth"), 1, "shufflekit: nested too deeply (maximum recursion depth)\n"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), 1, "position 0: invalid start byte\n"),
    ],
)
def test_errors_become_one_line_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], raised: BaseException, code: int, line: str
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr(frame, "app", fails)
    assert main([]) == code
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.endswith(line)
    assert found.err.count("\n") == bool(line)


@pytest.mark.parametrize(
    "defect",
    [
        ModuleNotFoundError("No module named 'shufflekit.tyop'", name="shufflekit.tyop"),
        RuntimeError("shape '[3]' is invalid for input of size 4"),
        KeyError("kernel"),
        ValueError("max() arg is an empty sequence"),
    ],
)
def test_a_defect_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch, defect: Exception) -> None:
    def fails(*_: object, **__: object) -> None:
        raise defect

    monkeypatch.setattr(frame, "app", fails)
    with pytest.raises(type(defect)):
        main([])


def test_a_reader_that_leaves_gets_no_traceback() -> None:
    """`shufflekit --help | head -0`: the write fails, and that is nobody's error."""
    writer = f"{sys.executable} -m shufflekit --help"
    done = subprocess.run(["bash", "-c", f"( {writer} ; echo $? >&2 ) | true"], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
