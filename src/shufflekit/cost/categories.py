"""The categories of ShuffleNet V2's Figure 2, for operators of PyTorch and for kernels of the engine."""

from __future__ import annotations

from typing import Literal

Category = Literal["convolution", "data movement", "element-wise", "other"]
CATEGORIES: tuple[Category, ...] = ("convolution", "data movement", "element-wise", "other")

_CONVOLUTIONS = {"convolution", "convolution_pool", "depthwise", "gemm", "pointwise_depthwise"}
# What only brings elements to another place; a split, and a shuffle's transposition, cost nothing until they are copied.
_MOVES = {"cat", "stack", "clone", "copy_", "_to_copy", "roll", "flip", "channel_shuffle", "pixel_shuffle", "gather"}
_MOVES |= {"index", "index_select", "embedding", "constant_pad_nd", "reflection_pad2d", "fill_", "zero_"}
_OTHERS = {
    "addmm",
    "mm",
    "bmm",
    "baddbmm",
    "linear",
    "_softmax",
    "_safe_softmax",
    "_log_softmax",
    "softmax",
    "mean",
    "sum",
    "amax",
}
_OTHERS |= {"amin", "max", "argmax", "std", "linalg_vector_norm", "pool", "resize", "local_response_norm"}
_OTHERS |= {"max_pool2d_with_indices", "avg_pool2d", "avg_pool3d", "_adaptive_avg_pool2d", "adaptive_max_pool2d"}
_OTHERS |= {"upsample_nearest2d", "upsample_bilinear2d"}
_ELEMENT_WISE = {"native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training", "_prelu_kernel"}
_ELEMENT_WISE |= {"affine", "binary", "hardswish", "hardswish_", "native_layer_norm", "native_group_norm"}


def category_of(operator: str) -> Category:
    """The category of an operator of `aten`, or of a kernel of the engine; pools, products and what we do not know are "other".

    Example:
        >>> [category_of(name) for name in ("convolution", "cat", "relu_", "addmm")]
        ['convolution', 'data movement', 'element-wise', 'other']
    """
    if operator in _CONVOLUTIONS:
        return "convolution"
    if operator in _MOVES:
        return "data movement"
    if operator in _OTHERS:
        return "other"
    return "element-wise" if operator in _ELEMENT_WISE or _is_pointwise(operator) else "other"


def _is_pointwise(operator: str) -> bool:
    """Whether torch says that it computes each element by itself."""
    import torch

    packet = getattr(torch.ops.aten, operator, None)
    return packet is not None and any(torch.Tag.pointwise in getattr(packet, name).tags for name in packet.overloads())
