from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from shufflekit.cli import _photos
from shufflekit.cli._photos import Photos


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("p10.png", "p9.png", "b[1].png", "b1.png"):
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("system", "pattern", "names"),
    [
        ("nt", "p*.png", ["p9.png", "p10.png"]),  # whose shells hand patterns on
        ("nt", "b[1].png", ["b[1].png"]),  # that there is
        ("nt", "q*.png", ["q*.png"]),
        ("nt", "-", ["standard input"]),
        ("posix", "p*.png", ["p*.png"]),
    ],
)
def test_patterns_stand_for_photos_on_windows_alone(
    here: Path, monkeypatch: pytest.MonkeyPatch, system: str, pattern: str, names: list[str]
) -> None:
    monkeypatch.setattr(_photos, "os", SimpleNamespace(name=system))
    assert Photos([pattern]).names == names
