from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from shufflekit.cli.main import main
from shufflekit.models import build_model
from shufflekit.train.score import wilson_interval


def _png(grey: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), grey, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """4 dark and 6 bright images; the two last bright ones are labelled dark."""
    for name, greys in (("0_dark", [10, 20, 30, 40, 210, 220]), ("1_bright", [200, 230, 240, 250])):
        folder = tmp_path / "images" / name
        folder.mkdir(parents=True)
        for i, grey in enumerate(greys):
            (folder / f"{i}.png").write_bytes(_png(grey))
    return tmp_path / "images"


class Brightness(nn.Module):
    """Right about every image: scores of dark and bright from the mean pixel, as `pretrained_cfg` prepares it."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.pretrained_cfg: dict[str, object] = {
            "input_size": (3, 8, 8),
            "mean": (0.5,) * 3,
            "std": (0.5,) * 3,
            "crop_pct": 1.0,
        }

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = self.scale * x.mean((1, 2, 3))
        return torch.stack((-mean, mean), dim=1)


@pytest.fixture
def brightness(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(nn, "Brightness", Brightness, raising=False)
    return "torch.nn:Brightness"


def test_counts_and_interval(data: Path, brightness: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", brightness, "--data", str(data), "--batch", "3"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    low, high = wilson_interval(8, 10)
    assert first == f"top1   80.00 %   95 % interval {low:.2f} to {high:.2f} %   8 of 10"
    assert second.startswith("top2  100.00 %")


def test_json(data: Path, brightness: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", brightness, "--data", str(data), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["images"], found["top1"], found["top1_right"]) == (10, 80.0, 8)
    assert found["top1_interval"] == pytest.approx(list(wilson_interval(8, 10)))


def test_broken_images_are_left_out_and_named(data: Path, brightness: str, capsys: pytest.CaptureFixture[str]) -> None:
    broken = data / "0_dark" / "0.png"
    broken.write_bytes(b"")
    assert main(["evaluate", brightness, "--data", str(data), "--json"]) == 1
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert (found["images"], found["unreadable"], found["top1_right"]) == (9, 1, 7)
    assert captured.err.splitlines()[1:] == [f"shufflekit: {broken}: empty file; left out"]


def test_a_network_without_names_takes_classes_in_their_order_and_says_so(
    data: Path, brightness: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", brightness, "--data", str(data)]) == 0
    note = "torch.nn:Brightness has no names of its classes: those of the data are taken in their order (0_dark, 1_bright)"
    assert capsys.readouterr().err == f"shufflekit: data: {note}\n"


class Named(Brightness):
    """The same, with names in another order than that of the folders, and a third class that never comes out."""

    def __init__(self) -> None:
        super().__init__()
        self.pretrained_cfg |= {"classes": ["1 Bright", "other", "0_dark"]}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        dark, bright = super().forward(x).unbind(1)
        return torch.stack((bright, torch.full_like(dark, -100.0), dark), dim=1)


def test_classes_are_matched_by_name(data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(nn, "Named", Named, raising=False)
    assert main(["evaluate", "torch.nn:Named", "--data", str(data), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["top1"] == 80.0
    assert err == "shufflekit: data: 1 of 2 classes is spelt in another way: 1_bright is 1 Bright\n"
    (data / "1_bright").rename(data / "1_light")
    assert main(["evaluate", "torch.nn:Named", "--data", str(data), "--json"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "1 of 2 classes are none of torch.nn:Named's (1 Bright, other, 0_dark), found 1_light" in err


def test_a_plan_is_measured_as_its_network_is(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    network = build_model("shufflenet_v2_x0_5", num_classes=2, in_chans=1, small_input=True).eval()
    network.pretrained_cfg = {"input_size": (1, 32, 32), "num_classes": 2, "classes": ["1_bright", "0_dark"]}
    network.save_pretrained(tmp_path / "grey")
    assert main(["compile", str(tmp_path / "grey"), "-o", str(tmp_path / "grey.plan")]) == 0
    capsys.readouterr()
    right = []
    for model in ("grey", "grey.plan"):
        assert main(["evaluate", str(tmp_path / model), "--data", str(data), "--json"]) == 0
        right.append(json.loads(capsys.readouterr().out)["top1_right"])
    assert right[0] == right[1]


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (lambda y: (y, y), "must give a vector of 2 scores or more for each image, found 1x2 and 1x2 for 1"),
        (lambda y: y[..., None, None].expand(-1, -1, 2, 1), "found 1x2x2x1 for 1"),
        (lambda y: y[:, :1], "found 1x1 for 1"),
        (lambda y: y / 0, "2 of 2 output values are infinite or not a number"),
        (lambda y: None, "must return one tensor, or several in a list, tuple or dict, found a NoneType"),
        (lambda y: y.view(7), "fails on an input of 1x3x8x8: RuntimeError: shape '[7]' is invalid"),
    ],
)
def test_what_gives_no_scores_is_one_line(
    output: Callable[[torch.Tensor], object],
    message: str,
    data: Path,
    brightness: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    forward = Brightness.forward
    monkeypatch.setattr(Brightness, "forward", lambda self, x: output(forward(self, x)))
    assert main(["evaluate", brightness, "--data", str(data)]) in (1, 2)
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_more_classes_than_scores_are_refused(data: Path, brightness: str, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "2_other").mkdir()
    (data / "2_other" / "0.png").write_bytes(_png(0))
    assert main(["evaluate", brightness, "--data", str(data)]) == 1
    assert "must have at most the 2 classes of torch.nn:Brightness, found 3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [(["--data", "nowhere"], "data: nowhere does not exist"), (["--batch", "0"], "batch: must be 1 or more, found 0")],
)
def test_wrong_usage(flags: list[str], message: str, data: Path, brightness: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["evaluate", brightness, *([] if "--data" in flags else ["--data", str(data)]), *flags]
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
