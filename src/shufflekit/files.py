"""Files that are written whole or not at all, and never over what the same call reads."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from shufflekit.errors import UsageError

_TEMPORARY = ".partial"


def write_atomic(path: Path, content: bytes) -> None:
    """Puts `content` at `path`: after a crash or on a full disk, the file is the old one or the new one, whole."""
    write_together({path: content})


def write_together(contents: Mapping[Path, bytes]) -> None:
    """The same for files that belong together: none is put in its place before all are on the disk."""
    for target in contents:
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    temporary = {path: path.with_name(f".{path.name}.{os.getpid()}{_TEMPORARY}") for path in contents}
    try:
        for path, content in contents.items():
            with _naming(path), temporary[path].open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        move_together({temporary[path]: path for path in contents})
    finally:
        for leftover in temporary.values():
            leftover.unlink(missing_ok=True)


def move_together(moves: Mapping[Path, Path]) -> None:
    """Puts whole files in their places, which are on the same disk; what stood there is replaced."""
    for source, target in moves.items():
        with _naming(target):
            source.replace(target)
            _sync_folder(target.parent)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """A failed write does not say where."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


def refuse_overwrite(target: str | Path, inputs: Iterable[str | Path | None], name: str = "out") -> None:
    """Refuses a place to write to that is one of the inputs, by whatever path: through a link, or spelt in another way.

    Args:
        target: a file or folder that would be written; one that does not exist yet replaces nothing.
        inputs: files and folders that are read; None, and what is no path, such as a registry's name, are passed over.
        name: what the caller calls the target, for the message.

    Raises:
        UsageError: it is one of them.

    Example:
        >>> refuse_overwrite(__file__, ["shufflenet_v2_x1_0", __file__])  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        shufflekit.errors.UsageError: out: ... is an input and is not written over
    """
    for source in inputs:
        if source is not None and _same(target, source):
            also = "" if str(source) == str(target) else f" ({source})"
            raise UsageError(f"{name}: {target} is an input{also} and is not written over")


def _same(target: str | Path, source: str | Path) -> bool:
    try:
        return Path(target).samefile(source)
    except (OSError, ValueError):  # one of them is not there, or cannot be a path
        return False


def has_drive(text: str) -> bool:
    """Whether a text opens with a drive of Windows, where a colon says nothing else.

    Example:
        >>> has_drive("my.nets:small")
        False
    """
    return bool(os.path.splitdrive(text)[0])


def is_place(text: str) -> bool:
    """Whether a text can only be meant as a path, be there something or not: with a folder or a drive in it.

    Example:
        >>> is_place("runs/net"), is_place("shufflenet_v2_x1_0")
        (True, False)
    """
    return "/" in text or os.sep in text or has_drive(text)


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
