from __future__ import annotations

import pytest

from shufflekit.bench.machine import Machine, limit_ms
from shufflekit.device.host import usable_cores
from tests.bench.test_results import DEVICE


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


@pytest.mark.parametrize(
    ("flops", "moved", "threads", "expected"),
    [
        (50_000_000, 1, 1, 1.0),  # 50 G/s on one core
        (50_000_000, 1, 2, 0.5),  # 100 G/s on both
        (50_000_000, 1, 8, 0.5),  # of which there are no more
        (1, 32_000_000, 1, 2.0),  # memory: 16 GB/s
        (1, 32_000_000, 2, 1.6),  # 20 GB/s together
        (1, 9_000, 1, 0.00005),  # L1: 180 GB/s
    ],
)
def test_the_limit_is_the_slower_of_two(flops: int, moved: int, threads: int, expected: float) -> None:
    assert limit_ms(flops, moved, DEVICE, threads) == pytest.approx(expected)
