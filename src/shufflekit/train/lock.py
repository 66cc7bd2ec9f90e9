"""One run at a time in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from shufflekit.errors import InputError, UsageError

LOCK_NAME = ".lock"


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Makes a run's folder, and keeps others out of it; whatever ends this process, power failure included, lets them in.

    Of a run's several processes the first one does it for all.

    Raises:
        UsageError: another run is at work there.
        InputError: the folder cannot be made or written to.
    """
    if os.environ.get("RANK", "0") != "0":  # torchrun's number of this process
        yield
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK_NAME, timeout=0)
        lock.acquire()
    except Timeout:
        raise UsageError(f"out: another run is at work in {folder}; wait for its end, or name another folder") from None
    except (OSError, NotImplementedError) as error:  # the second where a file system has no locks
        raise InputError(f"out: {folder}: {getattr(error, 'strerror', None) or error}") from None
    try:
        yield
    finally:
        lock.release()
