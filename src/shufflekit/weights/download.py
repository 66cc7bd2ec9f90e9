"""Fetches a pretrained file once, into the user's cache: resumed where it was cut, checked, and whole or not there."""

from __future__ import annotations

import hashlib
import http.client
import re
import shutil
import urllib.error
import urllib.request
import zipfile
from contextlib import suppress
from pathlib import Path

from filelock import FileLock
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from shufflekit import environment
from shufflekit.errors import DownloadError, WeightsError, one_line
from shufflekit.files import write_atomic
from shufflekit.weights.checkpoints import Checkpoint, bundled_path
from shufflekit.weights.pickled import ZIP_ERRORS, check_inflated

_ATTEMPTS = 3
_TIMEOUT_S = 30
_CHUNK = 1 << 18  # bytes


def cache_folder() -> Path:
    """Where fetched files are kept: $SHUFFLEKIT_CACHE, else shufflekit/weights under $XDG_CACHE_HOME or ~/.cache."""
    return environment.cache_folder("weights")


def checkpoint_path(checkpoint: Checkpoint) -> Path:
    """The file of a checkpoint, checked; fetched first where it is neither in this package nor in the cache.

    Raises:
        DownloadError: it cannot be fetched; the message says what, from where, and where to put it by hand.
        WeightsError: its hash is not its origin's, or it changed since it was fetched.
    """
    if checkpoint.url is None:
        path = bundled_path(checkpoint)
        if checkpoint.hash is not None:
            _check(path, checkpoint)
        return path
    folder = cache_folder()
    path = folder / checkpoint.file_name
    try:
        if path.exists() and _recorded(path) == file_hash(path, "sha256"):
            return path  # without the lock, which a cache that others filled may not let us make
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{checkpoint.file_name}.lock"):
            if not path.exists():
                _install(checkpoint, path)
            _check_record(path, checkpoint)
    except OSError as error:
        raise DownloadError(
            f"{folder}: cannot be used as the cache: {one_line(error)}; SHUFFLEKIT_CACHE sets another"
        ) from None
    return path


def _install(checkpoint: Checkpoint, path: Path) -> None:
    """Puts the checked file at `path`, from what a user put into the cache or from the network."""
    assert checkpoint.url is not None
    raw = path.with_name(checkpoint.url.rpartition("/")[2])  # a zip for pytorchcv
    part = raw.with_name(f"{raw.name}.part")
    by_hand = raw.exists()
    if by_hand:
        raw.replace(part)
    resumed = part.exists()
    if not by_hand:
        _download(checkpoint, part, raw)
    try:
        _unpack_and_check(part, path, checkpoint)
    except WeightsError:
        if by_hand or not resumed:
            raise
        _download(checkpoint, part, raw)  # what was left of an earlier run belonged to another file
        _unpack_and_check(part, path, checkpoint)


def _unpack_and_check(part: Path, path: Path, checkpoint: Checkpoint) -> None:
    """Checks what was fetched and moves it to `path`; a wrong file is deleted."""
    unpacked = path.parent / ".unpacked" / path.name
    unpacked.parent.mkdir(exist_ok=True)
    try:
        if str(checkpoint.url).endswith(".zip"):
            with zipfile.ZipFile(part) as archive:
                check_inflated(archive)
                with archive.open(path.name) as source, unpacked.open("wb") as target:
                    shutil.copyfileobj(source, target, _CHUNK)
        else:
            part.replace(unpacked)
        _check(unpacked, checkpoint, "; deleted, another try fetches it again")
        _forget(path)
        unpacked.replace(path)
    except ZIP_ERRORS as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(f"{checkpoint.url}: not the zip it should be, deleted: {one_line(error)}") from None
    finally:
        unpacked.unlink(missing_ok=True)
        part.unlink(missing_ok=True)


def _download(checkpoint: Checkpoint, part: Path, by_hand: Path) -> None:
    """Fetches into `part`, going on where it ends; it stays for the next run where the connection breaks for good."""
    try:
        if environment.offline():
            raise ConnectionError("SHUFFLEKIT_OFFLINE is set")
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return _transfer(str(checkpoint.url), part)
            except urllib.error.HTTPError as error:
                error.close()
                if error.code == 416:  # the part is no beginning of this file
                    part.unlink(missing_ok=True)
                if attempt == _ATTEMPTS or (error.code < 500 and error.code != 416):
                    raise
            except (OSError, http.client.HTTPException):
                if attempt == _ATTEMPTS:
                    raise
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = one_line(getattr(error, "reason", None) or error) if not isinstance(error, urllib.error.HTTPError) else error
        raise DownloadError(
            f"{checkpoint.architecture} {checkpoint.tag}: cannot fetch {checkpoint.url} ({reason}); "
            f"fetch it elsewhere and put it at {by_hand}, or pass --weights FILE"
        ) from None


def _transfer(url: str, part: Path) -> None:
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "shufflekit", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT_S) as response:
        resumes = response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        if not resumes:
            have = 0  # this server sends all of it again
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        with part.open("ab" if resumes else "wb") as file, _progress() as progress:
            task = progress.add_task(url.rpartition("/")[2], total=total, completed=have)
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                have += len(chunk)
                progress.advance(task, len(chunk))
    if total is not None and have != total:
        raise ConnectionError(f"cut off after {have} of {total} bytes")


def _progress() -> Progress:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal, transient=True)


def _check(path: Path, checkpoint: Checkpoint, advice: str = "") -> None:
    """Compares a file with the hash that its origin publishes."""
    expected = checkpoint.hash or ""
    found = file_hash(path, "sha1" if checkpoint.hash_kind == "sha1" else "sha256")
    matches = found.startswith(expected) if checkpoint.hash_kind == "sha256-prefix" else found == expected
    if not matches:
        raise WeightsError(
            f"{checkpoint.architecture} {checkpoint.tag}: {path.name} is not what its origin published: "
            f"{checkpoint.hash_kind} must be {expected}, found {found}{advice}"
        )


def _check_record(path: Path, checkpoint: Checkpoint) -> None:
    """Compares a file in the cache with the full SHA-256 recorded when it came; records it where there is no such record."""
    found = file_hash(path, "sha256")
    if _recorded(path) not in (None, found):
        raise WeightsError(f"{path}: changed since it was fetched (SHA-256 {found}); delete it to fetch it again")
    if _recorded(path) is None:
        _check(path, checkpoint, f"; delete {path} to fetch it")
        with suppress(OSError):  # the next call compares with the origin's hash again
            write_atomic(_record(path), f"{found}  {path.name}\n".encode())


def _record(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _recorded(path: Path) -> str | None:
    """The SHA-256 of the record beside a file; None where there is none, or one that holds no such hash."""
    try:
        record = _record(path).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
    return found[0] if (found := re.match(r"[0-9a-f]{64}\b", record)) else None


def _forget(path: Path) -> None:
    """Deletes the record of a file that another one replaces."""
    with suppress(OSError):  # a folder in its place, which counts as no record
        _record(path).unlink(missing_ok=True)


def file_hash(path: Path, kind: str) -> str:
    """The hash of a file's content in hexadecimal digits; kind is "sha1" or "sha256"."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()
