"""The network that a command line names, and what runs it; loads torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from shufflekit.cli._classifier import Classifier, engine_classifier
from shufflekit.compile import compile as compile_network
from shufflekit.data.preprocess import Preprocessing
from shufflekit.detect.create import create_detector, is_detector
from shufflekit.detect.network import Detector
from shufflekit.models import list_models, model_entry
from shufflekit.profile.profile import torch_threads
from shufflekit.weights import create_model, list_checkpoints, resolve_model

DEFAULT_MODEL = "shufflenet_v2_x1_0"


def load_network(model: str | None, weights: str | None) -> nn.Module:
    """A network with weights: its own or ImageNet's by default, those of a tag or file where named.

    Args:
        model: a registry name, a detector, a saved network, or `package.module:callable`; without it `DEFAULT_MODEL`, or
            where that one has no weights with the tag, the network that has.
        weights: a tag, or a file.
    """
    if model is None:
        having = [c.architecture for c in list_checkpoints() if weights in (c.tag, c.tag.partition(".")[0])]
        model = having[0] if having and DEFAULT_MODEL not in having else DEFAULT_MODEL
    if is_detector(model):
        return load_detector(model, weights)
    if weights is not None:
        return create_model(model, pretrained=weights)
    return create_model(model, pretrained=True) if model in list_models() else resolve_model(model)


def load_detector(model: str, weights: str | None) -> Detector:
    """A detector with weights: its own where it is a saved one, else those of a tag or file, by default the published ones."""
    if Path(model).is_dir():
        return create_detector(Path(model), weights or False)
    return create_detector(model, weights or True)


def random_network(model: str) -> nn.Module:
    """A network with random weights, or a saved one."""
    return create_detector(model) if is_detector(model) else resolve_model(model)


def torch_classifier(network: nn.Module) -> Classifier:
    """A classifier that runs in PyTorch; a network without `pretrained_cfg` gets ImageNet's usual preparation."""
    network.eval()

    def logits(images: NDArray[np.float32]) -> NDArray[np.float32]:
        # One thread: a second one gains little on one photo, and stalls the first where the machine is busy.
        with torch_threads(1), torch.inference_mode():
            return network(torch.from_numpy(images)).numpy()

    return Classifier(logits, getattr(network, "pretrained_cfg", None) or {})


def native_classifier(network: nn.Module) -> Classifier:
    """The same, compiled first.

    Raises:
        UsageError: the network has an operator that the engine does not have.
        InputError: it is no classifier of photos.
    """
    size = Preprocessing.from_config(getattr(network, "pretrained_cfg", None) or {}).input_size
    return engine_classifier(compile_network(network, (1, 3, *size)))


def input_shape(network: nn.Module) -> tuple[int, int, int, int]:
    """One input of a network: as its weights expect it, else the size at which it was published, else 224x224."""
    cfg, name = getattr(network, "pretrained_cfg", None), getattr(network, "architecture", "")
    published = model_entry(name).input_size if not cfg and name in list_models() else None
    height, width = published or Preprocessing.from_config(cfg or {}).input_size
    return 1, getattr(network, "in_chans", 3), height, width
