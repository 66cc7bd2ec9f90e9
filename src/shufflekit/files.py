"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

_TEMPORARY = ".partial"


def write_atomic(path: Path, content: bytes) -> None:
    """Puts `content` at `path`: after a crash or on a full disk, the file is the old one or the new one, whole."""
    write_together({path: content})


def write_together(contents: Mapping[Path, bytes]) -> None:
    """The same for files that belong together: none is put in its place before all are on the disk."""
    temporary = {path: path.with_name(f".{path.name}.{os.getpid()}{_TEMPORARY}") for path in contents}
    path: Path | None = None
    try:
        for path, content in contents.items():
            with temporary[path].open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for path in contents:
            temporary[path].replace(path)
            _sync_folder(path.parent)
    except OSError as error:
        error.filename = str(path)  # a failed write does not say where
        raise
    finally:
        for leftover in temporary.values():
            leftover.unlink(missing_ok=True)


def remove_partial(folder: Path) -> None:
    """Deletes what a killed process was writing."""
    for leftover in folder.glob(f".*{_TEMPORARY}"):
        leftover.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # folders cannot be opened there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
