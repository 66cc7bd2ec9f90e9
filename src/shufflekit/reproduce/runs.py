"""Training runs of the accuracy tables as plain data: planned, and finished, each in a file of its own."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from shufflekit.errors import InputError
from shufflekit.records import parsed, read_text, record
from shufflekit.reproduce.speed import Built

SEEDS = 5
MORE_SEEDS = 10  # where five leave a comparison open


@dataclass(frozen=True)
class Run:
    """A network to train from one seed."""

    built: Built
    seed: int

    @property
    def spelled_options(self) -> list[tuple[str, str]]:
        """The network's options as the command line takes them."""
        spelled = {True: "yes", False: "no"}
        return [(key, spelled.get(value, str(value))) for key, value in self.built.options.items()]

    @property
    def network_name(self) -> str:
        """The registry name, and options where there are some.

        Example:
            >>> Run(Built("shufflenet_v1_g3_x0_5", options={"shuffle": False}), seed=2).name
            'shufflenet_v1_g3_x0_5-shuffle=no-seed2'
        """
        return "-".join([self.built.network, *(f"{key}={value}" for key, value in self.spelled_options)])

    @property
    def name(self) -> str:
        """What its file is called."""
        return f"{self.network_name}-seed{self.seed}"


def needed_input_size(built: Built, side: int) -> int:
    """The side of a network's input where others get `side` for 224.

    Example:
        >>> needed_input_size(Built("mobilenet_v2_x0_4", (160, 160)), 64)
        46
    """
    return round(side * built.size[0] / 224)


@dataclass(frozen=True)
class Scored:
    """What a network said of images, each as it is, without augmentation."""

    images: int
    right: int

    def wrong(self) -> str | None:
        """What no score can have, for `record`."""
        return None if 0 <= self.right <= self.images > 0 else f"right: must be 0 to {self.images}, found {self.right}"

    @property
    def error(self) -> float:
        """Top-1 error, %."""
        return 100 - 100 * self.right / self.images


@dataclass(frozen=True)
class Trained:
    """A finished run.

    Attributes:
        network, options, seed: what was trained.
        command: that started it.
        recipe: every number of it.
        data: name, classes, and the images trained on, held out of them, and of the test.
        test: scored once, after the last epoch.
        held_out: likewise.
        fitted: as many of the images trained on.
        seconds: of training, without what a kill made it do twice.
        layout: of the images in memory.
        epochs: of each its mean loss and images a second.
        reach: of a ShuffleNet V1 with groups, see `reach`: of each unit, how many groups of channels its output draws from.
    """

    network: str
    options: dict[str, Any]
    seed: int
    command: str
    date: str
    recipe: dict[str, Any]
    data: dict[str, Any]
    test: Scored
    held_out: Scored
    fitted: Scored
    seconds: float
    layout: str
    threads: int
    machine: dict[str, Any]
    reach: dict[str, float]
    epochs: list[dict[str, float]]

    def wrong(self) -> str | None:
        """What no finished run can have, for `record`."""
        if not self.epochs or any("train_loss" not in epoch for epoch in self.epochs):
            return "epochs: must be one or more, each with its train_loss"
        missing = [name for name in ("name", "training_images", "held_out_images", "test_images") if name not in self.data]
        return f"data.{missing[0]}: is missing" if missing else None

    @property
    def network_name(self) -> str:
        return self._planned.network_name

    @property
    def run_name(self) -> str:
        return self._planned.name

    @property
    def _planned(self) -> Run:
        return Run(Built(self.network, options=self.options), self.seed)

    def to_json(self) -> str:
        """As JSON, an epoch a line."""
        content = asdict(self)
        epochs = ",\n  ".join(json.dumps(epoch) for epoch in content.pop("epochs"))
        return f'{json.dumps(content, indent=1)[:-2]},\n "epochs": [\n  {epochs}\n ]\n}}\n'


def read_runs(folder: Path) -> list[Trained]:
    """All finished runs of a folder.

    Raises:
        InputError: a file that is none, or runs of more than one recipe or data set.
    """
    runs = []
    for path in sorted(folder.glob("*-seed*.json")):
        runs.append(read_run(path))
        check_alike(path, runs[-1], runs[0].recipe, runs[0].data)
    return runs


def read_run(path: Path) -> Trained:
    """A file with one finished run.

    Raises:
        InputError: it is something else.
    """
    try:
        return record(Trained, parsed(read_text(path), "it"), "it")
    except InputError as error:
        raise InputError(f"{path}: not readable as a finished run ({error})") from None


def check_alike(path: Path, found: Trained, recipe: dict[str, Any], data: dict[str, Any]) -> None:
    """Refuses to lay runs beside each other that differ in more than network and seed."""
    if found.data != data:
        raise InputError(f"{path}: trained on {_words(found.data)}, needed {_words(data)}; keep them in another folder")
    for name, needed in recipe.items():
        if name not in ("seed", "preprocessing") and (has := found.recipe.get(name)) != needed:
            raise InputError(f"{path}: trained with {name} {has}, needed {needed}; keep such runs in another folder")


def _words(data: dict[str, Any]) -> str:
    counts = ", ".join(str(data[f"{part}_images"]) for part in ("training", "held_out", "test"))
    return f"{data['name']} ({counts} images)"
