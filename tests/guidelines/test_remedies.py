"""Which edits are raced, in which order and for how long, with a made-up stopwatch."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from torch import nn

from shufflekit.compiling import capture
from shufflekit.graph import Graph
from shufflekit.graph.edits.widths import Widths
from shufflekit.graph.operator import RefusedError
from shufflekit.guidelines import remedies
from shufflekit.guidelines.edits.edit import Edit
from shufflekit.guidelines.remedies import measure_remedies
from shufflekit.profiling.difference import Difference


@pytest.fixture(scope="module")
def graph() -> Graph:
    return capture(nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 4, 1)), (1, 3, 6, 6))


def widened(output: str, width: int, number: int = 0) -> Edit:
    apply: Callable[[Graph], Graph] = lambda graph: Widths(graph).changed({output: width})  # noqa: E731
    return Edit("G5", (number,), f"{output} of {width}", "wider", 1.0, apply)


class Stopwatch:
    """Says what widths gain, and how long each race took."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, gains: dict[tuple[int, int], float], takes: float = 1.0) -> None:
        self.gains, self.takes, self.now, self.races = gains, takes, 0.0, []
        monkeypatch.setattr(remedies, "measure_difference", self.race)
        monkeypatch.setattr(remedies.time, "perf_counter", lambda: self.now)

    def prepare(self, graph: Graph) -> Callable[[], object]:
        widths = tuple(graph.values[name].sizes[0] for name in ("conv2d", "conv2d_1"))
        return lambda: widths

    def race(self, before: Callable, after: Callable, *, share: float, most_seconds: float, clock: Callable) -> Difference:
        assert clock() > 0
        assert before() == (8, 8)
        self.races.append((after(), share, most_seconds))
        self.now += self.takes
        gain = self.gains[after()]
        return Difference(2.0, 2.0 - gain, gain, gain - 0.1, gain + 0.1, 12)


def test_gains_are_ranked_and_the_best_are_tried_together(graph, monkeypatch):
    watch = Stopwatch(monkeypatch, {(16, 8): 0.3, (8, 16): 0.5, (16, 16): 0.7, (4, 8): -0.2})
    edits = [widened("conv2d", 4), widened("conv2d", 16, 1), widened("conv2d_1", 16, 2)]
    found, untried = measure_remedies(graph, edits, watch.prepare, 20.0)
    assert [each.gain_ms for each in found] == [0.7, 0.5, 0.3, -0.2]
    assert [each.gains for each in found] == [True, True, True, False]
    assert (found[0].text, found[0].findings) == ("together: conv2d_1 of 16; conv2d of 16", (1, 2))
    assert untried == ()
    # 3 * 8 + 8 * 8 + 8 * 4 multiply-adds a pixel, and 3 * 4 + 4 * 8 + 8 * 4
    assert watch.races[0] == ((4, 8), pytest.approx(120 / 76), 3.0)
    assert found[3].flops == (120 * 36, 76 * 36)
    assert (found[0].widths, found[3].widths) == ({"0": (8, 16), "2": (8, 16)}, {"0": (8, 4)})


def test_what_time_does_not_reach_and_what_is_refused_says_so(graph, monkeypatch):
    watch = Stopwatch(monkeypatch, {(16, 8): -0.3, (8, 16): -0.5, (24, 8): -0.5}, takes=2.0)
    refused = widened("conv2d_2", 8)
    same = widened("conv2d", 8)
    edits = [refused, same, widened("conv2d", 16), widened("conv2d", 16), widened("conv2d_1", 16), widened("conv2d", 24)]
    found, untried = measure_remedies(graph, edits, watch.prepare, 3.5)
    assert [each.text for each in found] == ["conv2d of 16", "conv2d_1 of 16"]
    assert [most for *_, most in watch.races] == [3.0, 1.5]
    assert [(each.text, each.why) for each in untried] == [
        ("conv2d_2 of 8", "the width 4 must stay: conv in 3 needs it"),
        ("conv2d of 8", "nothing can change at as many multiply-adds: other widths must stay"),
        ("conv2d of 24", "not reached within 3.5 s"),
    ]


def test_what_multiplies_much_more_or_less_is_not_scaled(graph, monkeypatch):
    """A sixth of the time of a larger network says nothing of one of this size."""
    watch = Stopwatch(monkeypatch, {(8, 12): 0.1})
    edits = [widened("conv2d_1", 64), widened("conv2d_1", 12)]
    found, untried = measure_remedies(graph, edits, watch.prepare, 20.0)
    assert [each.text for each in found] == ["conv2d_1 of 12"]
    assert [each.why for each in untried] == ["it multiplies 6.6 times as often as before: other widths must stay"]


def test_time_is_kept_for_the_combination(graph, monkeypatch):
    watch = Stopwatch(monkeypatch, {(16, 8): 0.3, (8, 16): 0.5, (16, 16): 0.7}, takes=3.0)
    edits = [widened("conv2d", 16), widened("conv2d_1", 16, 1), widened("conv2d", 24)]
    found, (untried,) = measure_remedies(graph, edits, watch.prepare, 10.5)
    assert (found[0].gain_ms, untried.text) == (0.7, "conv2d of 24")


def test_changes_of_the_same_findings_are_not_combined(graph, monkeypatch):
    watch = Stopwatch(monkeypatch, {(16, 8): 0.3, (8, 16): 0.5})
    found, untried = measure_remedies(graph, [widened("conv2d", 16), widened("conv2d_1", 16)], watch.prepare, 20.0)
    assert (len(found), untried) == (2, ())


def test_a_combination_that_cannot_be_is_untried(graph, monkeypatch):
    def narrow_only(graph: Graph) -> Graph:
        if graph.values["conv2d_1"].sizes[0] > 8:
            raise RefusedError("too wide")
        return Widths(graph).changed({"conv2d": 16})

    watch = Stopwatch(monkeypatch, {(16, 8): 0.3, (8, 16): 0.5})
    edits = [Edit("G1", (0,), "narrow only", "", 1.0, narrow_only), widened("conv2d_1", 16, 1)]
    _, (untried,) = measure_remedies(graph, edits, watch.prepare, 20.0)
    assert (untried.rule, untried.why) == ("G5+G1", "too wide")
