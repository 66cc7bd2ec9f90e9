"""Image folders."""

from __future__ import annotations

import errno
import os
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


def images_of(root: Path) -> list[tuple[str, str]]:
    """Path within the root and class of every image."""
    source = FolderSource(root)
    names = [Path(source.name(i)).relative_to(root).as_posix() for i in range(len(source))]
    return [(name, source.classes[source.label(i)]) for i, name in enumerate(names)]


def test_hidden_files_and_those_of_archivers_do_not_count(tmp_path: Path):
    plain = images_of(make_folder(tmp_path))
    image = (tmp_path / "dog" / "1.png").read_bytes()
    for name in (
        "cat/.ipynb_checkpoints/b-checkpoint.JPG",
        "cat/._b.JPG",
        "cat/deep/.a.png",
        "cat/__MACOSX/b.JPG",
        "__MACOSX/dog/1.png",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(image)
    (tmp_path / "cat" / "Thumbs.db").write_bytes(b"thumbs")
    assert images_of(tmp_path) == plain
    assert FolderSource(tmp_path).classes == ["cat", "dog", "owl"]


def test_links_are_followed_once_and_never_up(tmp_path: Path):
    root = tmp_path / "root"
    plain = images_of(make_folder(root))
    (root / "cat" / "up").symlink_to("..")
    (root / "cat" / "deep" / "round").symlink_to(root / "cat")
    (root / "cat" / "far_up").symlink_to(tmp_path)
    (root / "cat" / "twice").symlink_to("deep")
    assert images_of(root) == plain
    elsewhere = tmp_path / "more" / "dogs"
    elsewhere.mkdir(parents=True)
    (elsewhere / "2.png").write_bytes((root / "dog" / "1.png").read_bytes())
    (root / "dog" / "more").symlink_to(elsewhere)
    assert images_of(root) == [*plain, ("dog/more/2.png", "dog")]


@pytest.mark.parametrize(("link", "target"), [("fox", "dog"), ("owl/dogs", "../dog"), ("owl/deep", "../cat/deep")])
def test_a_folder_belongs_to_one_class(tmp_path: Path, link: str, target: str):
    make_folder(tmp_path)
    (tmp_path / link).symlink_to(target)
    with pytest.raises(InputError, match=r"(dog|cat/deep) must belong to one class, found it in (dog|cat) and in (fox|owl)"):
        FolderSource(tmp_path)


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make_folder(tmp_path)
    plain = os.scandir

    def refuse(path: str):
        if str(path).endswith("deep"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return plain(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InputError, match="cat/deep: Permission denied"):
        FolderSource(tmp_path)
