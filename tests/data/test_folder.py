"""Image folders."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shufflekit.data.folder import FolderSource
from shufflekit.data.images import BrokenImageError
from shufflekit.errors import InputError, UsageError


def make_folder(root: Path) -> Path:
    """Classes cat (2 images, one of them deeper down), dog (1), and owl (none)."""
    for name, value in (("dog/1.png", 10), ("cat/b.JPG", 20), ("cat/deep/a.png", 30)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6), (value, value, value)).save(root / name, format="PNG")
    (root / "owl").mkdir()
    (root / ".cache").mkdir()
    (root / "cat" / "notes.txt").write_text("not an image, and not called one")
    return root


def test_classes_labels_and_pixels(tmp_path: Path):
    source = FolderSource(make_folder(tmp_path))
    assert source.classes == ["cat", "dog", "owl"]
    assert len(source) == 3
    found = [
        (Path(source.name(i)).relative_to(tmp_path).as_posix(), source.label(i), source.read(i)[0, 0, 0]) for i in range(3)
    ]
    assert found == [("cat/b.JPG", 0, 20), ("cat/deep/a.png", 0, 30), ("dog/1.png", 1, 10)]
    assert source.read(0).shape == (6, 8, 3)


def test_it_travels_to_another_process(tmp_path: Path):
    source = FolderSource(make_folder(tmp_path))
    copy = pickle.loads(pickle.dumps(source))
    assert (copy.read(2) == source.read(2)).all()
    assert np.array_equal([copy.label(i) for i in range(3)], [0, 0, 1])


def test_a_broken_and_a_vanished_file_are_named(tmp_path: Path):
    source = FolderSource(make_folder(tmp_path))
    (tmp_path / "cat" / "b.JPG").write_text("x")
    (tmp_path / "dog" / "1.png").unlink()
    with pytest.raises(BrokenImageError, match=r"cat/b\.JPG: not a known image format"):
        source.read(0)
    with pytest.raises(BrokenImageError, match=r"dog/1\.png: No such file"):
        source.read(2)


def test_what_is_no_image_folder_is_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="none is not a folder"):
        FolderSource(tmp_path / "none")
    with pytest.raises(InputError, match="holds no class folders"):
        FolderSource(tmp_path)
    (tmp_path / "a").mkdir()
    with pytest.raises(InputError, match="holds 1 class folders and no images in them"):
        FolderSource(tmp_path)
