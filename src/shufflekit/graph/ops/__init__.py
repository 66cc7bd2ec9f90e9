"""All operators of a graph, a file for each idea; none needs torch."""

from __future__ import annotations

from shufflekit.graph.operator import Operator
from shufflekit.graph.ops.activations import Clamp, Hardsigmoid, Hardswish, LeakyRelu, Relu, Relu6, Sigmoid, Silu
from shufflekit.graph.ops.arithmetic import Add, Div, Mul, Sub
from shufflekit.graph.ops.conv import Conv
from shufflekit.graph.ops.expand import Expand
from shufflekit.graph.ops.linear import Linear
from shufflekit.graph.ops.moves import Concat, Permute, Reshape, Slice, Take
from shufflekit.graph.ops.norms import Affine, BatchNorm, LocalResponseNorm
from shufflekit.graph.ops.pad import Pad
from shufflekit.graph.ops.pools import AdaptiveAvgPool, AdaptiveMaxPool, AvgPool, MaxPool, Mean
from shufflekit.graph.ops.repeat import Repeat
from shufflekit.graph.ops.resize import Resize
from shufflekit.graph.ops.softmax import Softmax

OPERATORS: tuple[type[Operator], ...] = (
    *(Conv, Linear),
    *(BatchNorm, Affine, LocalResponseNorm, Softmax),
    *(MaxPool, AvgPool, AdaptiveAvgPool, AdaptiveMaxPool, Mean, Resize),
    *(Relu, Relu6, Hardsigmoid, Hardswish, Sigmoid, Silu, LeakyRelu, Clamp),
    *(Add, Sub, Mul, Div),
    *(Pad, Reshape, Permute, Slice, Take, Concat, Expand, Repeat),
)
