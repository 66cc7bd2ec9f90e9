from __future__ import annotations

import itertools
import json
import shutil
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


CATEGORIES = [{"id": 4, "name": "ant"}, {"id": 8, "name": "bee"}, {"id": 15, "name": "cow"}]


def truth_of(path, images, categories=CATEGORIES, boxes=((1, 1, 20, 20),)):
    """An annotation file of images (id, file name, width, height), with the same boxes of the first category on each."""
    content = {
        "images": [{"id": number, "file_name": name, "width": w, "height": h} for number, name, w, h in images],
        "categories": categories,
        "annotations": [
            {"id": number, "image_id": image[0], "category_id": categories[0]["id"], "bbox": list(box), "iscrowd": 0}
            for number, (image, box) in enumerate(itertools.product(images, boxes), start=1)
        ],
    }
    path.write_text(json.dumps(content))
    return path


def test_with_annotations_results_have_ids_and_a_score(saved, photo, tmp_path, capsys):
    pytest.importorskip("faster_coco_eval")
    path = truth_of(tmp_path / "truth.json", [(42, photo.name, 80, 60)])
    _, found, err = detect(capsys, photo, "--model", saved[0], "--annotations", path)
    assert {result["image_id"] for result in found} == {42}
    assert err == []
    assert main(["detect", str(photo), "--model", str(saved[0]), "--annotations", str(path)]) == 0
    out, err = capsys.readouterr()
    assert (out.count(" Average "), err) == (12, "")
    truth_of(path, [(42, "other.png", 80, 60)])
    assert main(["detect", str(photo), "--model", str(saved[0]), "--annotations", str(path)]) == 1
    assert "does not list a.png" in capsys.readouterr().err


def test_only_photos_that_were_looked_at_are_scored(saved, photo, tmp_path, capsys):
    """The truth is what the detector says, so that its score is 1 over what it saw."""
    pytest.importorskip("faster_coco_eval")
    for name in ("b.png", "c.png"):
        shutil.copy(photo, tmp_path / name)
    (tmp_path / "c.png").write_text("no photo")
    Image.new("RGB", (9, 9)).save(tmp_path / "d.png")
    found = detect(capsys, photo, "--model", saved[0])[1]
    images = [(number, f"{name}.png", 80, 60) for number, name in enumerate("abcd")]
    path = truth_of(tmp_path / "truth.json", images)
    content = json.loads(path.read_text())
    content["annotations"] = [
        {"id": place, "image_id": number, "category_id": one["category_id"], "bbox": one["bbox"]}
        for place, (number, one) in enumerate(itertools.product(range(4), found))
    ]
    path.write_text(json.dumps(content))
    photos = [str(tmp_path / f"{name}.png") for name in "acd"]
    assert main(["detect", *photos, "--model", str(saved[0]), "--annotations", str(path)]) == 1
    out, err = capsys.readouterr()
    assert out.count("= 1.000") >= 3
    assert err.splitlines() == [
        f"shufflekit: {photos[1]}: not a known image format",
        "shufflekit: d.png: is 9x9, but the annotations say 80x60",
        f"shufflekit: {path}: lists 4 images; scores are over the 1 of them that were looked at",
    ]
    assert main(["detect", photos[1], "--model", str(saved[0]), "--annotations", str(path)]) == 1
    assert "none of the photos can be scored" in capsys.readouterr().err
    assert main(["detect", photos[0], photos[0], "--model", str(saved[0]), "--annotations", str(path)]) == 2
    assert "give it once" in capsys.readouterr().err


def test_results_are_in_the_frame_of_the_annotations(saved, photo, tmp_path, capsys):
    """A photo that is stored on its side: seen upright it is `photo`."""
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "side").mkdir()
    turned = tmp_path / "side" / "a.png"
    with Image.open(photo) as upright:
        upright.transpose(Image.Transpose.ROTATE_90).save(turned, exif=exif)
    plain = detect(capsys, photo, "--model", saved[0])[1]
    assert detect(capsys, turned, "--model", saved[0])[1] == [one | {"file_name": str(turned)} for one in plain]
    path = truth_of(tmp_path / "truth.json", [(1, "a.png", 60, 80)])
    _, found, err = detect(capsys, turned, "--model", saved[0], "--annotations", path)
    assert ["1 photos have an EXIF orientation and, by their size, boxes of the stored pixels" in line for line in err] == [
        True
    ]
    for ours, theirs in zip(found, plain, strict=True):
        left, top, width, height = theirs["bbox"]
        assert ours["bbox"] == pytest.approx([top, 80 - left - width, height, width], abs=0.011)


def test_categories_are_those_of_the_file(saved, photo, tmp_path, capsys):
    path = truth_of(tmp_path / "truth.json", [("x", "a.png", 80, 60)], [{"id": 1, "name": "Cow"}, {"id": 2, "name": "dog"}])
    _, found, err = detect(capsys, photo, "--model", saved[0], "--annotations", path)
    assert {(one["image_id"], one["category_id"], one["category"]) for one in found} == {("x", 1, "cow")}
    assert [line.partition("truth.json: ")[2] for line in err] == [
        "1 of 2 categories are none of the detector's classes, so that their objects count as missed: dog",
        "its categories have other ids than the detector's classes: taken by their names",
    ]


def test_outputs_that_are_no_numbers_are_an_error(saved, photo, tmp_path, capsys):
    net = create_detector(saved[0])
    with torch.no_grad():
        net.detect_head.obj_layers.conv5x5[-1].bias.fill_(float("nan"))
    net.save_pretrained(tmp_path / "nan")
    for engine in ("torch", "native"):
        assert (
            main(["detect", str(photo), "--model", str(tmp_path / "nan"), "--engine", engine, "--out", str(tmp_path / "out")])
            == 1
        )
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("\n") == 1
        assert "output values are infinite or not a number" in err
    assert [*(tmp_path / "out").iterdir()] == []


def test_pictures_never_replace_a_photo(saved, photo, tmp_path, capsys, monkeypatch):
    """Not the one that is read, not one that lies there; those of an earlier call are ours."""
    monkeypatch.chdir(tmp_path)
    with Image.open(photo) as image:
        image.save("a.jpg")
        image.save("b.png")
    photo.unlink()
    Path("b.jpg").write_text("somebody's")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for _ in range(2):
        assert main(["detect", "a.jpg", "b.png", "--model", str(saved[0]), "--out", "."]) == 0
        err = capsys.readouterr().err
        assert err == "shufflekit: 2 pictures in ., with a number where another file had the name: a-2.jpg, b-2.jpg\n"
        assert {path: path.read_bytes() for path in before} == before
        assert {path.name for path in tmp_path.iterdir()} == {"a.jpg", "b.jpg", "b.png", "a-2.jpg", "b-2.jpg"}
    assert main(["detect", ".", "--model", str(saved[0]), "--out", "."]) == 1  # reads the pictures; b.jpg is no photo
    assert {path: path.read_bytes() for path in before} == before
    assert len(list(tmp_path.iterdir())) == 5 + 4


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
