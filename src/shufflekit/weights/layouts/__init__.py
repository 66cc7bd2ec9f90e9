"""Layouts of weight files: one file each, tried in this order; the last takes what has our own names."""

from shufflekit.weights.layouts import megvii_v1, megvii_v2, megvii_v2_plus, plain, pytorchcv_v1, pytorchcv_v2
from shufflekit.weights.layouts._layout import Converted, Layout

LAYOUTS: tuple[Layout, ...] = (
    pytorchcv_v1.LAYOUT,
    pytorchcv_v2.LAYOUT,
    megvii_v1.LAYOUT,
    megvii_v2_plus.LAYOUT,
    megvii_v2.LAYOUT,
    plain.LAYOUT,
)

__all__ = ["LAYOUTS", "Converted", "Layout"]
