"""All operators of a graph, a file for each idea; none needs torch."""

from __future__ import annotations

from shufflekit.graph.operator import Operator
from shufflekit.graph.ops.activations import (
    Abs,
    Ceil,
    Celu,
    Clamp,
    Cos,
    Elu,
    Erf,
    Exp,
    Floor,
    Gelu,
    Hardsigmoid,
    Hardswish,
    LeakyRelu,
    Log,
    LogSigmoid,
    Mish,
    Power,
    PRelu,
    Reciprocal,
    Relu,
    Relu6,
    Round,
    Rsqrt,
    Selu,
    Sigmoid,
    Sign,
    Silu,
    Sin,
    Softplus,
    Sqrt,
    Tanh,
    Threshold,
)
from shufflekit.graph.ops.arithmetic import Add, Div, Maximum, Minimum, Mul, Pow, Sub
from shufflekit.graph.ops.comparisons import AtMost, Drop, Equal, Keep, Less
from shufflekit.graph.ops.conv import Conv
from shufflekit.graph.ops.conv_transpose import ConvTranspose
from shufflekit.graph.ops.expand import Expand
from shufflekit.graph.ops.grid_sample import GridSample
from shufflekit.graph.ops.linear import Linear
from shufflekit.graph.ops.matmul import MatMul
from shufflekit.graph.ops.moves import Concat, Permute, Reshape, Slice, Take
from shufflekit.graph.ops.norms import Affine, BatchNorm, LocalResponseNorm, Normalize
from shufflekit.graph.ops.pad import Pad
from shufflekit.graph.ops.pick import Pick
from shufflekit.graph.ops.pools import AdaptiveAvgPool, AdaptiveMaxPool, AvgPool, MaxPool
from shufflekit.graph.ops.position import Position
from shufflekit.graph.ops.quantize import FakeQuantize
from shufflekit.graph.ops.recurrent import Recurrent
from shufflekit.graph.ops.reductions import Amax, Amin, Mean, Norm, Prod, Sum
from shufflekit.graph.ops.repeat import Repeat
from shufflekit.graph.ops.resample import Resample
from shufflekit.graph.ops.resize import Resize
from shufflekit.graph.ops.softmax import LogSoftmax, Softmax
from shufflekit.graph.ops.suppress import Suppress
from shufflekit.graph.ops.top_k import TopK

OPERATORS: tuple[type[Operator], ...] = (
    *(Conv, ConvTranspose, Linear, MatMul, Recurrent),
    *(BatchNorm, Affine, Normalize, LocalResponseNorm, Softmax, LogSoftmax),
    *(MaxPool, AvgPool, AdaptiveAvgPool, AdaptiveMaxPool, Resize, Resample, GridSample),
    *(Mean, Sum, Amax, Amin, Prod, Norm, Position, TopK, Suppress),
    *(Relu, Relu6, Clamp, Threshold, LeakyRelu, PRelu, Elu, Celu, Selu, Gelu, Silu, Mish, Hardswish),
    *(Sigmoid, Hardsigmoid, LogSigmoid, Tanh, Softplus, Erf),
    *(Exp, Log, Power, Sqrt, Rsqrt, Reciprocal, Abs, Floor, Ceil, Round, Sin, Cos, Sign),
    *(Add, Sub, Mul, Div, Minimum, Maximum, Pow, Equal, Less, AtMost, Keep, Drop),
    FakeQuantize,
    *(Pad, Reshape, Permute, Slice, Take, Concat, Expand, Repeat, Pick),
)
