from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from shufflekit.cli.main import main
from shufflekit.export import FORMATS
from shufflekit.models import build_model
from tests.export.test_export import installed


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network with random weights, saved."""
    torch.manual_seed(0)
    net = build_model("shufflenet_v2_x0_5", num_classes=4, small_input=True).eval()
    net.pretrained_cfg = {"input_size": (3, 32, 32), "crop_pct": 1.0, "num_classes": 4, "classes": ["ant", "bee", "cow", "dog"]}
    folder = tmp_path_factory.mktemp("saved")
    net.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    pixels = np.random.default_rng(0)
    for name in ("ant", "bee", "cow", "dog"):
        (folder / name).mkdir()
        for i in range(3):
            Image.fromarray(pixels.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / name / f"{i}.png")
    return folder


def test_files_and_differences_are_told(saved, tmp_path, capsys):
    installed("onnx"), installed("ncnn")
    assert main(["export", str(saved), "--format", "onnx,ncnn", "-o", str(tmp_path / "new"), "--verify"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["onnx", "ncnn"]
    assert all("largest difference to PyTorch" in line for line in lines)
    found = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert found == ["shufflenet_v2_x0_5.ncnn.bin", "shufflenet_v2_x0_5.ncnn.param", "shufflenet_v2_x0_5.onnx"]


def test_int8_with_accuracy_before_and_after(saved, images, tmp_path, capsys):
    installed("onnx")
    options = ["--int8", "--calib", str(images), "--calib-images", "8", "--data", str(images), "--json", "--name", "a"]
    assert main(["export", str(saved), "--format", "onnx", "-o", str(tmp_path), *options]) == 0
    before, after = json.loads(capsys.readouterr().out)
    assert (before["int8"], after["int8"], before["images"], after["images"]) == (False, True, 12, 12)
    assert (before["error"], after["error"], before["difference"]) == (None, None, None)
    assert after["files"] == [str(tmp_path / "a.int8.onnx")]
    assert after["bytes"] < before["bytes"]
    assert 0 <= after["right"] <= 12


def test_a_missing_format_is_a_line_and_the_others_are_written(saved, tmp_path, capsys, monkeypatch):
    installed("onnx")
    monkeypatch.setattr(type(FORMATS["mnn"]), "packages", ("no_such_package",))
    assert main(["export", str(saved), "--format", "mnn,onnx", "-o", str(tmp_path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split(maxsplit=1) == ["mnn", "no_such_package is not installed: pip install 'shufflekit[bench]'"]
    assert lines[1].startswith("onnx ")
    assert (tmp_path / "shufflenet_v2_x0_5.onnx").exists()


def test_a_file_that_differs_is_exit_1(saved, tmp_path, capsys, monkeypatch):
    installed("onnx")
    monkeypatch.setattr("shufflekit.export.convert.ALLOWED_DIFFERENCE", 1e-12)
    assert main(["export", str(saved), "--format", "onnx", "-o", str(tmp_path), "--verify", "--json"]) == 1
    (row,) = json.loads(capsys.readouterr().out)
    assert row["difference"] > 1e-12
    assert row["error"].endswith("needed 1e-12")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "coreml"], "format: must be one or more of onnx,openvino,ncnn,mnn,executorch,litert, found 'coreml'"),
        (["--format", "onnx", "--opset", "3"], "opset: must be 9 to 23, found 3"),
        (["--format", "onnx", "--int8"], "int8: needs --calib, and --calib needs --int8"),
        (["--format", "ncnn", "--int8", "--calib", "."], "int8: of the formats onnx, openvino only, found ncnn"),
        (["--format", "litert", "--dynamic-batch"], "dynamic_batch: LiteRT has the batch that it is written with"),
    ],
)
def test_what_is_wrong_is_one_line(saved, arguments, message, tmp_path, capsys):
    installed("onnx")
    assert main(["export", str(saved), "-o", str(tmp_path / "out"), *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err.splitlines()[-1]
