"""What the command line says of a network's constructor, as the constructor takes it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch

from shufflekit.errors import ShufflekitError, UsageError, one_line
from shufflekit.models import build_model, model_entry
from shufflekit.models._saved import saved_files
from shufflekit.weights.create import saved_place

_OURS = {
    "num_classes": "the data's classes decide it",
    "pretrained": "--weights says it",
    "name": "--model says it",
    "features_only": "only a whole network can be trained",
    "out_indices": "only a whole network can be trained",
}


def network_options(model: str, given: Mapping[str, float | bool | str], small_input: bool) -> dict[str, Any]:
    """The options of a network's constructor, each of the kind that it takes.

    Args:
        model: a registry name, or a saved network, whose own options come first.
        given: numbers as floats.
        small_input: the recipe's.

    Raises:
        UsageError: an option that the network does not have, or that is not for the user to say, or a value of a wrong kind.

    Example:
        >>> network_options("shufflenet_v2_x0_5", {"depth": 3.0}, small_input=False)
        Traceback (most recent call last):
        shufflekit.errors.UsageError: shufflenet_v2_x0_5: takes no option 'depth'
        >>> network_options("shufflenet_v2_x0_5", {"in_chans": 1.0}, small_input=True)
        {'in_chans': 1, 'small_input': True}
    """
    place = saved_place(model)
    config: dict[str, Any] = {"architecture": model, "options": {}} if place is None else saved_files(place)[0]
    architecture = str(config["architecture"])
    parameters = inspect.signature(model_entry(architecture).constructor).parameters
    options = dict(config["options"])
    for name, value in given.items():
        if name in _OURS:
            raise UsageError(f"options.{name}: {_OURS[name]}, found {value}")
        if name not in parameters:
            raise UsageError(f"{architecture}: takes no option {name!r}")
        options[name] = _of_kind(parameters[name].default, value, name)
    if small_input and given.get("small_input") is False:
        raise UsageError("options.small_input: the recipe has the 32x32 form; --no-small-input leaves it, found False")
    options |= {"small_input": True} if small_input else {}
    options.pop("num_classes", None)
    _try(architecture, options)
    return options


def _of_kind(default: object, value: float | bool | str, name: str) -> object:
    kinds = {bool: "yes or no", int: "a whole number", float: "a number", str: "a word"}
    wanted = type(default)
    if wanted not in kinds:
        raise UsageError(f"options.{name}: cannot be said in words, found {value}")
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if wanted is int and number and float(value).is_integer():
        return int(value)
    if wanted is float and number:
        return float(value)
    if wanted in (bool, str) and isinstance(value, wanted):
        return value
    raise UsageError(f"options.{name}: must be {kinds[wanted]}, found {value}")


def _try(architecture: str, options: dict[str, Any]) -> None:
    """Builds the network without memory: its layers have their own words for a size that cannot be."""
    try:
        with torch.device("meta"):
            build_model(architecture, **options)
    except (ValueError, TypeError, RuntimeError, ArithmeticError, IndexError) as error:
        if isinstance(error, ShufflekitError):
            raise
        listed = ", ".join(f"{name}={value}" for name, value in options.items())
        raise UsageError(f"options: {architecture} cannot be built with {listed} ({one_line(error)})") from None
