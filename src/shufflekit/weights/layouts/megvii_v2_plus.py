"""The authors' release of ShuffleNet V2+ (megvii-model/ShuffleNet-Series): the odd/even units of its V2, and more."""

from __future__ import annotations

from shufflekit.weights.layouts._channel_order import State, permute_branch, stage_order, take
from shufflekit.weights.layouts._layout import MEGVII_INPUT, Converted, Layout, Options, Rules, rename

_RULES: Rules = [
    (r"^classifier\.0\.", "classifier."),
    (r"^LastSE\.", "last_se."),
    (r"\.SE_opr\.1\.", ".fc1."),
    (r"\.SE_opr\.2\.", ".bn."),
    (r"\.SE_opr\.4\.", ".fc2."),
]


class MegviiV2Plus(Layout):
    name = "megvii ShuffleNet V2+"
    input = MEGVII_INPUT

    def recognise(self, state: State) -> bool:
        return any(".SE_opr." in name for name in state) and "features.0.branch_main.0.weight" in state

    def convert(self, state: State, current: Options) -> Converted:
        ours = rename(state, _RULES)
        orders: dict[str, list[int]] = {}
        previous: list[int] | None = None
        for units in _stages(ours):
            first = f"features.{units[0]}"
            left = ours[f"{first}.branch_proj.2.weight"].shape[0]
            channels = left + ours[f"{first}.branch_main.5.weight"].shape[0]
            order = stage_order(left, channels, len(units), shuffle_groups=channels // 2)
            permute_branch(ours, f"{first}.branch_proj", previous, order.branches[0, "left"])
            permute_branch(ours, f"{first}.branch_main", previous, order.branches[0, "right"])
            for place, unit in enumerate(units[1:], start=1):
                permute_branch(ours, f"features.{unit}.branch_main", order.reads[place], order.branches[place, "right"])
            orders[f"features.{units[-1]}"] = previous = order.output
        if "conv_last.0.weight" in ours:
            ours["conv_last.0.weight"] = take(ours["conv_last.0.weight"], previous, dim=1)
        return Converted(ours, orders)


def _stages(ours: State) -> list[list[int]]:
    """The numbers of each stage's units; a stage begins where there is a left branch."""
    stages: list[list[int]] = []
    for unit in range(sum(name.endswith(".branch_main.0.weight") for name in ours)):
        if f"features.{unit}.branch_proj.0.weight" in ours:
            stages.append([])
        stages[-1].append(unit)
    return stages
