"""Files are written whole or not at all."""

from __future__ import annotations

import errno
import io
import ntpath
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from shufflekit import files
from shufflekit.cli._kinds import kind_of
from shufflekit.errors import UsageError
from shufflekit.files import has_drive, is_place, move_together, refuse_overwrite, remove_partial, write_atomic


@pytest.mark.parametrize("step", ["write", "flush", "fsync", "replace"])
def test_what_was_saved_outlives_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    path = tmp_path / "last.pt"
    write_atomic(path, b"old")

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if step == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    elif step == "replace":
        monkeypatch.setattr(Path, "replace", full)
    else:
        file = type("Full", (io.BytesIO,), {step: full})
        monkeypatch.setattr(Path, "open", lambda self, mode: (self.touch(), file())[1])
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_atomic(path, b"new")
    monkeypatch.undo()
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_that_cannot_take_its_place_is_named(tmp_path: Path) -> None:
    moves = {tmp_path / f"{name}.new": tmp_path / name for name in "abc"}
    for source in moves:
        source.write_text(source.name)
    (tmp_path / "b").mkdir()
    with pytest.raises(OSError) as caught:
        move_together(moves)
    assert caught.value.filename == str(tmp_path / "b")
    assert (tmp_path / "a").read_text() == "a.new"
    (tmp_path / "b").rmdir()
    del moves[tmp_path / "a.new"]
    move_together(moves)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {name: f"{name}.new" for name in "abc"}


@pytest.mark.parametrize("folder", [".", "..", "/", "sub"])
def test_a_folder_is_no_file_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(IsADirectoryError) as caught:
        write_atomic(Path(folder), b"new")
    assert caught.value.filename == folder
    assert [path.name for path in tmp_path.iterdir()] == ["sub"]


def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".last.pt.123.partial").write_bytes(b"half")
    (tmp_path / "last.pt").write_bytes(b"whole")
    remove_partial(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]


def test_folders_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(files, "_sync_folder", synced.append)
    write_atomic(tmp_path / "file", b"content")
    assert synced == [tmp_path]


@pytest.mark.parametrize(
    "spelt", ["cat.jpg", "./cat.jpg", "sub/../cat.jpg", "symbolic.jpg", "hard.jpg", "linked/cat.jpg", "whole"]
)
def test_an_input_is_refused_as_output_however_it_is_spelt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spelt: str) -> None:
    monkeypatch.chdir(tmp_path)
    photo = Path("cat.jpg")
    photo.write_bytes(b"photo")
    Path("sub").mkdir()
    Path("linked").symlink_to(".")
    Path("symbolic.jpg").symlink_to(photo)
    Path("hard.jpg").hardlink_to(photo)
    target = str(photo.resolve()) if spelt == "whole" else spelt
    with pytest.raises(UsageError, match=r"^out: .* is an input( \(cat.jpg\))? and is not written over$"):
        refuse_overwrite(target, [None, "shufflenet_v2_x1_0", photo])


def test_a_folder_that_is_read_is_refused_as_output(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^plots: .* is an input and is not written over$"):
        refuse_overwrite(tmp_path, [tmp_path], "plots")


@pytest.mark.parametrize("inputs", [[], [None], ["cat.jpg"], ["other.jpg"], ["nothing\0here"], ["-", "x" * 5000]])
def test_what_is_no_input_may_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inputs: list[str | None]) -> None:
    monkeypatch.chdir(tmp_path)
    Path("other.jpg").write_bytes(b"")
    Path("old.png").write_bytes(b"an earlier result")
    for target in ("new.png", "old.png"):
        refuse_overwrite(target, inputs)


def test_paths_of_windows_are_paths_there_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [is_place(text) for text in (r"C:\nets\net", "D:net", r"runs\net", "runs/net", "net")] == [
        False,
        False,
        False,
        True,
        False,
    ]
    monkeypatch.setattr(files, "os", SimpleNamespace(sep="\\", path=ntpath))
    assert [is_place(text) for text in (r"C:\nets\net", "D:net", r"runs\net", "runs/net", "net")] == [
        True,
        True,
        True,
        True,
        False,
    ]
    assert [has_drive(text) for text in (r"C:\net", "my.nets:small", "hf-hub:me/net")] == [True, False, False]
    assert kind_of(r"C:\nets\net") == "named"


def test_a_folder_is_not_synced_where_it_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "os", SimpleNamespace(name="nt", open=lambda *_: pytest.fail("opened a folder")))
    files._sync_folder(tmp_path)
