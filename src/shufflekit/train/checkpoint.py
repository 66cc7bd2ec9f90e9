"""Checkpoints: written whole or not at all, read without running code."""

from __future__ import annotations

import hashlib
import io
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from shufflekit.errors import InputError, one_line
from shufflekit.files import write_atomic

_MARK = b"shufflekit checkpoint "  # ends the file, with the digest of all before it; PyTorch's reader passes over it
_PREVIOUS = "previous.pt"


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Writes tensors, numbers, strings, lists, tuples and dicts, atomically; what was at `path` stays beside it.

    The file carries a digest, and the one before it, `previous.pt`, is what a resumed run falls back on.
    """
    buffer = io.BytesIO()  # torch.save straight to a full disk ends in an error that does not say so
    torch.save(dict(state), buffer)
    content = buffer.getvalue()
    staged = path.with_name(".next.partial")
    try:
        write_atomic(staged, content + _MARK + hashlib.sha256(content).digest())
        if path.exists():
            _keep(path)
        staged.replace(path)
    except OSError as error:
        staged.unlink(missing_ok=True)
        error.filename = str(path)
        raise


def _keep(path: Path) -> None:
    """Another name for the same file: no copy, and no moment without it."""
    link = path.with_name(f".{_PREVIOUS}.partial")
    link.unlink(missing_ok=True)
    try:
        link.hardlink_to(path)
    except OSError:  # a file system without links
        write_atomic(link, path.read_bytes())
    link.replace(path.with_name(_PREVIOUS))


def load_last(path: Path, note: Callable[[str], None]) -> dict[str, Any]:
    """The checkpoint at `path`, or the one before it where that one is damaged.

    Args:
        note: told if so.

    Raises:
        InputError: neither can be read.
    """
    try:
        return load_checkpoint(path)
    except InputError as error:
        previous = path.with_name(_PREVIOUS)
        if not previous.exists():
            raise
        state = load_checkpoint(previous)
        note(f"{error}; goes on from {previous}, the one before it")
        return state


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Reads what `save_checkpoint` wrote.

    Raises:
        InputError: no such file, or one that is no checkpoint of ours, or not as it was written.
    """
    try:
        content = path.read_bytes()
        body, digest = content[: -len(_MARK) - 32], content[-32:]
        marked = content[-len(_MARK) - 32 : -32] == _MARK  # checkpoints of earlier versions are not
        if marked and hashlib.sha256(body).digest() != digest:
            raise InputError(f"resume: {path} is damaged: its content is not what was written")
        state = torch.load(io.BytesIO(body if marked else content), map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"resume: {path} does not exist") from None
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001  # a foreign or broken file meets any of zip's, pickle's and torch's own
        raise InputError(f"resume: {path} cannot be read as a checkpoint ({one_line(error)})") from None
    if not isinstance(state, dict) or "place" not in state:
        raise InputError(f"resume: {path} is not a training checkpoint of shufflekit")
    return state


def weights_digest(model: nn.Module) -> str:
    """A short digest of a network's tensors, whatever file they came in."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def random_states() -> dict[str, Any]:
    """The states of Python's, numpy's and torch's generators, as tensors and plain values."""
    legacy = np.random.get_state(legacy=False)
    assert isinstance(legacy, dict)
    return {
        "python": random.getstate(),
        "numpy": (torch.from_numpy(legacy["state"]["key"].astype(np.int64)), int(legacy["state"]["pos"])),
        "numpy_gauss": (int(legacy["has_gauss"]), float(legacy["gauss"])),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    }


def restore_random_states(states: Mapping[str, Any]) -> None:
    """Puts the generators back into the states of `random_states`."""
    random.setstate(states["python"])
    key, position = states["numpy"]
    np.random.set_state(("MT19937", key.numpy().astype(np.uint32), position, *states["numpy_gauss"]))
    torch.set_rng_state(states["torch"])
    if states["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])
