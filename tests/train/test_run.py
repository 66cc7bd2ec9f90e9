from __future__ import annotations

import errno
import json
import os
import re
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from shufflekit.data.augment import Augmentation
from shufflekit.errors import InputError, ShufflekitError, UsageError
from shufflekit.models import Network
from shufflekit.train import loop
from shufflekit.train.checkpoint import load_checkpoint
from shufflekit.train.log import Silent
from shufflekit.train.recipe import Recipe
from shufflekit.train.run import Settings, run

MakeImages = Callable[..., Path]


class Notes(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.parts: list[tuple[str, int, int]] = []

    def note(self, line: str) -> None:
        self.lines.append(line)

    def begin(self, title: str, total: int, done: int) -> None:
        self.parts.append((title, total, done))


def settings(data: Path, out: Path, **others: Any) -> Settings:
    values = {"layout": "nchw", "compile": "no", "log_every": 1, **others}
    return Settings(data=data, model="shufflenet_v2_x0_5", out=out, **values)


def metrics(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_learns_64_images_by_heart(make_images: MakeImages, tmp_path: Path, recipe: Recipe) -> None:
    data = make_images(64)
    plain = replace(recipe, epochs=12, ema_decay=0.8, augmentation=Augmentation(flip=False))
    assert run(settings(data, tmp_path / "out", val=data), plain) == 0
    last = [line for line in metrics(tmp_path / "out") if "val/ema_top1" in line][-1]
    assert last["val/ema_top1"] >= 98
    assert last["val/model_top1"] >= 98


def test_folder_of_a_run(make_images: MakeImages, tmp_path: Path, recipe: Recipe) -> None:
    out, notes = tmp_path / "out", Notes()
    assert run(settings(make_images(44), out, holdout=12), recipe, notes) == 0
    assert {path.name for path in out.iterdir()} >= {"model.safetensors", "config.json", "recipe.toml", "metrics.jsonl", "best"}
    assert [path.name for path in (out / "checkpoints").iterdir()] == ["last.pt"]
    lines = metrics(out)
    assert [line["step"] for line in lines if "train/loss" in line] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [line["train/lr"] for line in lines if "train/lr" in line] == pytest.approx([0.02 * (1 - n / 8) for n in range(8)])
    epochs = [line for line in lines if "epoch/train_loss" in line]
    assert [line["epoch"] for line in epochs] == [0, 1]
    of_epoch = [line["train/loss"] for line in lines if "train/loss" in line and line["epoch"] == 1]
    assert epochs[1]["epoch/train_loss"] == pytest.approx(sum(of_epoch) / 4)
    assert [part[0] for part in notes.parts] == [
        "epoch 1/2", "validating model", "validating ema", "epoch 2/2", "validating model", "validating ema",
    ]  # fmt: skip
    assert [part[1:] for part in notes.parts if part[0].startswith("epoch")] == [(64, 0), (64, 32)]
    assert notes.parts[1][1:] == (12, 0)
    assert re.search(r"epoch 1/2: loss \d\.\d{4}, model top-1 .* %, \d+ images/s, 0:\d\d:\d\d of training left", notes.lines[0])
    network = Network.from_pretrained(out)
    cfg = network.pretrained_cfg
    assert cfg is not None
    assert (cfg["input_size"], cfg["crop_pct"], cfg["classes"]) == ((3, 16, 16), 1.0, ["0", "1", "2", "3"])
    average = load_checkpoint(out / "checkpoints" / "last.pt")["average"]
    assert all(torch.equal(tensor, average[f"module.{name}"]) for name, tensor in network.state_dict().items())


def test_options_reach_the_network_and_its_folder(make_images: MakeImages, tmp_path: Path, recipe: Recipe) -> None:
    data, out = make_images(16), tmp_path / "out"
    plain = replace(recipe, epochs=1)
    without = replace(settings(data, out), model="shufflenet_v1_g3_x0_25", options={"shuffle": False})
    assert run(without, plain) == 0
    network = Network.from_pretrained(out)
    assert not any(unit.shuffle_groups > 1 for unit in network.modules() if hasattr(unit, "shuffle_groups"))
    with pytest.raises(UsageError, match=r"options.shuffle: the run in .* has False, found None"):
        run(replace(without, options={}, resume="auto"), plain)
    with pytest.raises(UsageError, match=r"^shufflenet_v1_g3_x0_25: takes no option 'shufle'$"):
        run(replace(without, options={"shufle": False}, out=tmp_path / "other"), plain)


def test_resume_refuses_another_run(make_images: MakeImages, tmp_path: Path, recipe: Recipe) -> None:
    data, out = make_images(16), tmp_path / "out"
    one_epoch = replace(recipe, epochs=1)
    assert run(settings(data, out), one_epoch) == 0
    with pytest.raises(UsageError, match="holds a run already; --resume auto continues it"):
        run(settings(data, out), one_epoch)
    with pytest.raises(UsageError, match=r"recipe.seed: the run in .* has 0, found 1"):
        run(settings(data, out, resume="auto"), replace(one_epoch, seed=1))
    with pytest.raises(UsageError, match=r"recipe.augmentation.pad: the run in .* has 2, found 3"):
        run(settings(data, out, resume="auto"), replace(one_epoch, augmentation=Augmentation.cifar(pad=3)))
    with pytest.raises(UsageError, match=r"training_images: the run in .* has 16, found 8"):
        run(settings(data, out, resume="auto", holdout=8), one_epoch)
    before = (out / "model.safetensors").read_bytes()
    notes = Notes()
    assert run(settings(data, out, resume="auto"), one_epoch, notes) == 0, "a finished run finishes again"
    assert (out / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"data": Path("nowhere")}, UsageError, "data: nowhere does not exist"),
        ({"label_column": "fine_label"}, UsageError, "label_column: .* has the columns image, label, found 'fine_label'"),
        ({"val": Path("nowhere"), "holdout": 3}, UsageError, "val, holdout: one of them is enough"),
        ({"holdout": 16}, UsageError, "holdout: must be less than the 16 images"),
        ({"model": "shufflenet_v9"}, UsageError, "no network is named 'shufflenet_v9'"),
        ({"precision": "fp16"}, UsageError, "precision: fp16 needs a GPU"),
    ],
)
def test_nothing_starts_with_wrong_settings(
    make_images: MakeImages, tmp_path: Path, recipe: Recipe, change: dict[str, Any], error: type[Exception], message: str
) -> None:
    if change.get("precision") == "fp16" and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(error, match=message):
        run(replace(settings(make_images(16), tmp_path / "out"), **change), recipe)
    assert not (tmp_path / "out" / "metrics.jsonl").exists()


def test_an_update_must_fit_the_data(make_images: MakeImages, tmp_path: Path, recipe: Recipe) -> None:
    with pytest.raises(InputError, match="4 samples do not fill"):
        run(settings(make_images(4), tmp_path / "out"), recipe)
    with pytest.raises(UsageError, match="batch: an update takes 24 images, the training set has fewer"):
        run(settings(make_images(16), tmp_path / "out"), replace(recipe, accumulate=3))


def test_validation_classes_must_agree(make_images: MakeImages, tmp_path: Path, recipe: Recipe) -> None:
    with pytest.raises(InputError, match="val: .* must have the 2 classes of"):
        run(settings(make_images(16, classes=2), tmp_path / "out", val=make_images(16, classes=3, name="val")), recipe)


def test_broken_images_are_named_once_an_epoch(make_images: MakeImages, tmp_path: Path, recipe: Recipe) -> None:
    notes = Notes()
    data, val = make_images(24, broken=2), make_images(16, broken=1, name="val")
    assert run(settings(data, tmp_path / "out", val=val), recipe, notes) == 0
    told = [line for line in notes.lines if "broken" in line]
    assert len(told) == 4
    assert told[0].startswith("2 broken training images were replaced by others: ")
    assert f"{data}, row 0" in told[0]
    assert f"{data}, row 1" in told[0]
    assert told[1].startswith(f"1 broken validation images were replaced by others: {val}, row 0")


def test_a_loss_that_is_no_number_stops_the_run(
    make_images: MakeImages, tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain_loss = loop.Trainer._loss

    def poisoned(trainer: loop.Trainer, batch: loop.Batch) -> torch.Tensor:
        return plain_loss(trainer, batch) * (float("nan") if trainer.place.step == 5 else 1.0)

    monkeypatch.setattr(loop.Trainer, "_loss", poisoned)
    out = tmp_path / "out"
    with pytest.raises(ShufflekitError) as caught:
        run(settings(make_images(32), out, checkpoint_every=2, log_every=4), recipe)
    last = out / "checkpoints" / "last.pt"
    assert str(caught.value) == f"loss: must be finite, found nan at step 6; the last good checkpoint is {last}"
    assert load_checkpoint(last)["place"]["step"] == 4
    assert all(tensor.isfinite().all() for tensor in load_checkpoint(last)["model"].values())
    monkeypatch.undo()
    assert run(settings(make_images(32), out, checkpoint_every=2, log_every=4, resume="auto"), recipe) == 0


def test_weights_that_are_no_numbers_are_not_saved(
    make_images: MakeImages, tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain_update = loop.Trainer._update

    def poisoned(trainer: loop.Trainer, batches: Any) -> None:
        plain_update(trainer, batches)
        if trainer.place.step == 3:
            next(trainer.model.parameters()).data.fill_(float("inf"))

    monkeypatch.setattr(loop.Trainer, "_update", poisoned)
    with pytest.raises(ShufflekitError, match="weights: not finite any more after step 4; there is no checkpoint yet"):
        run(settings(make_images(32), tmp_path / "out"), recipe)


def test_a_full_disk_is_one_line_and_the_run_goes_on_later(
    make_images: MakeImages, tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, whole, out = make_images(32), tmp_path / "whole", tmp_path / "out"
    assert run(settings(data, whole), recipe) == 0
    synced = []
    plain_sync = os.fsync

    def full(handle: int) -> None:
        if "last.pt" in str(Path(f"/proc/self/fd/{handle}").readlink()):
            synced.append(handle)
            if len(synced) == 2:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        plain_sync(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ShufflekitError) as caught:
        run(settings(data, out), recipe)
    last = out / "checkpoints" / "last.pt"
    assert str(caught.value) == f"{last}: No space left on device; the last good checkpoint is {last}"
    assert [path.name for path in (out / "checkpoints").iterdir()] == ["last.pt"]
    assert run(settings(data, out, resume="auto"), recipe) == 0
    assert (out / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_stops(
    make_images: MakeImages, tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    data, whole, out = make_images(32), tmp_path / "whole", tmp_path / "out"
    assert run(settings(data, whole), recipe) == 0
    plain_update = loop.Trainer._update

    def interrupted(trainer: loop.Trainer, batches: Any) -> None:
        plain_update(trainer, batches)
        if trainer.place.step == 5:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(loop.Trainer, "_update", interrupted)
    assert run(settings(data, out), recipe) == number
    assert load_checkpoint(out / "checkpoints" / "last.pt")["place"]["step"] == 6
    assert not (out / "model.safetensors").exists()
    monkeypatch.undo()
    assert run(settings(data, out, resume="auto"), recipe) == 0
    assert (out / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_layout_is_kept_by_a_resumed_run(make_images: MakeImages, tmp_path: Path, recipe: Recipe) -> None:
    data, out, notes = make_images(16), tmp_path / "out", Notes()
    assert run(settings(data, out, layout="auto"), recipe, notes) == 0
    assert "nchw eager" in notes.lines[0]
    assert "channels_last eager" in notes.lines[0]
    taken = load_checkpoint(out / "checkpoints" / "last.pt")["layout"]
    notes = Notes()
    assert (
        run(settings(data, out, resume="auto", layout="nchw" if taken["channels_last"] else "channels_last"), recipe, notes)
        == 0
    )
    assert load_checkpoint(out / "checkpoints" / "last.pt")["layout"] == taken


def test_measuring_does_not_change_the_result(make_images: MakeImages, tmp_path: Path, recipe: Recipe) -> None:
    data = make_images(16)
    measured, notes = tmp_path / "measured", Notes()
    assert run(settings(data, measured, layout="auto"), recipe, notes) == 0
    taken = "channels_last" if "taking channels_last" in notes.lines[0] else "nchw"
    assert run(settings(data, tmp_path / "told", layout=taken), recipe) == 0
    assert (measured / "model.safetensors").read_bytes() == (tmp_path / "told" / "model.safetensors").read_bytes()


def test_accumulation_sees_the_images_of_a_larger_batch(make_images: MakeImages, tmp_path: Path, recipe: Recipe) -> None:
    """The loss of an update is the mean of those of its micro-batches; the learning rate is scaled, and said to be."""
    data, notes = make_images(32), Notes()
    assert run(settings(data, tmp_path / "out"), replace(recipe, batch=4, accumulate=4), notes) == 0
    assert notes.lines[0] == "learning rate 0.04: 0.02 scaled from 8 to 16 images per update"
    assert len([line for line in metrics(tmp_path / "out") if "train/loss" in line]) == 2 * 2


@pytest.mark.parametrize("change", [{"precision": "bf16"}, {"weights": "out/model.safetensors"}, {"workers": 1}])
def test_other_ways_to_run(
    make_images: MakeImages, tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    data = make_images(16)
    assert run(settings(data, Path("out")), recipe) == 0
    assert run(settings(data, Path("other"), **change), replace(recipe, clip_norm=1.0, ema_decay=0.0, optimizer="sgd")) == 0
    first = [line["train/loss"] for line in metrics(Path("out")) if "train/loss" in line]
    second = [line["train/loss"] for line in metrics(Path("other")) if "train/loss" in line]
    if "weights" in change:
        assert second[0] < first[0]
    else:
        assert second[0] == pytest.approx(first[0], rel=0.02)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")  # torch's own, on import
def test_a_compiled_run_learns_and_resumes(
    make_images: MakeImages, tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, whole, out = make_images(32), tmp_path / "whole", tmp_path / "out"
    assert run(settings(data, whole, compile="yes", val=data), recipe) == 0
    assert run(settings(data, tmp_path / "eager", val=data), recipe) == 0
    losses = [[line["train/loss"] for line in metrics(tmp_path / name) if "train/loss" in line] for name in ("whole", "eager")]
    assert losses[0][:2] == pytest.approx(losses[1][:2], rel=1e-3), "later steps magnify the rounding"
    plain_update = loop.Trainer._update

    def interrupted(trainer: loop.Trainer, batches: Any) -> None:
        plain_update(trainer, batches)
        if trainer.place.step == 5:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(loop.Trainer, "_update", interrupted)
    assert run(settings(data, out, compile="yes", val=data), recipe) == signal.SIGTERM
    monkeypatch.undo()
    assert run(settings(data, out, resume="auto", val=data), recipe) == 0, "compiled too: the checkpoint says so"
    assert (out / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
