"""The sweep on a few small images: what a run leaves, and what happens to one that is killed, claimed or not alike."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from shufflekit.errors import InputError, UsageError
from shufflekit.reproduce import sweep as module
from shufflekit.reproduce.runs import Run, read_runs
from shufflekit.reproduce.speed import Built
from shufflekit.reproduce.sweep import SMALL, Sweep, recipe_of
from shufflekit.train import initial
from shufflekit.train import run as training
from shufflekit.train.recipe import IMAGENET, Recipe

ROOT = Path(__file__).parents[2]
RECIPE = replace(SMALL, epochs=2, batch=8)
RUN = Run(Built("shufflenet_v1_g3_x0_25"), 0)
WITHOUT = Run(Built("shufflenet_v1_g3_x0_25", options={"shuffle": False}), 1)


@pytest.fixture
def data(make_images: Callable[..., Path]) -> Path:
    """A folder with 24 images, of which two are held out, and 12 of a test."""
    folder = make_images(24, name="train").parent
    make_images(12, name="test")
    return folder


def make(data: Path, out: Path, recipe: Recipe = RECIPE, lines: list[str] | None = None) -> Sweep:
    tell = (lambda _: None) if lines is None else lines.append
    return Sweep(data, out, recipe=recipe, layout="nchw", command="the command", tell=tell)


def test_a_finished_run_is_one_file(data: Path, tmp_path: Path) -> None:
    out, lines = tmp_path / "new" / "out", []
    assert make(data, out, lines=lines).carry_out([RUN, WITHOUT]) == (0, [])
    assert {path.name for path in out.iterdir()} == {
        "shufflenet_v1_g3_x0_25-seed0.json", "shufflenet_v1_g3_x0_25-shuffle=no-seed1.json", ".unfinished",
    }  # fmt: skip
    assert list((out / ".unfinished").iterdir()) == []
    runs = read_runs(out)
    assert [(one.options, one.seed, one.run_name) for one in runs] == [
        ({}, 0, RUN.name),
        ({"shuffle": False}, 1, WITHOUT.name),
    ]
    for one in runs:
        assert (one.command, one.layout, one.threads) == ("the command", "nchw", torch.get_num_threads())
        counts = {"training_images": 22, "held_out_images": 2, "test_images": 12}
        assert one.data == {"name": data.name, "classes": 4, **counts}
        assert (one.test.images, one.held_out.images, one.fitted.images) == (12, 2, 2)
        assert (one.recipe["seed"], one.recipe["epochs"]) == (one.seed, 2)
        assert [epoch["epoch"] for epoch in one.epochs] == [0, 1]
        assert all(epoch["train_loss"] > 0 for epoch in one.epochs)
        assert one.epochs[-1]["held_out_error"] == one.held_out.error
        assert one.seconds == pytest.approx(sum(16 / epoch["images_per_s"] for epoch in one.epochs), abs=0.1)
    assert json.loads((out / f"{RUN.name}.json").read_text()) == json.loads(runs[0].to_json())
    assert sum("test error" in line for line in lines) == 2


def test_a_run_is_scored_on_what_it_says(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's images, the held-out ones and some that were trained on; the same ones for every seed."""
    seen: list[tuple[object, list[int]]] = []

    class Recording(module.Loader):
        def __init__(self, source: object, **arguments: object) -> None:
            super().__init__(source, **arguments)
            seen.append((source, list(self.indices)))

    monkeypatch.setattr("shufflekit.data.loader.Loader", Recording)
    sweep = make(data, tmp_path / "out")
    for seed in (0, 1):
        seen.clear()
        sweep.carry_out([Run(RUN.built, seed)])
        (test, every), (source, held_out), (_, fitted), (_, reached) = seen
        assert test is sweep.test
        assert every == list(range(12))
        assert source is sweep.training
        assert held_out == reached == sweep.held_out
        assert fitted == sweep.fitted[:2]
        assert sorted([*sweep.held_out, *sweep.fitted]) == list(range(24))


def test_only_groups_have_a_reach(data: Path, tmp_path: Path) -> None:
    alone = Run(Built("shufflenet_v1_g1_x0_25"), 0)
    make(data, tmp_path / "out").carry_out([RUN, alone])
    without, grouped = read_runs(tmp_path / "out")
    assert without.reach == {}
    assert list(grouped.reach)[:4] == ["stage2.1", "stage2.2", "stage2.3", "stage3.0"]
    assert all(1 <= each <= 3 for each in grouped.reach.values())


def test_pairs_start_alike_and_see_the_same_images(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[dict[str, torch.Tensor]] = []
    batches: list[list[int]] = []

    def draw(model: torch.nn.Module, seed: int) -> None:
        initial.draw_by_name(model, seed)
        started.append({name: weight.clone() for name, weight in model.state_dict().items()})

    def epoch(self: training.Loader, epoch: int, start_batch: int = 0) -> object:
        for batch in original(self, epoch, start_batch):
            if self.shuffle:
                batches[-1] += batch.indices.tolist()
            yield batch

    original = training.Loader.epoch
    monkeypatch.setattr(training, "draw_by_name", draw)
    monkeypatch.setattr(training.Loader, "epoch", epoch)
    for built in (RUN.built, WITHOUT.built, Built("shufflenet_v1_g1_x0_25")):
        batches.append([])
        make(data, tmp_path / "out").carry_out([Run(built, 3)])
    grouped, without, alone = started
    assert all((grouped[name] == without[name]).all() for name in grouped)
    alike = [name for name in grouped if grouped[name].shape == alone[name].shape and grouped[name].dim() > 1]
    assert "conv1.0.weight" in alike
    assert all((grouped[name] == alone[name]).all() for name in alike)
    assert batches[0] == batches[1] == batches[2]
    assert len(batches[0]) == 32


def test_what_is_finished_is_left_alone(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(data, tmp_path / "out").carry_out([RUN])
    monkeypatch.setattr(module, "run", lambda *_: pytest.fail("trained again"))
    assert make(data, tmp_path / "out").carry_out([RUN]) == (0, [])


def test_a_killed_sweep_goes_on_where_it_was(data: Path, tmp_path: Path) -> None:
    """SIGKILL behind the first of many epochs: the result is that of an undisturbed sweep."""
    recipe, killed = replace(RECIPE, epochs=8), tmp_path / "killed"
    make(data, tmp_path / "whole", recipe).carry_out([RUN])
    program = (
        "import sys; from dataclasses import replace; from pathlib import Path; import torch;"
        "from tests.reproduce.test_sweep import RECIPE, RUN, make; torch.set_num_threads(int(sys.argv[3]));"
        "make(Path(sys.argv[1]), Path(sys.argv[2]), replace(RECIPE, epochs=8)).carry_out([RUN])"
    )
    arguments = [sys.executable, "-c", program, str(data), str(killed), str(torch.get_num_threads())]
    process = subprocess.Popen(arguments, cwd=ROOT)
    checkpoint = killed / ".unfinished" / RUN.name / "checkpoints" / "last.pt"
    while process.poll() is None and not checkpoint.exists():
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run was over before the kill"
    lines: list[str] = []
    assert make(data, killed, recipe, lines).carry_out([RUN]) == (0, [])
    assert any("resumed at epoch" in line for line in lines)
    (whole,) = read_runs(tmp_path / "whole")
    (resumed,) = read_runs(killed)
    assert [epoch["train_loss"] for epoch in resumed.epochs] == [epoch["train_loss"] for epoch in whole.epochs]
    assert (resumed.test, resumed.reach) == (whole.test, whole.reach)


def test_a_signal_stops_it_after_a_checkpoint(data: Path, tmp_path: Path) -> None:
    def stop(line: str) -> None:
        if "epoch 1/2" in line:
            os.kill(os.getpid(), signal.SIGTERM)

    sweep = Sweep(data, tmp_path / "out", recipe=RECIPE, layout="nchw", command="", tell=stop)
    assert sweep.carry_out([RUN, WITHOUT]) == (signal.SIGTERM, [])
    assert read_runs(tmp_path / "out") == []
    assert (tmp_path / "out" / ".unfinished" / RUN.name / "checkpoints" / "last.pt").exists()
    assert make(data, tmp_path / "out").carry_out([RUN]) == (0, [])


def test_two_processes_do_not_train_the_same(data: Path, tmp_path: Path) -> None:
    make(data, tmp_path / "out").carry_out([])
    lines: list[str] = []
    program = (
        "import sys; from filelock import FileLock; lock = FileLock(sys.argv[1]); lock.acquire();"
        "print('held', flush=True); input()"
    )
    lock = tmp_path / "out" / ".unfinished" / f"{RUN.name}.lock"
    other = subprocess.Popen([sys.executable, "-c", program, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdout is not None
    assert other.stdout.readline() == b"held\n"
    assert make(data, tmp_path / "out", lines=lines).carry_out([RUN, WITHOUT]) == (0, [])
    assert f"{RUN.name}: another process is at work on it" in lines
    assert [one.run_name for one in read_runs(tmp_path / "out")] == [WITHOUT.name]
    other.kill()  # what a killed process held is free
    other.communicate()
    assert make(data, tmp_path / "out").carry_out([RUN]) == (0, [])
    assert len(read_runs(tmp_path / "out")) == 2


def test_a_run_that_another_process_has_just_finished_is_not_begun(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(data, tmp_path / "out").carry_out([RUN])
    finished = (tmp_path / "out" / f"{RUN.name}.json").rename(tmp_path / "finished.json")

    class Late(FileLock):
        def acquire(self, *args: object, **keywords: object) -> object:
            finished.rename(tmp_path / "out" / f"{RUN.name}.json")
            return super().acquire()

    monkeypatch.setattr(module, "FileLock", Late)
    monkeypatch.setattr(module, "run", lambda *_: pytest.fail("trained again"))
    assert make(data, tmp_path / "out").carry_out([RUN]) == (0, [])


def test_minutes_end_it_between_runs(data: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    assert make(data, tmp_path / "out", lines=lines).carry_out([RUN], minutes=0) == (0, [])
    assert lines == [f"0 minutes are over; the same command goes on with {RUN.name}"]


def test_a_run_that_fails_is_told_and_the_others_are_done(data: Path, tmp_path: Path) -> None:
    odd = Run(Built("shufflenet_v1_g3_x0_25", options={"shuffle_order": "odd"}), 0)
    lines: list[str] = []
    stopped, failed = make(data, tmp_path / "out", lines=lines).carry_out([odd, RUN])
    assert stopped == 0
    assert failed == [f"{odd.name}: shuffle_order: must be one of paper, release, found 'odd'"]
    assert [one.run_name for one in read_runs(tmp_path / "out")] == [RUN.name]


def test_other_recipes_and_data_do_not_mix(data: Path, tmp_path: Path, make_images: Callable[..., Path]) -> None:
    out = tmp_path / "out"
    make(data, out).carry_out([RUN])
    with pytest.raises(InputError, match=r"-seed0.json: trained with epochs 2, needed 3; keep such runs in another folder$"):
        make(data, out, replace(RECIPE, epochs=3)).carry_out([RUN])
    make_images(8, name="test")
    with pytest.raises(InputError, match=r"\(22, 2, 12 images\), needed .* \(22, 2, 8 images\); keep them in another folder$"):
        make(data, out).carry_out([RUN])


def test_data_that_cannot_be_used_is_one_line(tmp_path: Path, make_images: Callable[..., Path]) -> None:
    with pytest.raises(UsageError, match=r"^data: nowhere does not exist$"):
        make(Path("nowhere"), tmp_path / "out")
    folder = make_images(24, name="train").parent
    with pytest.raises(UsageError, match=r"^split: must be one of train in "):
        make(folder, tmp_path / "out")
    make_images(12, classes=3, name="test")
    with pytest.raises(InputError, match=r"train and test must have the same classes"):
        make(folder, tmp_path / "out")
    make_images(12, name="test")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"^out: .*file: "):
        make(folder, tmp_path / "file").carry_out([RUN])


def test_the_recipe_is_the_papers_but_for_scale() -> None:
    differs = {name for name in vars(IMAGENET) if getattr(IMAGENET, name) != getattr(SMALL, name)}
    scale = {"epochs", "batch", "learning_rate", "reference_batch", "warmup_epochs"}
    assert differs == {*scale, "small_input", "preprocessing", "augmentation"}
    recipe = recipe_of(Run(Built("mobilenet_v2_x0_4", (160, 160)), 2), SMALL)
    assert (recipe.seed, recipe.preprocessing.input_size) == (2, (23, 23))
