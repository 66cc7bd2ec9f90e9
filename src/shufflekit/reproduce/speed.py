"""Times the networks of a table, one thread, in runtimes that take turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from shufflekit.bench.bench import LEAST_ROUNDS, bench
from shufflekit.bench.race import Subject
from shufflekit.bench.results import Result, Session
from shufflekit.bench.runtimes import RUNTIMES
from shufflekit.cost import count
from shufflekit.device import Device
from shufflekit.export.random_weights import spread_weights
from shufflekit.models import Network, build_model

PEERS = ("onnxruntime", "openvino", "ncnn", "mnn")
_SMALL = (1, 3, 64, 64)  # enough to spread random weights, whatever the size that is timed


@dataclass(frozen=True)
class Built:
    """A row's network: its registry name, the options that give the paper's FLOPs, and its input."""

    network: str
    size: tuple[int, int] = (224, 224)
    options: Mapping[str, Any] = field(default_factory=dict)

    def build(self) -> Network:
        """With random weights."""
        model = build_model(self.network, **self.options)
        assert isinstance(model, Network)
        return model

    def counts(self) -> tuple[int, float]:
        """Parameters and millions of multiply-adds of one image."""
        with torch.device("meta"):
            found = count(self.build(), (1, 3, *self.size))
        return found.params, found.flops / 1e6


def installed_peers() -> list[str]:
    """The other runtimes that are here."""
    return [name for name in PEERS if RUNTIMES[name].version]


def time_networks(
    networks: Sequence[Built],
    sizes: Sequence[tuple[int, int]] | None,
    device: Device,
    peers: bool,
    rounds: int = LEAST_ROUNDS,
    calls: int = 3,
    tell: Callable[[str], object] = lambda _: None,
) -> tuple[dict[tuple[str, int, int], dict[str, Result]], list[Session]]:
    """Times each network once, one image, one thread.

    Args:
        networks: of a table; one that comes twice is timed once.
        sizes: height and width for all of them; each network's own where None.
        device: this machine's record.
        peers: with the other runtimes that are installed, besides PyTorch and the engine.
        rounds, calls: as in `bench`.
        tell: called with one line of progress.

    Returns:
        Results by network, height and width, and then by runtime; and the sessions, with what disturbed them.
    """
    runtimes = ["torch", "engine", *(installed_peers() if peers else [])]
    found: dict[tuple[str, int, int], dict[str, Result]] = {}
    sessions = []
    for one in {(one.network, one.size): one for one in networks}.values():
        torch.manual_seed(0)
        subject = Subject(one.network, spread_weights(one.build(), (1, 3, *one.size) if one.size != (224, 224) else _SMALL))
        session = bench([subject], device, runtimes=runtimes, sizes=sizes or [one.size], rounds=rounds, calls=calls, tell=tell)
        sessions.append(session)
        for result in session.results:
            found.setdefault((one.network, result.height, result.width), {})[result.runtime] = result
    return found, sessions


def disturbances(sessions: Sequence[Session]) -> list[str]:
    """What disturbed the timing, in one line; none where nothing did."""
    busy = [session for session in sessions if session.complaints]
    if not busy:
        return []
    worst = max(session.noise for session in busy)
    what = f"the machine was busy while {len(busy)} of {len(sessions)} networks were timed"
    return [f"{what} (median rate of multiply-adds up to {worst:.0%} below the best): a quiet machine's medians are lower"]


def missing(found: Mapping[str, Result]) -> list[str]:
    """Why a runtime has no time for a network, one line each."""
    return [f"{one.model}: {name} {one.state}: {one.note}" for name, one in found.items() if one.state != "timed"]


def quickest_peer(found: Mapping[str, Result]) -> tuple[str | None, float | None]:
    """Name and median of the quickest of the other runtimes."""
    timed = [(one.median_ms, RUNTIMES[name].name) for name, one in found.items() if name in PEERS and one.median_ms]
    return (min(timed)[1], min(timed)[0]) if timed else (None, None)
