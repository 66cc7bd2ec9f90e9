"""What a layout is: how a file of one origin is told apart, and how its tensors become ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from shufflekit.weights.layouts._channel_order import State

Options = Mapping[str, Any]
Rules = Sequence[tuple[str, str | Callable[[re.Match[str]], str]]]


@dataclass(frozen=True)
class Converted:
    """A file's tensors under our names and in our order of channels.

    `channel_order` has, for each map that `feature_info` names and whose channels stand in another order than in the
    origin's network, the origin's index of each of our channels.
    """

    state: State
    channel_order: dict[str, list[int]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Layout:
    """One origin's way to name and order its tensors.

    `name` is origin and family, for messages; `input` is what the origin's networks take, keys as in `pretrained_cfg`,
    and None where the layout does not tell.
    """

    name: str
    input: Mapping[str, Any] | None = None

    def recognise(self, state: State) -> bool:
        """Whether these are tensors of this layout."""
        raise AssertionError("a layout recognises its files")

    def options(self, state: State, current: Options) -> dict[str, Any]:
        """The constructor options that a network of ours needs to take the file, given its present ones."""
        return {}

    def convert(self, state: State, current: Options) -> Converted:
        """The file's tensors as ours, given the network's options."""
        raise AssertionError("a layout converts its files")


# OpenCV's resize to 256 and a crop of 224; pixels go in as they are read, 0 to 255, blue first (ShuffleNetV2/train.py).
MEGVII_INPUT = {
    "mean": (0.0, 0.0, 0.0),
    "std": (1 / 255, 1 / 255, 1 / 255),
    "channel_order": "bgr",
    "interpolation": "bilinear",
    "crop_pct": 0.875,
}


def rename(state: State, rules: Rules) -> State:
    """Applies every rule (a regular expression and its replacement) to every name, in turn."""
    renamed = {}
    for name, tensor in state.items():
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        renamed[name] = tensor
    return renamed


def with_bias(state: State, classifier: str = "fc") -> tuple[State, tuple[str, ...]]:
    """Adds a bias of zeros to a classifier that has none, and says so."""
    weight = state.get(f"{classifier}.weight")
    if weight is None or f"{classifier}.bias" in state:
        return state, ()
    zeros = torch.zeros(weight.shape[0], dtype=weight.dtype)
    return {**state, f"{classifier}.bias": zeros}, (f"{classifier}.bias: the file has none, set to 0",)
