"""Random small graphs, for hypothesis: convolutions of all kinds, and what makes their widths agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

from shufflekit.graph import BATCH, Builder, Graph, Node, Operator
from shufflekit.graph.ops.activations import PRelu, Relu, Sigmoid
from shufflekit.graph.ops.arithmetic import Add, Mul
from shufflekit.graph.ops.conv import Conv
from shufflekit.graph.ops.conv_transpose import ConvTranspose
from shufflekit.graph.ops.expand import Expand
from shufflekit.graph.ops.linear import Linear
from shufflekit.graph.ops.moves import Concat, Permute, Reshape, Slice
from shufflekit.graph.ops.norms import BatchNorm, LocalResponseNorm, Normalize
from shufflekit.graph.ops.pools import MaxPool
from shufflekit.graph.ops.reductions import Amax, Mean
from shufflekit.graph.ops.softmax import Softmax

SIDE = 6


@dataclass
class Drawing:
    """A graph in the making, whose values are all maps of the same sides."""

    draw: Callable
    builder: Builder = field(default_factory=Builder)
    maps: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(0)
        self.maps.append(self.builder.input("x", (BATCH, 3, SIDE, SIDE)))

    def node(self, operator: Operator, *inputs: str | np.ndarray) -> str:
        name = f"{operator.name}_{len(self.builder.nodes)}"
        read = [x if isinstance(x, str) else self.builder.constant(f"{name}.{i}", x) for i, x in enumerate(inputs)]
        return self.builder.add(Node(operator, name, "", tuple(read), name))

    def normal(self, *shape: int) -> np.ndarray:
        return self.random.standard_normal(shape, np.float32)

    def channels(self, value: str) -> int:
        return self.builder.values[value].sizes[0]

    def pick(self) -> str:
        return self.maps[-1 - self.draw(st.integers(0, min(3, len(self.maps) - 1)))]

    def conv(self, x: str, width: int, groups: int = 1, kernel: int = 1) -> str:
        shape = (width, self.channels(x) // groups, kernel, kernel)
        weight = self.normal(*shape) / np.sqrt(np.prod(shape[1:]))
        return self.node(Conv(padding=(kernel // 2,) * 4, groups=groups), x, weight, self.normal(width))

    def pointwise(self) -> str:
        x = self.pick()
        groups = self.draw(st.sampled_from([g for g in (1, 2, 3) if self.channels(x) % g == 0]))
        return self.conv(x, groups * self.draw(st.integers(1, 5)), groups)

    def depthwise(self) -> str:
        x = self.pick()
        return self.conv(x, self.channels(x) * self.draw(st.integers(1, 2)), self.channels(x), 3)

    def norm(self) -> str:
        x = self.pick()
        return self.node(BatchNorm(), x, *(self.random.uniform(0.5, 1.5, self.channels(x)) for _ in range(4)))

    def activation(self) -> str:
        x = self.pick()
        return self.node(self.draw(st.sampled_from([Relu(), PRelu((0.1,) * self.channels(x))])), x)

    def add(self) -> str:
        x = self.pick()
        same = [y for y in self.maps if self.channels(y) == self.channels(x)]
        return self.node(Add(), x, self.draw(st.sampled_from(same)))

    def times_constant(self) -> str:
        x = self.pick()
        return self.node(Mul(), x, self.normal(self.channels(x), 1, 1))

    def concat(self) -> str:
        return self.node(Concat(1), self.pick(), self.pick())

    def split(self) -> str:
        x = self.pick()
        cut = self.draw(st.integers(1, self.channels(x)))
        return self.node(Slice(1, *self.draw(st.sampled_from([(0, cut), (cut - 1, self.channels(x))]))), x)

    def shuffle(self) -> str:
        x = self.pick()
        count = self.channels(x)
        groups = self.draw(st.sampled_from([g for g in (2, 3, 4, count) if count % g == 0]))
        taken = self.node(Reshape((BATCH, groups, count // groups, SIDE, SIDE)), x)
        return self.node(Reshape((BATCH, count, SIDE, SIDE)), self.node(Permute((0, 2, 1, 3, 4)), taken))

    def gate(self) -> str:
        x = self.pick()
        mean = self.node(Mean((2, 3), True), x)
        return self.node(Mul(), x, self.node(Sigmoid(), self.conv(self.conv(mean, 2), self.channels(x))))

    def transposed(self) -> str:
        x = self.pick()
        groups = self.draw(st.sampled_from([1, self.channels(x)]))
        each = self.draw(st.integers(1, 3))
        operator = ConvTranspose((1, 1), (1, 1, 1, 1), groups=groups)
        return self.node(operator, x, self.normal(self.channels(x), each, 3, 3) / 3, self.normal(groups * each))

    def linear(self) -> str:
        """Of the channels, which are last meanwhile."""
        last = self.node(Permute((0, 2, 3, 1)), self.pick())
        weight = self.normal(self.draw(st.integers(1, 5)), self.builder.values[last].sizes[-1])
        return self.node(Permute((0, 3, 1, 2)), self.node(Linear(), last, weight))

    def every_second(self) -> str:
        x = self.pick()
        start = self.draw(st.integers(0, 1))
        return self.node(Slice(1, start, self.channels(x), 2), x) if self.channels(x) > 1 else x

    def middle(self) -> str:
        x = self.pick()
        start = self.draw(st.integers(0, self.channels(x) - 1))
        return self.node(Slice(1, start, self.draw(st.integers(start + 1, self.channels(x)))), x)

    def rows(self) -> str:
        x = self.pick()
        return self.node(Concat(2), self.node(Slice(2, 2, SIDE), x), self.node(Slice(2, 0, 2), x))

    def normalize(self) -> str:
        x = self.pick()
        dims = self.draw(st.sampled_from([(1,), (1, 2, 3), (2, 3)]))
        return self.node(Normalize(dims, 0.1), x, *(self.normal(1, self.channels(x), 1, 1) for _ in range(2)))

    def expanded(self) -> str:
        x = self.pick()
        wide = self.node(Expand((BATCH, self.channels(x), SIDE, SIDE)), self.node(Mean((2, 3), True), x))
        return self.node(Add(), x, wide)

    def times_one_map(self) -> str:
        x = self.pick()
        mean = self.node(self.draw(st.sampled_from([Mean((1,), True), Amax((1, 2), True)])), x)
        return self.node(Mul(), *self.draw(st.permutations([x, mean])))

    def times_a_row(self) -> str:
        return self.node(Mul(), self.pick(), self.normal(SIDE, 1))

    def softmax(self) -> str:
        return self.node(self.draw(st.sampled_from([Softmax(1), LocalResponseNorm(3)])), self.pick())

    def pool(self) -> str:
        return self.node(MaxPool((3, 3), (1, 1), (1, 1, 1, 1)), self.pick())


STEPS = (
    *("pointwise", "depthwise", "norm", "activation", "add", "times_constant", "concat", "split", "shuffle", "gate", "pool"),
    *(
        "transposed",
        "linear",
        "every_second",
        "middle",
        "rows",
        "normalize",
        "expanded",
        "times_one_map",
        "times_a_row",
        "softmax",
    ),
)


@st.composite
def graphs(draw: Callable) -> Graph:
    drawing = Drawing(draw)
    drawing.maps += [drawing.conv("x", draw(st.integers(2, 8))) for _ in range(2)]
    for step in draw(st.lists(st.sampled_from(STEPS), min_size=3, max_size=10)):
        drawing.maps.append(getattr(drawing, step)())
    whole = drawing.node(Concat(1), drawing.maps[-1], drawing.pick())
    pooled = drawing.node(Mean((2, 3)), whole)
    weight = drawing.normal(4, drawing.channels(whole))
    return drawing.builder.graph([drawing.node(Linear(), pooled, weight, drawing.normal(4))])
