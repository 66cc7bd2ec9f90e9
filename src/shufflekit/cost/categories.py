"""The categories of ShuffleNet V2's Figure 2, for operators of PyTorch and for kernels of the engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from shufflekit.graph.operator import Category as Category
from shufflekit.graph.ops import OPERATORS

CATEGORIES: tuple[Category, ...] = get_args(Category)

# What torch runs and no graph has, by category. What only brings elements to another place: a split, and a shuffle's
# transposition, cost nothing until they are copied.
_FOREIGN: Mapping[Category, str] = {
    "data movement": "clone copy_ _to_copy roll flip channel_shuffle pixel_shuffle gather embedding constant_pad_nd"
    " reflection_pad2d fill_ zero_",
    "element-wise": "_prelu_kernel native_layer_norm native_group_norm",
    "other": "bmm baddbmm _log_softmax sum amax amin max argmax std linalg_vector_norm",
}
# Those that are known; torch itself says which others compute each element by itself.
OF_TORCH: Mapping[str, Category] = {
    **{spelling: operator.category for operator in OPERATORS for spelling in operator.aten},
    **{spelling: category for category, spellings in _FOREIGN.items() for spelling in spellings.split()},
}
_OF_GRAPHS: Mapping[str, Category] = {operator.name: operator.category for operator in OPERATORS}
_OF_KERNELS: Mapping[str, Category] = {
    **dict.fromkeys(("convolution", "convolution_pool", "depthwise", "gemm", "affine_gemm", "gated_gemm"), "convolution"),
    "pointwise_depthwise": "convolution",
    **dict.fromkeys(("gemm_int8", "gemm_int8_float", "convolution_int8", "depthwise_int8"), "convolution"),
    **dict.fromkeys(("quantize", "dequantize", "lookup"), "element-wise"),
    **dict.fromkeys(("pool", "reduce", "resize", "softmax", "normalize", "local_response_norm"), "other"),
    **dict.fromkeys(("affine", "binary", "binary_constant"), "element-wise"),
    "gather": "data movement",
}


def category_of(operator: str) -> Category:
    """The category of an operator of `aten` or of graphs, or of a kernel; pools, products and what we do not know are "other".

    Example:
        >>> [category_of(name) for name in ("convolution", "cat", "relu_", "addmm")]
        ['convolution', 'data movement', 'element-wise', 'other']
    """
    found = OF_TORCH.get(operator) or _OF_KERNELS.get(operator) or _OF_GRAPHS.get(operator)
    return found or ("element-wise" if _is_pointwise(operator) else "other")


def _is_pointwise(operator: str) -> bool:
    """Whether torch says that it computes each element by itself."""
    import torch

    packet = getattr(torch.ops.aten, operator, None)
    return packet is not None and any(torch.Tag.pointwise in getattr(packet, name).tags for name in packet.overloads())
