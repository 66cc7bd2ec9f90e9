from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import shufflekit as sk
from shufflekit.cli.main import main
from shufflekit.data.images import read_image
from shufflekit.detect.create import create_detector


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A small detector with random weights whose scores differ from place to place."""
    torch.manual_seed(0)
    net = create_detector("fastestdet", num_classes=3).eval()
    for branch in (net.detect_head.obj_layers, net.detect_head.cls_layers, net.detect_head.reg_layers):
        torch.nn.init.normal_(branch.conv5x5[-1].weight, std=3)
        torch.nn.init.normal_(branch.conv5x5[-2].weight, std=3)
        torch.nn.init.normal_(branch.conv5x5[-1].bias)
    net.pretrained_cfg |= {"classes": ["ant", "bee", "cow"], "input_size": (3, 96, 96)}
    net.pretrained_cfg["detection"]["category_ids"] = [4, 8, 15]
    folder = tmp_path_factory.mktemp("saved")
    net.save_pretrained(folder)
    return folder, net


@pytest.fixture(scope="module")
def plan(saved, tmp_path_factory):
    path = tmp_path_factory.mktemp("plan") / "net.plan"
    sk.compile(saved[1], (1, 3, 96, 96)).save(path)
    return path


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)).save(path)
    return path


def detect(capsys, *arguments) -> tuple[int, list[dict], list[str]]:
    code = main(["detect", "--json", *map(str, arguments)])
    out, err = capsys.readouterr()
    return code, json.loads(out), err.splitlines()


def test_results_are_coco_and_inside_the_photo(saved, photo, capsys):
    code, found, err = detect(capsys, photo, "--model", saved[0], "--score", "0.3")
    assert (code, err) == (0, [])
    assert found
    for result in found:
        assert list(result) == ["file_name", "category_id", "bbox", "score", "category"]
        assert (result["category_id"], result["category"]) in {(4, "ant"), (8, "bee"), (15, "cow")}
        left, top, width, height = result["bbox"]
        assert 0 <= left < left + width <= 80.01
        assert 0 <= top < top + height <= 60.01
        assert 0.3 < result["score"] < 1
    scores = [result["score"] for result in found]
    assert scores == sorted(scores, reverse=True)


def same(found: list[dict], expected: list[dict]) -> bool:
    return [r["category"] for r in found] == [r["category"] for r in expected] and all(
        f["bbox"] == pytest.approx(e["bbox"], abs=0.1) and f["score"] == pytest.approx(e["score"], abs=1e-4)
        for f, e in zip(found, expected, strict=True)
    )


def test_the_engine_and_a_plan_say_the_same(saved, plan, photo, capsys):
    _, expected, _ = detect(capsys, photo, "--model", saved[0])
    for arguments in (["--model", saved[0], "--engine", "native"], ["--model", plan], ["--model", plan, "--engine", "native"]):
        code, found, err = detect(capsys, photo, *arguments)
        assert (code, err) == (0, [])
        assert same(found, expected)


def test_a_plan_needs_no_torch(saved, plan, photo, tmp_path, capsys):
    _, expected, _ = detect(capsys, photo, "--model", saved[0])
    arguments = ["detect", "--json", str(photo), "--model", str(plan), "--out", str(tmp_path / "drawn")]
    code = f"import sys; sys.modules['torch'] = None; from shufflekit.cli.main import main; sys.exit(main({arguments!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, f"shufflekit: 1 pictures in {tmp_path / 'drawn'}\n")
    assert same(json.loads(done.stdout), expected)


def test_pictures_are_drawn_and_names_that_are_alike_get_a_number(saved, photo, tmp_path, capsys):
    (tmp_path / "more").mkdir()
    Image.new("RGB", (50, 40)).save(tmp_path / "more" / "a.png")
    code, _, err = detect(capsys, photo, tmp_path / "more", "--model", saved[0], "--out", tmp_path / "out")
    assert (code, err) == (0, [f"shufflekit: 2 pictures in {tmp_path / 'out'}"])
    sizes = {path.name: read_image(path, path.name).shape for path in (tmp_path / "out").iterdir()}
    assert sizes == {"a.jpg": (60, 80, 3), "a-2.jpg": (40, 50, 3)}


def test_bad_photos_are_a_line_each_and_the_others_run(saved, photo, tmp_path, capsys):
    (tmp_path / "text.jpg").write_text("no image")
    code, found, err = detect(capsys, tmp_path / "text.jpg", tmp_path / "missing.jpg", photo, "--model", saved[0])
    assert code == 1
    assert {result["file_name"] for result in found} == {str(photo)}
    assert [line.partition(": ")[2].partition(": ")[0] for line in err] == [
        str(tmp_path / name) for name in ("text.jpg", "missing.jpg")
    ]


def test_text_has_a_line_an_object_and_says_when_there_is_none(saved, photo, capsys):
    assert main(["detect", str(photo), "--model", str(saved[0])]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == str(photo)
    assert all(line.split()[1] == "%" and line.split()[2] in ("ant", "bee", "cow") for line in lines[1:])
    assert main(["detect", str(photo), "--model", str(saved[0]), "--score", "0.9999"]) == 0
    assert capsys.readouterr().out.splitlines() == [str(photo), "  nothing found"]


def test_with_annotations_results_have_ids_and_a_score(saved, photo, tmp_path, capsys):
    pytest.importorskip("faster_coco_eval")
    truth = {
        "images": [{"id": 42, "file_name": photo.name, "width": 80, "height": 60}],
        "categories": [{"id": 4, "name": "ant"}, {"id": 8, "name": "bee"}, {"id": 15, "name": "cow"}],
        "annotations": [{"id": 1, "image_id": 42, "category_id": 4, "bbox": [1, 1, 20, 20], "area": 400, "iscrowd": 0}],
    }
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(truth))
    _, found, _ = detect(capsys, photo, "--model", saved[0], "--annotations", path)
    assert {result["image_id"] for result in found} == {42}
    assert main(["detect", str(photo), "--model", str(saved[0]), "--annotations", str(path)]) == 0
    assert capsys.readouterr().out.count(" Average ") == 12
    truth["images"][0]["file_name"] = "other.png"
    path.write_text(json.dumps(truth))
    assert main(["detect", str(photo), "--model", str(saved[0]), "--annotations", str(path)]) == 1
    assert "does not list a.png" in capsys.readouterr().err


def test_without_weights_one_line_says_what_to_fetch_from_where(photo, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("SHUFFLEKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SHUFFLEKIT_OFFLINE", "1")
    assert main(["detect", str(photo)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "cannot fetch https://github.com/DefTruth/nanodet.lite.ai.toolkit/raw/" in err
    assert "pass --weights FILE" in err


def test_a_plan_that_is_no_detector_is_one_line(photo, tmp_path, capsys):
    sk.compile(torch.nn.Conv2d(3, 2, 3), (1, 3, 8, 8), name="a layer").save(tmp_path / "net.plan")
    assert main(["detect", str(photo), "--model", str(tmp_path / "net.plan")]) == 1
    assert "must be the plan of a detector, found that of a layer" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "photos: must be one file or more"),
        (["a.jpg", "--score", "0"], "score: must be above 0 and below 1, found 0"),
        (["a.jpg", "--model", "shufflenet_v2_x1_0"], "no detector is named 'shufflenet_v2_x1_0'"),
        (["a.jpg", "--weights", "nonsense"], "has coco, found 'nonsense'"),
    ],
)
def test_wrong_usage_is_one_line(arguments, message, capsys):
    assert main(["detect", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_compile_takes_a_detector(saved, photo, tmp_path, capsys):
    path = tmp_path / "net.plan"
    assert main(["compile", str(saved[0]), "-o", str(path), "--verify"]) == 0
    capsys.readouterr()
    _, expected, _ = detect(capsys, photo, "--model", saved[0])
    assert same(detect(capsys, photo, "--model", path)[1], expected)


def test_objects_on_real_photos(shared_data, tmp_path, capsys):
    """The best box of each photo, by eye."""
    pytest.importorskip("onnx")
    skimage = pytest.importorskip("skimage")
    photos = Path(skimage.__file__).parent / "data"
    for name, best in (("astronaut.png", "person"), ("coffee.png", "cup"), ("chelsea.png", "cat")):
        _, found, _ = detect(capsys, photos / name, "--weights", shared_data / "weights" / "nanodet_m.onnx")
        assert found[0]["category"] == best
