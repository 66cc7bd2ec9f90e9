"""MODEL as a network of PyTorch, and the files that it is read from; loads torch."""

from __future__ import annotations

import sys
from pathlib import Path

from torch import nn

from shufflekit.cli._kinds import is_callable
from shufflekit.cli._output import notice
from shufflekit.detect.create import create_detector, is_detector
from shufflekit.detect.network import Detector
from shufflekit.errors import UsageError, WeightsError
from shufflekit.models import FeatureNet, Network, model_entry
from shufflekit.models._fill import fill, misfits, summary
from shufflekit.models._saved import CONFIG_NAME, WEIGHTS_NAME, saved_files
from shufflekit.weights import create_model, list_checkpoints, load_weights, resolve_model
from shufflekit.weights.create import saved_place
from shufflekit.weights.read import read_weights

DEFAULT_MODEL = "shufflenet_v2_x1_0"
_RANDOM = "random"


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
