"""Layouts of weight files: one file each, tried in this order; the last takes what has our own names."""

from shufflekit.weights.layouts._layout import Converted, Layout
from shufflekit.weights.layouts.fastestdet import Fastestdet
from shufflekit.weights.layouts.megvii_v1 import MegviiV1
from shufflekit.weights.layouts.megvii_v2 import MegviiV2
from shufflekit.weights.layouts.megvii_v2_plus import MegviiV2Plus
from shufflekit.weights.layouts.plain import Plain
from shufflekit.weights.layouts.pytorchcv_v1 import PytorchcvV1
from shufflekit.weights.layouts.pytorchcv_v2 import PytorchcvV2

LAYOUTS: tuple[Layout, ...] = (
    PytorchcvV1(),
    PytorchcvV2(),
    MegviiV1(),
    MegviiV2Plus(),
    MegviiV2(),
    Fastestdet(),
    Plain(),
)

__all__ = ["LAYOUTS", "Converted", "Layout"]
