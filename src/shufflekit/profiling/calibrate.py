"""Calibrates the cost model on this machine, once, and keeps it beside the record of the device."""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from shufflekit.cost.model import CostModel
from shufflekit.cost.works import Work, works_of_layers, works_of_steps
from shufflekit.device import Device, load_device
from shufflekit.device.cache import record_path
from shufflekit.errors import InputError, one_line
from shufflekit.files import write_atomic
from shufflekit.graph import simplify
from shufflekit.graph.from_torch import capture
from shufflekit.modes import torch_threads
from shufflekit.plan.build import build
from shufflekit.profiling.latency import Latency, measure_latency
from shufflekit.profiling.operators import time_operators
from shufflekit.profiling.profile import SPREAD, checked_threads, spread
from shufflekit.profiling.random_networks import random_network
from shufflekit.runtime import Engine

CALIBRATION = 5  # a new number makes older models be measured anew
NETWORKS = range(150)  # their numbers; whoever checks the model takes others

_ROUNDS = 3  # over all networks: for some minutes everything may take 5 % longer here
_PASSES = 15
_SECONDS = 0.05
_DISTURBED = 0.2  # of the networks


def load_cost_model(
    engine: Literal["torch", "native"] = "torch",
    threads: int = 1,
    refresh: bool = False,
    tell: Callable[[str], None] = lambda _: None,
    warn: Callable[[str], None] = lambda _: None,
) -> CostModel:
    """The cost model of this machine: as kept from an earlier call, else calibrated now, in two to four minutes, and kept.

    Args:
        engine: what runs the networks.
        threads: of it.
        refresh: calibrate even if there is a model.
        tell: called with what is measured next.
        warn: called with one line when a model cannot be used or kept; neither stops the call.
    """
    threads = checked_threads(threads)
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
    model = calibrate(engine, threads, device, tell, warn)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, model.to_json().encode())
    except OSError as error:
        warn(f"{path}: not kept ({error.strerror or one_line(error)})")
    return model


def model_path(engine: str, threads: int) -> Path:
    """The file for this machine; its name holds a hash of what changes the times."""
    what = f"{record_path().stem}|torch {torch.__version__}|calibration {CALIBRATION}"
    return record_path().with_name(f"{hashlib.sha256(what.encode()).hexdigest()[:16]}-{engine}-{threads}.cost.json")


def machine_of(device: Device) -> str:
    """What a model holds for; its factors are over the limits of this very record, so another one needs another model."""
    record = hashlib.sha256(device.to_json().encode()).hexdigest()[:8]
    return f"{device.cpu}, {device.cores} cores, {device.peak.instruction_set}, torch {torch.__version__}, record {record}"


def calibrate(
    engine: Literal["torch", "native"],
    threads: int,
    device: Device,
    tell: Callable[[str], None] = lambda _: None,
    warn: Callable[[str], None] = lambda _: None,
) -> CostModel:
    """Times the operators of random networks, in rounds over all of them, and fits a model to their medians."""
    rounds: dict[int, list[tuple[list[tuple[Work, float]], Latency]]] = {number: [] for number in NETWORKS}
    with TemporaryDirectory() as plans:
        for one in range(_ROUNDS):
            for place, (number, measured) in enumerate(rounds.items()):
                tell(f"random network {1 + place} of {len(NETWORKS)}, round {1 + one} of {_ROUNDS}, for the cost model")
                measured.append(measure_random_network(number, engine, threads, device, Path(plans)))
    disturbed = sum(min(spread(whole) for _, whole in measured) > SPREAD for measured in rounds.values())
    if disturbed > len(NETWORKS) * _DISTURBED:
        warn(
            f"the machine was busy or throttled while {disturbed} of {len(NETWORKS)} random networks were timed: predictions "
            f"will be off until {model_path(engine, threads)} is deleted and measured in a quiet minute"
        )
    works: list[tuple[Work, float]] = []
    between: list[float] = []
    for measured in rounds.values():
        times = [statistics.median(ms for _, ms in of_work) for of_work in zip(*(parts for parts, _ in measured))]
        works += [(work, ms) for (work, _), ms in zip(measured[0][0], times)]
        between.append((statistics.median(whole.median_ms for _, whole in measured) - sum(times)) / len(times))
    return CostModel.through(works, engine, threads, machine_of(device), statistics.median(between))


def measure_random_network(
    number: int, engine: Literal["torch", "native"], threads: int, device: Device, plans: Path
) -> tuple[list[tuple[Work, float]], Latency]:
    """Each operator of a random network with its ms, and the time of a pass.

    Compiling takes longer than timing, so a plan is kept in the folder `plans`.
    """
    if engine == "torch":
        network, shape = random_network(number)
        return _time_torch(network, torch.randn(shape), threads, device)
    plan = plans / f"{number}.plan"
    if not plan.exists():
        plan.write_bytes(build(simplify(capture(*random_network(number)))).to_bytes())
    return _time_plan(plan.read_bytes(), threads, device)


def _time_torch(network: nn.Module, image: Tensor, threads: int, device: Device) -> tuple[list[tuple[Work, float]], Latency]:
    with torch_threads(threads):
        counts, times, _ = time_operators(network, image, 0.0)
        # The passes that it takes between timed ones are 5 % slower than passes in a row.
        with torch.inference_mode():
            whole = measure_latency(lambda: network(image), min_seconds=_SECONDS)
    return list(zip(works_of_layers(counts.layers, device, threads), (time.median_ms for time in times))), whole


def _time_plan(plan: bytes, threads: int, device: Device) -> tuple[list[tuple[Work, float]], Latency]:
    engine = Engine(plan, threads)
    image = np.random.default_rng(0).standard_normal((1, *engine.input_shape), np.float32)
    whole = measure_latency(lambda: engine(image), min_seconds=_SECONDS)
    medians = [1e3 * statistics.median(of_step) for of_step in engine.time_steps(_PASSES).T.tolist()]
    return list(zip(works_of_steps(engine.program.steps, device, threads), medians)), whole
