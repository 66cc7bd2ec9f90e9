"""Saving a network and loading it back: a folder or hub repository with model.safetensors and config.json.

The configuration names the registry's architecture, the constructor's options and `pretrained_cfg`, so that no class
needs to be known to load it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import torch
from huggingface_hub import ModelHubMixin, hf_hub_download
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from shufflekit.environment import offline
from shufflekit.errors import InputError, ShufflekitError, WeightsError, one_line
from shufflekit.files import write_together
from shufflekit.models._config import FOREIGN_ERRORS, brief, read_config
from shufflekit.models._fill import fill, misfits, oddity, summary
from shufflekit.models._registry import construct, model_entry

WEIGHTS_NAME, CONFIG_NAME = "model.safetensors", "config.json"
_HALF_LIMIT = torch.finfo(torch.float16).max
_HUB = "hf-hub:"  # timm's mark of a repository


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
            InputError: the folder cannot be written; what it had is as before.

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
        model_entry(self.architecture)
        config = {
            "architecture": self.architecture,
            "options": self.options,
            "pretrained_cfg": saved_cfg(self.pretrained_cfg, self.options.get("num_classes")),
            "dtype": "float16" if half else "float32",
        }
        folder = write_saved(save_directory, self, config, half, card=lambda: str(self.generate_model_card()))
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
        config, path = saved_files(pretrained_model_name_or_path, **hub)
        state = read_safetensors(path)
        check_saved(construct, config, state, path)
        network: Any = construct(config["architecture"], **config["options"])
        if not issubclass(type(network), cls):
            raise WeightsError(f"{path.parent}: holds a {config['architecture']}, not a {cls.__name__}")
        fill(network, state, str(path))
        network.pretrained_cfg = config["pretrained_cfg"]
        return network.eval()


def write_saved(
    folder: str | Path, network: nn.Module, config: dict[str, Any], half: bool, card: Callable[[], str] | None = None
) -> Path:
    """Writes a network's tensors and configuration, and a model card where there is none: all of them or none.

    Raises:
        InputError: the folder cannot be written, or the network or its configuration holds what such files cannot.
    """
    folder = Path(folder).expanduser()
    if odd := [f"{name} is {kind}" for name, tensor in network.state_dict().items() if (kind := oddity(tensor))]:
        raise InputError(f"{folder}: cannot be saved: {summary(odd)}; needed plain values")
    state = {name: stored(tensor, half) for name, tensor in network.state_dict().items()}
    seen: dict[int, str] = {}
    for name, tensor in state.items():  # safetensors refuses names that share memory
        if seen.setdefault(tensor.untyped_storage().data_ptr(), name) != name:
            state[name] = tensor.clone()
    try:
        text = json.dumps(config, indent=2) + "\n"
        contents = {folder / WEIGHTS_NAME: to_bytes(state, metadata={"format": "pt"}), folder / CONFIG_NAME: text.encode()}
        folder.mkdir(parents=True, exist_ok=True)
        if card is not None and not (folder / "README.md").exists():
            contents[folder / "README.md"] = card().encode()
        write_together(contents)
    except OSError as error:
        raise InputError(f"{error.filename or folder}: cannot be written: {error.strerror or one_line(error)}") from None
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{folder}: options and pretrained_cfg must be JSON: {one_line(error)}") from None
    return folder


def saved_files(folder_or_repo: str | Path, **hub: Any) -> tuple[dict[str, Any], Path]:
    """The configuration of a saved network and the path of its weights.

    Raises:
        WeightsError: no such folder or repository, or a configuration that cannot be read.
    """
    paths = [_saved_file(folder_or_repo, name, hub) for name in (CONFIG_NAME, WEIGHTS_NAME)]
    return read_config(paths[0]), paths[1]


def repository(name: str | Path) -> str | None:
    """The repository that hf-hub:owner/name names; None for any other name.

    Example:
        >>> repository("hf-hub:me/net"), repository("me/net")
        ('me/net', None)
    """
    return name.removeprefix(_HUB) if isinstance(name, str) and name.startswith(_HUB) else None


def _saved_file(folder_or_repo: str | Path, name: str, hub: dict[str, Any]) -> Path:
    repo = repository(folder_or_repo)
    folder = Path(folder_or_repo).expanduser()
    if repo is None and (folder.is_dir() or isinstance(folder_or_repo, Path)):
        if not (folder / name).is_file():
            raise no_weights(folder, name)
        return folder / name
    try:
        return Path(
            hf_hub_download(repo or str(folder_or_repo), name, **({"local_files_only": True} if offline() else {}) | hub)
        )
    except (OSError, ValueError, RuntimeError) as error:  # the hub's errors are of all kinds
        what = f"{_HUB}{repo}" if repo is not None else f"{folder_or_repo}: no folder, and"
        raise WeightsError(f"{what}: {name} cannot be had from the hub: {one_line(error)}".replace("and: ", "and ")) from None


def no_weights(folder: Path, name: str) -> WeightsError:
    """A folder lacks a file of a saved network; one of `shufflekit train` has others while the training is not done."""
    best, last = folder / "best", folder / "checkpoints" / "last.pt"
    hint = f"; its training is not done, {last} is a file of weights" if last.is_file() else ""
    hint = f"; its training is not done, {best} has its best epoch" if (best / WEIGHTS_NAME).is_file() else hint
    return WeightsError(f"{folder}: no saved network: {name} is missing{hint}")


def check_saved(make: Callable[..., nn.Module], config: dict[str, Any], state: Mapping[str, Tensor], path: Path) -> None:
    """Builds what a configuration describes without memory, and compares it with the tensors beside it.

    Args:
        make: takes an architecture and its options.
        config: of `read_config`.
        state: of `read_safetensors`.
        path: of the state, for errors.

    Raises:
        WeightsError: they do not fit each other, or there is no such network.
    """
    try:
        with torch.device("meta"):
            blank = make(config["architecture"], **config["options"]).state_dict()
    except ShufflekitError as error:
        raise WeightsError(f"{path.parent}: {error}") from None
    except FOREIGN_ERRORS as error:
        what = f"{brief(config['architecture'])} with {brief(config['options'])}"
        raise WeightsError(f"{path.parent}: cannot build {what}: {one_line(error)}") from None
    if problems := misfits(state, blank):
        raise WeightsError(f"{path}: does not fit {config['architecture']}: {summary(problems)}")


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file.

    Raises:
        WeightsError: no such file, or a damaged one.
    """
    try:
        if not path.is_file():
            raise WeightsError(f"{path}: no such file")
        return load_file(path)
    except FOREIGN_ERRORS as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(f"{path}: damaged, or no safetensors file: {one_line(error)}") from None


def stored(tensor: Tensor, half: bool) -> Tensor:
    """The tensor as it goes into a file; float16 only where that loses no more than the last bits."""
    tensor = tensor.detach().cpu().contiguous()
    fits = (
        half
        and tensor.dim() > 1
        and tensor.numel() > 0
        and tensor.is_floating_point()
        and bool(tensor.abs().max() <= _HALF_LIMIT)
    )
    return tensor.half() if fits else tensor


def saved_cfg(cfg: dict[str, Any] | None, num_classes: int | None) -> dict[str, Any] | None:
    """`pretrained_cfg` as it stays true: with another number of classes, their names and the error are not."""
    if cfg is None or num_classes is None or cfg.get("num_classes") == num_classes:
        return cfg
    return {**cfg, "num_classes": num_classes, "classes": None, "top1_error": None}
