"""A network with all that it takes to go from a photo to named classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from shufflekit.data.preprocess import Preprocessing
from shufflekit.models import list_models
from shufflekit.profile.profile import torch_threads
from shufflekit.weights import create_model, list_checkpoints, resolve_model

DEFAULT_MODEL = "shufflenet_v2_x1_0"
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True)
class Prediction:
    """A class by name and index, with its probability."""

    label: str
    index: int
    score: float


class Classifier:
    """Prepares a photo as the network's `pretrained_cfg` says, runs it in a batch of one, and names the classes.

    Args:
        network: any classifier; one without `pretrained_cfg` gets ImageNet's usual preparation.
    """

    def __init__(self, network: nn.Module) -> None:
        cfg = getattr(network, "pretrained_cfg", None) or {}
        self.network = network.eval()
        self.prepare = Preprocessing.from_config(cfg)
        self.labels = class_names(cfg.get("classes"))

    def __call__(self, photo: NDArray[np.uint8], topk: int = 5) -> list[Prediction]:
        """The likeliest classes, best first.

        Args:
            photo: (H, W, 3) uint8 RGB.
            topk: how many, at most.
        """
        # One thread: a second one gains little on one photo, and stalls the first where the machine is busy.
        with torch_threads(1), torch.inference_mode():
            logits = self.network(torch.from_numpy(self.prepare(photo)).unsqueeze(0))  # (1, classes)
        scores, indices = logits.softmax(1)[0].topk(min(topk, logits.shape[1]))
        return [Prediction(self._label(index), index, score) for index, score in zip(indices.tolist(), scores.tolist())]

    def _label(self, index: int) -> str:
        return self.labels[index] if index < len(self.labels) else f"class {index}"


def class_names(classes: str | Sequence[str] | None) -> Sequence[str]:
    """The names behind `pretrained_cfg["classes"]`: those themselves, or "imagenet" or "cifar10"; empty if unknown.

    Source:
        ImageNet's class list, one name a class, four of them told apart by a word in brackets.

    Example:
        >>> class_names("imagenet")[281], class_names("cifar10")[3], class_names(["a", "b"])
        ('tabby', 'cat', ['a', 'b'])
    """
    if classes == "imagenet":
        return files("shufflekit.cli").joinpath("imagenet_classes.txt").read_text(encoding="utf-8").splitlines()
    if classes == "cifar10":
        return CIFAR10
    return () if classes is None or isinstance(classes, str) else classes


def load_network(model: str | None, weights: str | None) -> nn.Module:
    """A network with weights: its own or ImageNet's by default, those of a tag or file where named.

    Args:
        model: a registry name, a saved network, or `package.module:callable`; without it `DEFAULT_MODEL`, or where that
            one has no weights with the tag, the network that has.
        weights: a tag, or a file.
    """
    if model is None:
        having = [c.architecture for c in list_checkpoints() if weights in (c.tag, c.tag.partition(".")[0])]
        model = having[0] if having and DEFAULT_MODEL not in having else DEFAULT_MODEL
    if weights is not None:
        return create_model(model, pretrained=weights)
    return create_model(model, pretrained=True) if model in list_models() else resolve_model(model)
