"""Parquet files in the Hugging Face image layout: a column of image files and a column of labels."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shufflekit.data.images import BrokenImageError, read_image
from shufflekit.data.labels import numbered_classes
from shufflekit.errors import InputError, MissingExtraError, UsageError, one_line

try:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq
except ImportError as error:
    raise MissingExtraError("pyarrow", "train") from error

# Row groups are read when a sample of theirs is asked for; this many bytes of them stay in memory, per process.
_KEPT_BYTES = 256 << 20


class ParquetSource:
    """Rows of Parquet files; image is struct<bytes, path> or binary, label an integer.

    A shuffled epoch over files that do not fit in 256 MB reads a whole row group for most samples: write those with small
    row groups, or as WebDataset shards.

    Args:
        files: in order.
        image_column: the name of the image column.
        label_column: the name of the label column.

    Raises:
        UsageError: an unknown column.
        InputError: no Parquet file, no rows, a column of a wrong type, or labels out of range.
    """

    def __init__(self, files: Sequence[Path], image_column: str = "image", label_column: str = "label") -> None:
        self.files = list(files)
        self.image_column = image_column
        self._kept: OrderedDict[tuple[int, int], pa.Array] = OrderedDict()
        labels, names, groups = [], None, []
        for number, path in enumerate(self.files):
            with _open(path) as file:
                _check_columns(file.schema_arrow, path, image_column, label_column)
                labels.append(_labels(file, path, label_column))
                names = names or _class_names(file.schema_arrow, label_column)
                groups += [(number, group, file.metadata.row_group(group).num_rows) for group in range(file.num_row_groups)]
        self._labels = np.concatenate(labels)
        if not len(self._labels):
            raise InputError(f"data: {_listed(self.files)} has no rows")
        self.classes = names or numbered_classes(self._labels, _listed(self.files))
        _check_range(self._labels, len(self.classes), self.files)
        self._groups = [(number, group) for number, group, _ in groups]
        self._group_starts = np.cumsum([0] + [rows for _, _, rows in groups])
        self._file_starts = np.cumsum([0] + [len(of_file) for of_file in labels])

    def __len__(self) -> int:
        return len(self._labels)

    def label(self, index: int) -> int:
        return int(self._labels[index])

    def name(self, index: int) -> str:
        number = int(np.searchsorted(self._file_starts, index, side="right")) - 1
        return f"{self.files[number]}, row {index - self._file_starts[number]}"

    def described(self) -> Iterator[str]:
        for number, path in enumerate(self.files):
            rows = self._file_starts[number + 1] - self._file_starts[number]
            yield f"{path.name} {path.stat().st_size} {rows}"

    def encoded(self, index: int) -> bytes:
        place = int(np.searchsorted(self._group_starts, index, side="right")) - 1
        try:
            value = self._images(place)[index - int(self._group_starts[place])]
        except (InputError, OSError, pa.ArrowException) as error:
            raise BrokenImageError(self.name(index), f"cannot be read ({one_line(error)})") from error
        if not value.is_valid:
            raise BrokenImageError(self.name(index), "no image bytes")
        return value.as_py()

    def read(self, index: int) -> NDArray[np.uint8]:
        return read_image(self.encoded(index), self.name(index))

    def _images(self, place: int) -> pa.Array:
        key = self._groups[place]
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        with _open(self.files[key[0]]) as file:
            column = file.read_row_group(key[1], columns=[self.image_column]).column(0).combine_chunks()
        images = pc.struct_field(column, "bytes") if pa.types.is_struct(column.type) else column
        self._kept[key] = images
        while len(self._kept) > 1 and sum(kept.nbytes for kept in self._kept.values()) > _KEPT_BYTES:
            self._kept.popitem(last=False)
        return images

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_kept": OrderedDict()}  # what was read does not travel to another process


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"data: {path}: {one_line(error)}") from error


def _check_columns(schema: pa.Schema, path: Path, image_column: str, label_column: str) -> None:
    for option, column in (("image_column", image_column), ("label_column", label_column)):
        if column not in schema.names:
            raise UsageError(f"{option}: {path} has the columns {', '.join(schema.names)}, found {column!r}")
    image, label = schema.field(image_column).type, schema.field(label_column).type
    held = image.field("bytes").type if pa.types.is_struct(image) and image.get_field_index("bytes") >= 0 else image
    if not (pa.types.is_binary(held) or pa.types.is_large_binary(held)):
        raise InputError(f"data: {path}: column {image_column} must be struct<bytes, path> or binary, found {image}")
    if not pa.types.is_integer(label):
        raise InputError(f"data: {path}: column {label_column} must hold whole numbers, found {label}")


def _labels(file: pq.ParquetFile, path: Path, column: str) -> NDArray[np.int64]:
    labels = file.read(columns=[column]).column(0)
    if labels.null_count:
        raise InputError(f"data: {path}: column {column} has {labels.null_count} rows without a label")
    return labels.to_numpy().astype(np.int64)


def _class_names(schema: pa.Schema, label_column: str) -> list[str] | None:
    """The names that the `datasets` library stores beside the schema, if it wrote the file."""
    try:
        stored = json.loads((schema.metadata or {})[b"huggingface"])
        names = stored["info"]["features"][label_column]["names"]
    except (KeyError, TypeError, ValueError):
        return None
    return [str(name) for name in names]


def _check_range(labels: NDArray[np.int64], count: int, files: Sequence[Path]) -> None:
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= count:
        raise InputError(f"data: {_listed(files)}: labels must be 0 to {count - 1}, found {low} to {high}")


def _listed(files: Sequence[Path]) -> str:
    return str(files[0]) if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"
