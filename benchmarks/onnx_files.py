"""Compiles ONNX files and compares them with ONNX Runtime: `python benchmarks/onnx_files.py FOLDER` prints a table.

FOLDER has `manifest.csv` (columns file, fed, input_kind) and `make_input.py` with the input of each file. A file is right where
every output is within 1e-4 of its largest value plus 1e-6 (1e-3 for float16 files; three times what ONNX Runtime with its
optimisations differs from itself without, where that is more), on one thread and two, of one image and of three. Three are
compared with ONNX Runtime where the batch is open, else with three single runs. The exit code is 1 where one is wrong.
"""

from __future__ import annotations

import csv
import importlib.util
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cyclopts
import numpy as np
from numpy.typing import NDArray

import shufflekit as sk
from shufflekit.errors import ShufflekitError
from shufflekit.export.to_onnx import onnx_session

Array = NDArray[Any]


def main(folder: Path) -> int:
    """Compile each ONNX file of a folder and compare it with ONNX Runtime.

    Args:
        folder: with manifest.csv and make_input.py.
    """
    make_input = inputs_of(folder)
    print("| file | result | of tolerance | steps |\n|---|---|---|---|")
    found = []
    with (folder / "manifest.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            result, share, steps = of_file(folder / row["file"], row, make_input)
            found.append(result)
            print(f"| {row['file']} | {result} | {share} | {steps} |", flush=True)
    right = sum(result.startswith("right") for result in found)
    print(f"\n{right} of {len(found)} files compile and are right.")
    return int("WRONG" in found)


def inputs_of(folder: Path) -> Callable[..., Array]:
    source = importlib.util.spec_from_file_location("make_input", folder / "make_input.py")
    assert source is not None
    assert source.loader is not None
    module = importlib.util.module_from_spec(source)
    source.loader.exec_module(module)
    found: Callable[..., Array] = module.make_input
    return found


def of_file(path: Path, row: dict[str, str], make_input: Callable[..., Array]) -> tuple[str, str, str]:
    (shape,) = list(json.loads(row["fed"]).values())[:1]
    try:
        engines = [sk.compile(path, shape if len(shape) == 4 else None, threads=threads) for threads in (1, 2)]
    except ShufflekitError as error:
        return str(error).partition(": ")[2].replace("|", "/"), "", ""
    x = np.concatenate([make_input(shape, rng=np.random.default_rng(seed), kind=row["input_kind"]) for seed in range(3)])
    of_one = "batch" in engines[0].program.info
    parts = [x[i : i + 1] for i in range(3)] if of_one else [x]
    optimised, plain = (in_runtime(path, parts, level) for level in (True, False))
    half = 1e-3 if "FLOAT16" in row["inputs"] else 1e-4
    allowed = [max(half * np.abs(y).max() + 1e-6, 3 * np.abs(y - z).max()) for y, z in zip(optimised, plain)]
    shares = []
    for engine in engines:
        for batch in (x, x[:1]):
            outputs = engine(batch)
            outputs = outputs if isinstance(outputs, list) else [outputs]
            shares += [np.abs(y - z[: len(batch)]).max() / most for y, z, most in zip(outputs, optimised, allowed, strict=True)]
    worst = float(np.max(shares))  # NaN where one is
    kind = "right, one image at a time" if of_one else "right"
    return kind if worst <= 1 else "WRONG", f"{worst:.3f}", str(len(engines[0].program.steps))


def in_runtime(path: Path, parts: Sequence[Array], optimise: bool) -> list[Array]:
    """What ONNX Runtime gives for each part, joined."""
    session = onnx_session(path, 1, optimise)
    (source,) = session.get_inputs()
    kind = np.float16 if source.type == "tensor(float16)" else np.float32
    runs = [session.run(None, {source.name: part.astype(kind)}) for part in parts]
    return [np.concatenate(each).astype(np.float32) for each in zip(*runs)]


if __name__ == "__main__":
    cyclopts.run(main)
