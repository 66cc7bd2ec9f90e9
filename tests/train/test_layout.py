from __future__ import annotations

import copy

import pytest
import torch

from shufflekit.models import build_model
from shufflekit.train.batch_last import Map
from shufflekit.train.layout import Layout, TrainingStep, candidates, choose_layout, measure_layout

SPEEDS = {Layout(): 100.0, Layout(True): 150.0, Layout(False, True): 200.0, Layout(True, True): 180.0}


@pytest.mark.parametrize(
    ("layout", "compiled", "expected"),
    [
        ("auto", "auto", ["nchw eager", "channels_last eager", "nchw compiled", "channels_last compiled"]),
        ("nchw", "auto", ["nchw eager", "nchw compiled"]),
        ("channels_last", "no", ["channels_last eager"]),
        ("auto", "yes", ["nchw compiled", "channels_last compiled"]),
    ],
)
def test_what_the_flags_leave(layout: str, compiled: str, expected: list[str]) -> None:
    assert [str(choice) for choice in candidates(layout, compiled)] == expected
    ours = ["batch_last"] if layout == "auto" and compiled != "yes" else []
    assert [str(choice) for choice in candidates(layout, compiled, batch_last=True)] == ours + expected


def test_batch_last_takes_batches_of_a_multiple_of_16_only() -> None:
    assert candidates("batch_last", "auto", batch_last=True) == [Layout(batch_last=True)]
    assert Layout(batch_last=True).name == "batch_last"
    layout = Layout(batch_last=True)
    assert isinstance(layout.given(torch.zeros(32, 3, 4, 4)), Map)
    few = torch.zeros(24, 3, 4, 4)
    assert layout.given(few) is few
    assert Layout(True).given(few) is few


def test_the_fastest_is_taken_and_all_figures_are_told() -> None:
    notes: list[str] = []
    assert choose_layout(candidates("auto", "auto"), SPEEDS.__getitem__, 10**9, notes.append) == Layout(False, True)
    figures = ("nchw eager 100", "channels_last eager 150", "nchw compiled 200", "channels_last compiled 180")
    assert notes == ["; ".join(f"{figure} images/s" for figure in figures) + ": taking nchw compiled"]


def test_a_short_run_does_not_wait_for_the_compiler() -> None:
    measured, notes = [], []

    def measure(layout: Layout) -> float:
        measured.append(layout)
        return SPEEDS[layout]

    assert choose_layout(candidates("auto", "auto"), measure, 150 * 500, notes.append) == Layout(True)
    assert measured == [Layout(), Layout(True)]
    assert "compiled not tried in a run this short" in notes[0]


def test_one_choice_is_not_measured() -> None:
    assert choose_layout([Layout(True)], SPEEDS.__getitem__, 0, pytest.fail) == Layout(True)


def test_a_compiler_that_fails_is_left_out() -> None:
    def measure(layout: Layout) -> float:
        if layout.compiled:
            raise RuntimeError("no C++ compiler found\nand a long trace")
        return SPEEDS[layout]

    notes: list[str] = []
    assert choose_layout(candidates("auto", "auto"), measure, 10**9, notes.append) == Layout(True)
    assert "compiled failed (no C++ compiler found)" in notes[0]
    with pytest.raises(RuntimeError, match="no C"):
        choose_layout(candidates("auto", "yes"), measure, 10**9, notes.append)


def test_measuring_changes_neither_the_network_nor_the_random_numbers() -> None:
    network = build_model("shufflenet_v2_x0_5", num_classes=3, small_input=True, dropout=0.5)
    before, state = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    for choice in candidates("auto", "no", batch_last=True):
        assert measure_layout(TrainingStep(network, choice, (16, 3, 8, 8), 3, torch.device("cpu")), images=16) > 0
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
