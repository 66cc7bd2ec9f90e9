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

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from shufflekit.data.augment import Augmentation
from shufflekit.data.preprocess import Preprocessing
from shufflekit.errors import InputError, ShufflekitError, UsageError
from shufflekit.models import Network
from shufflekit.train import batch_last, loop
from shufflekit.train.checkpoint import load_checkpoint, save_checkpoint
from shufflekit.train.lock import folder_lock
from shufflekit.train.log import Silent
from shufflekit.train.loop import Trainer
from shufflekit.train.recipe import Recipe
from shufflekit.train.run import Settings, run
from shufflekit.train.score import Score
from shufflekit.train.transfer import keep_classes, known_classes
from shufflekit.weights import create_model

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
    plain = replace(recipe, epochs=16, ema_decay=0.8, augmentation=Augmentation(flip=False))
    assert run(settings(data, tmp_path / "out", val=data), plain) == 0
    last = [line for line in metrics(tmp_path / "out") if "val/ema_top1" in line][-1]
    assert last["val/ema_top1"] >= 98
    assert last["val/model_top1"] >= 98


def test_folder_of_a_run(make_images: MakeImages, tmp_path: Path, recipe: Recipe) -> None:
    out, notes = tmp_path / "out", Notes()
    assert run(settings(make_images(44), out, holdout=12), recipe, notes) == 0
    assert {path.name for path in out.iterdir()} >= {"model.safetensors", "config.json", "recipe.toml", "metrics.jsonl", "best"}
    assert {path.name for path in (out / "checkpoints").iterdir()} == {"last.pt", "previous.pt"}
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


def test_broken_images_are_a_short_line_an_epoch_and_a_file(make_images: MakeImages, tmp_path: Path, recipe: Recipe) -> None:
    notes, out = Notes(), tmp_path / "out"
    data, val = make_images(40, broken=12), make_images(16, broken=1, name="val")
    assert run(settings(data, out, val=val), recipe, notes) == 0
    told = [line for line in notes.lines if "broken" in line]
    assert len(told) == 4
    assert told[0] == told[2]
    listed = (out / "broken_training.txt").read_text().splitlines()
    assert [line.split(": ")[0] for line in listed] == sorted(f"{data}, row {row}" for row in range(12))
    assert told[0] == (
        f"12 broken training images were replaced by others: {'; '.join(listed[:3])}; all are in {out}/broken_training.txt"
    )
    assert told[1] == f"1 broken validation image was left out: {(out / 'broken_validation.txt').read_text().strip()}"
    epochs = [line for line in metrics(out) if "val/model_top1" in line]
    assert all(
        (line["val/model_top1"] * 15 / 100).is_integer() or abs(line["val/model_top1"] * 15 % 100) < 1e-6 for line in epochs
    )


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
        if "next.partial" in str(Path(f"/proc/self/fd/{handle}").readlink()):
            synced.append(handle)
            if len(synced) == 2:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        plain_sync(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ShufflekitError) as caught:
        run(settings(data, out), recipe)
    last = out / "checkpoints" / "last.pt"
    assert str(caught.value) == f"{last}: No space left on device; the last good checkpoint is {last}"
    assert {path.name for path in (out / "checkpoints").iterdir()} <= {"last.pt", "previous.pt"}
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
    assert "; batch_last not tried (a batch must be a multiple of 16, found 8)" in notes.lines[0]
    taken = load_checkpoint(out / "checkpoints" / "last.pt")["layout"]
    notes = Notes()
    assert (
        run(settings(data, out, resume="auto", layout="nchw" if taken["channels_last"] else "channels_last"), recipe, notes)
        == 0
    )
    assert load_checkpoint(out / "checkpoints" / "last.pt")["layout"] == taken


def test_batch_last_trains_like_the_others_and_resumes_bit_for_bit(
    make_images: MakeImages, tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("shufflekit._native", reason="the compiled part is not built")
    data, recipe, notes = (
        make_images(48),
        replace(recipe, batch=16, reference_batch=16, optimizer="sgd", learning_rate=1e-4),
        Notes(),
    )
    plain, whole, out = tmp_path / "plain", tmp_path / "whole", tmp_path / "out"
    assert run(settings(data, plain), recipe) == 0
    assert run(settings(data, whole, layout="batch_last"), recipe) == 0
    wanted, found = (load_checkpoint(folder / "checkpoints" / "last.pt")["model"] for folder in (plain, whole))
    assert wanted.keys() == found.keys()
    off = {name: ((found[name].float() - x.float()).norm() / (x.float().norm() + 1)).item() for name, x in wanted.items()}
    assert max(off.values()) < 2e-3, max(off.items(), key=lambda item: item[1])
    plain_update = loop.Trainer._update

    def interrupted(trainer: loop.Trainer, batches: Any) -> None:
        plain_update(trainer, batches)
        if trainer.place.step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(loop.Trainer, "_update", interrupted)
    assert run(settings(data, out, layout="batch_last"), recipe) == signal.SIGINT
    monkeypatch.undo()
    assert run(settings(data, out, resume="auto"), recipe) == 0
    assert load_checkpoint(out / "checkpoints" / "last.pt")["layout"]["batch_last"]
    assert (out / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert run(settings(data, tmp_path / "auto", layout="auto"), replace(recipe, epochs=1), notes) == 0
    assert notes.lines[0].startswith("batch_last ")


def test_a_run_in_batch_last_goes_on_without_the_compiled_part_and_says_so(
    make_images: MakeImages, tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("shufflekit._native", reason="the compiled part is not built")
    data, out, notes = make_images(32), tmp_path / "out", Notes()
    recipe = replace(recipe, batch=16, reference_batch=16, epochs=1)
    assert run(settings(data, out, layout="batch_last"), recipe) == 0
    monkeypatch.setattr(batch_last, "_native", None)
    assert run(settings(data, out, resume="auto"), replace(recipe, epochs=2), notes) == 0
    assert notes.lines[0] == (
        "layout: the run began in batch_last, whose compiled part is missing here: nchw, equal to rounding only"
    )


def test_why_not_batch_last_is_said(make_images: MakeImages, tmp_path: Path, recipe: Recipe) -> None:
    data = make_images(16)
    with pytest.raises(
        UsageError, match=r"layout: batch_last cannot train \S+ here: a batch must be a multiple of 16, found 8"
    ):
        run(settings(data, tmp_path / "out", layout="batch_last"), recipe)
    recipe = replace(recipe, batch=16)
    for change, why in ({"precision": "bf16"}, "float32"), ({"compile": "yes"}, "compilation was asked for"):
        with pytest.raises(UsageError, match=why):
            run(settings(data, tmp_path / "out", **{"layout": "batch_last", **change}), recipe)


def test_measuring_does_not_change_the_result(make_images: MakeImages, tmp_path: Path, recipe: Recipe) -> None:
    data = make_images(16)
    measured, notes = tmp_path / "measured", Notes()
    assert run(settings(data, measured, layout="auto"), recipe, notes) == 0
    taken = "channels_last" if "taking channels_last" in notes.lines[0] else "nchw"
    assert run(settings(data, tmp_path / "told", layout=taken), recipe) == 0
    assert (measured / "model.safetensors").read_bytes() == (tmp_path / "told" / "model.safetensors").read_bytes()


def test_an_update_is_one_of_the_mean_loss_of_its_images(make_images: MakeImages, tmp_path: Path, recipe: Recipe) -> None:
    """4 micro-batches of 4 move the weights as one batch of 16 does, where the network has no batch norm to tell them apart."""
    data, notes = make_images(32), Notes()
    plain = replace(
        recipe,
        optimizer="sgd",
        ema_decay=0.0,
        epochs=1,
        clip_norm=0.5,
        preprocessing=Preprocessing((64, 64)),
        small_input=False,
    )

    def trained(name: str, batch: int, accumulate: int) -> dict[str, torch.Tensor]:
        values = replace(settings(data, tmp_path / name), model="squeezenet1_0", options={"dropout": 0.0})
        assert run(values, replace(plain, batch=batch, accumulate=accumulate), notes) == 0
        return Network.from_pretrained(tmp_path / name).state_dict()

    whole, parts = trained("whole", 16, 1), trained("parts", 4, 4)
    assert notes.lines[0] == "learning rate 0.04: 0.02 scaled from 8 to 16 images per update"
    assert all(torch.allclose(tensor, parts[name], rtol=1e-4, atol=1e-6) for name, tensor in whole.items())
    losses = [[line["train/loss"] for line in metrics(tmp_path / name) if "train/loss" in line] for name in ("whole", "parts")]
    assert len(losses[0]) == 2
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


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


def test_resume_refuses_other_data_validation_and_precision(make_images: MakeImages, tmp_path: Path, recipe: Recipe) -> None:
    """Of as many images and as many classes, at the same path."""
    data, val, out = make_images(16), make_images(8, name="val"), tmp_path / "out"
    plain = replace(recipe, epochs=1)
    assert run(settings(data, out, val=val), plain) == 0
    again = settings(data, out, val=val, resume="auto")
    for change, message in (
        ({"val": make_images(9, name="other")}, "validation: the run in .* has 8 images of digest .*, found 9 images of"),
        ({"val": None}, "validation: the run in .* has 8 images of digest .*, found None; use its values or another --out"),
        ({"precision": "bf16"}, "precision: the run in .* has no, found bf16"),
        ({"freeze": True, "model": "shufflenet_v2_x0_5"}, "freeze: the run in .* has False, found True"),
    ):
        with pytest.raises(UsageError, match=message):
            run(replace(again, **change), plain)
    moved = tmp_path / "elsewhere" / data.name
    moved.parent.mkdir()
    data.rename(moved)
    table = pq.read_table(moved)
    other = table["image"].take([*range(4, 16), *range(4)])  # others at each place, of the same classes and sizes
    pq.write_table(table.set_column(0, "image", other), data)
    with pytest.raises(UsageError, match=r"data: the run in .* has 16 images of digest .*, found 16 images of digest .*; use"):
        run(again, plain)
    assert run(replace(again, data=moved), plain) == 0, "wherever it is moved to"


def test_a_checkpoint_that_does_not_say_its_data_is_gone_on_from(
    make_images: MakeImages, tmp_path: Path, recipe: Recipe
) -> None:
    data, out, notes = make_images(16), tmp_path / "out", Notes()
    plain = replace(recipe, epochs=1)
    assert run(settings(data, out), plain) == 0
    last = out / "checkpoints" / "last.pt"
    state = load_checkpoint(last)
    for name in ("data", "validation", "precision", "freeze", "teacher_weights"):
        del state["identity"][name]
    torch.save(state, last)  # as earlier versions wrote it, without a digest
    assert run(settings(data, out, resume="auto"), plain, notes) == 0
    assert (
        f"resume: {last} is of an earlier version and does not say its data, validation, precision: not compared" in notes.lines
    )


def test_a_finished_run_says_so_and_goes_on_with_more_epochs(make_images: MakeImages, tmp_path: Path, recipe: Recipe) -> None:
    data, out, notes = make_images(32), tmp_path / "out", Notes()
    assert run(settings(data, out), recipe) == 0
    assert run(settings(data, out, resume="auto"), recipe, notes) == 0
    assert notes.lines == ["the run is finished: 2 of 2 epochs are done"]
    before = (out / "model.safetensors").read_bytes()
    assert run(settings(data, out, resume="auto"), replace(recipe, epochs=4), notes) == 0
    assert "resumed at epoch 3, step 8; 2 epochs have become 4, learning rate 0.01" in notes.lines
    rates = [line["train/lr"] for line in metrics(out) if "train/lr" in line]
    assert rates == pytest.approx([0.02 * (1 - n / 8) for n in range(8)] + [0.02 * (1 - n / 16) for n in range(8, 16)])
    assert (out / "model.safetensors").read_bytes() != before
    with pytest.raises(UsageError, match="recipe.epochs: the run in .* has 4, found 2"):
        run(settings(data, out, resume="auto"), recipe)


def test_one_run_at_a_time_in_a_folder(make_images: MakeImages, tmp_path: Path, recipe: Recipe) -> None:
    data, out = make_images(16), tmp_path / "out"
    with folder_lock(out), pytest.raises(UsageError, match="out: another run is at work in .*; wait for its end"):
        run(settings(data, out), recipe)
    assert run(settings(data, out), replace(recipe, epochs=1)) == 0


def test_a_damaged_checkpoint_gives_way_to_the_one_before_it(make_images: MakeImages, tmp_path: Path, recipe: Recipe) -> None:
    data, out, notes = make_images(32), tmp_path / "out", Notes()
    assert run(settings(data, out), recipe) == 0
    whole = (out / "model.safetensors").read_bytes()
    last = out / "checkpoints" / "last.pt"
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 1
    last.write_bytes(content)
    assert run(settings(data, out, resume="auto"), recipe, notes) == 0
    assert notes.lines[0].startswith(f"resume: {last} is damaged: its content is not what was written; goes on from ")
    assert "resumed at epoch 2, step 4" in notes.lines
    assert (out / "model.safetensors").read_bytes() == whole


@pytest.mark.parametrize(
    "change", [{"layout": 3}, {"layout": {"fast": True}}, {"identity": None}, {"place": {"epoch": "x"}}, {"model": []}]
)
def test_a_checkpoint_of_wrong_fields_is_one_line(
    make_images: MakeImages, tmp_path: Path, recipe: Recipe, change: dict[str, Any]
) -> None:
    data, out = make_images(16), tmp_path / "out"
    plain = replace(recipe, epochs=1)
    assert run(settings(data, out), plain) == 0
    last = out / "checkpoints" / "last.pt"
    save_checkpoint(last, load_checkpoint(last) | change)
    with pytest.raises(InputError, match="^resume: ") as caught:
        run(settings(data, out, resume="auto"), plain)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["recipe.toml", "metrics.jsonl", "model.safetensors", "broken_training.txt", "tensorboard"])
def test_what_cannot_be_written_is_one_line(make_images: MakeImages, tmp_path: Path, recipe: Recipe, name: str) -> None:
    """A folder, or for `tensorboard` a file, stands in the way, whoever may write."""
    data, out = make_images(32, broken=1), tmp_path / "out"
    out.mkdir()
    if name == "tensorboard":
        (out / name).write_text("no folder")
    else:
        (out / name / "in the way").mkdir(parents=True)
    with pytest.raises(ShufflekitError, match=f"{name}.*(Is a directory|Not a directory|exists|not empty)") as caught:
        run(settings(data, out), replace(recipe, epochs=1))
    assert "\n" not in str(caught.value)


def test_a_network_of_one_channel_learns_from_grey_images(make_images: MakeImages, tmp_path: Path, recipe: Recipe) -> None:
    data, out = make_images(16), tmp_path / "out"
    grey = replace(settings(data, out), options={"in_chans": 1.0})
    assert run(grey, replace(recipe, epochs=1)) == 0
    cfg = Network.from_pretrained(out).pretrained_cfg
    assert cfg is not None
    assert (cfg["input_size"], cfg["channel_order"], len(cfg["mean"])) == ((1, 16, 16), "grey", 1)
    assert run(replace(grey, resume="auto"), replace(recipe, epochs=1)) == 0
    with pytest.raises(UsageError, match="input_size: photos have 3 channels, or 1 where they are grey, found 2"):
        run(replace(grey, options={"in_chans": 2.0}, out=tmp_path / "two"), recipe)


def test_a_batch_of_one_is_refused_where_a_norm_cannot_take_it(make_images: MakeImages, tmp_path: Path, recipe: Recipe) -> None:
    data, one = make_images(16), replace(recipe, batch=1, epochs=1)
    large = replace(one, small_input=False, preprocessing=Preprocessing((32, 32)))
    with pytest.raises(
        UsageError, match="batch: must be 2 or more at 32x32, where a batch norm of shufflenet_v2_x0_5 sees one value"
    ):
        run(settings(data, tmp_path / "one"), large)
    assert run(settings(data, tmp_path / "fits"), one) == 0, "a last map of more than one pixel"


def test_classes_without_images_are_said(make_images: MakeImages, tmp_path: Path, recipe: Recipe) -> None:
    notes = Notes()
    table = pq.read_table(make_images(16))
    labels = pa.array([0, 5] * 8, pa.int64())
    pq.write_table(table.set_column(1, "label", labels), tmp_path / "gaps.parquet")
    assert run(settings(tmp_path / "gaps.parquet", tmp_path / "out"), replace(recipe, epochs=1), notes) == 0
    assert notes.lines[0] == "data: 4 of 6 classes have no training images: 1, 2, 3, ..."


def test_a_frozen_backbone_stays_as_it_is(make_images: MakeImages, tmp_path: Path, recipe: Recipe) -> None:
    data, first, out = make_images(16), tmp_path / "first", tmp_path / "out"
    plain = replace(recipe, epochs=1)
    with pytest.raises(UsageError, match="freeze: the frozen weights would be random; name some with --weights"):
        run(settings(data, out, freeze=True), plain)
    assert run(settings(data, first), plain) == 0
    assert run(settings(data, out, freeze=True, weights=str(first / "model.safetensors")), plain) == 0
    before, after = (Network.from_pretrained(folder).state_dict() for folder in (first, out))
    changed = {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}
    assert changed == {"fc.weight", "fc.bias"}


def test_the_classifier_of_other_classes_starts_anew_and_of_the_same_is_kept(
    make_images: MakeImages, tmp_path: Path, recipe: Recipe
) -> None:
    data, first, notes = make_images(16), tmp_path / "first", Notes()
    plain = replace(recipe, epochs=1)
    assert run(settings(data, first), plain) == 0
    config = json.loads((first / "config.json").read_text())
    kept = Network.from_pretrained(first).get_classifier().weight

    def start(classes: list[str]) -> torch.Tensor:
        (first / "config.json").write_text(
            json.dumps(config | {"pretrained_cfg": config["pretrained_cfg"] | {"classes": classes}})
        )
        model = create_model("shufflenet_v2_x0_5", str(first / "model.safetensors"), num_classes=4, small_input=True)
        assert isinstance(model, Network)
        keep_classes(model, known_classes(model, str(first / "model.safetensors")), ["ant", "bee", "cow", "dog"], notes)
        return model.get_classifier().weight

    assert torch.equal(start(["ant", "bee", "cow", "dog"]), kept)
    assert notes.lines == []
    assert torch.equal(start(["dog", "ant", "bee", "cow"]), kept[[1, 2, 3, 0]])
    other = start(["elk", "fox", "gnu", "hen"])
    assert not any(torch.equal(row, trained) for row in other for trained in kept)
    assert notes.lines[-1].startswith(
        "weights: the classifier starts anew, its classes are others (data: 4 of 4 classes are none"
    )


def test_a_run_puts_the_rows_of_its_weights_in_the_order_of_the_data(
    make_images: MakeImages, tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, first, seen = make_images(16), tmp_path / "first", []
    assert run(settings(data, first), replace(recipe, epochs=1)) == 0
    kept = Network.from_pretrained(first).get_classifier().weight.clone()
    config = json.loads((first / "config.json").read_text())
    names = config["pretrained_cfg"]["classes"]
    config["pretrained_cfg"]["classes"] = [names[3], *names[:3]]
    (first / "config.json").write_text(json.dumps(config))

    def fit(self: Trainer) -> int:
        seen.append(self.model.get_classifier().weight.clone())
        return 0

    monkeypatch.setattr(Trainer, "fit", fit)
    assert run(settings(data, tmp_path / "second", weights=str(first / "model.safetensors")), replace(recipe, epochs=1)) == 0
    assert torch.equal(seen[0], kept[[1, 2, 3, 0]])


def test_names_of_classes_that_nobody_says_are_none(tmp_path: Path) -> None:
    model = create_model("shufflenet_v2_x0_5", num_classes=4)
    assert isinstance(model, Network)
    for config in ("[]", '{"pretrained_cfg": null}', '{"pretrained_cfg": {}}', "{", '"a"'):
        (tmp_path / "config.json").write_text(config)
        assert known_classes(model, str(tmp_path)) == []


def test_the_best_epoch_is_that_of_the_network_that_is_kept(
    make_images: MakeImages, tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the average's score where there is an average, and only when it rises."""
    found = iter(Score(100, right, 100) for right in (90, 10, 20, 30, 99, 25))  # the network's and its average's
    monkeypatch.setattr(loop.Trainer, "_score", lambda trainer, network, validation: next(found))
    saved: list[int] = []
    plain = loop.Trainer._save

    def save(trainer: loop.Trainer, also_best: bool = False) -> None:
        if also_best:
            saved.append(trainer.place.epoch)
        plain(trainer, also_best)

    monkeypatch.setattr(loop.Trainer, "_save", save)
    assert run(settings(make_images(16), tmp_path / "out", holdout=4), replace(recipe, epochs=3)) == 0
    assert saved == [1, 2]
    assert load_checkpoint(tmp_path / "out" / "checkpoints" / "last.pt")["place"]["best_top1"] == 30


def test_statistics_that_are_no_numbers_are_not_saved(
    make_images: MakeImages, tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain_update = loop.Trainer._update

    def poisoned(trainer: loop.Trainer, batches: Any) -> None:
        plain_update(trainer, batches)
        next(b for name, b in trainer.model.named_buffers() if "running_var" in name).fill_(float("inf"))

    monkeypatch.setattr(loop.Trainer, "_update", poisoned)
    with pytest.raises(ShufflekitError, match="weights: not finite any more after step 4; there is no checkpoint yet"):
        run(settings(make_images(32), tmp_path / "out"), recipe)


def test_random_states_are_restored(make_images: MakeImages, tmp_path: Path, recipe: Recipe) -> None:
    """A network with dropout ends the same whether it was stopped or not, whatever was drawn meanwhile."""
    data, whole, out = make_images(32), tmp_path / "whole", tmp_path / "out"
    with_dropout = {"options": {"dropout": 0.5}, "model": "res_shufflenet_v2_x0_5", "checkpoint_every": 3}
    assert run(replace(settings(data, whole), **with_dropout), recipe) == 0
    with pytest.MonkeyPatch.context() as patch:
        plain_update = loop.Trainer._update

        def interrupted(trainer: loop.Trainer, batches: Any) -> None:
            plain_update(trainer, batches)
            if trainer.place.step == 5:
                os.kill(os.getpid(), signal.SIGINT)

        patch.setattr(loop.Trainer, "_update", interrupted)
        assert run(replace(settings(data, out), **with_dropout), recipe) == signal.SIGINT
    torch.rand(1000)
    assert run(replace(settings(data, out, resume="auto"), **with_dropout), recipe) == 0
    assert (out / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_every_group_follows_the_schedule_at_its_own_rate(make_images: MakeImages, tmp_path: Path, recipe: Recipe) -> None:
    rates: list[dict[bool, float]] = []
    with pytest.MonkeyPatch.context() as patch:
        plain_update = loop.Trainer._update

        def noted(trainer: loop.Trainer, batches: Any) -> None:
            plain_update(trainer, batches)
            rates.append({group.get("orthogonal", False): group["lr"] for group in trainer.optimizer.param_groups})

        patch.setattr(loop.Trainer, "_update", noted)
        assert run(settings(make_images(16), tmp_path / "out"), replace(recipe, matrix_learning_rate=0.005)) == 0
    for step, found in enumerate(rates):
        left = 1 - step / 4
        assert found == {False: pytest.approx(0.02 * left), True: pytest.approx(0.005 * left)}


def test_a_clipped_gradient_moves_the_weights_no_further(make_images: MakeImages, tmp_path: Path, recipe: Recipe) -> None:
    data, first, out = make_images(16), tmp_path / "first", tmp_path / "out"
    plain = replace(recipe, epochs=1, optimizer="sgd", momentum=0.0, nesterov=False, weight_decay=0.0, ema_decay=0.0)
    assert run(settings(data, first), plain) == 0
    clipped = replace(plain, clip_norm=1e-3, learning_rate=1.0)
    assert run(settings(data, out, weights=str(first / "model.safetensors")), clipped) == 0
    before, after = (dict(Network.from_pretrained(folder).named_parameters()) for folder in (first, out))
    moved = torch.stack([(tensor - after[name]).norm() for name, tensor in before.items()]).norm().item()
    steps = 1.0 + 0.5  # learning rates of the two updates
    assert 0.2 * 1e-3 * steps < moved < 1.01 * 1e-3 * steps


def test_another_seed_holds_out_other_images(make_images: MakeImages, tmp_path: Path, recipe: Recipe) -> None:
    data, found = make_images(40), set[str]()
    for seed in (0, 1):
        out = tmp_path / str(seed)
        assert run(settings(data, out, holdout=8), replace(recipe, epochs=1, seed=seed)) == 0
        found.add(load_checkpoint(out / "checkpoints" / "last.pt")["identity"]["validation"])
    assert len(found) == 2
    for seed in (2, 3):  # unless they are asked for
        assert run(settings(data, tmp_path / str(seed), holdout=8, holdout_seed=1), replace(recipe, epochs=1, seed=seed)) == 0
        found.add(load_checkpoint(tmp_path / str(seed) / "checkpoints" / "last.pt")["identity"]["validation"])
    assert len(found) == 2
