"""The digest of a data set: another for whatever differs, the same wherever it lies."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from shufflekit.data.identity import data_digest
from shufflekit.data.source import Source
from shufflekit.data.sources import open_source


def bmp(value: int) -> bytes:
    """All of one size."""
    file = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), value, np.uint8)).save(file, "BMP")
    return file.getvalue()


def folder(root: Path, values: list[int], labels: list[int]) -> Source:
    for number, (value, label) in enumerate(zip(values, labels)):
        (root / "ab"[label]).mkdir(parents=True, exist_ok=True)
        (root / "ab"[label] / f"{number}.bmp").write_bytes(bmp(value))
    return open_source(root)


def parquet(root: Path, values: list[int], labels: list[int]) -> Source:
    root.mkdir(parents=True)
    pq.write_table(pa.table({"image": [{"bytes": bmp(v), "path": None} for v in values], "label": labels}), root / "x.parquet")
    return open_source(root)


def shards(root: Path, values: list[int], labels: list[int]) -> Source:
    root.mkdir(parents=True)
    with tarfile.open(root / "x.tar", "w") as tar:
        for number, (value, label) in enumerate(zip(values, labels)):
            for suffix, data in (("bmp", bmp(value)), ("cls", str(label).encode())):
                member = tarfile.TarInfo(f"{number}.{suffix}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return open_source(root)


@pytest.mark.parametrize("make", [folder, parquet, shards])
def test_whatever_differs_shows(tmp_path: Path, make: Callable[[Path, list[int], list[int]], Source]) -> None:
    values, labels, every = [10, 20, 30, 40], [0, 1, 0, 1], range(4)
    first = data_digest(make(tmp_path / "first", values, labels), every)
    assert first.startswith("4 images of digest ")
    found = {
        first,
        data_digest(make(tmp_path / "label", values, [0, 1, 1, 0]), every),
        data_digest(make(tmp_path / "pixels", [10, 20, 31, 40], labels), every),
        data_digest(make(tmp_path / "more", [*values, 50], [*labels, 0]), every),
        data_digest(open_source(tmp_path / "first"), [0, 1, 2]),
        data_digest(open_source(tmp_path / "first"), [0, 1, 3]),
    }
    assert len(found) == 6
    shutil.copytree(tmp_path / "first", tmp_path / "elsewhere" / "copy")
    assert data_digest(open_source(tmp_path / "elsewhere" / "copy"), every) == first


def test_names_and_sizes_of_images_that_are_not_looked_at_count_too(tmp_path: Path) -> None:
    count = 64
    labels = [number % 2 for number in range(count)]
    digests = {data_digest(folder(tmp_path / "a", [9] * count, labels), range(count))}
    file = sorted((tmp_path / "a" / "a").iterdir())[1]
    file.write_bytes(file.read_bytes() + b"x")
    digests.add(data_digest(open_source(tmp_path / "a"), range(count)))
    file.rename(file.with_name(f"{file.stem}0.bmp"))
    digests.add(data_digest(open_source(tmp_path / "a"), range(count)))
    assert len(digests) == 3
