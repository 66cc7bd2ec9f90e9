"""WebDataset shards, written with the webdataset package and read back in any order."""

from __future__ import annotations

import io
import pickle
import runpy
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shufflekit.data.images import BrokenImageError
from shufflekit.errors import InputError, MissingExtraError, UsageError

webdataset = pytest.importorskip("webdataset")

from webdataset.tariterators import group_by_keys, tar_file_expander  # noqa: E402

from shufflekit.data import webdataset_shards  # noqa: E402  # after the check for webdataset
from shufflekit.data.webdataset_shards import ShardSource  # noqa: E402  # after the check for webdataset


def pixels(value: int) -> np.ndarray:
    return np.full((5, 7, 3), value, np.uint8)


def write(path: Path, first: int, count: int) -> str:
    with webdataset.TarWriter(str(path)) as writer:
        for value in range(first, first + count):
            writer.write({"__key__": f"photos/{value:04}", "png": pixels(value), "cls": value % 3, "json": {"width": 7}})
    return str(path)


def write_raw(path: Path, members: dict[str, bytes], mode: str = "w") -> str:
    with tarfile.open(path, mode) as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return str(path)


def png() -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels(1)).save(file, "PNG")
    return file.getvalue()


def test_any_sample_in_any_order(tmp_path: Path):
    write(tmp_path / "train-000.tar", 0, 4)
    write(tmp_path / "train-001.tar", 4, 3)
    source = ShardSource(str(tmp_path / "train-{000..001}.tar"))
    assert len(source) == 7
    assert source.classes == ["0", "1", "2"]
    for index in (6, 0, 3, 4, 1, 5, 2):
        assert (source.read(index) == pixels(index)).all()
        assert source.label(index) == index % 3
    assert source.name(5) == f"{tmp_path}/train-001.tar/photos/0005.png"


def test_it_reads_what_the_webdataset_package_reads(tmp_path: Path):
    shard = write(tmp_path / "a.tar", 0, 3)
    with Path(shard).open("rb") as stream:
        samples = list(group_by_keys(tar_file_expander([{"url": shard, "stream": stream}])))
    source = ShardSource(shard)
    assert [sample["png"] for sample in samples] == [source.encoded(index) for index in range(3)]
    assert [int(sample["cls"]) for sample in samples] == [source.label(index) for index in range(3)]


def test_it_travels_to_another_process(tmp_path: Path):
    source = ShardSource(write(tmp_path / "a.tar", 0, 3))
    source.read(0)
    assert (pickle.loads(pickle.dumps(source)).read(2) == pixels(2)).all()


def test_a_broken_image_is_named(tmp_path: Path):
    source = ShardSource(write_raw(tmp_path / "a.tar", {"x.jpg": b"", "x.cls": b"0", "y.jpg": b"text", "y.cls": b" 1\n"}))
    assert source.label(1) == 1
    with pytest.raises(BrokenImageError, match=r"a\.tar/x\.jpg: empty file"):
        source.read(0)
    with pytest.raises(BrokenImageError, match=r"a\.tar/y\.jpg: not a known image format"):
        source.read(1)


def test_a_shard_cut_after_it_was_opened_gives_broken_images(tmp_path: Path):
    shard = write(tmp_path / "a.tar", 0, 3)
    source = ShardSource(shard)
    with Path(shard).open("r+b") as file:
        file.truncate(3000)
    with pytest.raises(BrokenImageError, match=r"0002\.png: empty file"):
        source.read(2)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"a.jpg": b"x"}, r"a\.jpg has no label a\.cls beside it"),
        ({"a.jpg": b"x", "a.cls": b"cat"}, r"a\.cls must hold a whole number, found b'cat'"),
        ({"a.jpg": b"x", "a.cls": b"-1"}, "labels must be classes numbered from 0 to 99999, found -1"),
        ({"a.jpg": b"x", "a.cls": b"100000"}, "labels must be classes numbered from 0 to 99999, found 100000"),
        ({"a.jpg": b"x", "a.cls": b"9" * 30}, "labels must be classes numbered from 0 to 99999, found 9999"),
        ({"a.txt": b"x", "a.cls": b"1"}, r"holds no image beside a \.cls label"),
        ({}, r"holds no image beside a \.cls label"),
    ],
)
def test_what_holds_no_samples_is_refused(tmp_path: Path, members: dict[str, bytes], message: str):
    with pytest.raises(InputError, match=message):
        ShardSource(write_raw(tmp_path / "a.tar", members))


def test_missing_compressed_and_cut_shards_are_refused(tmp_path: Path):
    with pytest.raises(UsageError, match=r"shard .*b\.tar does not exist"):
        ShardSource(str(tmp_path / "{b,c}.tar"))
    packed = write_raw(tmp_path / "a.tar", {"a.png": png(), "a.cls": b"0"}, "w:gz")
    with pytest.raises(InputError, match="not a whole, uncompressed tar file"):
        ShardSource(packed)
    cut = Path(write(tmp_path / "d.tar", 0, 3))
    cut.write_bytes(cut.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"d\.tar: not a whole, uncompressed tar file"):
        ShardSource(str(cut))


def test_hidden_members_do_not_count(tmp_path: Path):
    members = {"./a.png": png(), "./a.cls": b"1", "./._a.png": b"mac", "__MACOSX/b.png": b"mac", "x/.c/d.png": b"hidden"}
    source = ShardSource(write_raw(tmp_path / "a.tar", members))
    assert [source.label(i) for i in range(len(source))] == [1]


def test_without_webdataset_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "webdataset.shardlists", None)
    with pytest.raises(MissingExtraError, match="webdataset"):
        runpy.run_path(str(webdataset_shards.__file__))
