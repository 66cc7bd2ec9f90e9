from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from shufflekit.train.recipe import Recipe
from shufflekit.train.toml import to_toml

KILLS = 6


def _command(data: Path, out: Path, config: Path, *flags: str) -> list[str]:
    arguments = ["--data", data, "--model", "shufflenet_v2_x0_5", "--config", config, "--out", out, "--resume", "auto"]
    arguments += ["--layout", "channels_last", "--compile", "no", "--log-every", "1", *flags]
    return [sys.executable, "-m", "shufflekit", "train", *map(str, arguments)]


@pytest.mark.slow
def test_killed_at_any_moment_a_run_ends_with_the_same_bytes(
    make_images: Callable[..., Path], tmp_path: Path, recipe: Recipe
) -> None:
    """SIGKILL at random moments after the first checkpoint: between updates, in one, in a checkpoint, in validation."""
    data, config = make_images(64), tmp_path / "recipe.toml"
    config.write_text(to_toml(asdict(recipe)).replace("epochs = 2", "epochs = 12"))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    flags = ("--holdout", "16", "--checkpoint-every", "2")
    started = time.monotonic()
    subprocess.run(_command(data, tmp_path / "whole", config, *flags), check=True, env=environment, capture_output=True)
    whole_run = time.monotonic() - started

    generator, out, landed = random.Random(0), tmp_path / "killed", 0
    for _ in range(KILLS):
        last = out / "checkpoints" / "last.pt"
        before = last.stat().st_mtime_ns if last.exists() else None
        process = subprocess.Popen(_command(data, out, config, *flags), env=environment, stderr=subprocess.DEVNULL)
        while process.poll() is None and (not last.exists() or last.stat().st_mtime_ns == before):
            time.sleep(0.01)  # until this process has got further than the one before
        time.sleep(generator.uniform(0, whole_run / 20))
        process.send_signal(signal.SIGKILL)
        landed += process.wait() == -signal.SIGKILL
    assert landed >= KILLS // 2, "the others were done before the kill"
    final = subprocess.run(_command(data, out, config, *flags), check=True, env=environment, capture_output=True, text=True)
    assert re.search(r"resumed at epoch \d+, step \d+", final.stderr)
    for name in ("model.safetensors", "config.json", "best/model.safetensors"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    steps = [
        re.sub(r'"[a-z]+/images_per_s": [0-9.]+', "", (folder / "metrics.jsonl").read_text())
        for folder in (out, tmp_path / "whole")
    ]
    assert steps[0] == steps[1], "the same record, but for the speed"
    assert {path.name for path in (out / "checkpoints").iterdir()} == {"last.pt", "previous.pt"}
