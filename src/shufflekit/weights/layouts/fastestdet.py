"""Backbones of dog-qiuqiu's detectors (FastestDet, Yolo-FastestV2): the release's V2 by stages, no last convolution."""

from __future__ import annotations

from shufflekit.weights.layouts._channel_order import State
from shufflekit.weights.layouts.megvii_v2 import MegviiV2


class Fastestdet(MegviiV2):
    name = "FastestDet ShuffleNet V2"
    # Resized to 352x352 by OpenCV; blue first like the release's, but scaled to 0..1.
    input = {
        "mean": (0.0, 0.0, 0.0),
        "std": (1.0, 1.0, 1.0),
        "channel_order": "bgr",
        "interpolation": "bilinear",
        "crop_pct": 1.0,
    }

    def recognise(self, state: State) -> bool:
        return "stage2.0.branch_main.0.weight" in state
