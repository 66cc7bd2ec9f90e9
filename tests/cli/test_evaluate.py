from __future__ import annotations

import io
import json
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
        self.pretrained_cfg = {"input_size": (3, 8, 8), "mean": (0.5,) * 3, "std": (0.5,) * 3, "crop_pct": 1.0}

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
    assert main(["evaluate", brightness, "--data", str(data), "--json"]) == 0
    captured = capsys.readouterr()
    assert (json.loads(captured.out)["images"], json.loads(captured.out)["top1_right"]) == (9, 7)
    assert captured.err == f"shufflekit: {broken}: empty file; left out\n"


def test_classes_must_fit(data: Path, tmp_path: Path, brightness: str, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "2_other").mkdir()
    (data / "2_other" / "0.png").write_bytes(_png(0))
    assert main(["evaluate", brightness, "--data", str(data)]) == 1
    assert "must have at most the 2 classes of torch.nn:Brightness, found 3" in capsys.readouterr().err

    network = build_model("shufflenet_v2_x0_5", num_classes=3, small_input=True)
    network.pretrained_cfg = {"input_size": (3, 8, 8), "classes": ["2_other", "0_dark", "1_bright"], "num_classes": 3}
    network.save_pretrained(tmp_path / "saved")
    assert main(["evaluate", str(tmp_path / "saved"), "--data", str(data)]) == 1
    assert "(2_other, 0_dark, 1_bright, ...), found another order" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [(["--data", "nowhere"], "data: nowhere does not exist"), (["--batch", "0"], "batch: must be 1 or more, found 0")],
)
def test_wrong_usage(flags: list[str], message: str, data: Path, brightness: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["evaluate", brightness, *([] if "--data" in flags else ["--data", str(data)]), *flags]
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
