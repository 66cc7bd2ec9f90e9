"""Networks rounded to bytes: near what they were, on the engine as in numpy, and by whose word."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from shufflekit.errors import UsageError
from shufflekit.graph import BATCH, Builder, Node, interpret
from shufflekit.graph.ops.activations import Sigmoid
from shufflekit.graph.ops.arithmetic import Add
from shufflekit.graph.ops.conv import Conv
from shufflekit.graph.ops.moves import Permute
from shufflekit.graph.ops.quantize import FakeQuantize
from shufflekit.plan.build import build
from shufflekit.quantize import quantize
from shufflekit.quantize.quantize import batches_of
from shufflekit.quantize.rounding import round_weights, study
from shufflekit.runtime import Engine
from tests.quantize.networks import decibels, images, mixed, uneven

PRODUCTS = ["stem", "pointwise", "depthwise", "grouped", "dense", "gate", "head"]


@pytest.fixture(scope="module")
def rounded():
    return quantize(mixed(), images(24))


def test_a_rounded_network_is_near_the_network(rounded) -> None:
    graph, found = rounded
    x = images(16, seed=1)
    (right,), (y,) = interpret(mixed(), x), interpret(graph, x)
    assert decibels(right, y) > 25
    assert set(found.outputs) == set(graph.outputs)
    assert found.outputs[graph.outputs[0]] > decibels(right, y) - 1, "measured on images that it was made of"
    assert found.warning == ""


def test_the_engine_computes_what_the_graph_says(rounded) -> None:
    graph, _ = rounded
    x = images(16, seed=2)
    (expected,), found = interpret(graph, x), Engine(build(graph).to_bytes())(x)
    assert decibels(expected, found) > 35, "a sum that lies at the middle of two numbers may go to either"


def test_all_steps_are_told_of_by_the_names_of_their_modules(rounded) -> None:
    _, found = rounded
    names = [step.name for step in found.steps]
    assert [name for name in names if name in PRODUCTS] == PRODUCTS
    assert all(20 < step.alone < 90 and 15 < step.whole < 90 and not step.kept for step in found.steps)
    by_name = {step.name: step for step in found.steps}
    assert by_name["stem"].whole == pytest.approx(by_name["stem"].alone, abs=0.01), "nothing before it is rounded but the input"
    assert by_name["head"].whole < by_name["head"].alone


def test_every_weight_lies_on_its_grid(rounded) -> None:
    graph, _ = rounded
    assert len(graph.grids) == len(PRODUCTS)
    for name, grid in graph.grids.items():
        whole = graph.constants[name] / grid
        np.testing.assert_allclose(whole, np.rint(whole), atol=1e-3)
        assert 60 < np.abs(np.rint(whole)).max() <= 127


def test_the_scale_of_a_row_is_one_number_times_those_of_its_inputs_planes(rounded) -> None:
    graph, _ = rounded
    (stem,) = (node for node in graph.nodes if node.module == "stem")
    (grid,) = (node.operator for node in graph.nodes if node.output == stem.inputs[0])
    assert isinstance(grid, FakeQuantize)
    rows = graph.grids[stem.inputs[1]] * np.array(grid.scale, np.float32)[:, None, None]
    np.testing.assert_allclose(rows, np.broadcast_to(rows[:, :1], rows.shape), rtol=1e-5)
    bias = graph.constants[stem.inputs[2]] / rows[:, 0, 0, 0]
    np.testing.assert_allclose(bias, np.rint(bias), atol=1e-2)


def test_scales_are_balanced_and_rounding_is_learnt() -> None:
    x = images(24)
    seen, graph = study(uneven(mixed()), [[x]]), quantize(uneven(mixed()), x)[0]
    (stem,) = (node for node in seen.graph.nodes if node.module == "stem")
    (grid,) = (node.operator for node in graph.nodes if node.output == f"{stem.output}.bytes")
    own = seen.scales.scale[seen.of(stem.output)]
    assert (np.array(grid.scale) / own).max() > 1.1, "some planes are as fine as their range allows, others need not be"
    (dense,) = (node for node in seen.products if node.module == "dense")
    found = round_weights(seen, dense, 8)
    folded = seen.graph.constants[dense.inputs[1]] * found.input_scale / found.scale.reshape(-1, 1, 1, 1)
    assert 0.01 < (np.rint(folded) != found.whole).mean() < 0.7


def test_what_mixes_planes_is_read_as_it_is() -> None:
    """A step that reads turned planes, of ranges far apart, loses what its own result loses."""
    builder, random = Builder(), np.random.default_rng(0)
    x = builder.input("x", (BATCH, 3, 6, 6))
    rows = np.array([1, 1, 1, 1000]).reshape(4, 1, 1, 1)
    first = builder.constant("first", random.standard_normal((4, 3, 1, 1)) * rows)
    x = builder.add(Node(Conv(), "first", "first", (x, first), "a"))
    x = builder.add(Node(Permute((0, 2, 1, 3)), "turned", "", (x,), "turned"))
    x = builder.add(Node(Sigmoid(), "sigmoid", "", (x,), "gates"))
    second = builder.constant("second", random.standard_normal((2, 6, 1, 1)))
    graph = builder.graph([builder.add(Node(Conv(), "second", "second", (x, second), "y"))])
    _, found = quantize(graph, images(24, (3, 6, 6)))
    alone = {step.name: step.alone for step in found.steps}
    assert alone["sigmoid"] > 40
    assert min(alone.values()) > 30


def test_seven_bits_lose_more(rounded) -> None:
    graph, found = quantize(mixed(), images(24), weight_bits=7)
    assert found.weight_bits == 7
    assert max(np.abs(np.rint(graph.constants[name] / grid)).max() for name, grid in graph.grids.items()) == 63
    lost = [np.mean([step.alone for step in each.steps if step.name in PRODUCTS]) for each in (found, rounded[1])]
    assert lost[0] < lost[1]


def test_what_is_kept_is_as_it_was() -> None:
    graph, found = quantize(mixed(), images(8), keep=["dense", "head"])
    kept = {step.name: step.kept for step in found.steps if step.kept}
    assert kept == {"dense": "asked to be kept", "head": "asked to be kept"}
    assert len(graph.grids) == 5
    before = mixed()
    weights = {node.module: before.constants[node.inputs[1]] for node in before.nodes if node.op in ("conv", "linear")}
    for node in graph.nodes:
        if node.module in kept and node.op in ("conv", "linear"):
            np.testing.assert_array_equal(graph.constants[node.inputs[1]], weights[node.module])


def test_only_what_is_asked_for_is_rounded() -> None:
    graph, found = quantize(mixed(), images(8), only=["stem"])
    assert len(graph.grids) == 1
    assert sum(isinstance(node.operator, FakeQuantize) for node in graph.nodes) == 1, "of the input"
    assert {step.kept for step in found.steps if step.name != "stem"} == {"not among --only"}


def test_a_step_that_loses_too_much_stays_float() -> None:
    """Huge weights that cancel each other leave nothing to eight bits."""
    graph = mixed()
    (grouped,) = (node for node in graph.nodes if node.module == "pointwise")
    weights = graph.constants[grouped.inputs[1]].copy()
    weights[:, :2] += 1e4 * np.array([1, -1]).reshape(1, 2, 1, 1)
    (stem,) = (node for node in graph.nodes if node.module == "stem")
    twice = {name: graph.constants[name].copy() for name in stem.inputs[1:]}
    for each in twice.values():
        each[5] = each[4]  # the two planes that meet these weights are the same
    found = quantize(replace(graph, constants={**graph.constants, grouped.inputs[1]: weights, **twice}), images(24))[1]
    assert {step.name: step.kept for step in found.steps if step.kept} == {"pointwise": "loses more than 12 dB allow"}
    assert next(step.alone for step in found.steps if step.name == "pointwise") < 12
    assert min(found.outputs.values()) > 20


def test_rows_of_weights_that_are_nothing_beside_their_bias_stay_sound() -> None:
    graph = mixed()
    (stem,) = (node for node in graph.nodes if node.module == "stem")
    weights = graph.constants[stem.inputs[1]].copy()
    weights[:3] *= 1e-35
    found, told = quantize(replace(graph, constants={**graph.constants, stem.inputs[1]: weights}), images(8))
    assert min(told.outputs.values()) > 20
    (stem,) = (node for node in found.nodes if node.module == "stem")
    (scales,) = (np.array(node.operator.scale) for node in found.nodes if node.output == stem.inputs[0])
    rows = found.grids[stem.inputs[1]][:, 0, 0, 0] * scales[0]
    assert (np.abs(found.constants[stem.inputs[2]] / rows) < 2**24).all(), "sums fit in 32 bits"


def test_images_come_in_batches_or_as_tensors_too(rounded) -> None:
    graph, _ = rounded
    x = images(24)
    for given in ([x[:7], x[7:]], (torch.from_numpy(part) for part in (x[:20], x[20:])), torch.from_numpy(x)):
        again, told = quantize(mixed(), given)
        assert told.images == 24
        np.testing.assert_allclose(interpret(again, x[:2])[0], interpret(graph, x[:2])[0], atol=0.05)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (images(2, (3, 8, 8)), r"images must be \(N, 3, 24, 20\) float32 with N of 1 or more, found \(2, 3, 8, 8\) float32"),
        (images(2, (4, 24, 20)), r"found \(2, 4, 24, 20\) float32"),
        (images(2).astype(np.float64), r"found \(2, 3, 24, 20\) float64"),
        (images(0), r"found \(0, 3, 24, 20\) float32"),
        ([], "must have images to learn ranges from, found none"),
        (np.full((1, 3, 24, 20), np.nan, np.float32), "must be of numbers, found NaN or infinities"),
        ([(images(1), images(1))], "a batch must have 1 inputs, found 2"),
        ("photos", "must be an array of images, or batches of such, found str"),
        (7, "must be an array of images, or batches of such, found int"),
    ],
)
def test_other_images_are_refused(given, message) -> None:
    with pytest.raises(UsageError, match=message):
        quantize(mixed(), given)


def test_each_input_has_as_many_images() -> None:
    builder = Builder()
    x, y = (builder.input(name, (BATCH, 2, 4, 4)) for name in "xy")
    graph = builder.graph([builder.add(Node(Add(), "sum", "", (x, y), "sum"))])
    two = images(2, (2, 4, 4))
    assert [each.shape for each in batches_of([(two, two)], graph)[0]] == [two.shape] * 2
    with pytest.raises(UsageError, match=r"the inputs of a batch must have as many images, found \[2, 1\]"):
        batches_of([(two, two[:1])], graph)
    for given in ([(two,)], [two], [(two, two, two)]):
        with pytest.raises(UsageError, match="a batch must have 2 inputs, found [13]"):
            batches_of(given, graph)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight_bits": 4}, "weight_bits: must be 7 or 8, found 4"),
        ({"keep": ["stage9"]}, r"keep, only: must name steps of convolutions or linear layers \(.*\), found 'stage9'"),
        ({"only": ["ste"]}, "found 'ste'"),
        ({"keep": PRODUCTS}, "keep: must leave a step that is rounded, found none"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(options, message) -> None:
    with pytest.raises(UsageError, match=message):
        quantize(mixed(), images(1), **options)


def test_a_network_that_is_rounded_already_is_refused(rounded) -> None:
    with pytest.raises(UsageError, match="must be a network in float32, found one that is quantised already"):
        quantize(rounded[0], images(1))
