"""Saved networks by functions; the methods of the same names are those of huggingface-hub's mixin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from shufflekit.models import Network


def save_pretrained(model: Network, folder: str | Path, *, half: bool = False) -> None:
    """Writes model.safetensors, config.json and a model card into a folder.

    Args:
        model: a network of the registry.
        folder: made where it does not exist.
        half: store kernels and matrices as float16.

    Raises:
        UsageError: the network was not built from the registry.
        InputError: the folder cannot be written; what it had is as before.
    """
    model.save_pretrained(folder, half=half)


def from_pretrained(folder_or_repo: str | Path, **hub: Any) -> Network:
    """Loads a saved network, of any family, in evaluation mode.

    Args:
        folder_or_repo: a folder, or a repository on the hub, as owner/name or hf-hub:owner/name.
        hub: `revision`, `token`, `cache_dir`, `local_files_only`, ... of huggingface-hub, for a repository.

    Raises:
        WeightsError: nothing is saved there, a file is damaged, or its tensors do not fit the architecture.
    """
    return Network.from_pretrained(folder_or_repo, **hub)
