"""Rounds every registered network to bytes and writes what each loses into docs/int8.md: `python benchmarks/int8_noise.py`.

Random weights, calibrated so that what flows through keeps its size; ranges of 8 images of noise, 224x224, and the figure of 4
others. Noise goes through such weights as signal does: trained networks lose less. Every network is kept at once in
results/int8/noise.json, and a run that was stopped goes on; `--again` does anew what is kept, or what `--only` names.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated

import cyclopts
import numpy as np
import torch
from contestants.results import PAGE, RESULTS, decibels, drawn, keep, put, read
from engines import tell

from shufflekit.errors import ShufflekitError
from shufflekit.export.random_weights import spread_weights
from shufflekit.graph import simplify
from shufflekit.graph.from_torch import capture
from shufflekit.models import build_model, list_models
from shufflekit.plan.build import build
from shufflekit.quantization import LEAST_DB
from shufflekit.quantize import quantize
from shufflekit.runtime import Engine

_SHAPE = (1, 3, 224, 224)
_IMAGES, _OTHERS = 8, 4
_PRODUCTS = ("conv", "linear")


@dataclass(frozen=True)
class Noise:
    """Of one network, in dB: of its output on images that the ranges were not learnt from, and of its worst step alone.

    `kept` counts the products that stay in float32 of `products`; the warning is what compiling said.
    """

    network: str
    db: float | None
    products: int = 0
    kept: int = 0
    worst_step: str = ""
    worst_db: float | None = None
    warning: str = ""
    note: str = ""


def main(
    *,
    only: str = "*",
    again: Annotated[bool, cyclopts.Parameter(negative="")] = False,
    results: Path = RESULTS,
    page: Path = PAGE,
) -> None:
    """Round networks and keep what each loses.

    Args:
        only: a pattern of names.
        again: also what is kept.
        results: where it is kept.
        page: whose marked part is written from it.
    """
    torch.set_num_threads(1)  # the same weights to the last bit
    kept = {one.network: one for one in read_noise(results)}
    names = list_models()
    for name in names:
        if not fnmatch(name, only) or (name in kept and not again):
            continue
        kept[name] = rounded(name)
        tell(f"{name}: {kept[name].db} {kept[name].note}")
        keep(results / "noise.json", [kept[each] for each in names if each in kept])
        gc.collect()
    put(page, "noise", table([kept[each] for each in names if each in kept]))


def rounded(name: str) -> Noise:
    """What a network loses."""
    torch.manual_seed(0)  # biases, which are as PyTorch draws them
    random = np.random.default_rng(0)
    images, others = (random.standard_normal((count, *_SHAPE[1:]), np.float32) for count in (_IMAGES, _OTHERS))
    try:
        graph = simplify(capture(spread_weights(build_model(name), _SHAPE), _SHAPE))
        in_bytes, found = quantize(graph, images)
        exact, lost = (Engine(build(each).to_bytes())(others) for each in (graph, in_bytes))
    except ShufflekitError as refused:
        return Noise(name, None, note=str(refused))
    products = [step for step in found.steps if step.operator in _PRODUCTS]
    worst = min((step for step in found.steps if not step.kept), key=lambda step: step.alone)
    kept = sum(bool(step.kept) for step in products)
    return Noise(name, decibels(exact, lost), len(products), kept, worst.name, round(worst.alone, 2), found.warning)


def read_noise(results: Path) -> list[Noise]:
    """What is kept."""
    return read(Noise, results / "noise.json")


def table(found: Sequence[Noise]) -> str:
    """A line for each network, and how many have less than a warning asks for."""
    if not found:
        return "\nNot measured yet.\n\n"
    rows = []
    for one in found:
        step = f"{one.worst_step}, {one.worst_db:.1f}" if one.worst_db is not None else one.note
        rows.append([one.network, "" if one.db is None else f"{one.db:.1f}", f"{one.kept} of {one.products}", step])
    measured = [one.db for one in found if one.db is not None]
    warned = sum(bool(one.warning) for one in found)
    summary = (
        f"{len(measured)} of {len(list_models())} registered networks were rounded and ran so far; "
        f"their median has {np.median(measured):.1f} dB, "
        f"{sum(db < LEAST_DB for db in measured)} have less than {LEAST_DB:.0f}, and {warned} warn.\n"
    )
    return "\n".join(["", summary, drawn(["network", "output, dB", "in float32", "worst step alone, dB"], rows), ""])


if __name__ == "__main__":
    try:
        cyclopts.run(main)
    except ShufflekitError as error:
        sys.exit(f"int8_noise.py: {error}")
