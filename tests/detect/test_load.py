from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch

from shufflekit.detect.create import create_detector
from shufflekit.detect.load import load_detector_weights
from shufflekit.errors import InputError, MissingExtraError, WeightsError

FILES = {
    "nanodet_m_shufflenet_v2_x1_0": "nanodet_m.onnx",
    "nanodet_m_shufflenet_v2_x0_5": "nanodet_m_0.5x.onnx",
    "fastestdet": "fastestdet_coco_ap05_0.253.pth",
}
ORIGINALS = FILES | {"fastestdet": "fastestdet_coco.onnx"}


def original_outputs(path, images: np.ndarray) -> list[np.ndarray]:
    """What the origin's ONNX file gives."""
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return runtime.InferenceSession(str(path), options).run(None, {"input.1": images})


def as_the_original(name: str, maps: list[torch.Tensor]) -> list[np.ndarray]:
    """Our logits as what the origin's file gives: scores, and distances as means over bins."""
    if name == "fastestdet":
        (y,) = maps
        return [torch.cat((y[:, :1].sigmoid(), y[:, 1:5], y[:, 5:].softmax(1)), 1).numpy()]
    flat = [y.flatten(2).transpose(1, 2) for y in maps]  # (1, places, 80 + 4 * 8)
    scores = [y[..., :80].sigmoid().numpy() for y in flat]
    bins = torch.arange(8.0)
    distances = [(y[..., 80:].unflatten(2, (4, 8)).softmax(3) * bins).sum(3).numpy() for y in flat]
    return scores + distances


@pytest.mark.parametrize("name", FILES)
def test_outputs_are_those_of_the_original(name, shared_data):
    pytest.importorskip("onnx")
    net = create_detector(name, shared_data / "weights" / FILES[name]).eval()
    images = np.random.default_rng(0).random((1, *net.pretrained_cfg["input_size"]), np.float32)
    expected = original_outputs(shared_data / "weights" / ORIGINALS[name], images)
    with torch.no_grad():
        found = as_the_original(name, net(torch.from_numpy(images)))
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected):
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() < 1e-4 * np.abs(theirs).max()


@pytest.mark.parametrize("name", FILES)
def test_input_and_classes_are_recorded_with_the_weights(name, shared_data):
    pytest.importorskip("onnx")
    cfg = create_detector(name, shared_data / "weights" / FILES[name]).pretrained_cfg
    assert (cfg["classes"], cfg["channel_order"]) == ("coco", "bgr")
    assert (cfg["input_size"][1], cfg["detection"]["fit"]) == ((352, "stretch") if name == "fastestdet" else (320, "letterbox"))
    as_written = [[round(255 * value, 3) for value in cfg[part]] for part in ("mean", "std")]  # of pixels 0..255, blue first
    nanodet = [[103.53, 116.28, 123.675], [57.375, 57.12, 58.395]]  # nanodet-m.yml
    assert as_written == ([[0.0] * 3, [255.0] * 3] if name == "fastestdet" else nanodet)


def wrong(detector, path) -> str:
    """The error, after which nothing has changed."""
    before = {name: tensor.clone() for name, tensor in detector.state_dict().items()}
    with pytest.raises(WeightsError) as error:
        load_detector_weights(detector, path)
    assert all(torch.equal(tensor, before[name]) for name, tensor in detector.state_dict().items())
    return str(error.value)


def test_files_of_other_detectors_are_refused_in_one_line(shared_data):
    pytest.importorskip("onnx")
    weights = shared_data / "weights"
    small, fast = create_detector("nanodet_m_shufflenet_v2_x0_5"), create_detector("fastestdet")
    said = wrong(small, weights / "nanodet_m.onnx")
    assert said.endswith(
        "does not fit nanodet_m_shufflenet_v2_x0_5: convolution 2 is (58, 24, 1, 1), needed (24, 24, 1, 1) for "
        "backbone.stage2.0.branch1.2"
    )
    assert wrong(small, weights / "fastestdet_coco.onnx").endswith("70 convolutions, needed 73")
    assert "do not fit nanodet_m_shufflenet_v2_x0_5" in wrong(small, weights / FILES["fastestdet"])
    assert "ONNX files are read for NanoDet-m only" in wrong(fast, weights / "nanodet_m.onnx")
    assert "does not fit fastestdet" in wrong(fast, weights / "fastestdet_shufflenetv2_backbone.pth")
    assert "does not fit fastestdet" in wrong(create_detector("fastestdet", num_classes=3), weights / FILES["fastestdet"])
    wide = create_detector("fastestdet_shufflenet_v2_x1_0")
    assert "does not fit" in wrong(wide, weights / FILES["fastestdet"])


def test_yolo_fastest_is_refused(shared_data):
    path = shared_data / "weights" / "yolo_fastestv2_coco_ap05_0.241.pth"
    assert "do not fit fastestdet" in wrong(create_detector("fastestdet"), path)


@pytest.mark.parametrize("content", [b"", b"no weights at all", b"\x08\x07\x12\x00"])
def test_broken_onnx_files_are_refused(content, tmp_path):
    pytest.importorskip("onnx")
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    said = wrong(create_detector("nanodet_m_shufflenet_v2_x0_5"), path)
    assert said.startswith(str(path))
    assert "\n" not in said


def saved(folder):
    net = create_detector("nanodet_m_shufflenet_v2_x0_5", num_classes=2)
    net.pretrained_cfg |= {"classes": ["ant", "bee"], "input_size": (3, 64, 96)}
    net.save_pretrained(folder)
    return net


@pytest.mark.parametrize("name", [".", "model.safetensors"])
def test_a_saved_folder_brings_its_input_and_names(name, tmp_path):
    net = saved(tmp_path)
    other = create_detector("nanodet_m_shufflenet_v2_x0_5", tmp_path / name, num_classes=2)
    assert other.pretrained_cfg == net.pretrained_cfg
    assert all(torch.equal(tensor, other.state_dict()[key]) for key, tensor in net.state_dict().items())
    said = wrong(create_detector("nanodet_m_shufflenet_v2_x0_5", num_classes=3), tmp_path / name)
    assert "head.gfl_cls.0.weight is (34, 96, 1, 1), needed (35, 96, 1, 1)" in said
    assert said.endswith(f"; --model {tmp_path} takes it as it was saved")


@pytest.mark.parametrize(
    ("wrong_part", "said"),
    [
        ({"options": {"num_classes": 2, "depth": 3}}, "unexpected keyword argument 'depth'"),
        ({"options": {"num_classes": "2"}}, "cannot build 'nanodet_m_shufflenet_v2_x0_5' with {'num_classes': '2'}"),
        ({"options": {"num_classes": 5}}, "does not fit nanodet_m_shufflenet_v2_x0_5"),
        ({"pretrained_cfg": None}, "not the configuration of a detector: 'detection' is missing"),
        ({"pretrained_cfg": {"detection": {"form": "focal"}}}, "classes must be above 0, found None"),
        ({"architecture": "nanodet_m_lenet"}, "no network is named 'lenet'"),
    ],
)
def test_a_saved_configuration_that_is_wrong_is_one_line(wrong_part, said, tmp_path):
    saved(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | wrong_part))
    with pytest.raises((WeightsError, InputError)) as error:
        create_detector(tmp_path)
    assert str(error.value).startswith(str(tmp_path))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_refused(tmp_path):
    pytest.importorskip("onnx")
    for name in ("a.onnx", "a.pth", "a.safetensors"):
        assert "o such file" in wrong(create_detector("nanodet_m_shufflenet_v2_x0_5"), tmp_path / name)


def test_without_onnx_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"onnx is not installed: pip install 'shufflekit\[detect\]'"):
        load_detector_weights(create_detector("nanodet_m_shufflenet_v2_x0_5"), tmp_path / "a.onnx")
