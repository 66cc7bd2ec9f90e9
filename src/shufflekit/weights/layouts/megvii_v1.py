"""The authors' release of ShuffleNet V1 (megvii-model/ShuffleNet-Series): it shuffles after the depthwise convolution.

It also deals the channels the other way round. Each channel inside a unit comes from one group of the first
convolution and goes to one of the last; where both ways send equally many from each to each, reordering these
channels makes the unit ours, and where not, only `shuffle_order="release"` is the same network.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from shufflekit.weights.layouts._channel_order import State, match, take
from shufflekit.weights.layouts._layout import MEGVII_INPUT, Converted, Layout, Options, Rules, rename, with_bias

_RULES: Rules = [
    (r"^first_conv\.", "conv1."),
    (r"^classifier\.0\.", "fc."),
    (r"\.branch_main_1\.0\.", ".conv1."),
    (r"\.branch_main_1\.1\.", ".bn1."),
    (r"\.branch_main_1\.3\.", ".conv2."),
    (r"\.branch_main_1\.4\.", ".bn2."),
    (r"\.branch_main_2\.0\.", ".conv3."),
    (r"\.branch_main_2\.1\.", ".bn3."),
]


class MegviiV1(Layout):
    name = "megvii ShuffleNet V1"
    input = MEGVII_INPUT

    def recognise(self, state: State) -> bool:
        return "features.0.branch_main_1.0.weight" in state

    def options(self, state: State, current: Options) -> dict[str, Any]:
        wanted = {"stem_channels": state["first_conv.0.weight"].shape[0], "shuffle": True}
        units = _units(_named(state))
        if current.get("shuffle_order") == "release" or all(_order(state_of, grouped) for _, state_of, grouped in units):
            return wanted
        return wanted | {"shuffle_order": "release"}

    def convert(self, state: State, current: Options) -> Converted:
        ours = _named(state)
        if current.get("shuffle_order", "paper") == "paper":
            for prefix, tensors, grouped in list(_units(ours)):
                order = _order(tensors, grouped)
                assert order is not None, "options asked for shuffle_order='release'"
                ours |= {f"{prefix}.{name}": tensor for name, tensor in _reordered(tensors, order).items()}
        ours, notes = with_bias(ours) if current.get("classifier_bias", True) else (ours, ())
        return Converted(ours, notes=notes)


def _named(state: State) -> State:
    """Our names; the release counts its units in one row, and a stage begins where the bottleneck widens."""
    place: dict[str, str] = {}
    stage, index, width = 1, 0, 0
    for unit in range(sum(name.endswith(".branch_main_1.0.weight") for name in state)):
        bottleneck = state[f"features.{unit}.branch_main_1.0.weight"].shape[0]
        stage, index = (stage, index + 1) if bottleneck == width else (stage + 1, 0)
        width = bottleneck
        place[str(unit)] = f"stage{stage}.{index}."
    return rename(state, [(r"^features\.(\d+)\.", lambda found: place.get(found[1], found[0])), *_RULES])


def _units(ours: State) -> Iterator[tuple[str, State, bool]]:
    """Prefix and tensors of each unit, and whether its first convolution is grouped."""
    for prefix in dict.fromkeys(name.rsplit(".", 2)[0] for name in ours if name.startswith("stage")):
        tensors = {name[len(prefix) + 1 :]: tensor for name, tensor in ours.items() if name.startswith(f"{prefix}.")}
        yield prefix, tensors, prefix != "stage2.0"


def _groups(tensors: State) -> int:
    return tensors["conv1.weight"].shape[0] // tensors["conv3.weight"].shape[1]


def _order(tensors: State, grouped: bool) -> list[int] | None:
    """For each output of our first convolution its index in the file, or None where there is no such order."""
    groups = _groups(tensors)
    size = tensors["conv1.weight"].shape[0] // groups
    comes_from = [channel // size if grouped else 0 for channel in range(groups * size)]
    # Ours: channel (k, i) of (groups, size) moves to place (i, k); theirs: (i, k) of (size, groups) to (k, i).
    ours = [(comes_from[c], (c % size * groups + c // size) // size) for c in range(groups * size)]
    theirs = [(comes_from[c], c % groups) for c in range(groups * size)]
    return match(ours, theirs)


def _reordered(tensors: State, order: list[int]) -> State:
    """The unit's tensors with its inner channels in our order: before our shuffle, after it, and by group of the end."""
    groups = _groups(tensors)
    size = len(order) // groups
    shuffled = [order[k * size + i] for i in range(size) for k in range(groups)]
    changed = {
        name: take(tensor, order) for name, tensor in tensors.items() if name.startswith(("conv1.", "bn1.")) and tensor.dim()
    }
    changed |= {name: take(t, shuffled) for name, t in tensors.items() if name.startswith(("conv2.", "bn2.")) and t.dim()}
    weight = tensors["conv3.weight"].unflatten(0, (groups, -1))  # (g, out/g, mid/g, 1, 1)
    places = [[channel // groups for channel in shuffled[q * size : (q + 1) * size]] for q in range(groups)]
    changed["conv3.weight"] = torch.cat([take(weight[q], places[q], dim=1) for q in range(groups)])
    return changed
