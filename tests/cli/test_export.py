from __future__ import annotations

import json
import shutil
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
    assert main(["export", str(saved), "--format", "onnx,ncnn", "-o", str(tmp_path / "new")]) == 0
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
    assert (before["error"], after["error"], after["difference"]) == (None, None, None)
    assert before["difference"] < 1e-3
    assert after["files"] == [str(tmp_path / "a.int8.onnx")]
    assert after["bytes"] < before["bytes"]
    assert 0 <= after["right"] <= 12


def test_accuracy_is_of_classes_matched_by_name(saved, images, tmp_path, capsys):
    installed("onnx")
    renamed = tmp_path / "data"  # the same images, of two classes, whose places in the network are 3 and 1
    for old, new in (("dog", "a_Dog"), ("bee", "bee")):
        shutil.copytree(images / old, renamed / new)
    export = ["export", str(saved), "--format", "onnx", "-o", str(tmp_path / "out"), "--json", "--data"]
    assert main([*export, str(renamed)]) == 1
    assert "1 of 2 classes are none of" in capsys.readouterr().err
    (renamed / "a_Dog").rename(renamed / "Dog")
    assert main([*export, str(renamed)]) == 0
    out, err = capsys.readouterr()
    assert "1 of 2 classes is spelt in another way: Dog is dog" in err
    (row,) = json.loads(out)
    assert main(["evaluate", str(saved), "--data", str(renamed), "--json"]) == 0
    assert row["right"] == json.loads(capsys.readouterr().out)["top1_right"]


def test_a_missing_format_is_a_line_and_the_others_are_written(saved, tmp_path, capsys, monkeypatch):
    installed("onnx")
    monkeypatch.setattr(type(FORMATS["mnn"]), "packages", ("no_such_package",))
    assert main(["export", str(saved), "--format", "mnn,onnx", "-o", str(tmp_path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split(maxsplit=1) == ["mnn", "no_such_package is not installed: pip install 'shufflekit[bench]'"]
    assert lines[1].startswith("onnx ")
    assert (tmp_path / "shufflenet_v2_x0_5.onnx").exists()


def test_a_file_that_differs_is_exit_1_and_does_not_stay(saved, tmp_path, capsys, monkeypatch):
    installed("onnx")
    old = tmp_path / "shufflenet_v2_x0_5.onnx"
    old.write_bytes(b"an older good file")
    monkeypatch.setattr("shufflekit.export.convert.ALLOWED_DIFFERENCE", -1.0)
    export = ["export", str(saved), "--format", "onnx", "-o", str(tmp_path)]
    assert main([*export, "--json"]) == 1
    (row,) = json.loads(capsys.readouterr().out)
    assert row["error"].startswith("ONNX: differs from PyTorch by ")
    assert row["error"].endswith("needed -1e+00; not written")
    assert (row["files"], row["bytes"]) == ([], None)
    assert old.read_bytes() == b"an older good file"
    assert list(tmp_path.iterdir()) == [old]
    assert main([*export, "--no-verify"]) == 0
    assert "difference" not in capsys.readouterr().out
    assert old.stat().st_size > 1000


def test_without_the_runtime_the_file_stays_and_a_line_says_so(saved, tmp_path, capsys, monkeypatch):
    installed("onnx")
    monkeypatch.setattr(type(FORMATS["onnx"]), "packages", ("no_such_runtime", "onnx"))
    export = ["export", str(saved), "--format", "onnx", "-o", str(tmp_path)]
    assert main(export) == 0
    line = "ONNX: not verified, since no_such_runtime is not installed: pip install 'shufflekit[bench]'"
    assert capsys.readouterr().err.splitlines()[-1] == f"shufflekit: {line}"
    assert (tmp_path / "shufflenet_v2_x0_5.onnx").exists()
    assert main([*export, "--no-verify"]) == 0
    assert "not verified" not in capsys.readouterr().err


def test_outputs_that_are_no_numbers_are_an_error(tmp_path, capsys):
    installed("onnx")
    net = build_model("shufflenet_v2_x0_5", num_classes=4, small_input=True)
    torch.nn.init.constant_(net.fc.bias, float("inf"))
    net.save_pretrained(tmp_path / "net")
    assert (
        main(
            ["export", str(tmp_path / "net"), "--format", "onnx", "-o", str(tmp_path / "out"), "--shape", "1", "3", "32", "32"]
        )
        == 1
    )
    assert "shufflenet_v2_x0_5 in PyTorch: 4 of 4 output values are infinite or not a number" in capsys.readouterr().out
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("name", ["weights.onnx", "weights.int8.onnx"])
def test_weights_that_are_read_are_not_written_over(name, tmp_path, capsys, shared_data):
    installed("onnx")
    shutil.copyfile(shared_data / "weights" / "nanodet_m_0.5x.onnx", tmp_path / name)
    before = (tmp_path / name).read_bytes()
    options = ["--weights", str(tmp_path / name), "--format", "onnx", "-o", str(tmp_path), "--name", "weights"]
    assert main(["export", "nanodet_m_shufflenet_v2_x0_5", *options]) == 2
    assert f"out: {tmp_path / name} is an input and is not written over" in capsys.readouterr().err
    assert (tmp_path / name).read_bytes() == before


def test_a_network_of_one_channel_needs_no_shape(tmp_path, capsys):
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'shufflekit[bench]'")
    installed("onnx")
    build_model("shufflenet_v2_x0_5", num_classes=4, in_chans=1, small_input=True).save_pretrained(tmp_path / "grey")
    assert main(["export", str(tmp_path / "grey"), "--format", "onnx", "-o", str(tmp_path), "--name", "grey"]) == 0
    dims = onnx.load(tmp_path / "grey.onnx").graph.input[0].type.tensor_type.shape.dim
    assert [dim.dim_value for dim in dims] == [1, 1, 224, 224]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "coreml"], "format: must be one or more of onnx,openvino,ncnn,mnn,executorch,litert, found 'coreml'"),
        (["--format", "onnx", "--opset", "3"], "opset: must be 9 to 23, found 3"),
        (["--format", "onnx", "--int8"], "int8: needs --calib, and --calib needs --int8"),
        (["--format", "ncnn", "--int8", "--calib", "."], "int8: of the formats onnx, openvino only, found ncnn"),
        (
            ["--format", "onnx", "--shape", "0", "3", "32", "32"],
            "shape: must be (N, C, H, W) or the like, whole numbers of 1 or more, found",
        ),
        (["--format", "onnx", "--shape", "1", "1", "32", "32"], "input must be (N, 3, H, W), found (1, 1, 32, 32)"),
        (["--format", "onnx", "--name", "../net"], "name: must be the name of a file, without folders, found '../net'"),
        (["--format", "litert", "--dynamic-batch"], "dynamic_batch: LiteRT has the batch that it is written with"),
    ],
)
def test_what_is_wrong_is_one_line(saved, arguments, message, tmp_path, capsys):
    installed("onnx")
    assert main(["export", str(saved), "-o", str(tmp_path / "out"), *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err.splitlines()[-1]
