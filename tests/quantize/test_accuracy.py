"""The ten-class network in bytes is as right as in float32, also where its planes differ by a hundred times."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

import shufflekit as sk
from shufflekit.classify.inputs import preparation
from shufflekit.data.loader import evaluation_loader
from shufflekit.graph import Graph, simplify
from shufflekit.graph.from_torch import capture
from shufflekit.plan.build import build
from shufflekit.plan.choose import Precision
from shufflekit.quantize import quantize
from shufflekit.quantize.balance import balanced
from shufflekit.quantize.rounding import Study, corrected_biases, quantized_graph, round_weights, study
from shufflekit.runtime import Engine
from tests.quantize.networks import by_tensor, decibels, images, mixed, uneven

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "cifar10"


def test_planes_that_differ_a_hundred_times_lose_no_more() -> None:
    x = images(64)
    found = {}
    for name, graph in (("even", mixed()), ("uneven", uneven(mixed()))):
        exact = Engine(build(graph).to_bytes())(x)
        found[name] = decibels(exact, Engine(build(quantize(graph, x)[0]).to_bytes())(x))
    np.testing.assert_allclose(exact, Engine(build(mixed()).to_bytes())(x), rtol=1e-3, atol=1e-4)
    assert found["uneven"] > found["even"] - 3
    seen = by_tensor(study(uneven(mixed()), [[x]]))
    rounded = {node.name: round_weights(seen, node, 8) for node in seen.products}
    one_scale = quantized_graph(seen, rounded, corrected_biases(seen, rounded))
    assert decibels(exact, Engine(build(one_scale).to_bytes())(x)) < found["uneven"] - 6


class TenClasses:
    def __init__(self) -> None:
        from shufflekit.data.parquet import ParquetSource

        net = sk.create_model("shufflenet_v2_x0_5", pretrained="cifar10").eval()
        self.graph = simplify(capture(net, (1, 3, 32, 32)))

        def batches(part: str, shuffle: bool):
            return evaluation_loader(ParquetSource([DATA / f"{part}.parquet"]), preparation(net), 100, shuffle=shuffle).epoch(0)

        self.calibration = np.concatenate([batch.images.numpy() for batch in islice(batches("train", True), 3)])
        self.test = [(batch.images.numpy(), batch.labels.numpy()) for batch in batches("test", False)]

    def top1(self, graph: Graph, precision: Precision = "float32") -> float:
        """Points of a hundred."""
        engine = Engine(build(graph, precision=precision).to_bytes())
        return 100 * sum((engine(x).argmax(1) == labels).sum() for x, labels in self.test) / 10_000


@pytest.fixture(scope="module")
def ten() -> TenClasses:
    if not DATA.is_dir():
        pytest.skip(f"CIFAR-10 is not at {DATA}")
    return TenClasses()


@pytest.mark.slow
@pytest.mark.parametrize("weight_bits", [8, 7])
def test_ten_classes_lose_a_third_of_a_point_at_most(ten, weight_bits) -> None:
    graph, found = quantize(ten.graph, ten.calibration, weight_bits)
    assert not any(step.kept for step in found.steps)
    assert ten.top1(graph) >= ten.top1(ten.graph) - 0.3


@pytest.mark.slow
def test_ten_classes_lose_a_third_of_a_point_at_most_in_bfloat16(ten) -> None:
    assert ten.top1(ten.graph, "bfloat16") >= ten.top1(ten.graph) - 0.3
    x = ten.test[0][0]
    exact, rounded = (Engine(build(ten.graph, precision=each).to_bytes())(x) for each in ("float32", "bfloat16"))
    assert 35 < decibels(exact, rounded) < 60  # sums of products, each of which is off by 2^-9 at most


@pytest.mark.slow
def test_balance_and_corrected_biases_each_lose_less(ten) -> None:
    seen, (x, _) = study(ten.graph, [[ten.calibration]]), ten.test[0]
    exact = Engine(build(ten.graph).to_bytes())(x)

    def noise(found: Study, corrects: bool) -> float:
        rounded = {node.name: round_weights(found, node, 8) for node in found.products}
        graph = quantized_graph(found, rounded, corrected_biases(found, rounded) if corrects else {})
        return decibels(exact, Engine(build(graph).to_bytes())(x))

    best = noise(balanced(seen, 8), True)
    assert best > noise(seen, True) + 1
    assert best > noise(balanced(seen, 8), False) + 0.3


@pytest.mark.slow
def test_ten_classes_of_uneven_planes_do_too_where_a_scale_by_tensor_loses_five_points(ten) -> None:
    graph = uneven(ten.graph)
    exact = ten.top1(graph)
    assert exact == pytest.approx(ten.top1(ten.graph), abs=0.02)
    assert ten.top1(quantize(graph, ten.calibration)[0]) >= exact - 0.3
    seen = by_tensor(study(graph, [[ten.calibration]]))
    rounded = {node.name: round_weights(seen, node, 8) for node in seen.products}
    assert ten.top1(quantized_graph(seen, rounded, corrected_biases(seen, rounded))) < exact - 5
