"""Carries out the training runs of the accuracy tables at the small scale."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from filelock import FileLock, Timeout

from shufflekit.data.augment import Augmentation
from shufflekit.data.loader import Loader
from shufflekit.data.preprocess import Preprocessing
from shufflekit.data.sources import Source, open_source
from shufflekit.device.host import cpu_name, memory_bytes, usable_cores
from shufflekit.errors import InputError, ShufflekitError, one_line
from shufflekit.files import write_atomic
from shufflekit.models import Network
from shufflekit.reproduce.linear_probe import fit_linear_probe
from shufflekit.reproduce.runs import PROBE, Probe, Run, Trained, check_alike, needed_input_size, read_run
from shufflekit.train.checkpoint import load_checkpoint
from shufflekit.train.layout import Layout
from shufflekit.train.log import Silent
from shufflekit.train.recipe import IMAGENET, Recipe
from shufflekit.train.run import Settings, run
from shufflekit.train.score import score

_SIDE = 64  # of the images, where the papers have 224
_UNFINISHED = ".unfinished"

# Fixed before any of the runs, and not varied: the papers' optimizer, rate, decay and smoothing (0.5 for updates of 1024,
# scaled to 128), over epochs that one core can do. Two epochs of warm-up, the usual share, which 240 epochs may do without: the
# full rate throws a new network to a loss of 13 (ShuffleNet 0.25x g=8, seed 99, update 20), and 30 epochs are few to make up
# for it. The crop from a border of an eighth of the side and the flip are what is usual for images of this size; colour jitter
# is left out for its time.
SMALL = replace(
    IMAGENET,
    epochs=30,
    batch=128,
    warmup_epochs=2,
    preprocessing=Preprocessing((_SIDE, _SIDE), crop_pct=1.0),
    augmentation=Augmentation.cifar(pad=_SIDE // 8),
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
        data: a folder with the splits train and val, or anything else that `open_source` takes with them.
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
        self.training, self.validation = (open_source(data, split=split) for split in ("train", "val"))
        if self.training.classes != self.validation.classes:
            raise InputError(f"data: {data}: train and val must have the same classes, found others")
        self.described = {
            "name": data.resolve().name,
            "classes": len(self.training.classes),
            "training_images": len(self.training),
            "validation_images": len(self.validation),
        }
        self._unfinished = out / _UNFINISHED

    def carry_out(self, runs: Sequence[Run], minutes: float | None = None) -> tuple[int, list[str]]:
        """Does what is left of the runs, and the linear probe before them.

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
        steps: list[tuple[str, Callable[[], int]]] = [(PROBE, self._probe)]
        steps += [(one.name, partial(self._train, one)) for one in runs]
        for number, (name, do) in enumerate(steps):
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
                    self.tell(f"{name} ({number} of {len(runs)})" if number else name)
                    if stopped := do():
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
        if name != PROBE:
            check_alike(path, read_run(path, Trained), json.loads(json.dumps(asdict(self.recipe))), self.described)
        return True

    def _train(self, planned: Run) -> int:
        recipe, folder = recipe_of(planned, self.recipe), self._unfinished / planned.name
        settings = Settings(
            data=self.data,
            split="train",
            model=planned.built.network,
            options=dict(planned.built.options),
            out=folder,
            resume="auto",
            layout=self.layout,
            compile="no",
            checkpoint_every=0,
        )
        if stopped := run(settings, recipe, _Told(planned.name, self.tell)):
            return stopped
        found = score(
            Network.from_pretrained(folder),
            self._loader(self.validation, recipe).epoch(0),
            len(self.training.classes),
            torch.device("cpu"),
        )
        epochs = _epochs(folder)
        seen = len(self.training) // recipe.batch * recipe.batch
        trained = Trained(
            planned.built.network,
            dict(planned.built.options),
            planned.seed,
            self.command,
            date.today().isoformat(),
            asdict(recipe),
            self.described,
            found.top1_right,
            round(found.top1, 4),
            round(sum(seen / epoch["images_per_s"] for epoch in epochs), 1),
            Layout(**load_checkpoint(folder / "checkpoints" / "last.pt")["layout"]).name,
            torch.get_num_threads(),
            _machine(),
            epochs,
        )
        write_atomic(self.out / f"{planned.name}.json", trained.to_json().encode())
        shutil.rmtree(folder)
        self.tell(f"{planned.name}: top-1 error {trained.error:.2f} %, {trained.seconds:.0f} s of training")
        return 0

    def _probe(self) -> int:
        started = time.monotonic()
        found = fit_linear_probe(
            self._loader(self.training, self.recipe), self._loader(self.validation, self.recipe), len(self.training.classes)
        )
        probe = Probe(
            self.described,
            list(self.recipe.preprocessing.input_size),
            found.penalty,
            {f"{penalty:g}": round(top1, 2) for penalty, top1 in found.held_out_top1.items()},
            found.right,
            round(100 * found.right / len(self.validation), 4),
            round(time.monotonic() - started, 1),
            _machine(),
        )
        write_atomic(self.out / f"{PROBE}.json", (json.dumps(asdict(probe), indent=1) + "\n").encode())
        self.tell(f"linear probe on pixels: top-1 error {probe.error:.2f} %")
        return 0

    def _loader(self, source: Source, recipe: Recipe) -> Loader:
        """All images once, in order, as the network is to see them without augmentation."""
        return Loader(
            source,
            indices=None,
            batch_size=recipe.batch,
            preprocessing=recipe.preprocessing,
            augmentation=None,
            seed=0,
            shuffle=False,
            drop_last=False,
            workers=0,
        )


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
            "images_per_s": round(line["epoch/images_per_s"], 1),
        }
        for line in lines
        if "epoch/train_loss" in line
    ]


def _machine() -> dict[str, Any]:
    return {"cpu": cpu_name(), "cores": usable_cores(), "memory_bytes": memory_bytes(), "torch": torch.__version__}
