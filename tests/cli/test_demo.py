from __future__ import annotations

import json
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

import shufflekit.cli._demo as demo_module
from shufflekit.cli.main import main
from shufflekit.errors import NotBuiltError
from shufflekit.models import build_model
from shufflekit.weights import checkpoints

pytest.importorskip("skimage", reason="the demo's photos come with scikit-image")
CAT = 3


@pytest.fixture
def bundled(monkeypatch, tmp_path):
    """Puts a network in the bundled one's place that says cat with a given confidence, whatever it sees; no network."""
    monkeypatch.setenv("SHUFFLEKIT_OFFLINE", "1")
    monkeypatch.setenv("SHUFFLEKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(checkpoints, "BUNDLED", tmp_path / "files")
    others = [c for c in checkpoints.list_checkpoints() if c.url is not None]
    (registered,) = (c for c in checkpoints.list_checkpoints() if c.url is None)
    monkeypatch.setattr(checkpoints, "_CHECKPOINTS", (*others, replace(registered, hash=None)))

    def put(confidence: float) -> None:
        net = build_model("shufflenet_v2_x0_5", num_classes=10, small_input=True)
        classes = list(demo_module.CIFAR10)
        net.pretrained_cfg = {"input_size": (3, 32, 32), "crop_pct": 1.0, "num_classes": 10, "classes": classes}
        torch.nn.init.zeros_(net.fc.weight)
        with torch.no_grad():
            net.fc.bias.zero_()[CAT] = torch.tensor(9 * confidence / (1 - confidence)).log()
        net.save_pretrained(tmp_path / "saved")
        (tmp_path / "files").mkdir()
        for saved, kind in (("model.safetensors", "safetensors"), ("config.json", "json")):
            (tmp_path / "saved" / saved).rename(tmp_path / "files" / f"shufflenet_v2_x0_5.cifar10.{kind}")

    return put


def test_offline_the_bundled_weights_name_the_cat(bundled, tmp_path, capsys):
    bundled(0.93)
    assert main(["demo", "--out", str(tmp_path / "out")]) == 0
    out, err = capsys.readouterr()
    row = next(line for line in out.splitlines() if "chelsea.png" in line)
    assert row.split() == ["chelsea.png", "cat", "93%", "cat"]
    assert "coffee" not in out  # not one of the ten classes
    for words in (
        "CIFAR-10 weights",
        "FLOPs",
        "10.90 M multiply-adds",
        "memory access cost",
        "parameters",
        "0.35 M",
        " ms (",
        "as fast",
    ):
        assert words in out
    assert out.splitlines()[-1] == str(tmp_path / "out" / "demo.png")
    assert "ImageNet weights cannot be fetched" in err
    assert err.count("\n") == 1
    with Image.open(tmp_path / "out" / "demo.png") as picture:
        assert picture.format == "PNG"
        assert picture.size == (512, 692)


def test_below_the_stated_confidence_it_is_none_of_the_ten(bundled, tmp_path, capsys):
    bundled(demo_module.LEAST_CONFIDENCE - 0.01)
    assert main(["demo", "--json", "--out", str(tmp_path)]) == 0
    (photo,) = json.loads(capsys.readouterr().out)["photos"]
    assert (photo["label"], photo["likeliest"], photo["truth"], photo["right"]) == (None, "cat", "cat", False)


def test_own_photos_have_no_truth_and_bad_ones_do_not_stop_it(bundled, tmp_path, capsys):
    bundled(0.93)
    Image.new("RGB", (50, 40), "green").save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("no image")
    arguments = [str(tmp_path / "a.png"), str(tmp_path / "b.png"), "--json", "--out", str(tmp_path / "out")]
    assert main(["demo", *arguments]) == 1
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert [(photo["file"], photo["label"], photo["truth"]) for photo in found["photos"]] == [(arguments[0], "cat", None)]
    assert list(found["latency_ms"]) == ["PyTorch", "engine"]
    assert all(latency["low_ms"] <= latency["median_ms"] for latency in found["latency_ms"].values())
    assert arguments[1] in err
    assert Path(found["picture"]).is_file()


def test_no_photo_at_all_still_shows_the_costs(bundled, tmp_path, capsys):
    bundled(0.93)
    assert main(["demo", str(tmp_path / "missing.jpg"), "--out", str(tmp_path / "out")]) == 1
    assert "10.90 M multiply-adds" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_folder_that_cannot_be_written_is_one_line(bundled, tmp_path, capsys):
    bundled(0.93)
    (tmp_path / "out").write_text("a file")
    assert main(["demo", "--out", str(tmp_path / "out")]) == 1
    assert "out: " in capsys.readouterr().err.splitlines()[-1]


def test_imagenet_weights_are_used_where_they_can_be_had(monkeypatch, tmp_path, capsys):
    torch.manual_seed(0)
    net = build_model("shufflenet_v2_x0_5")
    net.pretrained_cfg = {"classes": "imagenet"}
    monkeypatch.setenv("SHUFFLEKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(demo_module, "_no_answer", lambda url: None)
    monkeypatch.setattr(demo_module, "create_model", lambda name, pretrained: net)
    assert main(["demo", "--json", "--out", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert err == ""
    assert found["weights"] == "ImageNet weights of torchvision, IMAGENET1K_V1"
    assert [Path(photo["file"]).name for photo in found["photos"]] == ["chelsea.png", "coffee.png", "rocket.jpg"]
    assert all(photo["label"] == photo["likeliest"] for photo in found["photos"])  # no threshold with a thousand classes


def test_a_server_that_is_silent_or_absent_is_given_up_soon(monkeypatch):
    monkeypatch.setattr(demo_module, "_PATIENCE_S", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/file"
        assert demo_module._no_answer(url) in ("no answer in 0.2 s", "timed out")
    assert "refused" in demo_module._no_answer(url)


def test_names_of_the_examples_are_classes():
    from shufflekit.data.classes import class_names

    for example in demo_module.EXAMPLES:
        assert set(example.right) <= {*class_names("imagenet"), *class_names("cifar10")}


def test_without_scikit_image_the_extra_is_named(bundled, monkeypatch, capsys):
    bundled(0.93)
    monkeypatch.setitem(sys.modules, "skimage", None)
    assert main(["demo"]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "shufflekit: skimage is not installed: pip install 'shufflekit[demo]'"


def test_without_the_compiled_part_there_is_pytorchs_latency_alone(bundled, monkeypatch, tmp_path, capsys):
    bundled(0.93)

    def missing(*_):
        raise NotBuiltError

    monkeypatch.setattr(demo_module, "compile_network", missing)
    assert main(["demo", "--json", "--out", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert list(json.loads(out)["latency_ms"]) == ["PyTorch"]
    assert "the compiled part is missing" in err


@pytest.mark.parametrize("verb", ["models", "predict", "compile", "demo"])
def test_help_needs_no_torch(verb):
    code = (
        f"import sys; sys.modules['torch'] = None; from shufflekit.cli.main import main; sys.exit(main(['{verb}', '--help']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"shufflekit {verb}" in done.stdout
