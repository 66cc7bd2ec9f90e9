"""Times the networks of a table, one thread, in runtimes that take turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from shufflekit.bench.bench import LEAST_ROUNDS, bench
from shufflekit.bench.race import Subject
from shufflekit.bench.results import Result, Session
from shufflekit.bench.runtimes import RUNTIMES
from shufflekit.cost import count
from shufflekit.device import Device
from shufflekit.errors import InputError
from shufflekit.export.random_weights import spread_weights
from shufflekit.files import write_atomic
from shufflekit.models import Network, build_model
from shufflekit.records import read_text
from shufflekit.reproduce.record import Cell

PEERS = ("onnxruntime", "openvino", "ncnn", "mnn")
_LARGE = 1e9  # multiply-adds, from which on a turn is one call in place of three
_SMALL = (64, 64)  # enough to spread random weights, whatever the size that is timed


class Timed(Protocol):
    """What can be timed: a name, the input's size and channels, and how it is built."""

    @property
    def network(self) -> str: ...
    @property
    def size(self) -> tuple[int, int]: ...
    @property
    def channels(self) -> int: ...
    def build(self) -> nn.Module: ...


@dataclass(frozen=True)
class Built:
    """A row's network: its registry name, the options that give the paper's FLOPs, and its input."""

    network: str
    size: tuple[int, int] = (224, 224)
    options: Mapping[str, Any] = field(default_factory=dict)
    channels: int = 3

    def build(self) -> Network:
        """With random weights."""
        model = build_model(self.network, **self.options)
        assert isinstance(model, Network)
        return model

    def counts(self) -> tuple[int, float]:
        """Parameters and millions of multiply-adds of one image."""
        with torch.device("meta"):
            found = count(self.build(), (1, self.channels, *self.size))
        return found.params, found.flops / 1e6


def installed_peers() -> list[str]:
    """The other runtimes that are here."""
    return [name for name in PEERS if RUNTIMES[name].version]


def time_networks(
    networks: Sequence[Timed],
    sizes: Sequence[tuple[int, int]] | None,
    device: Device,
    peers: bool,
    tell: Callable[[str], object] = lambda _: None,
    kept: Path | None = None,
) -> tuple[dict[tuple[str, int, int], dict[str, Result]], list[Session]]:
    """Times each network once, one image, one thread.

    Args:
        networks: of a table; one that comes twice is timed once.
        sizes: height and width for all of them; each network's own where None.
        device: this machine's record.
        peers: with the other runtimes that are installed, besides PyTorch and the engine.
        tell: called with one line of progress.
        kept: a folder; what was timed there today and on this machine is not timed again.

    Returns:
        Results by network, height and width, and then by runtime; and the sessions, with what disturbed them.
    """
    runtimes = ["torch", "engine", *(installed_peers() if peers else [])]
    found: dict[tuple[str, int, int], dict[str, Result]] = {}
    sessions = []
    for one in {(one.network, one.size): one for one in networks}.values():
        for size in sizes or [one.size]:
            path = kept / f"{one.network}-{size[0]}x{size[1]}.json" if kept else None
            session = _of_today(path, device, tell) if path else None
            if session is None:
                session = _time(one, size, device, runtimes, tell)
                if path:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    write_atomic(path, session.to_json().encode())
            sessions.append(session)
            found[one.network, *size] = {result.runtime: result for result in session.results}
    return found, sessions


def _time(one: Timed, size: tuple[int, int], device: Device, runtimes: Sequence[str], tell: Callable[[str], object]) -> Session:
    torch.manual_seed(0)
    spread = (1, one.channels, *(_SMALL if one.size == (224, 224) else one.size))
    model = spread_weights(one.build(), spread)
    calls = 3 if count(model, (1, one.channels, *size)).flops < _LARGE else 1
    subject = Subject(one.network, model, channels=one.channels)
    return bench([subject], device, runtimes=runtimes, sizes=[size], rounds=LEAST_ROUNDS, calls=calls, tell=tell)


def _of_today(path: Path, device: Device, tell: Callable[[str], object]) -> Session | None:
    """What an earlier run of the same table left, if it is of this machine and this day."""
    if not path.exists():
        return None
    try:
        session = Session.from_json(read_text(path))
    except InputError as error:
        tell(f"{path}: {error}; timing anew")
        return None
    fits = session.device == device and session.date[:10] == f"{datetime.now(UTC).date()}"
    return session if fits else None


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


TIMES = ("PyTorch, ms", "engine, ms", "of limit", "best other, ms", "best other")


def times_of(found: Mapping[str, Result]) -> tuple[Cell, ...]:
    """The cells under `TIMES`."""
    name, other = quickest_peer(found)
    share = found["engine"].limit_share
    return found["torch"].median_ms, found["engine"].median_ms, None if share is None else f"{share:.0%}", other, name
