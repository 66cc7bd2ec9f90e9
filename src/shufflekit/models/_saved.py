"""Saving a network and loading it back: a folder or hub repository with model.safetensors and config.json.

The configuration names the registry's architecture, the constructor's options and `pretrained_cfg`, so that no class
needs to be known to load it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import torch
from huggingface_hub import ModelHubMixin, hf_hub_download
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from shufflekit.errors import InputError, WeightsError, one_line

WEIGHTS_NAME, CONFIG_NAME = "model.safetensors", "config.json"
_HALF_LIMIT = torch.finfo(torch.float16).max
_TUPLES = ("input_size", "mean", "std")


class SavedNetwork(ModelHubMixin, library_name="shufflekit", tags=["image-classification"]):
    """The hub's `save_pretrained`, `from_pretrained` and `push_to_hub` for a network of the registry."""

    architecture: str
    options: dict[str, Any]
    pretrained_cfg: dict[str, Any] | None

    def save_pretrained(
        self,
        save_directory: str | Path,
        *,
        half: bool = False,
        push_to_hub: bool = False,
        repo_id: str | None = None,
        **hub: Any,
    ) -> str | None:
        """Writes model.safetensors, config.json and a model card; each file appears whole or not at all.

        Args:
            save_directory: the folder, made where it does not exist.
            half: store kernels and matrices as float16; vectors stay float32, and all is float32 again when loaded.
            push_to_hub, repo_id, hub: as in huggingface-hub.

        Raises:
            UsageError: the network was not built from the registry.

        Example:
            >>> from tempfile import TemporaryDirectory
            >>> from shufflekit.models import Network, build_model
            >>> net = build_model("shufflenet_v2_x0_5", num_classes=10, small_input=True)
            >>> with TemporaryDirectory() as folder:
            ...     _ = net.save_pretrained(folder, half=True)
            ...     same = Network.from_pretrained(folder)
            >>> same.architecture, same.options
            ('shufflenet_v2_x0_5', {'num_classes': 10, 'small_input': True})
        """
        assert isinstance(self, nn.Module)
        from shufflekit.models._registry import model_entry  # the registry imports the networks, which import this

        model_entry(self.architecture)
        config = {
            "architecture": self.architecture,
            "options": self.options,
            "pretrained_cfg": saved_cfg(self.pretrained_cfg, self.options.get("num_classes")),
            "dtype": "float16" if half else "float32",
        }
        state = {name: stored(tensor, half) for name, tensor in self.state_dict().items()}
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder, prefix=".saving-") as staging:
            write_synced(Path(staging, WEIGHTS_NAME), to_bytes(state, metadata={"format": "pt"}))
            write_synced(Path(staging, CONFIG_NAME), (json.dumps(config, indent=2) + "\n").encode())
            for name in (WEIGHTS_NAME, CONFIG_NAME):
                Path(staging, name).replace(folder / name)
        if not (folder / "README.md").exists():
            self.generate_model_card().save(folder / "README.md")
        return self.push_to_hub(repo_id=repo_id or folder.name, **hub) if push_to_hub else None

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **hub: Any) -> Self:
        """Loads a folder or hub repository that `save_pretrained` wrote, in evaluation mode.

        Args:
            pretrained_model_name_or_path: the folder, or owner/name on the hub.
            hub: `revision`, `token`, `cache_dir`, `local_files_only`, ... of huggingface-hub, for a repository.

        Raises:
            WeightsError: nothing is saved there, a file is damaged, or its tensors do not fit the architecture.
        """
        from shufflekit.models._registry import build_model

        config, path = saved_files(pretrained_model_name_or_path, **hub)
        network = build_model(config["architecture"], **config["options"])
        if not isinstance(network, cls):
            raise WeightsError(f"{path.parent}: holds a {config['architecture']}, not a {cls.__name__}")
        state = read_safetensors(path)
        problems = misfits(state, network.state_dict())
        if problems:
            raise WeightsError(f"{path}: does not fit {config['architecture']}: {summary(problems)}")
        network.load_state_dict(state, strict=False)
        network.pretrained_cfg = config["pretrained_cfg"]
        return network.eval()


def saved_files(folder_or_repo: str | Path, **hub: Any) -> tuple[dict[str, Any], Path]:
    """The configuration of a saved network and the path of its weights.

    Raises:
        WeightsError: no such folder or repository, or a configuration that cannot be read.
    """
    paths = [_saved_file(folder_or_repo, name, hub) for name in (CONFIG_NAME, WEIGHTS_NAME)]
    try:
        config = json.loads(paths[0].read_text(encoding="utf-8"))
        cfg = config.get("pretrained_cfg")
        config["pretrained_cfg"] = cfg and {key: tuple(value) if key in _TUPLES else value for key, value in cfg.items()}
        config["options"] = dict(config.get("options") or {})
        if not isinstance(config["architecture"], str):
            raise TypeError("architecture is no name")
    except (OSError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise WeightsError(f"{paths[0]}: not the configuration of a saved network: {one_line(error)}") from None
    return config, paths[1]


def _saved_file(folder_or_repo: str | Path, name: str, hub: dict[str, Any]) -> Path:
    folder = Path(folder_or_repo)
    if folder.is_dir() or isinstance(folder_or_repo, Path):
        if not (folder / name).is_file():
            raise WeightsError(f"{folder}: no saved network: {name} is missing")
        return folder / name
    try:
        return Path(hf_hub_download(folder_or_repo, name, **hub))
    except (OSError, ValueError) as error:  # the hub's errors are both kinds
        raise WeightsError(f"{folder_or_repo}: no folder, and {name} cannot be had from the hub: {one_line(error)}") from None


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file.

    Raises:
        WeightsError: no such file, or a damaged one.
    """
    try:
        return load_file(path)
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such file") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{path}: damaged, or no safetensors file: {one_line(error)}") from None


def misfits(found: Mapping[str, Tensor], needed: Mapping[str, Tensor]) -> list[str]:
    """What keeps tensors from filling a network, a short phrase each, in the network's order; counters may be missing."""
    problems = []
    for name, tensor in needed.items():
        if name not in found:
            if not name.endswith(".num_batches_tracked"):
                problems.append(f"{name} is missing, needed {tuple(tensor.shape)}")
        elif found[name].shape != tensor.shape:
            problems.append(f"{name} is {tuple(found[name].shape)}, needed {tuple(tensor.shape)}")
    extra = [name for name in found if name not in needed and not name.endswith(".num_batches_tracked")]
    return problems + [f"{name} {tuple(found[name].shape)} has no place" for name in extra]


def summary(problems: list[str], shown: int = 3) -> str:
    more = f"; and {len(problems) - shown} more" if len(problems) > shown else ""
    return "; ".join(problems[:shown]) + more


def stored(tensor: Tensor, half: bool) -> Tensor:
    """The tensor as it goes into a file; float16 only where that loses no more than the last bits."""
    tensor = tensor.detach().cpu().contiguous()
    fits = half and tensor.dim() > 1 and tensor.is_floating_point() and bool(tensor.abs().max() <= _HALF_LIMIT)
    return tensor.half() if fits else tensor


def saved_cfg(cfg: dict[str, Any] | None, num_classes: int | None) -> dict[str, Any] | None:
    """`pretrained_cfg` as it stays true: with another number of classes, their names and the error are not."""
    if cfg is None or num_classes is None or cfg.get("num_classes") == num_classes:
        return cfg
    return {**cfg, "num_classes": num_classes, "classes": None, "top1_error": None}


def write_synced(path: Path, content: bytes) -> None:
    """Writes a file and waits until it is on the disk.

    Raises:
        InputError: it cannot be written.
    """
    try:
        with path.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None
