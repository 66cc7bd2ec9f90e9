"""What a network takes: channels and size of its input, and how photos become one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from shufflekit.data.preprocess import Preprocessing
from shufflekit.models import list_models, model_entry

_MOST_CHANNELS = 4  # of a picture: a first convolution of more stands behind something else


def configuration(network: nn.Module) -> Mapping[str, Any]:
    """A network's `pretrained_cfg`; empty where it has none."""
    cfg = getattr(network, "pretrained_cfg", None)
    return cfg if isinstance(cfg, Mapping) else {}


def input_shape(network: nn.Module) -> tuple[int, int, int, int]:
    """One input of a network: as its weights expect it, else the size at which it was published, else 224x224."""
    cfg, name = configuration(network), getattr(network, "architecture", "")
    size = model_entry(name).input_size if not cfg and name in list_models() else cfg.get("input_size")
    height, width = Preprocessing.from_config({"input_size": size and tuple(size)[-2:]}).input_size
    return 1, _channels(network, cfg), height, width


def _channels(network: nn.Module, cfg: Mapping[str, Any]) -> int:
    if isinstance(found := getattr(network, "in_chans", None), int):
        return found
    first = next((module.in_channels for module in network.modules() if isinstance(module, nn.Conv2d)), 0)
    if 1 <= first <= _MOST_CHANNELS:
        return first
    size: Sequence[int] = cfg.get("input_size") or ()
    return size[0] if len(size) == 3 else 3


def preparation(network: nn.Module) -> Preprocessing:
    """How photos become a network's input: as its `pretrained_cfg` says, else ImageNet's usual way, grey for one channel.

    Raises:
        UsageError: it takes no photos.
    """
    return Preprocessing.from_config(photo_configuration(network))


def photo_configuration(network: nn.Module) -> dict[str, Any]:
    """`pretrained_cfg` with the input that the network really has."""
    return {**configuration(network), "input_size": input_shape(network)[1:]}
