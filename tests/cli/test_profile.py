from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from shufflekit.cli.main import main
from shufflekit.device import Device
from shufflekit.profiling import MeasuredProfile

DEVICE = Device.from_json((Path(__file__).parents[1] / "device" / "a_device.json").read_text())
SMALL = ("--shape", "1", "3", "32", "32")


@pytest.fixture(autouse=True)
def a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """A made-up machine in place of a measurement."""
    for module in ("profile", "engine"):
        monkeypatch.setattr(import_module(f"shufflekit.profiling.{module}"), "load_device", lambda: DEVICE)


def test_each_layer_is_a_line(capsys):
    assert main(["profile", "shufflenet_v2_x0_5", *SMALL]) == 0
    out = capsys.readouterr().out
    assert "shufflenet_v2_x0_5, input 1x3x32x32, 1 thread, a CPU" in out
    for text in ("data movement", "element-wise", "device limit", "a pass, not looked into"):
        assert text in out
    assert sum("stage2.1" in line for line in out.splitlines()) == 10  # three convolutions and norms, two ReLU, cat and clone
    assert "24x4x4 24x24x1x1 -> 24x4x4" in out


def test_both_engines_stand_side_by_side_and_what_vanished_is_told(capsys):
    assert main(["profile", "shufflenet_v2_x0_5", *SMALL, "--engine", "both", "--by", "operator"]) == 0
    out = capsys.readouterr().out
    (header,) = [line for line in out.splitlines() if "PyTorch eager, ms" in line]
    assert "engine, ms" in header
    assert "compiled away: concat 16" in out.replace("16 concat", "concat 16")
    assert "gemm" in out
    assert "native_batch_norm" in out


@pytest.mark.parametrize(("engine", "count"), [("torch", None), ("native", None), ("both", 2)])
def test_json_reads_back(capsys, engine, count):
    assert main(["profile", "shufflenet_v1_g3_x0_25", *SMALL, "--engine", engine, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, list) == (count is not None)
    for one in found if count else [found]:
        profile = MeasuredProfile.from_dict(one)
        assert profile.input_shape == (1, 3, 32, 32)
        assert sum(profile.by_category.values()) == pytest.approx(profile.ms)
        assert sum(profile.by_module(depth=1).values()) == pytest.approx(profile.ms)


class Sums(nn.Module):
    """Has an operator of which we do not know whether it multiplies."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cumprod(x.relu(), 1)


def test_an_unknown_operator_is_timed_and_named(capsys):
    assert main(["profile", f"{__name__}:Sums", *SMALL]) == 0
    out = capsys.readouterr().out
    assert "unknown operators" in out
    assert "cumprod (1 times)" in out


@pytest.mark.parametrize("model", ["nanodet_m_shufflenet_v2_x0_5", "fastestdet"])
def test_detectors_are_profiled_on_both_engines(capsys, model):
    assert main(["profile", model, "--shape", "1", "3", "64", "64", "--engine", "both", "--by", "operator"]) == 0
    assert f"{model}, input 1x3x64x64" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["shufflenet_v9"], "no network is named 'shufflenet_v9'"),
        (["shufflenet_v2_x0_5", "--shape", "1", "3", "16", "16"], "at least 32x32, found 16x16"),
        (["shufflenet_v2_x0_5", "--threads", "0"], "threads: must be 1 or more, found 0"),
        (["shufflenet_v2_x0_5", "--engine", "native", "--shape", "2", "3", "32", "32"], "found a batch of 2"),
        ([f"{__name__}:Sums", *SMALL, "--engine", "native"], "operator aten.cumprod"),
    ],
)
def test_refuses_in_one_line(capsys, arguments, reason):
    assert main(["profile", *arguments]) in (1, 2)
    out, err = capsys.readouterr()
    assert reason in err
    assert err.count("\n") == 1
    assert out == ""


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        return self.conv(image) * mask


@pytest.mark.parametrize("shape", ["1x3x8x9,1x1x8x9", "mask:1x1x8x9,image:1x3x8x9"])
def test_several_inputs_on_both_engines(capsys, monkeypatch, tmp_path, shape):
    (tmp_path / "two_inputs.py").write_text("from tests.cli.test_profile import TwoInputs\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert main(["profile", "two_inputs:TwoInputs", "--shape", shape, "--engine", "both", "--json"]) == 0
    torchs, engines = (MeasuredProfile.from_dict(one) for one in json.loads(capsys.readouterr().out))
    in_order = ((1, 3, 8, 9), (1, 1, 8, 9))
    assert (engines.input_shape, *engines.more_inputs) == in_order
    assert {torchs.input_shape, *torchs.more_inputs} == set(in_order)
    assert torchs.flops == engines.flops == 3 * 4 * 8 * 9
    assert main(["profile", "two_inputs:TwoInputs", "--shape", shape]) == 0
    assert "1x3x8x9 and 1x1x8x9" in capsys.readouterr().out or shape.startswith("mask")
    assert main(["profile", "two_inputs:TwoInputs", "--shape", "2x3x8x9,2x1x8x9", "--engine", "native"]) == 2
    assert "found a batch of 2" in capsys.readouterr().err
