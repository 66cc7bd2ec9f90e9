"""Backbones of dog-qiuqiu's detectors (FastestDet, Yolo-FastestV2): the release's V2 by stages, no last convolution."""

from __future__ import annotations

from shufflekit.weights.layouts._channel_order import State
from shufflekit.weights.layouts._layout import MEGVII_INPUT
from shufflekit.weights.layouts.megvii_v2 import MegviiV2

# Resized to 352x352 by OpenCV; blue first like the release's, but scaled to 0..1.
_INPUT = MEGVII_INPUT | {"std": (1.0, 1.0, 1.0), "crop_pct": 1.0}


class Fastestdet(MegviiV2):
    name = "FastestDet ShuffleNet V2"
    input = _INPUT

    def recognise(self, state: State) -> bool:
        return "stage2.0.branch_main.0.weight" in state
