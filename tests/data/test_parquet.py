"""Parquet files, against pyarrow read whole."""

from __future__ import annotations

import json
import pickle
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shufflekit.data.images import BrokenImageError
from shufflekit.errors import InputError, UsageError

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

from shufflekit.data import parquet  # noqa: E402  # after the check for pyarrow
from shufflekit.data.parquet import ParquetSource  # noqa: E402


def png(value: int) -> bytes:
    file = BytesIO()
    Image.new("RGB", (4, 4), (value, value, value)).save(file, "PNG")
    return file.getvalue()


def write(path: Path, labels: list, names: list[str] | None = None, group: int = 3, **columns: pa.Array) -> Path:
    """Tiny grey images, ten times the number of their row, and their labels."""
    images = [{"bytes": png(10 * row), "path": None} for row in range(len(labels))]
    table = pa.table({"image": images, "label": labels} | columns)
    if names is not None:
        info = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
    pq.write_table(table, path, row_group_size=group)
    return path


def test_cifar10(shared_data: Path):
    source = ParquetSource([shared_data / "cifar10" / "test.parquet"])
    assert len(source) == 10_000
    assert source.classes == ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    table = pq.read_table(shared_data / "cifar10" / "test.parquet")
    assert np.array_equal([source.label(i) for i in range(10_000)], table["label"].to_numpy())
    for row in (0, 999, 1000, 1001, 5432, 9999):  # row groups hold 1000
        data = table["image"][row].as_py()["bytes"]
        assert source.encoded(row) == data
        with Image.open(BytesIO(data)) as image:
            assert np.abs(source.read(row) - np.asarray(image.convert("RGB")).astype(int)).max() <= 2


def test_tiny_imagenet_with_its_grey_images(shared_data: Path):
    source = ParquetSource([shared_data / "tiny_imagenet25" / "val.parquet"])
    classes = json.loads((shared_data / "tiny_imagenet25" / "classes.json").read_text())
    assert len(source) == 1250
    assert len(source.classes) == len(classes) == 25
    assert {source.read(i).shape for i in range(0, 1250, 10)} == {(64, 64, 3)}


def test_several_files_follow_each_other(tmp_path: Path):
    files = [write(tmp_path / "a.parquet", [0, 1, 0, 1, 2]), write(tmp_path / "b.parquet", [2, 0])]
    source = ParquetSource(files)
    assert [source.label(i) for i in range(7)] == [0, 1, 0, 1, 2, 2, 0]
    assert [int(source.read(i)[0, 0, 0]) for i in range(7)] == [0, 10, 20, 30, 40, 0, 10]
    assert [source.name(i) for i in (4, 5)] == [f"{files[0]}, row 4", f"{files[1]}, row 0"]
    assert source.classes == ["0", "1", "2"]
    assert [line.split()[::2] for line in source.described()] == [["a.parquet", "5"], ["b.parquet", "2"]]


def test_only_some_row_groups_stay_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    source = ParquetSource([write(tmp_path / "a.parquet", [0] * 12, group=2)])
    monkeypatch.setattr(parquet, "_KEPT_BYTES", 400)  # two or three groups of two tiny images
    for row in (0, 11, 5, 2, 0, 7, 11):
        assert source.read(row)[0, 0, 0] == 10 * row
        assert 1 <= len(source._kept) <= 3


def test_it_travels_to_another_process(tmp_path: Path):
    source = ParquetSource([write(tmp_path / "a.parquet", [0, 1, 1])])
    source.read(0)
    assert pickle.loads(pickle.dumps(source)).read(2)[0, 0, 0] == 20


def test_other_names_and_plain_bytes(tmp_path: Path):
    table = pa.table({"picture": [png(50)], "class": pa.array([3], pa.int32())})
    pq.write_table(table, tmp_path / "a.parquet")
    source = ParquetSource([tmp_path / "a.parquet"], "picture", "class")
    assert source.label(0) == 3
    assert source.read(0)[0, 0, 0] == 50


def test_a_row_without_an_image_is_broken_and_named(tmp_path: Path):
    images = [{"bytes": None, "path": "x.jpg"}, None, {"bytes": b"junk", "path": None}]
    pq.write_table(
        pa.table({"image": pa.array(images, pa.struct({"bytes": pa.binary(), "path": pa.string()})), "label": [0, 0, 0]}),
        tmp_path / "a.parquet",
    )
    source = ParquetSource([tmp_path / "a.parquet"])
    for row, reason in enumerate(["no image bytes", "no image bytes", "not a known image format"]):
        with pytest.raises(BrokenImageError, match=rf"a\.parquet, row {row}: {reason}"):
            source.read(row)


def test_a_damaged_row_group_is_broken_images(tmp_path: Path):
    path = write(tmp_path / "a.parquet", [0, 1, 0, 1], group=2)
    data = bytearray(path.read_bytes())
    data[4:200] = b"\xff" * 196  # the first pages; the index at the end of the file is whole
    source = ParquetSource([path])
    path.write_bytes(data)
    with pytest.raises(BrokenImageError, match="row 0: "):
        pickle.loads(pickle.dumps(source)).read(0)


@pytest.mark.parametrize(
    ("labels", "options", "error", "message"),
    [
        ([0], {"image_column": "img"}, UsageError, "image_column: .* has the columns image, label, found 'img'"),
        ([0], {"label_column": "fine"}, UsageError, "label_column: .* has the columns image, label, found 'fine'"),
        (["cat"], {}, InputError, "column label must hold whole numbers, found string"),
        ([0.5], {}, InputError, "column label must hold whole numbers, found double"),
        ([0, None], {}, InputError, "column label has 1 rows without a label"),
        ([0, -1], {}, InputError, "labels must be classes numbered from 0 to 99999, found -1 to 0"),
        ([0, 5_000_000], {}, InputError, r"a\.parquet: labels must be classes numbered from 0 to 99999, found 0 to 5000000"),
        ([0, 2**63 - 1], {}, InputError, "found 0 to 9223372036854775807"),
        ([0], {"image_column": "label"}, InputError, "column label must be struct<bytes, path> or binary, found int64"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, labels: list, options: dict, error: type, message: str):
    path = write(tmp_path / "a.parquet", labels)
    with pytest.raises(error, match=message):
        ParquetSource([path], **options)


def test_labels_must_have_names(tmp_path: Path):
    assert ParquetSource([write(tmp_path / "a.parquet", [0, 1], ["cat", "dog", "owl"])]).classes == ["cat", "dog", "owl"]
    with pytest.raises(InputError, match="labels must be 0 to 1, found 0 to 2"):
        ParquetSource([write(tmp_path / "a.parquet", [0, 2], ["cat", "dog"])])


def test_no_rows_and_no_parquet(tmp_path: Path):
    with pytest.raises(InputError, match="has no rows"):
        ParquetSource([write(tmp_path / "a.parquet", [], image=pa.array([], pa.binary()), label=pa.array([], pa.int64()))])
    (tmp_path / "b.parquet").write_text("hello")
    with pytest.raises(InputError, match=r"b\.parquet: "):
        ParquetSource([tmp_path / "b.parquet"])
