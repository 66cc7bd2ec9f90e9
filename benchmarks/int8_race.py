"""The race in float32, bfloat16 and int8: this engine, ONNX Runtime, OpenVINO, MNN and ncnn, in turn, and how right each is.

    python benchmarks/int8_race.py prepare      # converts and quantises; no quiet machine needed
    python benchmarks/int8_race.py score        # top-1 and AP of the trained networks; likewise
    python benchmarks/int8_race.py race         # needs a quiet machine: one thread and two
    python benchmarks/int8_race.py page         # writes the tables and the picture of docs/int8.md once more

Ten networks of ShuffleNets and MobileNets, ResNet-18, MobileNetV3-large and YOLOv8n's form have random weights, calibrated on
noise; the four that are trained have their own data. All quantisers get the same images. Each network and number of threads is
kept at once in results/int8, and a run that was stopped goes on; `--again` does anew what is kept. Files lie in `--folder`.

A contestant in float32 must equal PyTorch within 1e-3 of the largest output, another one be nearer to it than zeros are.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import torch
from contestants import CONTESTANTS, STEM, Contestant, Source
from contestants.results import (
    PAGE,
    PICTURE,
    RESULTS,
    TRAINED,
    Entry,
    Score,
    Unit,
    decibels,
    keep,
    picture,
    put,
    race_table,
    read_scores,
    read_units,
    score_table,
)
from cyclopts import App, Parameter
from engines import KEPT, tell
from engines import NETWORKS as TEN
from networks import NETWORKS as FORMS
from quantization import DATA, Task, detector, ten_classes
from quantization import TEN as TEN_CLASSES

from shufflekit.bench.machine import Machine
from shufflekit.bench.race import ALLOWED_DIFFERENCE, take_turns
from shufflekit.device.host import cpu_name
from shufflekit.errors import InputError, MissingExtraError, ShufflekitError, UsageError, kind_and_line
from shufflekit.export import FORMATS, Settings
from shufflekit.export.quiet import stdout_to_stderr
from shufflekit.export.random_weights import spread_weights
from shufflekit.files import write_atomic
from shufflekit.models import build_model
from shufflekit.outputs import Array, largest_difference, outputs_of
from shufflekit.records import parsed, read_text

OTHERS = ("resnet18", "mobilenet_v3_large", "yolov8n")
NETWORKS = (*TEN, *OTHERS, *TRAINED)
_IMAGES = 8  # of noise, for the ranges
_WARM_UP = 5
_MADE = "made.json"  # in a network's folder: why a contestant has no files
_INPUT = "input.npz"  # likewise: an image, and what PyTorch computes of it

app = App(help=__doc__)
Names = Annotated[tuple[str, ...], Parameter(consume_multiple=True)]
Again = Annotated[bool, Parameter(negative="")]


# What is made of a network.


@app.command
def prepare(
    *,
    networks: Names = NETWORKS,
    contestants: Names = tuple(CONTESTANTS),
    again: Again = False,
    data: Path = DATA,
    folder: Path = KEPT / "int8",
) -> None:
    """Converts and quantises.

    Args:
        networks: some of them.
        contestants: likewise.
        again: also what is there.
        data: the folder with cifar10/, weights/ and coco_mini/.
        folder: where the files are put.
    """
    for name in _known("networks", networks, NETWORKS):
        place, field = folder / name, [CONTESTANTS[one] for one in _known("contestants", contestants, CONTESTANTS)]
        place.mkdir(parents=True, exist_ok=True)
        made = _made(place)
        wanted = [one for one in field if one.write and (one.timed or name in TRAINED) and (again or one.name not in made)]
        if not wanted:
            continue
        tell(name)
        network, images = _network(name, data)
        source = Source(network, images, place)
        with stdout_to_stderr():
            np.savez(place / _INPUT, images[:1], *outputs_of(network, images[:1]))
            FORMATS["onnx"].write(network, source.shape, place / STEM, Settings())
            for one in wanted:
                made[one.name] = _write(one, source)
                write_atomic(place / _MADE, json.dumps(made, indent=1).encode())
        gc.collect()


def _network(name: str, data: Path) -> tuple[Any, Array]:
    """A network in evaluation, and images from which ranges are learnt."""
    if name in TRAINED:
        task = _task(name, data)
        return task.network, task.calibration
    shape = FORMS[name].shape if name in FORMS else (1, 3, 224, 224)
    torch.manual_seed(0)  # biases that `spread_weights` leaves, whatever was prepared before
    network = FORMS[name]() if name in FORMS else spread_weights(build_model(name), shape)
    return network.eval(), np.random.default_rng(0).standard_normal((_IMAGES, *shape[1:]), np.float32)


def _task(name: str, data: Path) -> Task:
    if not (data / "weights").is_dir():
        raise InputError(f"data: must hold weights/, found none at {data}")
    return ten_classes(data) if name == TEN_CLASSES else detector(name, data)


def _write(one: Contestant, source: Source) -> str:
    """Why there are no files; empty where there are."""
    assert one.write is not None
    tell(f"  {one.name}")
    try:
        one.runtime.require()
        one.write(source)
    except ShufflekitError as refused:
        return str(refused)
    except Exception as failure:  # noqa: BLE001  # each converter raises what it likes
        return kind_and_line(failure)
    return ""


def _made(place: Path) -> dict[str, str]:
    path = place / _MADE
    return dict(parsed(read_text(path), str(path))) if path.exists() else {}


def _runs(place: Path, threads: int, timed: bool) -> tuple[dict[str, Callable[[Array], list[Array]]], list[Entry]]:
    """The contestants that load, and an entry for each other one."""
    made, runs, others = _made(place), {}, []
    for name, one in CONTESTANTS.items():
        if timed and not one.timed:
            continue
        try:
            one.runtime.require()
            if why := made.get(name):
                raise InputError(why)
            if not all(path.exists() for path in one.files(place)):
                raise InputError("not prepared")
            runs[name] = one.load(place, threads)
        except MissingExtraError as missing:
            others.append(Entry(name, "skipped", str(missing)))
        except ShufflekitError as refused:
            others.append(Entry(name, "failed", str(refused)))
        except Exception as failure:  # noqa: BLE001  # each runtime raises what it likes
            others.append(Entry(name, "failed", kind_and_line(failure)))
    return runs, others


# How long it takes.


@app.command
def race(
    *,
    networks: Names = NETWORKS,
    threads: Annotated[tuple[int, ...], Parameter(consume_multiple=True)] = (1, 2),
    rounds: int = 8,
    calls: int = 5,
    again: Again = False,
    folder: Path = KEPT / "int8",
    results: Path = RESULTS,
    page: Path = PAGE,
) -> None:
    """Times what was prepared, all contestants of a network in turn.

    Args:
        networks: some of them.
        threads: of every contestant, one race each.
        rounds: turns of each.
        calls: timed calls of a turn.
        again: also what is kept.
        folder: where the files are.
        results: where times are kept.
        page: whose tables are written from them.
    """
    if min(*threads, rounds, calls) < 1:
        raise UsageError("threads, rounds and calls: must be at least 1")
    kept = {(one.network, one.threads): one for one in read_units(results)}
    for name in _known("networks", networks, NETWORKS):
        for count in threads:
            if (name, count) in kept and not again:
                continue
            kept[name, count] = _raced(name, folder / name, count, rounds, calls)
            units = [kept[key] for key in sorted(kept, key=lambda key: (NETWORKS.index(key[0]), key[1]))]
            keep(results / "race.json", units)
            tell(_told(kept[name, count]))
    write_page(results, page)


def _raced(name: str, place: Path, threads: int, rounds: int, calls: int) -> Unit:
    x, expected = _example(place)
    machine = Machine(threads)
    with stdout_to_stderr():
        runs, entries = _runs(place, threads, timed=True)
        noise: dict[str, float] = {}
        for contestant, run in list(runs.items()):
            entry = _checked(contestant, run, x, expected)
            if entry.state == "wrong":
                del runs[contestant]
                entries.append(entry)
            else:
                assert entry.db is not None
                noise[contestant] = entry.db
        times, share = take_turns({key: partial(run, x) for key, run in runs.items()}, rounds, calls, machine.measure)
    timed = [Entry(key, "timed", "", median(each), min(each), noise[key]) for key, each in times.items()]
    order = list(CONTESTANTS)
    ordered = sorted([*timed, *entries], key=lambda one: order.index(one.contestant))
    return Unit(name, threads, cpu_name(), _today(), tuple(machine.complaints([share])), tuple(ordered))


def _example(place: Path) -> tuple[Array, list[Array]]:
    """An image, and what PyTorch computes of it."""
    if not (place / _INPUT).exists():
        raise InputError(f"{place.name}: not prepared in {place.parent}; run `int8_race.py prepare` first")
    stored = np.load(place / _INPUT)
    x, *expected = (stored[key] for key in stored.files)
    return x, expected


def _checked(name: str, run: Callable[[Array], list[Array]], x: Array, expected: Sequence[Array]) -> Entry:
    """Warms a contestant up and compares it with PyTorch."""
    for _ in range(_WARM_UP):
        found = [y.copy() for y in run(x)]
    found = _in_order(found, expected)
    db = min(decibels(right, y) for right, y in zip(expected, found, strict=True))
    if CONTESTANTS[name].is_exact and not (less := largest_difference(found, expected)) <= ALLOWED_DIFFERENCE:
        return Entry(name, "wrong", f"differs from PyTorch by {less:.1e} of the largest output", db=db)
    if not db > 0:
        return Entry(name, "wrong", f"further from PyTorch than zeros, {db:.1f} dB", db=db)
    return Entry(name, "timed", db=db)


def _in_order(found: Sequence[Array], expected: Sequence[Array]) -> list[Array]:
    """As expected, where a runtime hands out outputs of other sizes first."""
    sizes = {y.size: y for y in found}
    if len(sizes) < len(found):
        return list(found)
    return [sizes[y.size] for y in expected]


# How right it is.


@app.command
def score(
    *,
    networks: Names = TRAINED,
    again: Again = False,
    data: Path = DATA,
    folder: Path = KEPT / "int8",
    results: Path = RESULTS,
    page: Path = PAGE,
) -> None:
    """Scores the trained networks as each contestant runs them.

    Args:
        networks: some of them.
        again: also what is kept.
        data: the folder with cifar10/, weights/ and coco_mini/.
        folder: where the files are.
        results: where scores are kept.
        page: whose tables are written from them.
    """
    kept = {(one.network, one.contestant): one for one in read_scores(results)}
    for name in _known("networks", networks, TRAINED):
        wanted = [one for one in CONTESTANTS if again or (name, one) not in kept]
        if not wanted:
            continue
        task = _task(name, data)
        with stdout_to_stderr():
            runs, others = _runs(folder / name, 1, timed=False)
        for one in others:
            kept[name, one.contestant] = Score(name, one.contestant, None, one.note)
        _, expected = _example(folder / name)
        for one in [each for each in wanted if each in runs]:
            try:
                with stdout_to_stderr():
                    kept[name, one] = Score(name, one, round(task.score(partial(_one_by_one, runs[one], expected)), 2))
            except ShufflekitError as refused:
                kept[name, one] = Score(name, one, None, str(refused))
            tell(f"{name}, {one}: {kept[name, one].score or kept[name, one].note}")
            order = [(network, contestant) for network in TRAINED for contestant in CONTESTANTS]
            keep(results / "scores.json", [kept[key] for key in order if key in kept])
    write_page(results, page)


def _one_by_one(run: Callable[[Array], list[Array]], expected: Sequence[Array], x: Array) -> list[Array]:
    # OpenVINO writes into the same memory again.
    singles = [_in_order([y.copy() for y in run(x[i : i + 1])], expected) for i in range(len(x))]
    return [np.concatenate(each) for each in zip(*singles)]


@app.command(name="page")
def write_page(results: Path = RESULTS, page: Path = PAGE) -> None:
    """Writes the tables and the picture from what is kept.

    Args:
        results: where it is kept.
        page: whose marked parts are written.
    """
    units, scores = read_units(results), read_scores(results)
    put(page, "race", race_table(units))
    put(page, "scores", score_table(scores))
    if page == PAGE and (chart := picture(units, scores)) is not None:
        PICTURE.parent.mkdir(exist_ok=True)
        chart.save(PICTURE)


def _told(unit: Unit) -> str:
    ours, theirs = unit.least(True), unit.least(False)
    shown = [f"{name} {ms:.2f} ms" for ms, name in (each for each in (ours, theirs) if each)]
    return f"{unit.network}, {unit.threads}: {', '.join(shown)}; {'; '.join(unit.complaints) or 'quiet'}"


def _known(name: str, asked: Sequence[str], known: Sequence[str] | Mapping[str, Any]) -> Sequence[str]:
    if unknown := set(asked) - set(known):
        raise UsageError(f"{name}: must be of {', '.join(known)}, found {', '.join(sorted(unknown))}")
    return asked


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


if __name__ == "__main__":
    try:
        app()
    except ShufflekitError as error:
        sys.exit(f"int8_race.py: {error}")
