"""`compile --int8`: photos of a folder or of data, accuracy before and after, what is kept, and what is refused."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import shufflekit as sk
from shufflekit.cli.main import main
from shufflekit.graph import photos


class Two(nn.Module):
    """Scores of two classes, by brightness, through a layer that 8 bits cannot hold where it is asked to be so."""

    pretrained_cfg: ClassVar[dict[str, Any]] = {
        "input_size": (3, 16, 16),
        "crop_pct": 1.0,
        "mean": (0, 0, 0),
        "std": (1, 1, 1),
        "classes": ["dark", "light"],
    }

    def __init__(self, huge: float = 0.0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.head = nn.Linear(4, 2)
        with torch.no_grad():
            self.conv.weight[:] = 1 / 3 + huge * torch.tensor([1.0, -1, 0]).reshape(1, 3, 1, 1)
            self.conv.bias[:] = 0
            self.head.weight[:] = torch.tensor([[-1.0], [1.0]])
            self.head.bias[:] = torch.tensor([2.0, -2.0])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.conv(x).relu().mean((2, 3)))  # what keeps the mean behind the convolution


def two() -> nn.Module:
    return Two()


def huge() -> nn.Module:
    return Two(1e4)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Ten photos of each class in folders, grey, of every brightness but the middle."""
    folder, random = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for name, low in (("dark", 0), ("light", 140)):
        (folder / name).mkdir()
        for number in range(10):
            grey = np.repeat(random.integers(low, low + 100, (16, 16, 1)), 3, 2).astype(np.uint8)
            Image.fromarray(grey).save(folder / name / f"{number}.png")
    return folder


def run(data: Path, out: Path, *more: str, network: str = "two", calib: Path | None = None) -> int:
    return main(["compile", f"tests.cli.test_int8:{network}", "--int8", "--calib", str(calib or data), "-o", str(out), *more])


def test_a_plan_in_bytes_says_what_it_loses(data, tmp_path, capsys) -> None:
    assert run(data, tmp_path / "net.plan", "--data", str(data), "--explain", "--verify") == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert err == ""
    assert lines[-1] == str(tmp_path / "net.plan")
    assert lines[-2].startswith("largest difference to PyTorch: ")
    assert lines[-3] == "top1 100.00 % in float32, 100.00 % in int8, of 20 images"
    assert lines[-4].startswith("int8: 2 of 2 convolutions and linear layers; signal to noise of linear ")
    engine = sk.load(tmp_path / "net.plan")
    assert engine.quantization is not None
    assert str(engine.quantization) in out
    assert engine.quantization.images == 20
    assert {step.name for step in engine.quantization.steps} >= {"conv", "head"}


def test_json_has_all_of_it(data, tmp_path, capsys) -> None:
    more = ["--data", str(data), "--calib-images", "7", "--weight-bits", "7", "--keep", "head", "--json"]
    assert run(data, tmp_path / "net.plan", *more) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["images"], found["top1_float32"], found["top1_int8"]) == (20, 100.0, 100.0)
    assert (found["quantization"]["images"], found["quantization"]["weight_bits"]) == (7, 7)
    assert {step["name"]: step["kept"] for step in found["quantization"]["steps"]}["head"] == "asked to be kept"


def test_photos_of_a_folder_do_and_one_that_is_none_is_left_out(data, tmp_path, capsys) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.png").write_bytes((data / "light" / f"{number}.png").read_bytes())
    (folder / "broken.png").write_bytes(b"none")
    assert run(data, tmp_path / "net.plan", calib=folder) == 0
    assert "broken.png" in capsys.readouterr().err
    quantization = sk.load(tmp_path / "net.plan").quantization
    assert quantization is not None
    assert quantization.images == 4


def test_what_only_is_asked_for(data, tmp_path, capsys) -> None:
    assert run(data, tmp_path / "net.plan", "--only", "conv") == 0
    assert "in float32: head" in capsys.readouterr().out.splitlines()


def test_under_20_db_a_line_names_the_step(data, tmp_path, capsys) -> None:
    assert run(data, tmp_path / "net.plan", "--only", "conv", network="huge") == 0
    assert "step conv loses most" in capsys.readouterr().err


def test_an_onnx_file_says_how_photos_go_in_or_is_refused(data, tmp_path, capsys) -> None:
    pytest.importorskip("onnx")
    assert main(["export", "tests.cli.test_int8:two", "--format", "onnx", "-o", str(tmp_path), "--name", "net"]) == 0
    capsys.readouterr()
    arguments = ["compile", str(tmp_path / "net.onnx"), "--int8", "--calib", str(data), "-o", str(tmp_path / "net.plan")]
    assert main(arguments) == 1
    assert "how photos go in is not known" in capsys.readouterr().err
    assert not (tmp_path / "net.plan").exists()
    (tmp_path / "net.json").write_text(json.dumps({"mean": [0, 0, 0], "std": [1, 1, 1], "channel_order": "rgb", "crop_pct": 1}))
    assert main(arguments) == 0
    assert "int8: 2 of 2" in capsys.readouterr().out


def test_a_quantised_file_is_compared_with_both_of_the_runtimes_ways(data, tmp_path, capsys) -> None:
    pytest.importorskip("onnxruntime")
    arguments = [
        "--format",
        "onnx",
        "--int8",
        "--calib",
        str(data),
        "--calib-images",
        "8",
        "-o",
        str(tmp_path),
        "--name",
        "net",
    ]
    assert main(["export", "tests.cli.test_int8:two", *arguments]) == 0
    capsys.readouterr()
    assert main(["compile", str(tmp_path / "net.int8.onnx"), "-o", str(tmp_path / "net.plan"), "--verify"]) == 0
    line = capsys.readouterr().out.splitlines()[-2]
    found = re.fullmatch(
        r"largest difference to ONNX Runtime: (.*) of the largest output; with its .* from itself by (.*)", line
    )
    assert found, line
    assert float(found[1]) <= max(1e-4, 2 * float(found[2]))
    assert sk.load(tmp_path / "net.plan").quantization is None


def test_a_plan_in_bfloat16_says_what_it_loses(data, tmp_path, capsys) -> None:
    out = str(tmp_path / "net.plan")
    arguments = ["compile", "tests.cli.test_int8:two", "--precision", "bfloat16", "-o", out, "--verify", "--data", str(data)]
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-4] == "bfloat16: 100 % of the multiply-adds"
    assert lines[-3] == "top1 100.00 % in float32, 100.00 % in bfloat16, of 20 images"
    assert float(lines[-2].split()[4]) < 1e-5  # before anything is rounded
    engine = sk.load(tmp_path / "net.plan")
    assert [step.variant for step in engine.program.steps if step.kernel == "gemm"] == ["bfloat16", "bfloat16"]
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["top1_bfloat16"] == 100


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--data", "."], "int8: is needed for --data or --precision bfloat16"),
        (["--int8"], "int8: needs --calib, and --calib needs --int8"),
        (["--calib", "."], "int8: needs --calib, and --calib needs --int8"),
        (["--keep", "head", "--explain"], "int8: is needed for --keep, --explain"),
        (["--weight-bits", "7", "--calib-images", "9"], "int8: is needed for --calib-images, --weight-bits"),
        (["--int8", "--calib", "nowhere"], "calib: nowhere does not exist"),
        (["--int8", "--calib", "DATA", "--calib-images", "0"], "calib_images: must be 1 or more, found 0"),
        (["--int8", "--calib", "DATA", "--keep", "tail"], r"must name steps .*, found 'tail'"),
    ],
)
def test_what_cannot_be_asked_for(data, tmp_path, capsys, more, message) -> None:
    given = [str(data) if each == "DATA" else each for each in more]
    assert main(["compile", "tests.cli.test_int8:two", "-o", str(tmp_path / "net.plan"), *given]) == 2
    error = capsys.readouterr().err
    assert re.search(message, error), error
    assert not (tmp_path / "net.plan").exists()


def test_other_classes_are_refused_before_ranges_are_learnt(data, tmp_path, capsys, monkeypatch) -> None:
    (tmp_path / "data" / "grey").mkdir(parents=True)
    (tmp_path / "data" / "grey" / "0.png").write_bytes((data / "light" / "0.png").read_bytes())
    monkeypatch.setattr("shufflekit.cli.compile.calibration", lambda *_: pytest.fail("ranges are learnt first"))
    assert run(data, tmp_path / "net.plan", "--data", str(tmp_path / "data")) != 0
    assert not (tmp_path / "net.plan").exists()


@pytest.mark.parametrize("read", ["calib", "data"])
def test_no_photo_that_is_read_is_written_over(data, tmp_path, capsys, read) -> None:
    photo = data / "dark" / "0.png"
    before = photo.read_bytes()
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(data, elsewhere)
    sources = {"calib": elsewhere, "data": elsewhere} | {read: data}
    assert run(data, photo, "--data", str(sources["data"]), calib=sources["calib"]) == 2
    assert f"out: {photo} lies in {data}, which is read" in capsys.readouterr().err
    assert photo.read_bytes() == before


def test_the_one_photo_that_is_read_is_not_written_over(data, tmp_path, capsys) -> None:
    photo = tmp_path / "photo.png"
    shutil.copy(data / "dark" / "0.png", photo)
    assert run(data, photo, calib=photo) == 2
    assert f"out: {photo} is an input and is not written over" in capsys.readouterr().err


@pytest.mark.slow
def test_a_detector_takes_its_photos(data, tmp_path, capsys) -> None:
    arguments = ["compile", "fastestdet", "--weights", "random", "--int8", "--calib", str(data), "--calib-images", "2"]
    code = main([*arguments, "-o", str(tmp_path / "net.plan")])
    assert code == 0, capsys.readouterr().err
    engine = sk.load(tmp_path / "net.plan")
    assert engine.quantization is not None
    assert engine.program.info["detection"]


@pytest.mark.parametrize("more", [(), ("--layout", "NCHW")])
def test_a_plan_that_takes_bytes_is_used_as_any_other(data, tmp_path, capsys, more) -> None:
    plan, usual = tmp_path / "net.plan", tmp_path / "usual.plan"
    assert run(data, plan, "--input", "uint8", *more, "--data", str(data), "--verify") == 0
    assert "top1 100.00 % in float32, 100.00 % in int8, of 20 images" in capsys.readouterr().out
    assert sk.load(plan).program.steps[0].kernel == "unpack"
    compile_floats = ["compile", "tests.cli.test_int8:two", "-o"]
    assert main([*compile_floats, str(usual)]) == 0
    assert main([*compile_floats, str(plan), "--input", "uint8", *more, "--verify"]) == 0
    assert sk.load(plan).program.steps[0].kernel == "unpack_float"
    capsys.readouterr()
    for command in (["predict", str(data / "dark" / "0.png"), "--model", "PLAN"], ["evaluate", "PLAN", "--data", str(data)]):
        said = []
        for each in (usual, plan):
            assert main([str(each) if word == "PLAN" else word for word in command]) == 0
            said.append(capsys.readouterr().out.replace(str(each), "PLAN"))
        assert said[0] == said[1]


def test_flags_say_how_photos_go_in_and_the_plan_keeps_them(data, tmp_path, capsys) -> None:
    more = ["--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25", "--channel-order", "bgr"]
    assert run(data, tmp_path / "net.plan", "--input", "uint8", *more) == 0
    info = sk.load(tmp_path / "net.plan").program.info
    assert (info["mean"], info["std"], info["channel_order"]) == ([0.5] * 3, [0.25] * 3, "bgr")
    assert run(data, tmp_path / "other.plan", "--layout", "NHWC") == 2
    assert "layout: is that of photos" in capsys.readouterr().err


def test_the_plan_of_bytes_itself_is_verified(data, tmp_path, capsys, monkeypatch) -> None:
    from tests.graph.from_onnx.files import helper
    from tests.test_compiling import file

    planes = helper.make_node("Transpose", ["x"], ["planes"], perm=[0, 3, 1, 2])
    nodes = [planes, helper.make_node("Conv", ["planes", "w"], ["y"])]
    weights = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)
    path, plan = file(tmp_path, nodes, {"x": ("N", 10, 9, 3)}, ["y"], w=weights), tmp_path / "net.plan"
    more = ["--mean", "0.5,0.4,0.3", "--std", "0.2,0.3,0.4", "--channel-order", "bgr", "--input", "uint8", "--verify"]
    assert main(["compile", str(path), *more, "-o", str(plan)]) == 0
    plan.unlink()
    two = ["compile", "tests.cli.test_int8:two", "--input", "uint8", "--verify", "-o", str(plan)]
    assert main(two) == 0
    plan.unlink()
    wrong = photos.taking_photos
    monkeypatch.setattr(photos, "taking_photos", lambda graph, scale, *rest: wrong(graph, 1.01 * scale, *rest))
    assert main(two) == 1
    assert "not written: it differs from PyTorch by" in capsys.readouterr().err
    assert not plan.exists()
