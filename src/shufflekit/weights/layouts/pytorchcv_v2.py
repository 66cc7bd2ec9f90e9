"""pytorchcv's two ShuffleNet V2: "V2" with even units and a pooling in ceil mode, "V2b" with the release's uneven units."""

from __future__ import annotations

from typing import Any

from shufflekit.weights.layouts._channel_order import State
from shufflekit.weights.layouts._layout import Converted, Layout, Options, Rules, rename
from shufflekit.weights.layouts._pytorchcv import UNITS_AND_CLASSIFIER

_V2, _V2B = "features.stage1.unit1.dw_conv4.weight", "features.stage1.unit1.shortcut_dconv.conv.weight"

_RULES: Rules = [
    *UNITS_AND_CLASSIFIER,
    (r"^features\.init_block\.conv\.conv\.", "conv1.0."),
    (r"^features\.init_block\.conv\.bn\.", "conv1.1."),
    (r"^features\.final_block\.conv\.", "conv5.0."),
    (r"^features\.final_block\.bn\.", "conv5.1."),
    # V2
    (r"\.compress_conv1\.", ".branch2.0."),
    (r"\.compress_bn1\.", ".branch2.1."),
    (r"\.dw_conv2\.", ".branch2.3."),
    (r"\.dw_bn2\.", ".branch2.4."),
    (r"\.expand_conv3\.", ".branch2.5."),
    (r"\.expand_bn3\.", ".branch2.6."),
    (r"\.dw_conv4\.", ".branch1.0."),
    (r"\.dw_bn4\.", ".branch1.1."),
    (r"\.expand_conv5\.", ".branch1.2."),
    (r"\.expand_bn5\.", ".branch1.3."),
    # V2b
    (r"\.conv1\.conv\.", ".branch2.0."),
    (r"\.conv1\.bn\.", ".branch2.1."),
    (r"\.dconv\.conv\.", ".branch2.3."),
    (r"\.dconv\.bn\.", ".branch2.4."),
    (r"\.conv2\.conv\.", ".branch2.5."),
    (r"\.conv2\.bn\.", ".branch2.6."),
    (r"\.shortcut_dconv\.conv\.", ".branch1.0."),
    (r"\.shortcut_dconv\.bn\.", ".branch1.1."),
    (r"\.shortcut_conv\.conv\.", ".branch1.2."),
    (r"\.shortcut_conv\.bn\.", ".branch1.3."),
]


class PytorchcvV2(Layout):
    name = "pytorchcv ShuffleNet V2"

    def recognise(self, state: State) -> bool:
        return _V2 in state or _V2B in state

    def options(self, state: State, current: Options) -> dict[str, Any]:
        wanted: dict[str, Any] = {"pool_ceil_mode": _V2 in state, "unit_split": "even" if _V2 in state else "uneven"}
        if "features.final_block.conv.weight" in state:
            wanted["conv5_channels"] = state["features.final_block.conv.weight"].shape[0]
        return wanted

    def convert(self, state: State, current: Options) -> Converted:
        return Converted(rename(state, _RULES))
