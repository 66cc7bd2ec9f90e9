"""Networks of PyTorch, and engines, as what gives scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shufflekit.classify.classifier import Classifier, check_scores, engine_classifier, run_images
from shufflekit.classify.inputs import input_shape, photo_configuration
from shufflekit.compiling import compile as compile_network
from shufflekit.errors import InputError, ShufflekitError, kind_and_line
from shufflekit.finite import check_finite
from shufflekit.modes import evaluation, torch_threads
from shufflekit.outputs import tensors_of
from shufflekit.runtime import Engine


class Scores(nn.Module):
    """A network of any form as one that gives scores, (N, classes), or says in one line why it gives none.

    Args:
        network: returns one tensor, by itself or in a list, tuple or dict.
        name: what an error calls it.
    """

    def __init__(self, network: nn.Module, name: str) -> None:
        super().__init__()
        self.network, self.name = network, name

    def forward(self, x: Tensor) -> Tensor:
        try:
            tensors = tensors_of(self.network(x))
        except ShufflekitError:
            raise
        except Exception as error:  # it runs what somebody else wrote
            shape = "x".join(map(str, x.shape))
            raise InputError(f"{self.name}: fails on an input of {shape}: {kind_and_line(error)}") from error
        check_scores([tuple(tensor.shape) for tensor in tensors], len(x), self.name)
        check_finite([tensors[0].float().cpu()], self.name)
        return tensors[0].flatten(1)


class EngineScores(nn.Module):
    """An engine as a network."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self.engine = engine

    def forward(self, x: Tensor) -> Any:
        found = run_images(self.engine, x.cpu().numpy())
        return [torch.from_numpy(y).to(x.device) for y in (found if isinstance(found, list) else [found])]


def torch_classifier(network: nn.Module, name: str) -> Classifier:
    """A classifier that runs in PyTorch; a network without `pretrained_cfg` gets ImageNet's usual preparation."""
    scores = Scores(network, name)

    def logits(images: NDArray[np.float32]) -> NDArray[np.float32]:
        # One thread: a second one gains little on one photo, and stalls the first where the machine is busy.
        with torch_threads(1), evaluation(scores), torch.inference_mode():
            return scores(torch.from_numpy(images)).float().numpy()

    return Classifier(logits, photo_configuration(network))


def native_classifier(network: nn.Module) -> Classifier:
    """The same, compiled first.

    Raises:
        UsageError: the network has an operator that the engine does not have.
        InputError: it is no classifier of photos.
    """
    return engine_classifier(compile_network(network, input_shape(network)))
