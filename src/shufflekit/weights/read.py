"""Tensors out of a file, whatever wraps them, and nothing but tensors: the one boundary to files that others wrote."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from safetensors.torch import load as load_safetensors
from torch import Tensor

from shufflekit.errors import WeightsError, one_line
from shufflekit.models._config import FOREIGN_ERRORS
from shufflekit.models._saved import WEIGHTS_NAME, no_weights, read_safetensors
from shufflekit.weights.containers import find_weights
from shufflekit.weights.pickled import Checkpoint, OddTensor, RefusedError, open_pickle, open_zip

_PARSE_ERRORS = (*FOREIGN_ERRORS, pickle.UnpicklingError, zipfile.BadZipFile, zlib.error, struct.error, EOFError)
_SLACK = 1 << 30  # bytes that views may show more than a file has


def read_state(path: str | Path) -> dict[str, Tensor]:
    """The tensors by name that `read_weights` finds in a file."""
    return read_weights(path)[0]


def read_weights(
    path: str | Path, ema: bool | None = None, own: Collection[str] | None = None
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The weights in a safetensors file, a PyTorch checkpoint, a zip that holds one, or a folder with model.safetensors.

    What a file is, its content says, not its name. Nothing in it is run: see `pickled`.

    Args:
        path: the file or folder.
        ema: True for averaged weights, False for the others, None for the averaged ones where there are both.
        own: names of the network's children, where tensors without a prefix may be left out beside those that have one.

    Returns:
        The tensors by name, and in words what was chosen.

    Raises:
        WeightsError: no such file; an empty, damaged or refused one; or one without tensors.
    """
    path = Path(path).expanduser() if str(path).startswith("~") else Path(path)
    return _guarded(path, lambda: _read(path, ema, own))


def _guarded(path: Path, read: Callable[[], Any]) -> Any:
    """Every way in which somebody's file can be bad, in one line."""
    try:
        return read()
    except WeightsError:
        raise
    except RefusedError as error:
        raise WeightsError(f"{path}: refused: {_refusal(str(error.args[0]))}") from None
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror or one_line(error)}") from None
    except _PARSE_ERRORS as error:
        reason = "not in the format of PyTorch or safetensors" if isinstance(error, LookupError) else one_line(error)[:200]
        raise WeightsError(f"{path}: damaged, or no checkpoint: {reason}") from None


def _read(path: Path, ema: bool | None, own: Collection[str] | None) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    if path.is_dir():
        if not (path / WEIGHTS_NAME).exists():
            raise no_weights(path, WEIGHTS_NAME)
        path = path / WEIGHTS_NAME
    if path.exists() and not path.is_file():
        raise WeightsError(f"{path}: no regular file")
    with path.open("rb") as file:
        opened = _opened(file, lambda: read_safetensors(path))
        return _tensors(opened, str(path), path.stat().st_size, ema, own)


def _opened(
    file: BinaryIO, safetensors: Callable[[], dict[str, Tensor]], nested: bool = False
) -> Checkpoint | dict[str, Tensor]:
    start = file.read(9)
    if not start:
        raise ValueError("an empty file")
    if start.startswith(b"PK"):
        opened = open_zip(file)
        if not isinstance(opened, bytes):
            return opened
        if nested:
            raise ValueError("a zip in a zip")
        return _opened(io.BytesIO(opened), lambda: load_safetensors(opened), nested=True)
    return safetensors() if start[8:9] == b"{" else open_pickle(file)


def _tensors(
    opened: Checkpoint | dict[str, Tensor], name: str, size: int, ema: bool | None, own: Collection[str] | None
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The values of the tensors that are the weights."""
    if not isinstance(opened, Checkpoint):
        return tensors_of(opened, name, ema, own)
    found = find_weights(opened.content, name, ema, own)
    for key, record in found.tensors.items():
        if isinstance(record, OddTensor):
            raise WeightsError(f"{name}: {key} is {record.kind}, needed plain values")
    claimed = sum(record.nbytes for record in found.tensors.values())
    if claimed > 16 * size + _SLACK:
        raise ValueError(f"tensors of {claimed} bytes in a file of {size}")
    return {key: opened.tensor(record) for key, record in found.tensors.items()}, tuple(found.notes)


def tensors_of(
    loaded: Any, name: str, ema: bool | None = None, own: Collection[str] | None = None
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The same out of what is loaded already: a state dict, and what may wrap it.

    Raises:
        WeightsError: there are none.
    """
    found = find_weights(dict(loaded) if isinstance(loaded, Mapping) else loaded, name, ema, own)
    return found.tensors, tuple(found.notes)


def _refusal(needed: str) -> str:
    if needed == "TorchScript":
        return "it is a TorchScript program, which could run code; save its state_dict() with torch.save"
    return f"it needs {needed}, and loading more than tensors could run code; where you trust it, save its state_dict() alone"
