"""Plans that are chosen by a stopwatch: the quickest way of each step is taken, and runs everywhere with the same results."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

import shufflekit as sk
from shufflekit import tuning
from shufflekit.device.host import cpu_name
from shufflekit.graph import Graph, simplify
from shufflekit.graph.from_torch import capture
from shufflekit.plan.program import Program
from shufflekit.runtime import Engine

SHAPE = (1, 3, 128, 128)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """A pooled stem, a dense 3x3 and a pair that two kernels or one compute."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.Conv2d(8, 8, 3, 1, 1), nn.Conv2d(8, 16, 1)]
    return nn.Sequential(*layers, nn.Conv2d(16, 16, 3, 1, 1, groups=16)).eval()


@pytest.fixture(scope="module")
def graph(network: nn.Module) -> Graph:
    return simplify(capture(network, SHAPE))


def ways(program: Program) -> list[str]:
    return [f"{step.kernel}.{step.variant}" for step in program.steps if step.kernel != "gather"]


class Stopwatch:
    """In the place of an engine: says that each step takes as long as `costs` has it, 1 s by default."""

    def __init__(self, costs: dict[str, float]) -> None:
        self.costs, self.seen = costs, set[str]()
        self.steps: list[str] = []

    def __call__(self, plan: bytes, threads: int) -> Stopwatch:
        assert threads == 2
        here = Stopwatch(self.costs)
        here.steps = [f"{step.kernel}.{step.variant}" for step in Engine(plan).program.steps]
        self.seen |= {*here.steps}
        return here

    def time_steps(self, repeats: int) -> NDArray[np.float64]:
        return np.array([[self.costs.get(step, 1.0) for step in self.steps]] * repeats)


STRIDED = ("winograd2_stride2", "winograd2_taps_stride2", "winograd4_stride2")
VARIANTS = ("rows", "winograd2", "winograd4", *STRIDED, "patches", "any")


@pytest.mark.parametrize(
    ("costs", "expected"),
    [
        *(({f"convolution.{name}": 0.1, "pool.any": 0.1}, {f"convolution.{name}"}) for name in VARIANTS),
        ({"convolution_pool.any": 0.1}, {"convolution_pool.any"}),
        ({"convolution_pool.any": 9}, {"pool.any"}),
        ({"pointwise_depthwise.any": 0.1}, {"pointwise_depthwise.any"}),
        ({"pointwise_depthwise.any": 9}, {"gemm.any", "depthwise.any"}),
    ],
)
def test_the_quickest_is_taken_and_computes_the_same(
    network: nn.Module, graph: Graph, monkeypatch: pytest.MonkeyPatch, costs: dict[str, float], expected: set[str]
) -> None:
    stopwatch = Stopwatch(costs)
    monkeypatch.setattr(tuning, "Engine", stopwatch)
    program = tuning.tune(graph, threads=2)
    assert {f"convolution.{name}" for name in VARIANTS} <= stopwatch.seen
    assert expected <= {*ways(program)}
    x = torch.randn(2, *SHAPE[1:], generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        right = network(x).numpy()
    for instruction_set in ("", "scalar"):  # here, and on a machine that has less
        y = Engine(program.to_bytes(), 1, instruction_set)(x.numpy())
        np.testing.assert_allclose(y, right, rtol=0, atol=1e-4 * np.abs(right).max())


def test_a_pair_that_the_price_computes_together_is_tried_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, 1, 1, groups=8)).eval()
    graph = simplify(capture(pair, (1, 3, 256, 256)))
    assert ways(tuning.build(graph)) == ["pointwise_depthwise.any"]
    monkeypatch.setattr(tuning, "Engine", Stopwatch({"pointwise_depthwise.any": 9.0, "depthwise.channels": 2.0}))
    assert ways(tuning.tune(graph, threads=2)) == ["gemm.any", "depthwise.any"]


def test_what_is_no_quicker_stays_as_priced(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    usual, apart = tuning.build(graph), {"pointwise_depthwise.any": 2.0}
    other = next(name for name in VARIANTS if f"convolution.{name}" not in ways(usual))
    monkeypatch.setattr(tuning, "Engine", Stopwatch({f"convolution.{other}": 0.9, **apart}))
    assert ways(tuning.tune(graph, threads=2)) != ways(usual)
    monkeypatch.setattr(tuning, "Engine", Stopwatch({f"convolution.{other}": 0.98, **apart}))
    assert ways(tuning.tune(graph, threads=2)) == ways(usual)


def test_a_plan_says_where_it_was_tuned_and_progress_is_told(network: nn.Module) -> None:
    told: list[tuple[int, int]] = []
    engine = sk.compile(network, SHAPE, threads=2, info={"mine": 1}, tune=True, progress=lambda *each: told.append(each))
    tuned = engine.program.info["tuned"]
    assert (tuned["cpu"], tuned["threads"], engine.program.info["mine"]) == (cpu_name(), 2, 1)
    assert 0 < tuned["ms"] <= tuned["untuned_ms"]
    assert told == [(number, len(told)) for number in range(len(told))]
    plain = sk.compile(network, SHAPE)
    assert "tuned" not in plain.program.info
    x = np.random.default_rng(0).standard_normal((2, *SHAPE[1:])).astype(np.float32)
    np.testing.assert_allclose(engine(x), plain(x), rtol=0, atol=1e-4 * np.abs(plain(x)).max())
