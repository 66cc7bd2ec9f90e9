"""A small graph for each operator, for the ways out: what computes it elsewhere must give what the graph means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from shufflekit.graph import BATCH, Builder, Graph, Node, Operator
from shufflekit.graph.ops import OPERATORS
from shufflekit.graph.ops.activations import (
    Activation,
    Celu,
    Clamp,
    Cos,
    Elu,
    Exp,
    Gelu,
    LeakyRelu,
    Log,
    Power,
    PRelu,
    Relu,
    Rsqrt,
    Selu,
    Sign,
    Sin,
    Softplus,
    Sqrt,
    Threshold,
)
from shufflekit.graph.ops.arithmetic import Add, Arithmetic, Mul, Pow
from shufflekit.graph.ops.comparisons import Drop, Equal, Keep, Less
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
from shufflekit.graph.ops.recurrent import Cell, Recurrent
from shufflekit.graph.ops.reductions import Amax, Amin, Mean, Norm, Prod, Sum
from shufflekit.graph.ops.repeat import Repeat
from shufflekit.graph.ops.resample import Resample, taps
from shufflekit.graph.ops.resize import Resize
from shufflekit.graph.ops.softmax import LogSoftmax, Softmax
from shufflekit.graph.ops.suppress import Suppress
from shufflekit.graph.ops.top_k import TopK

MAP = (4, 6, 8)  # of one image
_POSITIVE = (Log, Sqrt, Rsqrt, Power, Pow)

# What each reads beside x of (N, *MAP): shapes of constants; a text is a value again.
_ATTRIBUTED: list[tuple[Operator, tuple[tuple[int, ...] | str, ...]]] = [
    (Conv((2, 1), (1, 0, 2, 1), (1, 2), 2), ((6, 2, 3, 3), (6,))),
    (Conv(padding=(1, 1, 1, 1), groups=4), ((4, 1, 3, 3),)),
    (ConvTranspose((2, 2), (1, 0, 0, 1), (1, 0), (1, 1), 2), ((4, 3, 3, 3), (6,))),
    (Linear(), ((5, 8), (5,))),
    (MatMul(0.5), ("transposed",)),
    (BatchNorm(1e-3), ((4,), (4,), (4,), (4,))),
    (Affine(), ((4,), (4,))),
    (Normalize((1, 3), 1e-3), ((1, 4, 1, 8), (1, 4, 1, 8))),
    (Normalize((1,), 1e-3, centred=False), ((1, 4, 1, 1), (1, 1, 1, 1))),
    (LocalResponseNorm(3, 0.5), ()),
    (Softmax(1), ()),
    (LogSoftmax(3), ()),
    (MaxPool((3, 2), (2, 2), (1, 0, 1, 0), ceil_mode=True), ()),
    (MaxPool((2, 2), (1, 1), (0, 1, 1, 0), dilation=(2, 1)), ()),
    (AvgPool((3, 3), (2, 2), (1, 1, 1, 1)), ()),
    (AvgPool((3, 3), (1, 1), (1, 1, 1, 1), count_include_pad=False), ()),
    (AvgPool((2, 3), (1, 2), (1, 0, 0, 2)), ()),
    (AdaptiveAvgPool((3, 2)), ()),
    (AdaptiveMaxPool((1, 1)), ()),
    (Resize("nearest", False, (0.5, 2.0), (12, 4)), ()),
    (Resize("bilinear", False, (6 / 9, 8 / 5), (9, 5)), ()),
    (Resize("bilinear", True, (5 / 8, 7 / 3), (9, 4)), ()),
    (Resize("bilinear", True, (0.0, 7 / 3), (1, 4)), ()),
    *(
        (kind((1, 3), keepdim), ())
        for kind, keepdim in ((Mean, True), (Sum, False), (Amax, False), (Amin, True), (Prod, False))
    ),
    (Norm((2, 3), False, 1), ()),
    (Norm((1,), True, 2), ()),
    *((Clamp(*bounds), ()) for bounds in ((-0.5, 0.25), (0.1, np.inf), (-np.inf, 0.2), (-np.inf, np.inf))),
    (Threshold(0.2, -1.0), ()),
    (LeakyRelu(0.3), ()),
    (PRelu((0.1, -0.5, 2.0, 0.0)), ()),
    *((Elu(0.7), ()), (Celu(0.7), ()), (Selu(), ()), (Selu(1.5, 0.5), ())),
    *((Gelu(), ()), (Gelu("tanh"), ()), (Softplus(2.0, 1.0), ()), (Softplus(), ()), (Power(1.7), ())),
    *((TopK(*options), ()) for options in ((1, 2), (2, 6), (3, 3, True))),
    *((kind(), ()) for kind in (Sin, Cos, Sign)),
    *((Position(*options), ()) for options in ((1,), (2, True, True), (3, False, False, True), (1, True, True, True))),
    (Pad((0, 1, 0, 2), (0, 0, 3, 1), 0.5), ()),
    (Reshape((BATCH, 2, 2, 48)), ()),
    (Permute((0, 2, 1, 3)), ()),
    (Slice(3, 1, 8, 3), ()),
    (Take(1, (3, 0, 0)), ()),
    (Concat(2), ("x",)),
    (FakeQuantize((0.05,), (100,)), ()),
    (FakeQuantize((0.05, 0.1, 0.2, 0.01), (100, 0, 255, 128)), ()),
]
_PLAIN = [kind() for kind in OPERATORS if issubclass(kind, Activation) and kind not in {type(each) for each, _ in _ATTRIBUTED}]
CASES = [
    *_ATTRIBUTED,
    *((operator, ()) for operator in _PLAIN),
    *(
        (kind(), (shape,))
        for kind in OPERATORS
        if issubclass(kind, Arithmetic)
        for shape in ((1, 6, 1), "x")
        if kind is not Pow or shape != "x"
    ),
]


def graph_of(operator: Operator, others: Sequence[tuple[int, ...] | str], residual: bool = False) -> Graph:
    """The operator alone; with a residual, it is that of its own result's shape and relu ends it."""
    builder, random = Builder(), np.random.default_rng(0)
    x = builder.input("x", (BATCH, *MAP))
    if isinstance(operator, _POSITIVE):
        x = builder.add(Node(Exp(), "exp", "", (x,), "exp"))
    reads = [x]
    for number, each in enumerate(others):
        if each == "transposed":
            reads.append(builder.add(Node(Permute((0, 1, 3, 2)), "t", "", (x,), "t")))
        elif isinstance(each, str):
            reads.append(builder.add(Node(Mul(), "twice", "", (x, builder.constant("two", np.array(1.5))), "twice")))
        else:
            reads.append(builder.constant(f"c.{number}", random.uniform(0.5, 1.5, each)))
    node = Node(operator, "y", "", tuple(reads), "y")
    if residual:
        node = replace(node, residual=x, activation=Relu())
    return builder.graph([builder.add(node)])


def others() -> list[Graph]:
    """What needs another input: repeated sizes, a constant for each image, and a sum and an activation that end a node."""
    builder = Builder()
    x = builder.input("x", (BATCH, *MAP))
    low = builder.add(Node(Less(), "low", "", (x, builder.constant("bound", np.array(0.2))), "low"))
    masked = [builder.add(Node(kind(), kind.name, "", (low, x), kind.name)) for kind in (Keep, Drop)]
    masked.append(builder.add(Node(Equal(), "equal", "", (low, builder.constant("one", np.array(1.0))), "equal")))
    places, weights = taps(np.linspace(-0.5, 6, 9), 6, "cubic")
    sampled = (x, builder.constant("places", places), builder.constant("weights", weights))
    masked.append(builder.add(Node(Resample(2), "sampled", "", sampled, "sampled")))
    ranked = builder.add(Node(TopK(2, 3), "ranked", "", (x,), "ranked"))
    one_row = builder.add(Node(Slice(2, 1, 2), "row", "", (ranked,), "row"))
    masked += [builder.add(Node(Pick(2), f"of_{each}", "", (x, each), f"of_{each}")) for each in (ranked, one_row, x)]
    grid = builder.add(Node(Reshape((BATCH, 12, 8, 2)), "grid", "", (x,), "grid"))
    for number, sample in enumerate(
        (GridSample("linear"), GridSample("cubic", "border"), GridSample("nearest", "reflection", True))
    ):
        masked.append(builder.add(Node(sample, f"warped_{number}", "", (x, grid), f"warped_{number}")))
    mean = builder.add(Node(Mean((2, 3), True), "mean", "", (x,), "mean"))
    wide = builder.add(Node(Expand((BATCH, 4, 3, 2)), "wide", "", (mean,), "wide"))
    token = builder.constant("token", np.arange(24.0).reshape(1, 4, 3, 2))
    every = builder.add(Node(Repeat(), "every", "", (token, x), "every"))
    total = builder.add(Node(Add(), "sum", "", (wide, every), "sum"))
    weight = np.random.default_rng(0).standard_normal((4, 4, 1, 1))
    return [builder.graph([total, x, *masked]), graph_of(Conv(), [weight.shape], residual=True)]


def suppressed() -> Graph:
    """Six boxes of four classes, whose corners are as random as their scores."""
    builder = Builder()
    x = builder.input("x", (BATCH, 8, 6))
    boxes = builder.add(
        Node(Permute((0, 2, 1)), "boxes", "", (builder.add(Node(Slice(1, 0, 4), "a", "", (x,), "a")),), "boxes")
    )
    scores = builder.add(Node(Slice(1, 4, 8), "scores", "", (x,), "scores"))
    return builder.graph([builder.add(Node(Suppress(3, 0.2, -0.5), "y", "", (boxes, scores), "y"))])


def recurrent(cell: Cell, reverse: bool) -> Graph:
    """A layer of 5 states over 4 moments."""
    gates = {"lstm": 20}.get(cell, 15)
    builder, random = Builder(), np.random.default_rng(0)
    x = builder.input("x", (BATCH, 4, gates))
    weights = [builder.constant(f"c.{i}", random.standard_normal(shape)) for i, shape in enumerate(((gates, 5), (gates,)))]
    return builder.graph([builder.add(Node(Recurrent(cell, reverse), "y", "", (x, *weights), "y"))])
