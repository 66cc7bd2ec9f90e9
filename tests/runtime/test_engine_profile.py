"""The limit of a step, worked out by hand for a made-up machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shufflekit.device import Device, PeakRate, Rate
from shufflekit.plan.kernels import GemmInt8, Softmax
from shufflekit.plan.program import Program, Step
from shufflekit.runtime.engine_profile import profile_steps

# 50 G multiply-adds a second, 99 of two cores; copies 200 GB/s in 16 KiB (400 of two cores), 16 GB/s in memory.
DEVICE = Device.from_json((Path(__file__).parents[1] / "device" / "a_device.json").read_text())


def program(*costs: tuple[int, int]) -> Program:
    steps = tuple(
        Step(Softmax(1, 1, 1, 1, 1, False), f"step {i}", {}, flops=flops, bytes=bytes_)
        for i, (flops, bytes_) in enumerate(costs)
    )
    return Program("made up", (), (), 0, steps, np.zeros(0, np.int32), np.zeros(0, np.uint8))


def test_the_limit_is_the_longer_of_arithmetic_and_memory() -> None:
    profile = profile_steps(program((50_000_000, 16_000), (1000, 16_000_000), (1000, 20_000)), np.ones((1, 3)), 1, DEVICE)
    assert [step.limit_ms for step in profile.steps] == pytest.approx([1.0, 1.0, 20_000 / 16e9 * 1e3])
    assert profile.limit_ms == pytest.approx(2.00125)


def test_products_of_bytes_have_the_peak_of_bytes() -> None:
    device = replace(DEVICE, int8_peaks=(PeakRate("avx512vnni", Rate(200e9, 200e9), Rate(400e9, 400e9)),))
    made = program((50_000_000, 0), (50_000_000, 0))
    made = replace(made, steps=(made.steps[0], replace(made.steps[1], arguments=GemmInt8(1, 1, 1, 1))))
    assert [step.limit_ms for step in profile_steps(made, np.ones((1, 2)), 1, device).steps] == pytest.approx([1.0, 0.25])


def test_two_cores_hold_twice_as_much_and_are_as_fast_as_they_were_together() -> None:
    profile = profile_steps(program((99_000_000, 0), (0, 20_000)), np.ones((1, 2)), 2, DEVICE)
    assert [step.limit_ms for step in profile.steps] == pytest.approx([1.0, 20_000 / 400e9 * 1e3])


def test_times_are_medians_of_each_step() -> None:
    seconds = np.array([[0.001, 0.005], [0.002, 0.004], [0.009, 0.006]])
    profile = profile_steps(program((50_000_000, 0), (50_000_000, 0)), seconds, 1, DEVICE)
    assert [step.ms for step in profile.steps] == pytest.approx([2.0, 5.0])
    assert (profile.ms, profile.share, profile.repeats) == (pytest.approx(7.0), pytest.approx(2 / 7), 3)
