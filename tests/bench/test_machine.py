from __future__ import annotations

import os

import pytest

from shufflekit.bench.machine import Machine
from shufflekit.device.host import usable_cores


def machine(rates: list[float], threads: int = 1) -> Machine:
    one = Machine(threads)
    one.multiply_adds = rates
    return one


def test_a_quiet_machine_has_no_complaints() -> None:
    assert machine([50e9, 49e9, 48e9]).complaints([0.99, 1.0]) == []


def test_a_busy_machine_is_said() -> None:
    assert machine([50e9, 40e9, 30e9]).complaints([1.0]) == [
        "the machine was busy: its median rate of multiply-adds is 20% below its best"
    ]
    assert machine([50e9] * 3).complaints([1.0, 0.5]) == [
        "the machine was busy: the timed calls had 0.50 of a core, needed 0.97"
    ]
    (line,) = machine([50e9] * 3, usable_cores() + 1).complaints([1.0])
    assert line.startswith(f"{usable_cores() + 1} threads share {usable_cores()} core")


def test_the_load_is_said_where_the_system_counts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = machine([50e9])
    quiet.copies = [10e9]
    rates = "peak 50.0 G multiply-adds/s (median 50.0), memory 10.0 GB/s (median 10.0)"
    monkeypatch.setattr(os, "getloadavg", lambda: (0.25, 0, 0))
    assert str(quiet) == f"{rates}, load average 0.2"
    monkeypatch.delattr(os, "getloadavg")  # as on Windows
    assert str(quiet) == rates
