"""Which planes values hold, and which of them are bytes."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from shufflekit.graph import BATCH, Builder, Node, interpret, simplify
from shufflekit.graph.from_torch import capture
from shufflekit.graph.ops.moves import Concat
from shufflekit.graph.ops.repeat import Repeat
from shufflekit.quantize.places import in_bytes, is_product, opened, planes_of
from tests.graph.rewrites.networks import Of
from tests.quantize.networks import images, mixed


def test_only_what_a_product_in_bytes_ends_with_stays_in_it() -> None:
    graph = mixed()
    found = opened(graph)
    ends = {node.activation.name for node in found.nodes if node.activation is not None and is_product(node, found)}
    assert ends == {"relu"}
    assert {"silu", "sigmoid"} <= {node.op for node in found.nodes}
    x = images(2)
    np.testing.assert_allclose(interpret(found, x)[0], interpret(graph, x)[0], rtol=1e-5, atol=1e-6)


def test_a_linear_layer_of_vectors_is_a_product_and_one_of_tokens_is_none() -> None:
    for forward, products in ((lambda x, a: a(x.mean((2, 3))), ["linear"]), (lambda x, a: a(x.flatten(2).mT), [])):
        graph = simplify(capture(Of(forward, nn.Linear(3, 5)), (1, 3, 4, 4)))
        assert [node.op for node in graph.nodes if is_product(node, graph)] == products


def test_planes_are_followed_through_split_shuffle_and_pool() -> None:
    def forward(x):
        x = nn.functional.max_pool2d(x, 2)
        x = torch.cat([x[:, 3:], x[:, :3]], 1)
        return x.view(-1, 2, 3, 4, 5).transpose(1, 2).reshape(-1, 6, 4, 5).exp()

    graph = capture(Of(forward), (1, 6, 8, 10))
    planes = planes_of(graph)
    (exp,) = (node for node in graph.nodes if node.op == "exp")
    np.testing.assert_array_equal(planes.of[exp.inputs[0]], np.array([3, 4, 5, 0, 1, 2]).reshape(2, 3).T.reshape(-1))
    assert planes.own(exp.output) == slice(6, 12)
    assert planes.count == 12


def test_a_flattened_map_holds_each_plane_often() -> None:
    graph = simplify(capture(nn.Sequential(nn.Conv2d(3, 2, 1), nn.Flatten(), nn.Linear(8, 3)), (1, 3, 2, 2)))
    (linear,) = (node for node in graph.nodes if node.op == "linear")
    np.testing.assert_array_equal(planes_of(graph).of[linear.inputs[0]], [3, 3, 3, 3, 4, 4, 4, 4])


def test_a_channel_that_mixes_planes_has_none() -> None:
    graph = simplify(capture(Of(lambda x: x.transpose(1, 2).exp()), (1, 3, 2, 4)))
    planes = planes_of(graph)
    (exp,) = (node for node in graph.nodes if node.op == "exp")
    np.testing.assert_array_equal(planes.of[exp.inputs[0]], [-1, -1])
    np.testing.assert_array_equal(planes.of[exp.output], [3, 4])


def test_constants_are_no_planes() -> None:
    builder = Builder()
    x = builder.input("x", (BATCH, 2, 4, 4))
    ones = builder.constant("ones", np.ones((1, 1, 4, 4), np.float32))
    repeated = builder.add(Node(Repeat(), "ones", "", (ones, x), "repeated"))
    graph = builder.graph([builder.add(Node(Concat(1), "y", "", (x, repeated), "y"))])
    assert planes_of(graph).of["y"].tolist() == [0, 1, -1]


def test_what_only_float_steps_read_stays_float() -> None:
    graph = opened(mixed())
    by_module = {node.module: node for node in graph.nodes if is_product(node, graph)}
    last = in_bytes(graph, {by_module[name].name for name in ("dense", "gate", "head")})
    assert by_module["head"].output not in last, "an output is handed out in float32"
    assert by_module["dense"].output in last, "gates and means compute on bytes where a product reads them"
    assert by_module["grouped"].output in last
    assert not {by_module["stem"].output, graph.inputs[0]} & last
    shuffled = in_bytes(graph, {by_module["grouped"].name})
    assert by_module["stem"].output in shuffled, "what is moved or pooled is bytes before and behind"
    assert by_module["grouped"].output not in shuffled
