from __future__ import annotations

import json

import pytest
import torch

from shufflekit.detect.create import CHECKPOINTS, create_detector, find_detector_checkpoint, is_detector, list_detectors
from shufflekit.detect.network import Detector
from shufflekit.errors import DownloadError, UsageError, WeightsError


@pytest.mark.parametrize("name", ["nanodet_m_shufflenet_v2_x0_5", "fastestdet"])
def test_gradients_reach_every_weight(name):
    net = create_detector(name, num_classes=2)
    maps = net(torch.randn(2, 3, 64, 64))
    sum(y.square().sum() for y in maps).backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_parameters_of_fastestdet_by_hand():
    # merge 336x96, six depthwise 5x5, 288x96, 96x96, three depthwise 5x5, 85x96; a norm has two numbers a channel
    head = 336 * 96 + 6 * 25 * 96 + 288 * 96 + 96 * 96 + 3 * 25 * 96 + 85 * 96 + 2 * (12 * 96 + 85)
    assert sum(parameter.numel() for parameter in create_detector("fastestdet").parameters()) == 143_136 + head


@pytest.mark.parametrize("backbone", ["shufflenet_v1_g3_x0_5", "mobilenet_v2_x0_15", "shufflenet_v2_plus_small"])
def test_any_backbone_by_name(backbone):
    net = create_detector(f"nanodet_m_{backbone}", num_classes=2).eval()
    assert [tuple(y.shape[1:]) for y in net(torch.zeros(1, 3, 64, 64))] == [(34, 8, 8), (34, 4, 4), (34, 2, 2)]


def test_a_backbone_without_small_maps_is_refused():
    with pytest.raises(UsageError, match=r"backbone: squeezenet1_0 has maps of .*1/16, needed 1/32"):
        create_detector("nanodet_m_squeezenet1_0")


def test_no_relu_is_left_in_nanodet():
    net = create_detector("nanodet_m_shufflenet_v2_x0_5")
    kinds = {type(module).__name__ for module in net.modules()}
    assert "LeakyReLU" in kinds
    assert "ReLU" not in kinds


def test_unknown_names_offer_near_ones():
    with pytest.raises(UsageError, match="no detector is named 'nanodet'; did you mean"):
        create_detector("nanodet")
    with pytest.raises(UsageError, match="no network is named 'shufflenet_v9'"):
        create_detector("nanodet_m_shufflenet_v9")
    with pytest.raises(UsageError, match="num_classes: must be 1 or more, found 0"):
        create_detector("fastestdet", num_classes=0)


@pytest.mark.parametrize("side", [(320, 300), (31, 64)])
def test_sizes_that_do_not_divide_are_refused(side):
    with pytest.raises(ValueError, match="must be"):
        create_detector("fastestdet")(torch.zeros(1, 3, *side))


def test_published_files_have_a_full_hash_and_an_address():
    assert list_detectors() == [c.architecture for c in CHECKPOINTS]
    for checkpoint in CHECKPOINTS:
        assert checkpoint.url.startswith("https://github.com/")
        assert (len(checkpoint.hash), checkpoint.hash_kind) == (64, "sha256")
    with pytest.raises(UsageError, match="has coco, found 'voc'"):
        find_detector_checkpoint("fastestdet", "voc")
    with pytest.raises(UsageError, match="has no published ones"):
        create_detector("nanodet_m_mobilenet_v2_x1_0", True)


def test_without_network_one_line_says_what_to_fetch_from_where(monkeypatch, tmp_path):
    monkeypatch.setenv("SHUFFLEKIT_CACHE", str(tmp_path))
    monkeypatch.setenv("SHUFFLEKIT_OFFLINE", "1")
    with pytest.raises(DownloadError) as error:
        create_detector("nanodet_m_shufflenet_v2_x0_5", True)
    assert "nanodet.lite.ai.toolkit/raw/706e71a7b52dcaa635c0e575b09452f91c46375b" in str(error.value)
    assert "or pass --weights FILE" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_was_fetched_by_hand_is_checked_and_used(monkeypatch, tmp_path, shared_data):
    monkeypatch.setenv("SHUFFLEKIT_CACHE", str(tmp_path))
    monkeypatch.setenv("SHUFFLEKIT_OFFLINE", "1")
    source = shared_data / "weights" / "fastestdet_coco_ap05_0.253.pth"
    put = tmp_path / CHECKPOINTS[-1].url.rpartition("/")[2]
    put.write_bytes(source.read_bytes()[:-1])
    with pytest.raises(WeightsError, match="is not what its origin published"):
        create_detector("fastestdet", "coco")
    put.write_bytes(source.read_bytes())
    assert create_detector("fastestdet", "coco").pretrained_cfg["license"] == "BSD-3-Clause"


def test_saved_and_loaded_again(tmp_path):
    net = create_detector("fastestdet_shufflenet_v2_x0_5", num_classes=2).eval()
    net.pretrained_cfg["classes"] = ["ant", "bee"]
    net.save_pretrained(tmp_path / "net")
    again = create_detector(tmp_path / "net")
    assert isinstance(again, Detector)
    assert (again.architecture, again.num_classes) == (net.architecture, 2)
    assert again.pretrained_cfg == net.pretrained_cfg
    assert is_detector(str(tmp_path / "net"))
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(again(x)[0], net(x)[0])
    config = json.loads((tmp_path / "net" / "config.json").read_text())
    assert config["options"] == {"num_classes": 2}
    (tmp_path / "net" / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(WeightsError, match="damaged"):
        create_detector(tmp_path / "net")
