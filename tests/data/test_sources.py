"""What lies at a path is found out, and what cannot be used is refused before anything runs."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from shufflekit.data.folder import FolderSource
from shufflekit.data.source import EncodedSource
from shufflekit.data.sources import open_source
from shufflekit.errors import InputError, UsageError


def png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "PNG")
    return file.getvalue()


def make_folder(root: Path, classes: tuple[str, ...] = ("cat", "dog")) -> Path:
    for name in classes:
        (root / name).mkdir(parents=True)
        (root / name / "1.png").write_bytes(png())
    return root


def make_shard(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in (("a.png", png()), ("a.cls", b"0")):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def make_parquet(path: Path, rows: int = 1) -> Path:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"image": [{"bytes": png(), "path": "a"}] * rows, "label": [0] * rows}), path)
    return path


def test_image_folders(tmp_path: Path):
    make_folder(tmp_path / "flat")
    make_folder(tmp_path / "split" / "train", ("cat", "dog", "owl"))
    make_folder(tmp_path / "split" / "val")
    assert open_source(tmp_path / "flat").classes == ["cat", "dog"]
    assert open_source(str(tmp_path / "split"), split="train").classes == ["cat", "dog", "owl"]
    with pytest.raises(UsageError, match=r"split: must be one of train, val in .*, found None"):
        open_source(tmp_path / "split")
    with pytest.raises(UsageError, match=r"split: must be one of train, val in .*, found 'test'"):
        open_source(tmp_path / "split", split="test")
    with pytest.raises(UsageError, match=r"split: must be one of none in .*, found 'train'"):
        open_source(tmp_path / "flat", split="train")


def test_a_class_may_be_called_train(tmp_path: Path):
    assert open_source(make_folder(tmp_path, ("bus", "train"))).classes == ["bus", "train"]


def test_parquet_files_and_folders_of_them(tmp_path: Path):
    make_parquet(tmp_path / "one" / "data.parquet", rows=2)
    for name, rows in (("train-00000-of-00002", 1), ("train-00001-of-00002", 2), ("validation", 4)):
        make_parquet(tmp_path / "hub" / f"{name}.parquet", rows)
    assert len(open_source(tmp_path / "one")) == 2
    assert len(open_source(tmp_path / "one" / "data.parquet")) == 2
    assert len(open_source(tmp_path / "hub", split="train")) == 3
    assert len(open_source(tmp_path / "hub", split="validation")) == 4
    with pytest.raises(UsageError, match=r"split: must be one of train, validation in .*, found None"):
        open_source(tmp_path / "hub")
    with pytest.raises(UsageError, match="has no splits, found 'train'"):
        open_source(tmp_path / "one" / "data.parquet", split="train")
    with pytest.raises(UsageError, match=r"label_column: .* has the columns image, label, found 'coarse'"):
        open_source(tmp_path / "one", label_column="coarse")


def test_shards(tmp_path: Path):
    pytest.importorskip("webdataset")
    for name in ("train-000", "train-001", "val-000"):
        make_shard(tmp_path / f"{name}.tar")
    make_shard(tmp_path / "deep" / "test" / "0.tar")
    assert len(open_source(tmp_path / "train-000.tar")) == 1
    assert len(open_source(str(tmp_path / "{train-000,val-000}.tar"))) == 2
    assert len(open_source(tmp_path, split="train")) == 2
    assert len(open_source(tmp_path / "deep", split="test")) == 1
    with pytest.raises(UsageError, match="split: must be one of train, val"):
        open_source(tmp_path)


def test_the_shared_sets_open_by_split(shared_data: Path):
    assert len(open_source(shared_data / "cifar10", split="train")) == 50_000
    assert len(open_source(shared_data / "tiny_imagenet25", split="val")) == 1250


def test_what_is_no_data_is_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="nowhere does not exist"):
        open_source(tmp_path / "nowhere")
    (tmp_path / "a.zip").write_bytes(b"x")
    with pytest.raises(UsageError, match=r"must be a folder, a \.parquet or a \.tar file, found .*a\.zip"):
        open_source(tmp_path / "a.zip")
    with pytest.raises(InputError, match=r"holds no class folders, no \.parquet and no \.tar files"):
        open_source(tmp_path)


def test_sources_hand_out_encoded_images(tmp_path: Path):
    source = FolderSource(make_folder(tmp_path))
    assert isinstance(source, EncodedSource)
    assert source.encoded(0) == png()
