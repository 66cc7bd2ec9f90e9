"""Steps of bytes give Python's bits in JavaScript, by either way of multiplying weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shufflekit.graph import Graph
from shufflekit.graph.ops.activations import LeakyRelu, Relu
from shufflekit.graph.ops.conv import Conv
from shufflekit.graph.ops.linear import Linear
from shufflekit.graph.ops.pools import MaxPool
from tests.plan.lowering.test_int8 import Net

pytest.importorskip("shufflekit._native", reason="the compiled part is not built")

from shufflekit.plan.build import build
from shufflekit.runtime import Engine

# Of 7 bits, as low and as high as they may be too, and of 8.
RANGES = {"seven": (-64, 64), "lowest": (-64, -63), "highest": (63, 64), "one_more": (64, 65), "eight": (-128, 128)}


def networks(weights: tuple[int, int]) -> Iterator[Graph]:
    """Depths, rows and pixels around whole vectors, tiles and blocks."""
    for depth, rows, groups, height, width in (
        (9, 15, 3, 7, 11),
        (4, 5, 1, 1, 64),
        (33, 2, 1, 13, 15),
        (10, 12, 2, 1, 2),
        (8, 3, 1, 5, 13),
        (7, 6, 1, 7, 7),
        (4, 9, 1, 2, 13),
        (5, 8, 1, 3, 43),
    ):
        net = Net(depth, height, width)
        net.range = weights
        y = net.grid(net.product(net.x, rows, groups=groups, activation=Relu()), 0.3)
        z = net.grid(net.product(y, rows, residual=y), 0.3)
        yield net.done(net.product(z, rows, activation=LeakyRelu(0.3)))
    for groups, kernel, stride, rows in ((1, 3, 1, 7), (2, 3, 2, 10), (6, 3, 1, 6), (6, 3, 2, 6), (6, 5, 1, 6), (6, 5, 3, 6)):
        net = Net(6, 12, 17)
        net.range = weights
        y = net.product(net.x, rows, kernel, groups, stride=(stride, stride), padding=(kernel // 2,) * 4)
        yield net.done(net.grid(y, 0.3))
    for height, width in ((1, 1), (7, 7), (4, 16), (2, 33)):  # whole planes of windows of 3x3
        net = Net(12, height, width)
        net.range = weights
        y = net.grid(net.product(net.x, 12, 3, 12, padding=(1,) * 4), 0.3)
        yield net.done(net.grid(net.product(y, 12, 3, 12, padding=(1,) * 4, residual=y), 0.3))
    for height, width in ((2, 4), (14, 14), (6, 34), (4, 64)):  # the same at stride 2, and maxima
        net = Net(5, height, width)
        net.range = weights
        half = net.grid(net.product(net.x, 5, 3, 5, stride=(2, 2), padding=(1,) * 4), 0.3)
        y = net.product(net.x, 5, 3, 5, stride=(2, 2), padding=(1,) * 4, residual=half)
        pooled = net.node(MaxPool((3, 3), (2, 2), (1, 1, 1, 1)), net.x)
        yield net.done(net.grid(net.product(pooled, 5, residual=net.grid(y, 0.3)), 0.3))
    net = Net(6, 9, 9)  # sums beyond those that float32 has exactly
    net.range = weights
    bias = net.constant("bias", 2500 * net.random.standard_normal(6))
    y = net.node(Conv(groups=6, padding=(1,) * 4), net.x, net.weights(net.x, (6, 1, 3, 3), 6), bias)
    yield net.done(net.grid(y, 20))
    net = Net(37)
    net.range = weights
    bias = net.constant("bias", net.random.standard_normal(21))
    yield net.done(net.node(Linear(), net.x, net.weights(net.x, (21, 37)), bias))


@pytest.mark.parametrize("weights", RANGES)
def test_every_kernel_gives_pythons_bits(javascript: Callable[[str], list[Any]], plans: Path, weights: str) -> None:
    needed = []
    for number, graph in enumerate(networks(RANGES[weights])):
        x = 40 * np.random.default_rng(number).standard_normal((1, *graph.values["x"].sizes)).astype(np.float32)
        engine = Engine(build(graph).to_bytes())
        engine.save(plans / f"bytes{number}.plan")
        x.tofile(plans / f"bytes{number}.x")
        needed.append(engine(x).reshape(-1))
        assert len(np.unique(needed[-1])) > 4
    (found,) = javascript(f"""
        const all = {{}};
        for (const instructionSet of ["simd128", "relaxed"]) {{
            all[instructionSet] = [];
            for (let i = 0; i < {len(needed)}; ++i) {{
                const net = await sk.load(`${{plans}}/bytes${{i}}.plan`, {{ instructionSet }});
                all[instructionSet].push(Array.from(net.run(new Float32Array(await bytes(`bytes${{i}}.x`)))));
            }}
        }}
        return all;""")
    for instruction_set, outputs in found.items():
        for number, (output, right) in enumerate(zip(outputs, needed, strict=True)):
            np.testing.assert_array_equal(np.array(output, np.float32), right, f"{instruction_set}, network {number}")
