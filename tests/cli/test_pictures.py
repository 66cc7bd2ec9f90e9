from __future__ import annotations

import errno
import os

import pytest
from PIL import Image

from shufflekit import files
from shufflekit.cli._pictures import Pictures
from shufflekit.errors import InputError

RED = Image.new("RGB", (8, 6), "red")


def test_names_that_are_alike_get_a_number_also_where_letters_differ_in_size(tmp_path):
    pictures = Pictures(tmp_path / "new" / "out", [])
    for stem in ("a", "A", "a", "a-2"):
        pictures.add(stem, ".jpg", RED, quality=92)
    assert pictures.names == ["a.jpg", "A-2.jpg", "a-3.jpg", "a-2-2.jpg"]
    assert pictures.moved == []
    assert sorted(path.name for path in (tmp_path / "new" / "out").iterdir()) == sorted(pictures.names)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_only_our_own_pictures_are_replaced(suffix, tmp_path):
    own = Pictures(tmp_path, []).add("a", suffix, RED)
    assert Pictures(tmp_path, []).add("a", suffix, Image.new("RGB", (3, 3))) == own
    with Image.open(own) as picture:
        assert picture.size == (3, 3)
    again = Pictures(tmp_path, [str(own)])  # it is read now
    assert again.add("a", suffix, RED).name == f"a-2{suffix}"
    assert again.moved == [f"a-2{suffix}"]


@pytest.mark.parametrize("kind", ["photo", "text", "folder", "link", "hard link", "dangling link"])
def test_what_lies_there_stays(kind, tmp_path):
    out, photo, at = tmp_path / "out", tmp_path / "mine.jpg", tmp_path / "out" / "a.jpg"
    out.mkdir()
    RED.save(photo)
    before = photo.read_bytes()
    {
        "photo": lambda: RED.save(at),
        "text": lambda: at.write_text("text"),
        "folder": lambda: at.mkdir(),
        "link": lambda: at.symlink_to(photo),
        "hard link": lambda: at.hardlink_to(photo),
        "dangling link": lambda: at.symlink_to(tmp_path / "nothing"),
    }[kind]()
    inode = os.lstat(at).st_ino
    assert Pictures(out, []).add("a", ".jpg", RED).name == "a-2.jpg"
    assert os.lstat(at).st_ino == inode
    assert photo.read_bytes() == before


def test_a_full_disk_leaves_no_half_of_a_picture(tmp_path, monkeypatch):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    pictures = Pictures(tmp_path, [])
    with pytest.raises(InputError, match=r"a.jpg: cannot be written: No space left on device"):
        pictures.add("a", ".jpg", RED)
    assert list(tmp_path.iterdir()) == []
    assert pictures.names == []


def test_what_has_no_place_in_a_file_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"a.jpg: cannot be written"):
        Pictures(tmp_path, []).add("a", ".jpg", Image.new("RGB", (70_000, 1)))  # JPEG ends at 65,535
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="out: .*file"):
        Pictures(tmp_path / "file", [])
