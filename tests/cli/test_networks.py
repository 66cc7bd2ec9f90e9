"""MODEL: one reading for every verb."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from shufflekit.cli._networks import input_files, load_detector, load_network, saved_folder, untrained_network
from shufflekit.cli.main import main
from shufflekit.detect.create import create_detector
from shufflekit.detect.network import Detector
from shufflekit.errors import UsageError, WeightsError
from shufflekit.models import build_model
from shufflekit.models.shufflenet_v2 import ShuffleNetV2

MINE = """
from torch import nn
import shufflekit as sk
def small(): return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
def ours(): return sk.create_model("shufflenet_v2_x0_5", num_classes=4)
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    return tmp_path


def test_saved_networks_and_detectors_bring_their_weights(tmp_path: Path) -> None:
    build_model("shufflenet_v2_x0_5", num_classes=3).save_pretrained(tmp_path / "net")
    create_detector("nanodet_m_shufflenet_v2_x0_5", num_classes=2).save_pretrained(tmp_path / "finder")
    for model, kind in (("net", ShuffleNetV2), ("finder", Detector)):
        for load in (load_network, untrained_network):
            assert isinstance(load(str(tmp_path / model)), kind)
        for weights in ("imagenet", "random"):
            with pytest.raises(UsageError, match=f"is a saved network and brings its own, found '{weights}'"):
                load_network(str(tmp_path / model), weights)
    assert isinstance(load_detector(str(tmp_path / "finder"), None), Detector)
    with pytest.raises(UsageError, match="net must be a detector, found a ShuffleNetV2"):
        load_detector(str(tmp_path / "net"), None)


def test_a_saved_network_of_the_hub_is_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_detector("nanodet_m_shufflenet_v2_x0_5", num_classes=2).save_pretrained(tmp_path)
    monkeypatch.setattr("shufflekit.models._saved.hf_hub_download", lambda repo, name, **_: str(tmp_path / name))
    assert saved_folder("hf-hub:me/finder") == tmp_path
    assert isinstance(load_network("hf-hub:me/finder"), Detector)


def test_registry_names_and_detectors_need_no_download_where_weights_do_not_matter() -> None:
    assert isinstance(untrained_network("shufflenet_v2_x0_5"), ShuffleNetV2)
    assert isinstance(untrained_network("nanodet_m_shufflenet_v2_x0_5"), Detector)
    assert isinstance(load_network("fastestdet", "random"), Detector)


def test_somebodys_own_network_takes_a_file_of_weights_whole_or_not_at_all(mine: Path) -> None:
    network = load_network("mine:small")
    wanted = {name: torch.randn_like(tensor) for name, tensor in network.state_dict().items()}
    torch.save({"state_dict": wanted}, "good.pth")
    assert torch.equal(load_network("mine:small", "good.pth")[0].weight, wanted["0.weight"])
    torch.save({"0.weight": wanted["0.weight"]}, "half.pth")
    with pytest.raises(WeightsError, match=r"^half.pth: does not fit Sequential: 0.bias is missing, needed \(4,\)$"):
        load_network("mine:small", "half.pth")
    torch.save(build_model("shufflenet_v2_x0_5", num_classes=4).state_dict(), "ours.pth")
    assert isinstance(load_network("mine:ours", "ours.pth"), ShuffleNetV2)


def test_nothing_is_written_over_a_network(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build_model("shufflenet_v2_x0_5", num_classes=3).save_pretrained("net")
    for words in (["audit", "net", "-o"], ["audit", "net", "--report"], ["bench", "net", "--json"]):
        assert main([*words, "net/config.json"]) == 2
        assert "net/config.json is an input and is not written over" in capsys.readouterr().err
    assert main(["audit", "mine:small", "-o", "mine.py"]) == 2  # before it is imported
    assert Path("mine.py").read_text() == MINE


def test_what_is_read_is_listed(mine: Path) -> None:
    load_network("mine:small")
    assert str(mine / "mine.py") in list(map(str, map(Path.resolve, map(Path, input_files("mine:small", None)))))
    found = input_files("net", "weights.pth")
    assert {Path("net"), Path("net/config.json"), Path("net/model.safetensors"), Path("weights.pth")} <= {*found}
    assert input_files(None, None) == []
