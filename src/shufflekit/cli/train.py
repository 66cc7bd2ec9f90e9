"""`shufflekit train`: flags and TOML over a recipe, and bars on the terminal."""

from __future__ import annotations

import signal
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import App, Group, Parameter
from cyclopts.argument import ArgumentCollection
from cyclopts.config import Dict, Toml
from cyclopts.exceptions import CycloptsError
from rich.progress import TaskID

from shufflekit.cli._model import read_model
from shufflekit.cli._numbers import check_numbers
from shufflekit.cli._output import notice, progress
from shufflekit.errors import UsageError
from shufflekit.train.recipe import IMAGENET, Recipe, recipe_named
from shufflekit.train.run import Settings, run


def _fill_in(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Gives what no flag said: first the TOML file's values, then the recipe's."""
    if config := _given(arguments, "--config"):
        if not Path(config).is_file():
            raise UsageError(f"config: {config} is not a file")
        try:
            Toml(config, use_commands_as_keys=False)(app, commands, arguments)
        except CycloptsError as error:
            raise UsageError(f"config: {config}: {error}") from error
    detects = _given(arguments, "--task") == "detect"
    name = _given(arguments, "--recipe") or ("detect" if detects else "imagenet")
    Dict(asdict(recipe_named(name)), use_commands_as_keys=False)(app, commands, arguments)


def _given(arguments: ArgumentCollection, flag: str) -> str | None:
    tokens = arguments[flag].tokens
    return tokens[0].value if tokens else None


train = App(name="train", config=(_fill_in, check_numbers))
_NUMBERS = Group("Numbers of the recipe; --recipe has the others")


@train.default
def _train(
    *,
    settings: Annotated[Settings, Parameter(name="*", negative_iterable="", consume_multiple=True)],
    recipe: str = "imagenet",  # noqa: ARG001  # _fill_in has read both
    config: Path | None = None,  # noqa: ARG001
    numbers: Annotated[Recipe, Parameter(name="*", group=_NUMBERS, negative_iterable="", show_default=False)] = IMAGENET,
) -> int:
    """Train a network.

    Args:
        recipe: imagenet (both papers'), cifar, or detect, which --task detect takes by default; it has the numbers that no
            flag and no file gives.
        config: a TOML file with any of these flags: epochs = 30, and under [augmentation] pad = 4.
    """
    read_model(settings.model, "train", ("named",))
    start = _run_detection if settings.task == "detect" else run
    with _Bars() as watcher:
        stopped = start(settings, numbers, watcher)
    if stopped:
        notice(f"stopped by {signal.Signals(stopped).name}; the same command with --resume auto continues")
        return 128 + stopped
    notice(f"done: {settings.out} holds model.safetensors and config.json")
    return 0


def _run_detection(settings: Settings, numbers: Recipe, watcher: _Bars) -> int:
    from shufflekit.detect.train import run_detection  # scoring needs another extra

    return run_detection(settings, numbers, watcher)


class _Bars:
    """Draws a bar for each part of the run, and writes a line for each epoch."""

    def __init__(self) -> None:
        self._progress = progress("{task.fields[speed]}")
        self._task: TaskID | None = None

    def __enter__(self) -> _Bars:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def note(self, line: str) -> None:
        if self._progress.disable:
            notice(line)
        else:
            self._progress.console.print(line, markup=False)

    def begin(self, title: str, total: int, done: int) -> None:
        self._task = self._progress.add_task(title, total=total, completed=done, speed="")

    def advance(self, images: int) -> None:
        assert self._task is not None
        self._progress.advance(self._task, images)
        speed = self._progress.tasks[-1].speed
        self._progress.update(self._task, speed=f"{speed:.0f} images/s" if speed else "")

    def end(self) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None
