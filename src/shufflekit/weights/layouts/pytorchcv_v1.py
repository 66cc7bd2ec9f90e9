"""pytorchcv's ShuffleNet V1: its widening units put the branch before the pooled input, ours after it.

Grouped convolutions forbid a plain swap, but a network that counts all its channels from the other end is the same
network: groups, shuffles and sums commute with that, and the concatenation changes sides.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from shufflekit.weights.layouts._channel_order import State
from shufflekit.weights.layouts._layout import Converted, Layout, Options, Rules, rename
from shufflekit.weights.layouts._pytorchcv import UNITS_AND_CLASSIFIER

_RULES: Rules = [
    *UNITS_AND_CLASSIFIER,
    (r"^features\.init_block\.conv\.", "conv1.0."),
    (r"^features\.init_block\.bn\.", "conv1.1."),
    (r"\.(compress|dw|expand)_(conv|bn)(\d)\.", r".\2\3."),
]


class PytorchcvV1(Layout):
    name = "pytorchcv ShuffleNet V1"

    def recognise(self, state: State) -> bool:
        return "features.stage1.unit1.compress_conv1.weight" in state and "features.stage1.unit1.dw_conv4.weight" not in state

    def options(self, state: State, current: Options) -> dict[str, Any]:
        stem = state["features.init_block.conv.weight"]
        return {"stem_channels": stem.shape[0], "shuffle": True, "shuffle_order": "paper"}

    def convert(self, state: State, current: Options) -> Converted:
        ours = {name: _reversed(name, tensor) for name, tensor in rename(state, _RULES).items()}
        widths = {"conv1": ours["conv1.0.weight"].shape[0]}
        widths["maxpool"] = widths["conv1"]
        for stage in sorted({name.split(".")[0] for name in ours if name.startswith("stage")}):
            widths[stage] = ours[f"{stage}.1.conv3.weight"].shape[0]
        return Converted(ours, {name: list(range(width))[::-1] for name, width in widths.items()})


def _reversed(name: str, tensor: Tensor) -> Tensor:
    if name == "fc.weight":
        return tensor.flip(1)
    if name == "fc.bias" or tensor.dim() == 0:
        return tensor
    return tensor.flip(0, 1) if tensor.dim() == 4 and not name.startswith("conv1.") else tensor.flip(0)
