"""Standard input, output and error as a command finds them: closed, full, or of an encoding that lacks letters."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from shufflekit.errors import InputError


@contextmanager
def kept_streams() -> Iterator[None]:
    """Makes the streams usable: what stdout cannot take is an `InputError`, what stderr cannot take is lost.

    What an encoding lacks is written as an escape. A reader of stdout who left stays a BrokenPipeError.
    """
    before = sys.stdin, sys.stdout, sys.stderr
    _fill_descriptors()
    sys.stdin = before[0] or io.TextIOWrapper(_Closed())
    sys.stdout = _Results(before[1] or io.TextIOWrapper(_Closed()))
    sys.stderr = _Notices(before[2] or io.StringIO())
    try:
        for stream in before[1:]:
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        yield
    finally:
        sys.stdin, sys.stdout, sys.stderr = before


def drop(stream: Any) -> None:
    """Sends the rest of a stream that failed to nowhere, else Python complains when it closes it."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def _fill_descriptors() -> None:
    """Opens those of 0, 1 and 2 that are closed: else the next file would get the number, and what C code prints."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free


class _Closed(io.RawIOBase):
    """A stream that was closed before the command began."""

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def readinto(self, _buffer: Any) -> int:
        raise OSError("it is closed")

    def write(self, _data: Any) -> int:
        raise OSError("it is closed")


class _Stream:
    """Another stream, but for its failures."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        self._try(self._stream.write, text)
        return len(text)

    def flush(self) -> None:
        self._try(self._stream.flush)

    def _try(self, action: Any, *arguments: Any) -> None:
        raise AssertionError("says what becomes of a failure")


class _Results(_Stream):
    def _try(self, action: Any, *arguments: Any) -> None:
        try:
            action(*arguments)
        except BrokenPipeError:
            raise
        except OSError as error:
            if os.name == "nt" and error.errno == errno.EINVAL:  # so Windows calls a reader who left
                raise BrokenPipeError from None
            drop(self._stream)
            raise InputError(f"standard output: cannot be written: {error.strerror or error}") from None


class _Notices(_Stream):
    def _try(self, action: Any, *arguments: Any) -> None:
        try:
            action(*arguments)
        except OSError:
            drop(self._stream)
