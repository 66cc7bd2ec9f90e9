"""MODEL, the same for every verb: its network, its input, how photos go in, and what runs it; loads torch."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shufflekit.cli._classifier import Classifier, check_scores, engine_classifier
from shufflekit.cli._output import notice
from shufflekit.compiling import compile as compile_network
from shufflekit.data.preprocess import Preprocessing
from shufflekit.detect.create import create_detector, is_detector
from shufflekit.detect.network import Detector
from shufflekit.errors import InputError, ShufflekitError, UsageError, WeightsError
from shufflekit.export.outputs import first_line, tensors_of
from shufflekit.finite import check_finite
from shufflekit.models import FeatureNet, Network, list_models, model_entry
from shufflekit.models._fill import fill, misfits, summary
from shufflekit.models._saved import CONFIG_NAME, WEIGHTS_NAME, saved_files
from shufflekit.modes import evaluation
from shufflekit.profiling.profile import torch_threads
from shufflekit.runtime import Engine
from shufflekit.weights import create_model, list_checkpoints, load_weights, resolve_model
from shufflekit.weights.create import saved_place
from shufflekit.weights.read import read_weights

DEFAULT_MODEL = "shufflenet_v2_x1_0"
_RANDOM = "random"
_MOST_CHANNELS = 4  # of a picture: a first convolution of more stands behind something else


def load_network(model: str | None, weights: str | None = None) -> nn.Module:
    """A network with weights: its own or published ones by default, those of a tag or file where named.

    Args:
        model: a registry name, a detector, a saved network (a folder, or hf-hub:owner/name), or `package.module:callable`;
            without it `DEFAULT_MODEL`, or where that one has no weights with the tag, the network that has.
        weights: a tag, a file, or "random".

    Raises:
        UsageError: none of them, or weights for a saved network, which has its own.
        WeightsError: weights that cannot be had or do not fit.
    """
    if model is None:
        having = [c.architecture for c in list_checkpoints() if weights in (c.tag, c.tag.partition(".")[0])]
        model = having[0] if having and DEFAULT_MODEL not in having else DEFAULT_MODEL
    if model.endswith(".onnx"):
        raise UsageError(
            f"model: {model} is an ONNX file, and this needs a network of PyTorch; compile, predict, profile, bench take it"
        )
    if Path(model).is_file():
        raise UsageError(f"model: {model} is a file, needed a network: a name, a folder of save_pretrained, or module:callable")
    if is_callable(model):
        network = resolve_model(model)
        if weights not in (None, _RANDOM):
            _fill(network, str(weights))
        return network
    folder = saved_folder(model)
    if folder is not None:
        if weights is not None:
            raise UsageError(f"weights: {model} is a saved network and brings its own, found {weights!r}")
        return create_detector(folder) if is_detector(str(folder)) else resolve_model(str(folder))
    wanted = False if weights == _RANDOM else weights or True
    if is_detector(model):
        return create_detector(model, wanted)
    model_entry(model)  # says which names there are
    return create_model(model, wanted)


def untrained_network(model: str) -> nn.Module:
    """A network whose weights do not matter: random ones for the registry's, so that none are downloaded."""
    return load_network(model, None if is_callable(model) or saved_place(model) is not None else _RANDOM)


def load_detector(model: str, weights: str | None) -> Detector:
    """A detector with weights.

    Raises:
        UsageError: the network is no detector.
    """
    is_other = not is_callable(model) and saved_place(model) is None and not is_detector(model)
    network = create_detector(model) if is_other else load_network(model, weights)  # the former says which there are
    if not isinstance(network, Detector):
        raise UsageError(f"model: {model} must be a detector, found a {type(network).__name__}")
    return network


def is_callable(model: str) -> bool:
    """Whether MODEL is package.module:callable."""
    return ":" in model and not model.startswith("hf-hub:") and not Path(model).exists()


def saved_folder(model: str) -> Path | None:
    """The folder of a saved network, fetched where it is one of the hub; None where MODEL is none."""
    place = saved_place(model)
    return saved_files(place)[1].parent if isinstance(place, str) else place


def input_files(model: str | None, weights: str | None = None) -> list[str | Path]:
    """What a command reads for its network, and so must not write over; names that are no files are among them."""
    found: list[str | Path] = []
    for text in filter(None, (model, weights)):
        path = Path(text).expanduser()
        found += [path, path / CONFIG_NAME, path / WEIGHTS_NAME]
    if model and is_callable(model):
        name = model.partition(":")[0]
        found.append(Path(*name.split(".")).with_suffix(".py"))  # in the current folder, whether it is imported by now or not
        found.append(getattr(sys.modules.get(name), "__file__", None) or name)
    return found


def _fill(network: nn.Module, weights: str) -> None:
    """Loads a file into somebody's own network; all of its tensors must be there, or none is taken."""
    if isinstance(network, Network | FeatureNet):
        load_weights(network, weights)
        return
    state, notes = read_weights(weights, own=[name for name, _ in network.named_children()])
    if problems := misfits(state, network.state_dict()):
        raise WeightsError(f"{weights}: does not fit {type(network).__name__}: {summary(problems)}")
    fill(network, state, weights)
    for note in notes:
        notice(f"{weights}: {note}")


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
            raise InputError(f"{self.name}: fails on an input of {shape}: {first_line(error)}") from error
        check_scores([tuple(tensor.shape) for tensor in tensors], len(x), self.name)
        check_finite([tensors[0].float().cpu()], self.name)
        return tensors[0]


class EngineScores(nn.Module):
    """An engine as a network."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self.engine = engine

    def forward(self, x: Tensor) -> Any:
        found = self.engine(x.cpu().numpy())
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
