"""The cost model is calibrated once a machine, kept, and never used on another one; the stopwatch is a made-up one."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from shufflekit.cost.works import Work
from shufflekit.device import Device
from shufflekit.errors import UsageError
from shufflekit.profiling import Latency
from shufflekit.profiling.calibrate import NETWORKS, load_cost_model, measure_random_network, model_path

DEVICE = Device.from_json((Path(__file__).parents[1] / "device" / "a_device.json").read_text())
calibrate = import_module("shufflekit.profiling.calibrate")
ROUNDS = 3


class Timed(list[int]):
    """The numbers of the networks that were timed; each is two copies that take three times their limit, and 1 ms between."""

    spread = 0.0


@pytest.fixture(autouse=True)
def timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Timed:
    numbers = Timed()

    def measure(number: int, engine: str, threads: int, device: Device, plans: Path):
        numbers.append(number)
        size = float(number % 10)
        works = [(Work("copy", (size,), 2.0**size), 3 * (2.0**size + (2e-3 if engine == "torch" else 2e-4)))] * 2
        whole = sum(ms for _, ms in works) + 2
        return works, Latency(whole, whole, whole * (1 + numbers.spread), 6)

    monkeypatch.setenv("SHUFFLEKIT_CACHE", str(tmp_path))
    monkeypatch.setattr(calibrate, "load_device", lambda: DEVICE)
    monkeypatch.setattr(calibrate, "measure_random_network", measure)
    return numbers


def test_the_second_call_reads_what_the_first_kept(timed):
    first = load_cost_model("torch", 1)
    assert load_cost_model("torch", 1).to_json() == first.to_json()
    assert timed == ROUNDS * list(NETWORKS)
    assert first.predict_total_ms([Work("copy", (3.0,), 8.0)]) == pytest.approx(3 * 8.002 + 1, rel=0.02)
    assert load_cost_model("torch", 1, refresh=True).to_json() == first.to_json()
    assert len(timed) == 2 * ROUNDS * len(NETWORKS)


def test_engines_and_threads_have_models_of_their_own(timed):
    for engine, threads in (("torch", 1), ("torch", 2), ("native", 1)):
        found = load_cost_model(engine, threads)
        assert (found.engine, found.threads) == (engine, threads)
    assert len(timed) == 3 * ROUNDS * len(NETWORKS)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"machine": "another CPU, 8 cores"}, "cost model: is of another CPU, 8 cores, this is a CPU, 2 cores, avx2"),
        ({"between_ms": float("nan")}, "between_ms: must be a number, found nan"),
        ({"surfaces": None}, "not readable"),
    ],
)
def test_a_model_of_another_machine_or_a_broken_one_is_calibrated_anew_with_one_line(timed, change, reason):
    load_cost_model("torch", 1)
    path = model_path("torch", 1)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    lines: list[str] = []
    load_cost_model("torch", 1, warn=lines.append)
    assert len(timed) == 2 * ROUNDS * len(NETWORKS)
    assert len(lines) == 1
    assert reason in lines[0]
    assert lines[0].endswith("; calibrating anew")


def test_limits_that_were_measured_anew_need_a_new_model(timed, monkeypatch):
    load_cost_model("torch", 1)
    monkeypatch.setattr(calibrate, "load_device", lambda: replace(DEVICE, measured_on="2030-01-01"))
    lines: list[str] = []
    load_cost_model("torch", 1, warn=lines.append)
    assert len(timed) == 2 * ROUNDS * len(NETWORKS)
    assert len(lines) == 1


def test_a_busy_machine_is_told_in_one_line(timed):
    timed.spread = 0.2
    lines: list[str] = []
    load_cost_model("torch", 1, warn=lines.append)
    assert len(lines) == 1
    assert f"the machine was busy or throttled while {len(NETWORKS)} of {len(NETWORKS)} random networks were timed" in lines[0]


def test_a_folder_that_cannot_be_written_is_a_notice(timed, tmp_path, monkeypatch):
    (tmp_path / "device").write_text("a file where the folder should be")
    lines: list[str] = []
    assert load_cost_model("torch", 1, warn=lines.append).threads == 1
    assert len(lines) == 1
    assert "not kept" in lines[0]


def test_fewer_than_one_thread_is_refused():
    with pytest.raises(UsageError, match="threads: must be 1 or more, found 0"):
        load_cost_model("torch", 0)


@pytest.mark.parametrize("engine", ["torch", "native"])
def test_a_random_network_is_timed_operator_by_operator(engine, tmp_path):
    works, whole = measure_random_network(11, engine, 1, DEVICE, tmp_path)
    assert len(works) > 5
    assert all(ms > 0 for _, ms in works)
    assert whole.low_ms <= whole.median_ms <= whole.high_ms
    again, _ = measure_random_network(11, engine, 1, DEVICE, tmp_path)
    assert [work for work, _ in again] == [work for work, _ in works]
