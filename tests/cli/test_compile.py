from __future__ import annotations

import json
import shutil
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

import shufflekit as sk
from shufflekit.cli.main import main
from shufflekit.models import build_model
from shufflekit.plan.build import build


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network with random weights, saved."""
    torch.manual_seed(0)
    net = build_model("shufflenet_v2_x0_5", num_classes=4, small_input=True).eval()
    net.pretrained_cfg = {"input_size": (3, 32, 32), "crop_pct": 1.0, "num_classes": 4, "classes": ["ant", "bee", "cow", "dog"]}
    folder = tmp_path_factory.mktemp("saved")
    net.save_pretrained(folder)
    return folder


def test_the_table_tells_each_step_and_what_vanished(saved, tmp_path, capsys):
    path = tmp_path / "net.plan"
    assert main(["compile", str(saved), "-o", str(path), "--verify", "--threads", "2"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    engine = sk.load(path)
    assert lines[: len(engine.program.steps) + 3] == str(engine.program).splitlines()
    assert any(line.startswith("compiled away: ") and "concat" in line for line in lines)
    assert lines[-2].startswith("largest difference to PyTorch: ")
    assert lines[-1] == str(path)
    assert err == ""
    assert engine.input_shape == (3, 32, 32)
    assert engine.program.info["classes"] == ["ant", "bee", "cow", "dog"]


def test_json_is_one_object(saved, tmp_path, capsys):
    path = tmp_path / "net.plan"
    assert main(["compile", str(saved), "--out", str(path), "--shape", "1", "3", "65", "47", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    program = sk.load(path).program
    assert (found["file"], found["input_shape"], found["difference"]) == (str(path), [3, 65, 47], None)
    assert (found["flops"], found["moves"], len(found["steps"])) == (program.flops, 1, len(program.steps))
    assert found["outputs"] == [{"name": "linear", "shape": [4]}]
    assert found["vanished"]["permute"] > 0
    assert [(step["kernel"], step["variant"]) for step in found["steps"]] == [(s.kernel, s.variant) for s in program.steps]


def test_a_plan_is_tuned_where_that_is_asked_for(saved, tmp_path, capsys):
    path = tmp_path / "net.plan"
    assert main(["compile", str(saved), "-o", str(path), "--tune", "--verify"]) == 0
    assert capsys.readouterr().err.startswith("shufflekit: tuned on ")
    assert sk.load(path).program.info["tuned"]["threads"] == 1


def test_random_weights_of_a_registered_network_at_its_size(tmp_path, capsys):
    path = tmp_path / "net.plan"
    assert main(["compile", "shufflenet_v2_x0_5", "--weights", "random", "-o", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["input_shape"] == [3, 224, 224]
    assert sk.load(path).program.name == "shufflenet_v2_x0_5"


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_plan_that_differs_is_not_written(saved, tmp_path, capsys, monkeypatch, form):
    def wrong(*arguments, **options):
        program = build(*arguments, **options)
        program.weights[len(program.weights) // 128 * 64 :].view(np.float32)[:] *= 1.01
        return program

    monkeypatch.setattr(import_module("shufflekit.compiling"), "build", wrong)
    path = tmp_path / "net.plan"
    assert main(["compile", str(saved), "-o", str(path), "--verify", *form]) == 1
    out, err = capsys.readouterr()
    assert "not written: it differs from PyTorch by" in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
    if form:
        assert json.loads(out)["file"] is None
        assert json.loads(out)["difference"] > 1e-4


def test_several_outputs_are_verified(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("nets.py").write_text(
        "from torch import nn\n"
        "class Two(nn.Module):\n"
        "    def forward(self, x):\n"
        "        return {'a': x.relu(), 'b': x.mean((2, 3))}\n"
    )
    assert main(["compile", "nets:Two", "-o", "two.plan", "--shape", "1", "5", "7", "6", "--verify", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [output["shape"] for output in found["outputs"]] == [[5, 7, 6], [5]]
    assert found["difference"] < 1e-5
    a, b = sk.load("two.plan")(np.ones((2, 5, 7, 6), np.float32))
    assert (a.shape, b.shape) == ((2, 5, 7, 6), (2, 5))


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["shufflenet_v9", "-o", "a.plan"], 2, "no network is named 'shufflenet_v9'"),
        (["shufflenet_v2_x0_5", "--weights", "random"], 2, "--out"),
        (["shufflenet_v2_x0_5", "--weights", "random", "-o", "a.plan", "--shape", "1", "x"], 2, "shape: must be as in 1 3"),
        (
            ["torch.nn:ReLU", "-o", "a.plan", "--shape", "1x3,1x4"],
            2,
            "shape: must be one for each of the inputs input, found 2",
        ),
        (["torch.nn:RReLU", "-o", "a.plan"], 2, "not supported"),
        (
            ["shufflenet_v2_x0_5", "--weights", "random", "-o", "a.plan", "--threads", "0"],
            2,
            "threads: must be 1 to 256, found 0",
        ),
        (["torch.nn:ReLU", "-o", "missing/a.plan"], 1, "missing/a.plan: cannot be written: No such file or directory"),
    ],
)
def test_what_is_wrong_is_one_line(arguments, code, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["compile", *arguments]) == code
    out, err = capsys.readouterr()
    assert (out, err.count("\n"), list(tmp_path.iterdir())) == ("", 1, [])
    assert message in err


@pytest.mark.parametrize("first", ["0", "-1"])
def test_sizes_are_one_or_more(saved, first, tmp_path, capsys):
    assert main(["compile", str(saved), "-o", str(tmp_path / "net.plan"), "--shape", first, "3", "32", "32"]) == 2
    message = f"shape: must be (N, C, H, W) or the like, whole numbers of 1 or more, found ({first}, 3, 32, 32)"
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_network_of_one_channel_needs_no_shape(tmp_path, capsys):
    build_model("shufflenet_v2_x0_5", num_classes=4, in_chans=1, small_input=True).save_pretrained(tmp_path / "grey")
    assert main(["compile", str(tmp_path / "grey"), "-o", str(tmp_path / "grey.plan"), "--verify"]) == 0
    assert sk.load(tmp_path / "grey.plan").input_shape[0] == 1


@pytest.mark.parametrize("target", ["net/model.safetensors", "net/config.json", "link.plan", "mine.py"])
def test_what_is_read_is_not_written_over(saved, target, tmp_path, monkeypatch, capsys):
    shutil.copytree(saved, tmp_path / "net")
    (tmp_path / "link.plan").symlink_to(tmp_path / "net" / "model.safetensors")
    (tmp_path / "mine.py").write_text("import torch\ndef net(): return torch.nn.Conv2d(3, 4, 3)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    before = Path(target).read_bytes()
    assert main(["compile", "mine:net" if target == "mine.py" else "net", "-o", target]) == 2
    assert f"out: {target} is an input" in capsys.readouterr().err
    assert Path(target).read_bytes() == before


def test_outputs_that_are_no_numbers_are_an_error(tmp_path, capsys):
    net = build_model("shufflenet_v2_x0_5", num_classes=4, small_input=True)
    torch.nn.init.constant_(net.fc.bias, float("nan"))
    net.save_pretrained(tmp_path / "net")
    assert (
        main(["compile", str(tmp_path / "net"), "-o", str(tmp_path / "net.plan"), "--verify", "--shape", "1", "3", "32", "32"])
        == 1
    )
    assert "in PyTorch: 12 of 12 output values are infinite or not a number" in capsys.readouterr().err
    assert not (tmp_path / "net.plan").exists()
