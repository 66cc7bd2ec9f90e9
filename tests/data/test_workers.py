"""Processes that die: the trainer hears of it, and so do the workers."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import torch
from PIL import Image

pytest.importorskip("kornia")

from shufflekit.data.augment import Augmentation  # after the check for kornia
from shufflekit.data.folder import FolderSource
from shufflekit.data.loader import Loader
from shufflekit.data.preprocess import Preprocessing
from shufflekit.data.workers import WorkerError, Workers


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """64 photos in one class."""
    (tmp_path / "a").mkdir()
    for number in range(64):
        pixels = np.random.default_rng(number).integers(0, 256, (150 + number, 200, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "a" / f"{number:02}.jpg")
    return tmp_path


def loader_of(photos: Path, workers: int = 2, size: int = 160) -> Loader:
    return Loader(
        FolderSource(photos),
        indices=None,
        batch_size=8,
        preprocessing=Preprocessing((size, size)),
        augmentation=Augmentation.imagenet(),
        seed=0,
        shuffle=True,
        drop_last=True,
        workers=workers,
    )


@pytest.mark.parametrize("wait", [0.0, 0.5])
def test_a_killed_worker_is_an_error_at_once(photos: Path, wait: float):
    """Killed while it decodes, and while it writes to a pipe that nobody reads: batches of 600 KB do not fit into it."""
    loader = loader_of(photos)
    batches = loader.epoch(0)
    next(batches)
    time.sleep(wait)
    victim = loader._worker_processes._processes[1]
    os.kill(victim.pid, signal.SIGKILL)
    start = time.monotonic()
    message = f"^workers: process {victim.pid}, which decodes images, was killed by SIGKILL; .* memory runs out$"
    with pytest.raises(WorkerError, match=message):
        list(batches)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(("code", "says"), [(3, "ended with exit code 3"), (-signal.SIGTERM, "was killed by SIGTERM")])
def test_an_ended_worker_where_no_signal_kills(monkeypatch: pytest.MonkeyPatch, code: int, says: str) -> None:
    monkeypatch.delattr(signal, "SIGKILL")  # as on Windows
    workers = object.__new__(Workers)
    workers._processes = [SimpleNamespace(pid=7, exitcode=code, join=lambda _: None)]
    assert str(workers._gone(0)) == f"workers: process 7, which decodes images, {says}"


def test_workers_leave_signals_to_the_trainer(photos: Path):
    loader = loader_of(photos, workers=1)
    batches = loader.epoch(0)
    next(batches)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(loader._worker_processes._processes[0].pid, number)
    assert len(list(batches)) == 7


def test_workers_start_where_there_is_no_server_to_fork(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [batch.images for batch in loader_of(photos).epoch(0)]
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn"])  # as on Windows
    loader = loader_of(photos)
    assert all(torch.equal(batch.images, images) for batch, images in zip(loader.epoch(0), wanted, strict=True))
    assert type(loader._worker_processes._processes[0]).__name__ == "SpawnProcess"


_TRAINER = """
import sys
from pathlib import Path
from tests.data.test_workers import loader_of
if __name__ == "__main__":
    loader = loader_of(Path(sys.argv[1]))
    for epoch in range(1000):
        for batch in loader.epoch(epoch):
            print(len(batch.labels), flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_process_outlives_its_trainer(photos: Path, number: signal.Signals):
    program = photos / "trainer.py"
    program.write_text(_TRAINER)
    root = Path(__file__).parents[2]
    command = [sys.executable, str(program), str(photos)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(root)}) as trainer:
        assert trainer.stdout is not None
        for _ in range(6):
            assert trainer.stdout.readline() == b"8\n"
        children = psutil.Process(trainer.pid).children(recursive=True)
        assert len(children) >= 3, "a server and two workers"
        trainer.send_signal(number)
        trainer.wait()
        _, alive = psutil.wait_procs(children, timeout=10)
        assert alive == []
