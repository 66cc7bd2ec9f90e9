from __future__ import annotations

import errno
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from shufflekit.errors import InputError
from shufflekit.train.checkpoint import (
    load_checkpoint,
    load_last,
    random_states,
    restore_random_states,
    save_checkpoint,
)


def test_checkpoint_comes_back(tmp_path: Path) -> None:
    state = {"place": {"step": 3, "loss_sum": 0.1}, "tensors": [torch.arange(3.0)], "none": None, "pair": (1, "a")}
    save_checkpoint(tmp_path / "last.pt", state)
    found = load_checkpoint(tmp_path / "last.pt")
    assert torch.equal(found.pop("tensors")[0], state.pop("tensors")[0])  # type: ignore[index]
    assert found == state
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KB; skips where we may not mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if shutil.which("mount") is None:
        pytest.skip("mounting a small file system needs mount")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_what_was_saved_outlives_a_disk_that_is_full(small_disk: Path) -> None:
    path = small_disk / "last.pt"
    save_checkpoint(path, {"place": 1, "tensor": torch.zeros(2000)})
    for _ in range(3):
        with pytest.raises(OSError, match="No space left on device"):
            save_checkpoint(path, {"place": 2, "tensor": torch.zeros(20_000)})
        assert load_checkpoint(path)["place"] == 1
        assert list(small_disk.iterdir()) == [path]


class _Dangerous:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("true",)


def test_files_that_are_no_checkpoints_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    with pytest.raises(InputError, match="does not exist"):
        load_checkpoint(path)
    path.write_bytes(b"no checkpoint at all")
    with pytest.raises(InputError, match="cannot be read as a checkpoint"):
        load_checkpoint(path)
    torch.save({"place": _Dangerous()}, path)
    with pytest.raises(InputError, match="cannot be read as a checkpoint"):
        load_checkpoint(path)
    torch.save({"state_dict": {}}, path)
    with pytest.raises(InputError, match="not a training checkpoint"):
        load_checkpoint(path)
    save_checkpoint(path, {"place": 1, "tensor": torch.zeros(1000)})
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match="cannot be read as a checkpoint"):
        load_checkpoint(path)


def _draw() -> tuple[float, float, float, float]:
    return random.random(), random.gauss(0, 1), float(np.random.normal()), float(torch.rand(()))


def test_random_states_come_back_through_a_file(tmp_path: Path) -> None:
    _draw()
    save_checkpoint(tmp_path / "random.pt", {"place": random_states()})
    expected = [_draw() for _ in range(3)]
    _draw()
    restore_random_states(load_checkpoint(tmp_path / "random.pt")["place"])
    assert [_draw() for _ in range(3)] == expected


def flipped(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << place % 8
    path.write_bytes(content)


def test_a_bit_that_flips_anywhere_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, {"place": {"step": 1}, "tensor": torch.zeros(500)})
    whole = path.read_bytes()
    for place in (0, 40, *range(len(whole) // 20, len(whole), len(whole) // 20), len(whole) - 1):
        flipped(path, place)
        with pytest.raises(InputError, match="last.pt (is damaged|cannot be read as a checkpoint)"):
            load_checkpoint(path)
        path.write_bytes(whole)
    assert load_checkpoint(path)["place"] == {"step": 1}
    assert torch.load(path, weights_only=True)["place"] == {"step": 1}, "PyTorch's own reader takes it too"


@pytest.mark.parametrize("content", [b"", b"\x80\x02}q\x00.", b"PK\x03\x04" + bytes(100)])
def test_the_checkpoint_before_takes_the_place_of_a_damaged_one(tmp_path: Path, content: bytes) -> None:
    path, told = tmp_path / "last.pt", list[str]()
    for step in (1, 2, 3):
        save_checkpoint(path, {"place": {"step": step}})
    assert load_last(path, told.append)["place"] == {"step": 3}
    path.write_bytes(content)
    assert load_last(path, told.append)["place"] == {"step": 2}
    assert len(told) == 1
    assert told[0].endswith(f"; goes on from {tmp_path / 'previous.pt'}, the one before it")
    path.unlink()
    assert load_last(path, told.append)["place"] == {"step": 2}
    (tmp_path / "previous.pt").write_bytes(content)
    with pytest.raises(InputError, match=r"previous.pt (cannot be read|is not)"):
        load_last(path, told.append)


def test_where_there_are_no_links_the_checkpoint_before_is_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(link: Path, target: Path) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    for step in (1, 2):
        save_checkpoint(tmp_path / "last.pt", {"place": step})
    assert [load_checkpoint(tmp_path / name)["place"] for name in ("last.pt", "previous.pt")] == [2, 1]
    assert len(list(tmp_path.iterdir())) == 2
