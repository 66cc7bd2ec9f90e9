"""Tensors out of a file, whatever wraps them, and nothing but tensors."""

from __future__ import annotations

import io
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from shufflekit.errors import WeightsError, one_line
from shufflekit.models._saved import WEIGHTS_NAME, read_safetensors

_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "weights")
_PREFIXES = ("module.", "_orig_mod.")  # nn.DataParallel, torch.compile
_PICKLE_STARTS = (b"PK", b"\x80")  # torch.save, new and old


def read_state(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, a PyTorch checkpoint, a zip that holds one, or a folder with model.safetensors.

    Checkpoints are opened with `weights_only=True`; one that needs more could run code and is refused.

    Raises:
        WeightsError: no such file; an empty, damaged or refused one; or one without tensors.
    """
    path = Path(path)
    path = path / WEIGHTS_NAME if path.is_dir() else path
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from None
    if not start:
        raise WeightsError(f"{path}: an empty file")
    if start.startswith(_PICKLE_STARTS):
        return tensors_of(_read_checkpoint(path), str(path))
    return read_safetensors(path)


def tensors_of(loaded: Any, name: str) -> dict[str, Tensor]:
    """Takes the tensors out of what wraps them: `state_dict`, `model`, ...; names lose a `module.` that all have.

    Raises:
        WeightsError: there are none.
    """
    state = loaded
    for key in _WRAPPERS:
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    tensors = {str(k): v for k, v in state.items() if isinstance(v, Tensor)} if isinstance(state, Mapping) else {}
    if not tensors:
        raise WeightsError(f"{name}: holds no tensors by name, found a {type(state).__name__}")
    for prefix in _PREFIXES:
        if all(key.startswith(prefix) for key in tensors):
            tensors = {key.removeprefix(prefix): tensor for key, tensor in tensors.items()}
    return tensors


def _read_checkpoint(path: Path) -> Any:
    try:
        with warnings.catch_warnings(action="ignore"):  # on old pickle protocols, which are read or refused just below
            return torch.load(_unzipped(path), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        needed = re.search(r"Unsupported (?:global: GLOBAL|class) (\S+)", str(error))
        if needed:
            what = f"refused: it needs {needed[1]}, and loading more than tensors could run code"
            raise WeightsError(f"{path}: {what}") from None
        raise WeightsError(f"{path}: damaged, or no checkpoint") from None
    except (RuntimeError, EOFError, ValueError, LookupError, AttributeError, TypeError, OSError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path}: damaged, or no checkpoint: {one_line(error)}") from None


def _unzipped(path: Path) -> Path | io.BytesIO:
    """The checkpoint inside a zip, as pytorchcv hands them out; a checkpoint is a zip too, but has no .pth in it."""
    if not zipfile.is_zipfile(path):
        return path
    with zipfile.ZipFile(path) as archive:
        inside = [name for name in archive.namelist() if name.endswith(".pth")]
        return io.BytesIO(archive.read(inside[0])) if len(inside) == 1 else path
