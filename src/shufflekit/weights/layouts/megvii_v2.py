"""The authors' release of ShuffleNet V2 (megvii-model/ShuffleNet-Series).

Its units split odd from even channels at their start, ours shuffle at their end; see `_channel_order`.
"""

from __future__ import annotations

from typing import Any

from shufflekit.weights.layouts._channel_order import State, permute_branch, stage_order, take
from shufflekit.weights.layouts._layout import MEGVII_INPUT, Converted, Layout, Options, Rules, rename, with_bias

_RULES: Rules = [
    (r"^first_conv\.", "conv1."),
    (r"^conv_last\.", "conv5."),
    (r"^classifier\.0\.", "fc."),
    (r"\.branch_proj\.", ".branch1."),
    (r"\.branch_main\.", ".branch2."),
]


class MegviiV2(Layout):
    """The release counts its units in one row; a subclass may count them by stage."""

    name = "megvii ShuffleNet V2"
    input = MEGVII_INPUT

    def recognise(self, state: State) -> bool:
        # V2+ is named alike, in the release and in ours, but has squeeze-excite.
        gates = any(".SE_opr." in name or ".fc1." in name for name in state)
        return "features.0.branch_main.0.weight" in state and not gates

    def options(self, state: State, current: Options) -> dict[str, Any]:
        ours = _named(state)
        wanted: dict[str, Any] = {"pool_ceil_mode": False}
        if any(_left(ours, stage) != _right(ours, stage) for stage in _stages(ours)):
            wanted["unit_split"] = "release"
        if "conv5.0.weight" in ours:
            wanted["conv5_channels"] = ours["conv5.0.weight"].shape[0]
        return wanted

    def convert(self, state: State, current: Options) -> Converted:
        ours = _named(state)
        orders: dict[str, list[int]] = {}
        previous: list[int] | None = None
        for stage, units in _stages(ours).items():
            left, channels = _left(ours, stage), _left(ours, stage) + _right(ours, stage)
            groups = channels // 2 if current.get("unit_split") == "release" else 2
            order = stage_order(left, channels, units, groups)
            permute_branch(ours, f"{stage}.0.branch1", previous, order.branches[0, "left"])
            permute_branch(ours, f"{stage}.0.branch2", previous, order.branches[0, "right"])
            for unit in range(1, units):
                permute_branch(ours, f"{stage}.{unit}.branch2", order.reads[unit], order.branches[unit, "right"])
            orders[stage] = previous = order.output
        if "conv5.0.weight" in ours:
            ours["conv5.0.weight"] = take(ours["conv5.0.weight"], previous, dim=1)
        ours, notes = with_bias(ours)
        return Converted(ours, orders, notes)


def _named(state: State) -> State:
    """Our names; the release counts its units in one row, and a stage begins where there is a left branch."""
    place: dict[str, str] = {}
    stage, index = 1, 0
    for unit in range(sum(name.endswith(".branch_main.0.weight") for name in state)):
        begins = f"features.{unit}.branch_proj.0.weight" in state
        stage, index = (stage + 1, 0) if begins else (stage, index + 1)
        place[str(unit)] = f"stage{stage}.{index}."
    return rename(state, [(r"^features\.(\d+)\.", lambda found: place.get(found[1], found[0])), *_RULES])


def _stages(ours: State) -> dict[str, int]:
    """Each stage's number of units."""
    firsts = [name.split(".")[0] for name in ours if name.endswith(".branch2.0.weight")]
    return {stage: firsts.count(stage) for stage in sorted(set(firsts))}


def _left(ours: State, stage: str) -> int:
    return ours[f"{stage}.0.branch1.2.weight"].shape[0]


def _right(ours: State, stage: str) -> int:
    return ours[f"{stage}.0.branch2.5.weight"].shape[0]
