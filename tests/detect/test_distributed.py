from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace

import pytest
import torch
from safetensors.torch import load_file

from shufflekit.train.recipe import DETECT
from shufflekit.train.toml import to_toml
from tests.detect.test_loader import data as data  # a fixture


@pytest.mark.slow
@pytest.mark.parametrize("model", ["nanodet_m_shufflenet_v2_x0_5", "light_head_rcnn_shufflenet_v2_x0_5"])
def test_two_processes_train_as_one_that_accumulates(model, data, tmp_path):
    """torchrun with 2 processes at batch b against 1 process with 2 micro-batches of b: 6 updates, losses to 1e-4."""
    truth, folder = data
    recipe = replace(
        DETECT,
        epochs=3,
        batch=3,
        reference_batch=6,
        learning_rate=0.01,
        warmup_epochs=0,
        preprocessing=replace(DETECT.preprocessing, input_size=(64, 64)),
    )
    losses = {}
    for name, launcher, accumulate in (
        ("one", ["-m"], 2),
        ("two", ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--module"], 1),
    ):
        config, out = tmp_path / f"{name}.toml", tmp_path / name
        config.write_text(to_toml(asdict(replace(recipe, accumulate=accumulate))))
        arguments = ["--task", "detect", "--data", truth.path, "--images", folder, "--model", model, "--config", config]
        arguments += ["--out", out, "--layout", "nchw", "--compile", "no", "--log-every", "1"]
        command = [sys.executable, *launcher, "shufflekit", "train", *map(str, arguments)]
        done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("epoch 3/3") == 1, "one process speaks"
        lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        losses[name] = [line["train/loss"] for line in lines if "train/loss" in line]
    assert len(losses["one"]) == 6
    assert losses["two"] == pytest.approx(losses["one"], rel=1e-4)
    assert losses["one"][0] != losses["one"][1]
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    for name, tensor in one.items():
        if not name.endswith("num_batches_tracked") and "running" not in name:
            # batch-norm statistics are those of the first process, which has seen every other micro-batch
            assert torch.allclose(tensor, two[name], atol=1e-3), name
