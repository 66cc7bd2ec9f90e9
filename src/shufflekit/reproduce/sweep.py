"""Carries out the training runs of the accuracy tables at the small scale."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any, Literal

import torch
from filelock import FileLock, Timeout

from shufflekit.data.labels import labels_of
from shufflekit.data.loader import Loader, evaluation_loader
from shufflekit.data.source import Source
from shufflekit.data.sources import open_source
from shufflekit.device.host import cpu_name, memory_bytes, usable_cores
from shufflekit.errors import InputError, ShufflekitError, one_line
from shufflekit.files import write_atomic
from shufflekit.models import Network
from shufflekit.models.shufflenet_v1 import ShuffleNetV1
from shufflekit.reproduce.reach import reach
from shufflekit.reproduce.runs import Run, Scored, Trained, check_alike, needed_input_size, read_run
from shufflekit.train.checkpoint import load_checkpoint
from shufflekit.train.holdout import hold_out
from shufflekit.train.layout import Layout
from shufflekit.train.log import Silent
from shufflekit.train.recipe import CIFAR, IMAGENET, Recipe
from shufflekit.train.run import Settings, run
from shufflekit.train.score import score

_HELD_OUT = 10  # one training image in ten
_REACH_IMAGES = 250  # held-out ones
_UNFINISHED = ".unfinished"

# Chosen on held-out images, once: docs/reproduce.md.
SMALL = replace(
    IMAGENET,
    epochs=6,
    batch=128,
    learning_rate=0.1,
    reference_batch=128,
    warmup_epochs=1,
    small_input=True,
    preprocessing=CIFAR.preprocessing,
    augmentation=CIFAR.augmentation,
)


def recipe_of(planned: Run, small: Recipe) -> Recipe:
    """The recipe with a run's seed and input size."""
    height, width = small.preprocessing.input_size
    size = (needed_input_size(planned.built, height), needed_input_size(planned.built, width))
    return replace(small, seed=planned.seed, preprocessing=replace(small.preprocessing, input_size=size))


class Sweep:
    """Carries out runs one after the other; several processes may do so in one folder.

    A run's file lock says that a process is at work on it; the lock of a killed one is free, and its run goes on from the last
    checkpoint. Finished runs are left alone.

    Args:
        data: CIFAR-10, or anything else that `open_source` takes with the splits train and test.
        out: the folder of the finished runs; what is unfinished lies below it.
        recipe: of all runs.
        layout: as in `Settings`; auto measures at the start of each run.
        command: recorded in each run.
        tell: called with one line of progress.

    Raises:
        UsageError, InputError: data that cannot be used.
    """

    def __init__(
        self,
        data: Path,
        out: Path,
        *,
        recipe: Recipe,
        layout: Literal["auto", "nchw", "channels_last", "batch_last"],
        command: str,
        tell: Callable[[str], object],
    ) -> None:
        self.data, self.out, self.recipe, self.layout = data, out, recipe, layout
        self.command, self.tell = command, tell
        self.training, self.test = (open_source(data, split=split) for split in ("train", "test"))
        if self.training.classes != self.test.classes:
            raise InputError(f"data: {data}: train and test must have the same classes, found others")
        every = range(len(self.training))
        self.fitted, self.held_out = hold_out(labels_of(self.training, every).tolist(), len(every) // _HELD_OUT, seed=0)
        self.described = {
            "name": data.resolve().name,
            "classes": len(self.training.classes),
            "training_images": len(self.fitted),
            "held_out_images": len(self.held_out),
            "test_images": len(self.test),
        }
        self._unfinished = out / _UNFINISHED

    def carry_out(self, runs: Sequence[Run], minutes: float | None = None) -> tuple[int, list[str]]:
        """Does what is left of the runs.

        Args:
            minutes: after which no further run is started.

        Returns:
            The number of the signal that stopped it, or 0; and the runs that failed, with the reason.

        Raises:
            InputError: the folder holds another recipe's or data set's run, or cannot be written.
        """
        started = time.monotonic()
        try:
            self._unfinished.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"out: {self.out}: {error.strerror or one_line(error)}") from None
        failed: list[str] = []
        for number, one in enumerate(runs, start=1):
            name = one.name
            if self._done(name):
                continue
            if minutes is not None and time.monotonic() - started >= 60 * minutes:
                self.tell(f"{minutes:g} minutes are over; the same command goes on with {name}")
                break
            lock = self._unfinished / f"{name}.lock"
            try:
                with FileLock(lock, timeout=0):
                    if self._done(name):  # by a process that has just let go of it
                        continue
                    self.tell(f"{name} ({number} of {len(runs)})")
                    if stopped := self._train(one):
                        return stopped, failed
                    lock.unlink(missing_ok=True)  # who opened it before this line finds the run done
            except Timeout:
                self.tell(f"{name}: another process is at work on it")
            except ShufflekitError as error:
                self.tell(f"{name}: {error}")
                failed.append(f"{name}: {error}")
        return 0, failed

    def _done(self, name: str) -> bool:
        path = self.out / f"{name}.json"
        if not path.exists():
            return False
        check_alike(path, read_run(path), json.loads(json.dumps(asdict(self.recipe))), self.described)
        return True

    def _train(self, planned: Run) -> int:
        recipe, folder = recipe_of(planned, self.recipe), self._unfinished / planned.name
        settings = Settings(
            data=self.data,
            split="train",
            model=planned.built.network,
            options=dict(planned.built.options),
            out=folder,
            holdout=len(self.held_out),
            holdout_seed=0,
            resume="auto",
            layout=self.layout,
            compile="no",
            checkpoint_every=0,
        )
        if stopped := run(settings, recipe, _Told(planned.name, self.tell)):
            return stopped
        network = Network.from_pretrained(folder)
        epochs = _epochs(folder)
        seen = len(self.fitted) // recipe.batch * recipe.batch
        trained = Trained(
            planned.built.network,
            dict(planned.built.options),
            planned.seed,
            self.command,
            date.today().isoformat(),
            asdict(recipe),
            self.described,
            self._scored(network, self.test, None, recipe),
            self._scored(network, self.training, self.held_out, recipe),
            self._scored(network, self.training, self.fitted[: len(self.held_out)], recipe),
            round(sum(seen / epoch["images_per_s"] for epoch in epochs), 1),
            Layout(**load_checkpoint(folder / "checkpoints" / "last.pt")["layout"]).name,
            torch.get_num_threads(),
            _machine(),
            self._reach(network, recipe),
            epochs,
        )
        write_atomic(self.out / f"{planned.name}.json", trained.to_json().encode())
        shutil.rmtree(folder)
        self.tell(f"{planned.name}: test error {trained.test.error:.2f} %, {trained.seconds:.0f} s of training")
        return 0

    def _scored(self, network: Network, source: Source, indices: list[int] | None, recipe: Recipe) -> Scored:
        loader = self._loader(source, indices, recipe)
        found = score(network, loader.epoch(0), len(self.training.classes), torch.device("cpu"))
        return Scored(found.images, found.top1_right)

    def _reach(self, network: Network, recipe: Recipe) -> dict[str, float]:
        if not isinstance(network, ShuffleNetV1) or network.groups == 1:
            return {}
        loader = self._loader(self.training, self.held_out[:_REACH_IMAGES], recipe)
        images = torch.cat([batch.images for batch in loader.epoch(0)])
        return {unit: round(found, 4) for unit, found in reach(network, images).items()}

    def _loader(self, source: Source, indices: list[int] | None, recipe: Recipe) -> Loader:
        return evaluation_loader(source, recipe.preprocessing, recipe.batch, indices=indices)


class _Told(Silent):
    """Hands a run's lines on, with its name."""

    def __init__(self, name: str, tell: Callable[[str], object]) -> None:
        self._name, self._tell = name, tell

    def note(self, line: str) -> None:
        self._tell(f"{self._name}: {line}")


def _epochs(folder: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [
        {
            "epoch": line["epoch"],
            "train_loss": round(line["epoch/train_loss"], 4),
            "held_out_error": round(100 - line["val/model_top1"], 2),
            "images_per_s": round(line["epoch/images_per_s"], 1),
        }
        for line in lines
        if "epoch/train_loss" in line
    ]


def _machine() -> dict[str, Any]:
    return {"cpu": cpu_name(), "cores": usable_cores(), "memory_bytes": memory_bytes(), "torch": torch.__version__}
