"""A real race of small networks, and fresh processes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from shufflekit.bench import cold_start
from shufflekit.bench.bench import _speed_ups, bench
from shufflekit.bench.cold_start import measure_cold_start
from shufflekit.bench.race import Subject, converted
from shufflekit.bench.results import Result
from shufflekit.bench.runtimes import RUNTIMES
from shufflekit.errors import InputError, UsageError
from tests.bench.test_results import DEVICE, timed


def small() -> Subject:
    torch.manual_seed(0)
    return Subject("small", nn.Sequential(nn.Conv2d(3, 16, 3, 2), nn.ReLU(), nn.Conv2d(16, 8, 1)).eval())


def test_every_runtime_is_timed_or_says_why(tmp_path: Path) -> None:
    names = [name for name in RUNTIMES if name not in ("torch-compile", "litert", "executorch")]  # these take long
    found = bench([small()], DEVICE, runtimes=names, sizes=[(32, 32), (48, 40)], batches=[1, 2], rounds=6, folder=tmp_path)
    assert [result.runtime for result in found.results] == names * 4
    assert found.base == "torch"
    for result in found.results:
        if result.state == "timed":
            assert result.best_ms <= result.low_ms <= result.high_ms
            assert result.best_ms <= result.median_ms <= result.p95_ms
            assert result.difference < 1e-4
            assert result.calls == 30
            assert result.limit_share > 0
        else:
            assert result.state == "skipped"
            assert "pip install" in result.note
    torch_ones = [result for result in found.results if result.runtime == "torch"]
    assert [result.speed_up for result in torch_ones] == [1.0] * 4
    assert [(result.height, result.width, result.batch) for result in torch_ones] == [
        (32, 32, 1),
        (32, 32, 2),
        (48, 40, 1),
        (48, 40, 2),
    ]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")  # torch.compile's own
def test_the_other_runtimes(tmp_path: Path) -> None:
    names = ("engine", "torch-compile", "litert", "executorch")
    found = bench([small()], DEVICE, runtimes=names, sizes=[(32, 32)], rounds=6, folder=tmp_path)
    for result in found.results:
        assert result.state == "timed" or "pip install" in result.note, result
    assert found.base == "engine"


@pytest.mark.parametrize("runtime", ["engine", "onnxruntime"])
def test_a_fresh_process_runs_the_files(runtime: str, tmp_path: Path) -> None:
    try:
        RUNTIMES[runtime].require()
    except ImportError as missing:
        pytest.skip(str(missing))
    stem = converted(small(), (1, 3, 32, 32), RUNTIMES[runtime], tmp_path)
    found = measure_cold_start(runtime, stem, (1, 3, 32, 32), 1, repeats=1)
    assert 10 < found.first_output_ms < 60_000
    assert found.peak_mb is None or 10 < found.peak_mb < 500  # without PyTorch
    with pytest.raises(InputError, match=f"^{runtime}: a fresh process failed: "):
        measure_cold_start(runtime, tmp_path / "nothing", (1, 3, 32, 32), 1, repeats=1)


def test_where_the_system_tells_no_peak_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cold_start, "Path", lambda _: tmp_path / "status")  # as on macOS and Windows
    assert cold_start.peak_kb() == 0
    (tmp_path / "status").write_text("VmPeak:\t  900 kB\nVmHWM:\t  700 kB\n")
    assert cold_start.peak_kb() == 700
    said = iter(["9e9 0\n", "9e9 1000\n"])
    monkeypatch.setattr(cold_start.subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=0, stdout=next(said)))
    assert measure_cold_start("engine", tmp_path, (1, 3, 32, 32), 1, repeats=1).peak_mb is None
    assert measure_cold_start("engine", tmp_path, (1, 3, 32, 32), 1, repeats=1).peak_mb == 1.024


def test_cold_starts_are_in_the_results(tmp_path: Path) -> None:
    found = bench([small()], DEVICE, runtimes=["engine"], sizes=[(32, 32)], rounds=6, cold=1, folder=tmp_path)
    assert found.results[0].cold_ms > 10


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rounds": 5}, "rounds, calls, cold: must be 6, 1, 0 or more, found 5, 5, 0"),
        ({"base": "mnn", "runtimes": ["torch"]}, "base: must be one of the runtimes torch, found 'mnn'"),
    ],
)
def test_what_is_asked_wrongly(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        bench([small()], DEVICE, **options)
    assert str(caught.value) == message


def test_models_and_threads_are_left_as_they_were(tmp_path: Path) -> None:
    class Merges(nn.Sequential):
        """Would merge weights in evaluation, as some re-parametrised networks do."""

        def eval(self):
            raise AssertionError("must not be called")

    net = Merges(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4).eval(), nn.Dropout())
    threads, before = torch.get_num_threads(), {name: tensor.clone() for name, tensor in net.state_dict().items()}
    other = threads % 2 + 1
    found = bench([Subject("net", net)], DEVICE, runtimes=["torch"], threads=[other], sizes=[(8, 8)], rounds=6, folder=tmp_path)
    assert [result.state for result in found.results] == ["timed"]
    assert [module.training for module in net.modules()] == [True, True, False, True]
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert torch.get_num_threads() == threads


def test_twice_as_quick_as_the_base_is_a_speed_up_of_two() -> None:
    torch_one, engine = timed("a", 2.0, 2.0, 2.0, "torch"), timed("a", 1.0, 1.0, 1.0)
    missing = Result("a", "mnn", "", "skipped", "missing", 224, 224, 1, 1)
    assert [one.speed_up for one in _speed_ups([torch_one, engine, missing], "torch")] == [1.0, 2.0, None]
    assert [one.speed_up for one in _speed_ups([torch_one, engine, missing], "engine")] == [0.5, 1.0, None]
    assert [one.speed_up for one in _speed_ups([torch_one, engine, missing], "mnn")] == [None] * 3
