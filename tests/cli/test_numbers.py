"""Whole numbers are never rounded, whichever verb has the option."""

from __future__ import annotations

from pathlib import Path

import pytest

from shufflekit.cli.main import main

SHAPE = "must be as in 1 3 224 224, or 1x3x224x224, or of several inputs image:1x3x224x224,mask:1x1x224x224"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "compile net -o out --shape 1 3 32 32.5",
            f"shape: {SHAPE}, found 1 3 32 32.5",
        ),
        ("export net --format onnx -o out --calib-images 1.5", "calib_images: must be a whole number, found 1.5"),
        ("predict a.jpg --topk 2.7", "topk: must be a whole number, found 2.7"),
        ("evaluate net --data d --batch 1e-3", "batch: must be a whole number, found 1e-3"),
        ("evaluate net --data d --workers inf", "workers: must be a whole number, found inf"),
        ("profile net --threads 1.5", "threads: must be a whole number, found 1.5"),
        ("bench net --rounds 7.2", "rounds: must be a whole number, found 7.2"),
        ("guidelines --table 1.4", "table: must be a whole number, found 1.4"),
        ("train --model m --data d --out o --batch 32.5", "batch: must be a whole number, found 32.5"),
        ("audit net --budget nan", "budget: must be a number, found nan"),
        ("train --model m --data d --out o --label-smoothing NaN", "label_smoothing: must be a number, found NaN"),
    ],
)
def test_what_is_no_whole_number_or_none_at_all_is_refused(
    arguments: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments.split()) == 2
    assert capsys.readouterr() == ("", f"shufflekit: {message}\n")


def test_numbers_of_a_toml_file_are_held_to_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.toml").write_text("batch = 2.5\n")
    assert main(["train", "--model", "m", "--data", "d", "--out", "o", "--config", str(tmp_path / "run.toml")]) == 2
    assert capsys.readouterr().err == "shufflekit: batch: must be a whole number, found 2.5\n"


@pytest.mark.parametrize("arguments", ["predict missing.jpg --topk 2.0", "predict missing.jpg --topk 0x2 --model 1.5"])
def test_whole_numbers_however_written_and_texts_pass(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(arguments.split())
    assert "must be a" not in capsys.readouterr().err
