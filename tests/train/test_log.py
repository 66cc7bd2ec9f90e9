from __future__ import annotations

import json
from pathlib import Path

import pytest

from shufflekit.train.log import Metrics


def _lines(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def _events(folder: Path, name: str) -> list[tuple[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def test_lines_and_events(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path, step=0)
    metrics.write(10, {"epoch": 0, "train/loss": 1.5})
    metrics.close()
    assert _lines(tmp_path) == [{"step": 10, "epoch": 0, "train/loss": 1.5}]
    assert _events(tmp_path, "train/loss") == [(10, 1.5)]
    with pytest.raises(KeyError):
        _events(tmp_path, "epoch")


def test_a_resumed_run_drops_what_it_will_do_again(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path, step=0)
    for step in (10, 20, 30):
        metrics.write(step, {"train/loss": 1.0})
    metrics.close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 15, "train/lo')  # cut by a crash
    metrics = Metrics(tmp_path, step=20)
    metrics.write(30, {"train/loss": 2.0})
    metrics.close()
    kept = [(10, 1.0), (20, 1.0), (30, 2.0)]
    assert [(line["step"], line["train/loss"]) for line in _lines(tmp_path)] == kept
    assert _events(tmp_path, "train/loss") == kept


def test_closing_on_a_full_disk_is_quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = Metrics(tmp_path, step=0)

    def full() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(metrics._events, "close", full)
    metrics.close()
