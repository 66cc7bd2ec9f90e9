from __future__ import annotations

import json

import pytest

from shufflekit.device import Cache, CopyRate, Device, PeakRate, Rate
from shufflekit.errors import InputError


def a_device(**changes: object) -> Device:
    rate = Rate(best=50e9, median=48e9)
    fields: dict[str, object] = {
        "cpu": "a CPU",
        "architecture": "x86_64",
        "system": "Linux 6",
        "cores": 2,
        "memory_bytes": 8 << 30,
        "caches": (Cache(1, 32768, 1), Cache(3, 32 << 20, 2)),
        "vector_features": ("avx2", "fma"),
        "instruction_sets": ("avx2", "scalar"),
        "peaks": (PeakRate("scalar", Rate(6e9, 6e9), Rate(12e9, 11e9)), PeakRate("avx2", rate, Rate(99e9, 95e9))),
        "copies": (CopyRate(1 << 28, Rate(16e9, 15e9), None), CopyRate(1 << 14, Rate(200e9, 180e9), Rate(400e9, 390e9))),
        "measured_on": "2026-01-31",
        "benchmark": 1,
    }
    return Device(**{**fields, **changes})  # type: ignore[arg-type]


def test_survives_json() -> None:
    assert Device.from_json(a_device().to_json()) == a_device()


def test_bytes_have_a_peak_of_their_own() -> None:
    peaks = (PeakRate("scalar", Rate(4e9, 4e9), Rate(8e9, 8e9)), PeakRate("avx512vnni", Rate(200e9, 190e9), Rate(300e9, 290e9)))
    found = a_device(int8_peaks=peaks)
    assert Device.from_json(found.to_json()) == found
    assert found.int8_peak.instruction_set == "avx512vnni"
    older = {key: value for key, value in a_device().to_dict().items() if key != "int8_peaks"}
    assert Device.from_dict(older) == a_device()
    assert a_device().int8_peak == a_device().peak
    assert found.limit_ms(200_000_000, 1, of_bytes=True) == pytest.approx(1)
    assert found.limit_ms(600_000_000, 1, threads=2, of_bytes=True) == pytest.approx(2)
    assert found.limit_ms(200_000_000, 1) == pytest.approx(4)
    with pytest.raises(InputError, match="rate"):
        Device.from_json(a_device(int8_peaks=(PeakRate("avx2", Rate(1, 2), Rate(1, 1)),)).to_json())


def test_peak_is_the_fastest_set_and_memory_the_largest_copy() -> None:
    assert a_device().peak.instruction_set == "avx2"
    assert a_device().memory.one_core.best == 16e9
    assert a_device().to_dict()["fastest"] == "avx2"


@pytest.mark.parametrize(
    ("flops", "moved", "threads", "ms"),
    [
        (50_000_000, 1, 1, 1.0),  # 50 G/s on one core
        (99_000_000, 1, 2, 1.0),  # 99 G/s on both
        (99_000_000, 1, 8, 1.0),  # of which there are no more
        (1, 32_000_000, 1, 2.0),  # memory: 16 GB/s
        (1, 32_000_000, 2, 2.0),  # whose rate for all cores is not known
        (1, 16_000, 1, 0.00008),  # L1: 200 GB/s
        (1, 32_000, 1, 0.002),  # more than it holds
        (1, 32_000, 2, 0.00008),  # what both hold
        (50_000_000, 32_000_000, 1, 2.0),  # the slower of both
    ],
)
def test_the_limit_is_the_slower_of_multiply_adds_and_bytes(flops: int, moved: int, threads: int, ms: float) -> None:
    assert a_device().limit_ms(flops, moved, threads) == pytest.approx(ms)


def with_value(key: str, value: object) -> str:
    return json.dumps({**a_device().to_dict(), key: value})


def without(key: str) -> str:
    found = a_device().to_dict()
    del found[key]
    return json.dumps(found)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no JSON .Expecting value"),
        ("{", "no JSON"),
        ("[1, 2]", "it: must be an object, found a list of 2"),
        ("{}", "cpu: is missing"),
        (without("peaks"), "peaks: is missing"),
        (with_value("peaks", []), "holds no measurement"),
        (a_device().to_json().replace("16000000000.0", "-1"), "must be positive"),
        (a_device().to_json().replace("16000000000.0", "1"), "median not above its best"),
        (a_device().to_json().replace("16000000000.0", '"fast"'), r"copies.0..one_core.best: must be a number, found 'fast'"),
    ],
)
def test_anything_else_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=f"^device record: .*{reason}"):
        Device.from_json(text)
