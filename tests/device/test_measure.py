"""The whole measurement, once; its parts are checked in tests/native."""

from __future__ import annotations

import os
import time

import pytest

from shufflekit.device import Device, host, measure_device

native = pytest.importorskip("shufflekit._native", reason="the compiled part is not built")


@pytest.fixture(scope="module")
def measured() -> tuple[Device, float, list[str]]:
    told: list[str] = []
    begin = time.perf_counter()
    device = measure_device(told.append)
    return device, time.perf_counter() - begin, told


def test_takes_less_than_ten_seconds(measured: tuple[Device, float, list[str]]) -> None:
    device, seconds, _ = measured
    if seconds >= 10 and os.getloadavg()[0] > device.cores:
        pytest.skip(f"the machine is too busy to tell: {seconds:.1f} s")
    assert seconds < 10


def test_says_what_it_measures(measured: tuple[Device, float, list[str]]) -> None:
    device, _, told = measured
    assert len(told) == len(device.peaks) + len(device.int8_peaks) + len(device.copies)


def test_covers_every_set_and_l1_to_memory(measured: tuple[Device, float, list[str]]) -> None:
    device = measured[0]
    assert [peak.instruction_set for peak in device.peaks] == native.instruction_sets()
    assert [peak.instruction_set for peak in device.int8_peaks] == native.int8_sets()
    sizes = [copy.working_set_bytes for copy in device.copies]
    assert (sizes[0], sizes[-1]) == (16 << 10, 256 << 20)
    assert device.cores == host.usable_cores()


def test_the_record_survives_json(measured: tuple[Device, float, list[str]]) -> None:
    assert Device.from_json(measured[0].to_json()) == measured[0]
