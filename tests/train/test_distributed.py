from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from shufflekit.data.augment import Augmentation
from shufflekit.train.recipe import Recipe
from shufflekit.train.toml import to_toml


@pytest.mark.slow
def test_two_processes_train_as_one_that_accumulates(make_images: Callable[..., Path], tmp_path: Path, recipe: Recipe) -> None:
    """torchrun with 2 processes at batch b against 1 process with 2 micro-batches of b: 50 updates, losses to 1e-5."""
    data = make_images(176)
    recipe = replace(recipe, epochs=5, reference_batch=16, learning_rate=0.05, augmentation=Augmentation.cifar(pad=2, cutout=4))
    losses, rates = {}, {}
    for name, launcher, accumulate in (
        ("one", ["-m"], 2),
        ("two", ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--module"], 1),
    ):
        config, out = tmp_path / f"{name}.toml", tmp_path / name
        config.write_text(to_toml(asdict(replace(recipe, accumulate=accumulate))))
        arguments = ["--data", data, "--model", "shufflenet_v2_x0_5", "--config", config, "--out", out, "--holdout", "16"]
        arguments += ["--layout", "nchw", "--compile", "no", "--log-every", "1"]
        command = [sys.executable, *launcher, "shufflekit", "train", *map(str, arguments)]
        done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("epoch 5/5") == 1, "one process speaks"
        lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        losses[name] = [line["train/loss"] for line in lines if "train/loss" in line]
        rates[name] = [line["train/lr"] for line in lines if "train/lr" in line]
    assert len(losses["one"]) == 50
    assert losses["two"] == pytest.approx(losses["one"], abs=1e-5)
    assert rates["two"] == rates["one"]
    assert losses["one"][-1] < losses["one"][0]

    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    for name, tensor in one.items():
        if name.endswith("num_batches_tracked"):
            continue
        if "running" in name:
            # Of the first process, which has seen every other micro-batch: near, not equal.
            assert not torch.equal(tensor, two[name])
        else:
            assert torch.allclose(tensor, two[name], atol=1e-4), name
