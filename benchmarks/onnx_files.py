"""Compiles ONNX files and compares them with ONNX Runtime: `python benchmarks/onnx_files.py FOLDER` prints a table.

FOLDER has `manifest.csv` (columns file, fed, input_kind) and `make_input.py` with the input of each file; `photos` beside has
images of which networks of images get three. A file is right where every output is within 1e-4 of its largest value plus
1e-6 (1e-3 for float16 files; three times what ONNX Runtime with its optimisations differs from itself without, where that is
more), on one thread and two, of one image and of three. Three are compared with ONNX Runtime where the batch is open, else with
three single runs. Seconds are of the processor: of reading a file, and of planning it. The exit code is 1 where one is wrong.

`--race` prints another table: milliseconds of one image by the engine and by ONNX Runtime, in turn on one thread, the least of
many calls by processor time, which other programs on the machine disturb least.
"""

from __future__ import annotations

import csv
import importlib.util
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated, Any

import cyclopts
import numpy as np
from cyclopts import Parameter
from numpy.typing import NDArray
from PIL import Image

import shufflekit as sk
from shufflekit.errors import ShufflekitError
from shufflekit.export.to_onnx import load_onnx
from shufflekit.runtime import Engine

Array = NDArray[Any]


@dataclass
class Row:
    """What became of a file; shares are of the tolerance."""

    result: str
    share: float | None = None
    photos: float | None = None
    steps: int | None = None
    reading: float | None = None
    planning: float | None = None

    def __str__(self) -> str:
        shares = ["" if each is None else f"{each:.3f}" for each in (self.share, self.photos)]
        seconds = ["" if each is None else f"{each:.2f}" for each in (self.reading, self.planning)]
        return " | ".join([self.result, *shares, "" if self.steps is None else str(self.steps), *seconds])


def main(folder: Path, *, race: Annotated[bool, Parameter(negative="")] = False, rounds: int = 12, only: str = "*") -> int:
    """Compile each ONNX file of a folder and compare it with ONNX Runtime.

    Args:
        folder: with manifest.csv and make_input.py.
        race: how long both take, in place of how far they differ.
        rounds: turns of a race.
        only: a pattern of files.
    """
    make_input = inputs_of(folder)
    with (folder / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if fnmatch(row["file"], only)]
    if race:
        return raced(folder, rows, make_input, rounds)
    print("| file | result | of tolerance | on photos | steps | reading, s | planning, s |\n|---|---|---|---|---|---|---|")
    found = []
    for row in rows:
        found.append(of_file(folder / row["file"], row, make_input))
        print(f"| {row['file']} | {found[-1]} |", flush=True)
    right = sum(each.result.startswith("right") for each in found)
    print(f"\n{right} of {len(found)} files compile and are right.")
    return int(any(each.result == "WRONG" for each in found))


def inputs_of(folder: Path) -> Callable[..., Array]:
    source = importlib.util.spec_from_file_location("make_input", folder / "make_input.py")
    assert source is not None
    assert source.loader is not None
    module = importlib.util.module_from_spec(source)
    source.loader.exec_module(module)
    found: Callable[..., Array] = module.make_input
    return found


def of_file(path: Path, row: dict[str, str], make_input: Callable[..., Array]) -> Row:
    shapes = json.loads(row["fed"])
    try:
        start = time.process_time()
        network = sk.load_onnx(path, shapes)
        middle = time.process_time()
        engines = [sk.compile(network)]
        end = time.process_time()
        engines.append(sk.compile(network, threads=2))
    except ShufflekitError as error:
        return Row(str(error).partition(": ")[2].replace("|", "/"))
    seeds = [np.random.default_rng(seed) for seed in range(3)]
    noise = [np.concatenate([make_input(shape, rng=rng, kind=row["input_kind"]) for rng in seeds]) for shape in shapes.values()]
    half = 1e-3 if "FLOAT16" in row["inputs"] else 1e-4
    found = Row("", share_of(path, engines, noise, half), None, len(engines[0].program.steps), middle - start, end - middle)
    (shape,) = shapes.values() if len(shapes) == 1 else [()]
    if len(shape) == 4 and (path.parent.parent / "photos").is_dir():
        found.photos = share_of(path, engines, [photos(path.parent.parent / "photos", shape)], half)
    kind = "right, one image at a time" if "batch" in engines[0].program.info else "right"
    is_right = all(share is None or share <= 1 for share in (found.share, found.photos))  # not where one is NaN
    found.result = kind if is_right else "WRONG"
    return found


def raced(folder: Path, rows: Sequence[dict[str, str]], make_input: Callable[..., Array], rounds: int) -> int:
    """Prints milliseconds of one image, ours and ONNX Runtime's, of each file that compiles."""
    print("| file | engine, ms | ONNX Runtime, ms | its time over ours |\n|---|--:|--:|--:|")
    ratios = []
    for row in rows:
        path, shapes = folder / row["file"], json.loads(row["fed"])
        try:
            runs: list[Callable[..., Any]] = [sk.compile(sk.load_onnx(path, shapes)), load_onnx(path, 1)]
        except ShufflekitError:
            continue
        random = np.random.default_rng(0)
        x = [make_input(shape, rng=random, kind=row["input_kind"]) for shape in shapes.values()]
        ours, theirs = in_turn(runs, x, rounds)
        ratios.append(theirs / ours)
        print(f"| {row['file']} | {ours:.3f} | {theirs:.3f} | {ratios[-1]:.2f} |", flush=True)
    print(f"\nGeometric mean {np.exp(np.mean(np.log(ratios))):.2f} of {len(ratios)}, least {min(ratios):.2f}.")
    return 0


def in_turn(runs: Sequence[Callable[..., Any]], x: Sequence[Array], rounds: int, turn: float = 0.1) -> list[float]:
    """The least processor time of a call of each, in milliseconds; a turn takes so many seconds, or two calls."""
    least = [math.inf] * len(runs)
    for _ in range(rounds):
        for number, run in enumerate(runs):
            run(*x)
            calls, end = 0, time.process_time() + turn
            while calls < 2 or time.process_time() < end:
                start = time.process_time_ns()
                run(*x)
                least[number] = min(least[number], (time.process_time_ns() - start) / 1e6)
                calls += 1
    return least


def photos(folder: Path, shape: Sequence[int]) -> Array:
    """Three of them in the size and order of an input, in colour or grey, about zero."""
    channels_last = shape[1] not in (1, 3)
    channels, height, width = (shape[3], *shape[1:3]) if channels_last else shape[1:]
    images = []
    for path in sorted(folder.glob("*.jpg"))[:3]:
        image = Image.open(path).convert("RGB" if channels == 3 else "L").resize((width, height))
        pixels = (np.asarray(image, np.float32) / 255 - 0.45) / 0.225
        pixels = pixels.reshape(height, width, channels)
        images.append(pixels if channels_last else pixels.transpose(2, 0, 1))
    return np.stack(images)


def share_of(path: Path, engines: Sequence[Engine], inputs: Sequence[Array], half: float) -> float:
    """The largest difference over all outputs, of three images and of one, as a share of what is allowed; NaN where one is."""
    singles = [[x[i : i + 1] for x in inputs] for i in range(3)]
    parts = singles if "batch" in engines[0].program.info else [inputs]
    optimised, plain = (in_runtime(path, parts, level) for level in (True, False))
    allowed = [max(half * np.abs(y).max() + 1e-6, 3 * np.abs(y - z).max()) for y, z in zip(optimised, plain)]
    shares = []
    for engine in engines:
        for batch in (inputs, singles[0]):
            outputs = engine(*batch)
            outputs = outputs if isinstance(outputs, list) else [outputs]
            count = len(batch[0])
            shares += [np.abs(y - z[:count]).max() / most for y, z, most in zip(outputs, optimised, allowed, strict=True)]
    return float(np.max(shares))


def in_runtime(path: Path, parts: Sequence[Sequence[Array]], optimise: bool) -> list[Array]:
    """What ONNX Runtime gives for each part, joined."""
    run = load_onnx(path, 1, optimise)
    return [np.concatenate(each) for each in zip(*(run(*part) for part in parts))]


if __name__ == "__main__":
    cyclopts.run(main)
