from __future__ import annotations

import json
from pathlib import Path

import pytest

from shufflekit.cli.main import main
from shufflekit.device import Device, cache

RECORD = Path(__file__).parents[1] / "device" / "a_device.json"


@pytest.fixture(autouse=True)
def a_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHUFFLEKIT_CACHE", str(tmp_path))
    monkeypatch.setattr(cache, "measure_device", lambda tell: Device.from_json(RECORD.read_text()))


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["device"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for text in ("a CPU (x86_64), 2 cores, 8.0 GiB", "L1 32 KiB, L3 32 MiB (shared by 2)", "fastest here: avx2", "50.0 (48.0)"):
        assert text in out
    assert "too little memory" in out


def test_json_is_the_record_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["device", "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out) == json.loads(RECORD.read_text())
    assert Device.from_json(out) == Device.from_json(RECORD.read_text())


def test_a_busy_machine_is_noticed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    busy = RECORD.read_text().replace("48000000000.0", "20000000000.0")
    monkeypatch.setattr(cache, "measure_device", lambda tell: Device.from_json(busy))
    assert main(["device", "--refresh"]) == 0
    assert "something else was running" in capsys.readouterr().err


def test_a_corrupt_record_is_one_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    main(["device"])
    cache.record_path().write_text("{")
    capsys.readouterr()
    assert main(["device", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)
    assert err.count("\n") == 1
    assert "measuring anew" in err
