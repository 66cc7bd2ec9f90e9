from __future__ import annotations

import io
import json
import sys
import tomllib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from shufflekit.cli import train as command
from shufflekit.cli.main import main
from shufflekit.train.recipe import CIFAR, IMAGENET, Recipe
from shufflekit.train.run import Settings

FLAGS = ["--model", "shufflenet_v2_x0_5", "--layout", "nchw", "--compile", "no", "--preprocessing.input-size", "16", "16"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """16 noise images of 2 classes."""
    rows = []
    for i in range(16):
        buffer = io.BytesIO()
        Image.fromarray(np.random.default_rng(i).integers(0, 255, (16, 16, 3), np.uint8)).save(buffer, "PNG")
        rows.append({"bytes": buffer.getvalue(), "path": f"{i}.png"})
    path = tmp_path / "images.parquet"
    pq.write_table(pa.table({"image": rows, "label": pa.array([i % 2 for i in range(16)], pa.int64())}), path)
    return path


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Settings, Recipe]]:
    """What the command would run with."""
    calls: list[tuple[Settings, Recipe]] = []

    def note(settings: Settings, recipe: Recipe, watcher: object) -> int:
        calls.append((settings, recipe))
        return 0

    monkeypatch.setattr(command, "run", note)
    return calls


def test_trains_and_leaves_a_folder(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    numbers = ["--recipe", "cifar", "--epochs", "1", "--warmup-epochs", "0", "--batch", "4"]
    assert main(["train", "--data", str(data), "--out", str(out), "--holdout", "4", *numbers, *FLAGS]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len([line for line in lines if line.startswith("shufflekit: epoch 1/1: loss ")]) == 1, "one line an epoch"
    assert lines[-1] == f"shufflekit: done: {out} holds model.safetensors and config.json"
    assert main(["train", "--data", str(data), "--out", str(out), *numbers, *FLAGS]) == 2
    assert "holds a run already; --resume auto continues it" in capsys.readouterr().err
    recipe = tomllib.loads((out / "recipe.toml").read_text())
    assert (recipe["epochs"], recipe["batch"], recipe["weight_decay"]) == (1, 4, CIFAR.weight_decay)

    assert main(["evaluate", str(out), "--data", str(data), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["images"] == 16
    assert found["top1"] == 100 * found["top1_right"] / 16


def test_numbers_come_from_flag_then_file_then_recipe(tmp_path: Path, told: list[tuple[Settings, Recipe]]) -> None:
    config = tmp_path / "mine.toml"
    config.write_text('data = "somewhere"\nrecipe = "cifar"\nepochs = 7\nbatch = 32\n[augmentation]\npad = 3\n')
    given = [
        "--model",
        "m",
        "--out",
        "o",
        "--config",
        str(config),
        "--recipe",
        "cifar",
        "--batch",
        "64",
        "--augmentation.cutout",
        "8",
    ]
    assert main(["train", *given]) == 0
    settings, recipe = told[0]
    assert settings.data == Path("somewhere")
    assert (recipe.epochs, recipe.batch) == (7, 64)
    assert (recipe.augmentation.pad, recipe.augmentation.cutout) == (3, 8)
    assert (recipe.learning_rate, recipe.preprocessing) == (CIFAR.learning_rate, CIFAR.preprocessing)


def test_options_of_a_network_come_from_flags_and_files(tmp_path: Path, told: list[tuple[Settings, Recipe]]) -> None:
    given = ["train", "--data", "d", "--model", "m", "--out", "o"]
    assert main([*given, "--options.shuffle", "no", "--options.unit_split", "release", "--options.stem_channels", "8"]) == 0
    config = tmp_path / "mine.toml"
    config.write_text('[options]\nshuffle = false\nunit_split = "release"\nstem_channels = 8\n')
    assert main([*given, "--config", str(config)]) == 0
    for settings, _ in told:
        assert settings.options == {"shuffle": False, "unit_split": "release", "stem_channels": 8}
    assert main([*given, "--options.dropout", "0.5"]) == 0
    assert told[-1][0].options == {"dropout": 0.5}, "not rounded to a whole number"


@pytest.mark.parametrize(("flags", "expected"), [([], IMAGENET), (["--recipe", "cifar"], CIFAR)])
def test_a_recipe_arrives_as_it_is(flags: list[str], expected: Recipe, told: list[tuple[Settings, Recipe]]) -> None:
    assert main(["train", "--data", "d", "--model", "m", "--out", "o", *flags]) == 0
    assert told[0][1] == expected


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--recipe", "mnist"], "recipe: must be one of imagenet, cifar, detect, found 'mnist'"),
        (["--epochs", "0"], "epochs: must be 1 or more, found 0"),
        (["--epochs", "many"], "many"),
        (["--schedule", "step"], "step"),
        (["--data", "nowhere"], "data: nowhere does not exist"),
        (["--config", "nowhere.toml"], "config: nowhere.toml is not a file"),
    ],
)
def test_wrong_usage_is_one_line(flags: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = ["train", "--model", "shufflenet_v2_x0_5", "--out", str(tmp_path / "out")]
    assert main([*base, *([] if "--data" in flags else ["--data", str(tmp_path)]), *flags]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [("epochs = = 3", "at line 1, column 10"), ("epoch = 3", "epoch"), ("[augmentation]\nfloop = 3", "floop")],
)
def test_a_wrong_file_is_one_line(content: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.toml").write_text(content)
    assert main(["train", "--data", "d", "--model", "m", "--out", "o", "--config", str(tmp_path / "mine.toml")]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert f"config: {tmp_path / 'mine.toml'}: " in error
    assert message in error


def test_a_stopped_run_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(command, "run", lambda settings, recipe, watcher: 15)
    assert main(["train", "--data", "d", "--model", "m", "--out", "o"]) == 128 + 15
    expected = "shufflekit: stopped by SIGTERM; the same command with --resume auto continues\n"
    assert capsys.readouterr().err == expected


def test_bars_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    screen.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with command._Bars() as bars:
        bars.begin("epoch 1/2", total=100, done=20)
        bars.advance(30)
        bars._progress.refresh()
        bars.end()
        bars.note("epoch 1/2: loss 1.0 [not markup]")
    drawn = screen.getvalue()
    assert "epoch 1/2: loss 1.0 [not markup]" in drawn
    assert "50/100" in drawn
