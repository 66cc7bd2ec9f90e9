"""Checkpoints: written whole or not at all, read without running code."""

from __future__ import annotations

import io
import pickle
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from shufflekit.errors import InputError, one_line
from shufflekit.files import write_atomic


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Writes tensors, numbers, strings, lists, tuples and dicts, atomically."""
    buffer = io.BytesIO()  # torch.save straight to a full disk ends in an error that does not say so
    torch.save(dict(state), buffer)
    write_atomic(path, buffer.getvalue())


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Reads what `save_checkpoint` wrote.

    Raises:
        InputError: no such file, or one that is no checkpoint of ours.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"resume: {path} does not exist") from None
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise InputError(f"resume: {path} cannot be read as a checkpoint ({one_line(error)})") from None
    if not isinstance(state, dict) or "place" not in state:
        raise InputError(f"resume: {path} is not a training checkpoint of shufflekit")
    return state


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
