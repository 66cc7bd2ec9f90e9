from __future__ import annotations

import os
import platform
from dataclasses import replace
from pathlib import Path

import pytest

from shufflekit.device import Device, cache, cache_folder, host, load_device, measure_device
from shufflekit.errors import ShufflekitError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SHUFFLEKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Device]:
    """Stands in for the measurement: a record by hand, and a list of the times it was asked for."""
    text = (Path(__file__).parent / "a_device.json").read_text()
    calls: list[Device] = []

    def measure(tell: object) -> Device:
        here = {"cpu": host.cpu_name(), "architecture": platform.machine(), "cores": host.usable_cores()}
        calls.append(replace(Device.from_json(text), **here))
        return calls[-1]

    monkeypatch.setattr(cache, "measure_device", measure)
    return calls


def test_the_second_call_reads_what_the_first_kept(measured: list[Device], folder: Path) -> None:
    first = load_device()
    assert load_device() == first
    assert len(measured) == 1
    assert [path.suffix for path in folder.rglob("*") if path.is_file()] == [".json"]


def test_refresh_measures_again(measured: list[Device]) -> None:
    load_device()
    load_device(refresh=True)
    assert len(measured) == 2


@pytest.mark.parametrize("content", [b"", b"{]", b"\xff\xfe", b'{"cpu": 1}'])
def test_a_corrupt_record_is_measured_anew_with_one_line(measured: list[Device], content: bytes) -> None:
    load_device()
    cache.record_path().write_bytes(content)
    lines: list[str] = []
    load_device(warn=lines.append)
    assert len(measured) == 2
    assert len(lines) == 1
    assert "measuring anew" in lines[0]
    assert load_device(warn=lines.append)
    assert len(measured) == len(lines) + 1 == 2


def test_a_record_of_another_machine_is_measured_anew_with_one_line(measured: list[Device]) -> None:
    load_device()
    cache.record_path().write_text((Path(__file__).parent / "a_device.json").read_text())
    lines: list[str] = []
    assert load_device(warn=lines.append) == measured[-1]
    assert len(measured) == 2
    assert len(lines) == 1
    assert "is of a CPU with 2 cores, this is " in lines[0]


def test_a_folder_that_cannot_be_written_is_a_notice(measured: list[Device], folder: Path) -> None:
    folder.write_text("a file where the folder should be")
    lines: list[str] = []
    assert load_device(warn=lines.append) == measured[0]
    assert len(lines) == 1
    assert "not kept" in lines[0]


def test_a_write_that_fails_leaves_the_old_record(
    measured: list[Device], monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    load_device()
    before = cache.record_path().read_text()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    load_device(refresh=True)
    assert cache.record_path().read_text() == before
    assert len([path for path in folder.rglob("*") if path.is_file()]) == 1


def test_each_machine_has_its_own_record(monkeypatch: pytest.MonkeyPatch) -> None:
    here = cache.record_path()
    monkeypatch.setattr(cache.host, "usable_cores", lambda: 3)
    other_cores = cache.record_path()
    monkeypatch.setattr(cache.host, "cpu_name", lambda: "another")
    other_cpu = cache.record_path()
    monkeypatch.setattr(cache, "BENCHMARK", 99)
    assert len({here, other_cores, other_cpu, cache.record_path()}) == 4


def test_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, folder: Path, tmp_path: Path) -> None:
    assert cache_folder() == folder
    monkeypatch.delenv("SHUFFLEKIT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "shufflekit"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "shufflekit"


def test_without_the_compiled_part_one_line_says_how_to_build_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import shufflekit

    monkeypatch.setitem(__import__("sys").modules, "shufflekit._native", None)
    monkeypatch.delattr(shufflekit, "_native", raising=False)
    with pytest.raises(ShufflekitError, match=r"^the compiled part is missing: .*pip install"):
        measure_device()


def test_a_folder_of_the_users_own_may_begin_with_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, expected in (("SHUFFLEKIT_CACHE", "kept"), ("XDG_CACHE_HOME", "kept/shufflekit")):
        monkeypatch.delenv("SHUFFLEKIT_CACHE", raising=False)
        monkeypatch.setenv(variable, "~/kept")
        assert cache_folder() == Path.home() / expected


def test_a_folder_in_the_records_place_and_an_error_without_words_are_one_line_each(
    measured: list[Device], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.record_path().mkdir(parents=True)
    lines: list[str] = []
    assert load_device(warn=lines.append) == measured[0]
    assert [line.count("\n") for line in lines] == [0, 0]

    def fails(path: Path, content: bytes) -> None:
        raise OSError

    monkeypatch.setattr(cache, "write_atomic", fails)
    load_device(refresh=True, warn=lines.append)
    assert lines[-1].endswith("not kept (OSError)")
