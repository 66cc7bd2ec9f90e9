"""Variables of the user's environment mean the same wherever they are read."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from shufflekit.environment import cache_folder, offline
from shufflekit.errors import UsageError

SRC = Path(__file__).parents[1] / "src"


@pytest.mark.parametrize("value", ["", "0", "false", "No", "off", " 0 "])
def test_not_offline(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SHUFFLEKIT_OFFLINE", value)
    assert not offline()


@pytest.mark.parametrize("value", ["1", "true", "yes", "2"])
def test_offline(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SHUFFLEKIT_OFFLINE", value)
    assert offline()


def test_a_home_folder_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("SHUFFLEKIT_CACHE", "~/x")
    assert cache_folder("weights") == Path("/home/me/x")
    monkeypatch.delenv("SHUFFLEKIT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "~/y")
    assert cache_folder("weights") == Path("/home/me/y/shufflekit/weights")
    assert cache_folder() == Path("/home/me/y/shufflekit")


def test_no_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHUFFLEKIT_CACHE", "~nobody-of-this-name/x")
    with pytest.raises(UsageError, match="SHUFFLEKIT_CACHE: must name a folder"):
        cache_folder()


def test_no_other_file_reads_our_variables() -> None:
    """Else one place would again take SHUFFLEKIT_OFFLINE=0 for a yes."""
    found = []
    for path in SRC.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and node.value in ("SHUFFLEKIT_OFFLINE", "SHUFFLEKIT_CACHE", "XDG_CACHE_HOME"):
                found.append(path.name)
    assert set(found) == {"environment.py"}
