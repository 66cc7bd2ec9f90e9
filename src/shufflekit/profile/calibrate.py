"""Calibrates the cost model on this machine, once, and keeps it beside the record of the device."""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch

from shufflekit.cost.model import CostModel
from shufflekit.cost.works import Work, works_of_layers, works_of_steps
from shufflekit.device import Device, load_device
from shufflekit.device.cache import record_path
from shufflekit.errors import InputError, UsageError
from shufflekit.files import write_atomic
from shufflekit.graph import capture, simplify
from shufflekit.plan.build import build
from shufflekit.profile.latency import measure_latency
from shufflekit.profile.operators import time_operators
from shufflekit.profile.profile import torch_threads
from shufflekit.profile.random_networks import random_network
from shufflekit.runtime import Engine

CALIBRATION = 1  # a new number makes older models be measured anew
NETWORKS = range(60)  # their numbers; whoever checks the model takes others

_PASSES = 15
_SECONDS = 0.05

Measured = list[tuple[Work, float]]


def load_cost_model(
    engine: Literal["torch", "native"] = "torch",
    threads: int = 1,
    refresh: bool = False,
    tell: Callable[[str], None] = lambda _: None,
    warn: Callable[[str], None] = lambda _: None,
) -> CostModel:
    """The cost model of this machine: as kept from an earlier call, else calibrated now, in one or two minutes, and kept.

    Args:
        engine: what runs the networks.
        threads: of it.
        refresh: calibrate even if there is a model.
        tell: called with what is measured next.
        warn: called with one line when a model cannot be used or kept; neither stops the call.
    """
    if threads < 1:
        raise UsageError(f"threads: must be 1 or more, found {threads}")
    device = load_device()
    machine, path = machine_of(device), model_path(engine, threads)
    if not refresh and path.exists():
        try:
            found = CostModel.from_json(path.read_text(encoding="utf-8"))
            if (found.machine, found.engine, found.threads) != (machine, engine, threads):
                raise InputError(f"cost model: is of {found.machine}, this is {machine}")
            return found
        except (InputError, OSError, UnicodeDecodeError) as error:
            warn(f"{path}: {error}; calibrating anew")
    model = calibrate(engine, threads, device, tell)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, model.to_json().encode())
    except OSError as error:
        warn(f"{path}: not kept ({error.strerror})")
    return model


def model_path(engine: str, threads: int) -> Path:
    """The file for this machine; its name holds a hash of what changes the times."""
    what = f"{record_path().stem}|torch {torch.__version__}|calibration {CALIBRATION}"
    return record_path().with_name(f"{hashlib.sha256(what.encode()).hexdigest()[:16]}-{engine}-{threads}.cost.json")


def machine_of(device: Device) -> str:
    """What a model holds for."""
    return f"{device.cpu}, {device.cores} cores, {device.peak.instruction_set}, torch {torch.__version__}"


def calibrate(
    engine: Literal["torch", "native"], threads: int, device: Device, tell: Callable[[str], None] = lambda _: None
) -> CostModel:
    """Times the operators of random networks and fits a model to them."""
    measured: Measured = []
    between: list[float] = []
    for number in NETWORKS:
        tell(f"random network {1 + number - NETWORKS[0]} of {len(NETWORKS)}, for the cost model")
        works, whole_ms = measure_random_network(number, engine, threads, device)
        measured += works
        between.append((whole_ms - sum(ms for _, ms in works)) / len(works))
    between_ms = max(0.0, statistics.median(between))
    return CostModel.through(measured, engine, threads, machine_of(device), between_ms)


def measure_random_network(
    number: int, engine: Literal["torch", "native"], threads: int, device: Device
) -> tuple[Measured, float]:
    """Each operator of a random network with its ms, and the ms of the whole."""
    network, shape = random_network(number)
    if engine == "torch":
        with torch_threads(threads):
            counts, times, whole = time_operators(network, torch.randn(shape), _SECONDS)
        works = works_of_layers(counts.layers, device, threads)
        return list(zip(works, (time.median_ms for time in times))), whole.median_ms
    runner = Engine(build(simplify(capture(network, shape))).to_bytes(), threads)
    image = torch.zeros(shape).numpy()
    whole = measure_latency(lambda: runner(image), min_seconds=_SECONDS)
    medians = [1e3 * statistics.median(of_step) for of_step in runner.time_steps(_PASSES).T.tolist()]
    works = works_of_steps(runner.program.steps, device, threads)
    return list(zip(works, medians)), whole.median_ms
