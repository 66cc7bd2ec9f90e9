from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import shufflekit as sk
from shufflekit.classify.bundled import BUNDLED_PLAN
from shufflekit.cli.main import main
from shufflekit.models import build_model

NAMES = ["ant", "bee", "cow", "dog"]
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A small network with random weights, saved, whose input is BGR."""
    torch.manual_seed(0)
    net = build_model("shufflenet_v2_x0_5", num_classes=4, small_input=True).eval()
    torch.nn.init.normal_(net.fc.weight, std=2)
    net.pretrained_cfg = {
        "input_size": (3, 32, 32),
        "crop_pct": 1.0,
        "mean": MEAN,
        "std": STD,
        "channel_order": "bgr",
        "num_classes": 4,
        "classes": NAMES,
    }
    folder = tmp_path_factory.mktemp("saved")
    net.save_pretrained(folder)
    return folder, net


@pytest.fixture
def photo():
    """Four fields of colour, so that every rotation and exchange of channels differs."""
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:16, :16], pixels[:16, 16:], pixels[16:, :16], pixels[16:, 16:] = (250, 20, 30), (20, 200, 60), (0, 60, 240), 128
    return Image.fromarray(pixels)


def predict(capsys, *arguments) -> tuple[int, list[dict], list[str]]:
    code = main(["predict", "--json", *map(str, arguments)])
    out, err = capsys.readouterr()
    return code, json.loads(out), err.splitlines()


def test_scores_are_those_of_the_network(saved, photo, tmp_path, capsys):
    folder, net = saved
    photo.save(tmp_path / "a.png")
    code, found, err = predict(capsys, tmp_path / "a.png", "--model", folder, "--topk", "9")
    bgr = torch.from_numpy(np.asarray(photo)[:, :, ::-1].copy()).permute(2, 0, 1).float() / 255
    x = (bgr - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    with torch.no_grad():
        scores = net(x[None])[0].softmax(0)
    assert (code, err) == (0, [])
    assert [entry["file"] for entry in found] == [str(tmp_path / "a.png")]
    predictions = found[0]["predictions"]
    assert [p["index"] for p in predictions] == scores.argsort(descending=True).tolist()
    assert [p["label"] for p in predictions] == [NAMES[p["index"]] for p in predictions]
    assert [p["score"] for p in predictions] == pytest.approx([scores[p["index"]].item() for p in predictions], abs=1e-5)


@pytest.fixture(scope="module")
def plan(saved, tmp_path_factory):
    path = tmp_path_factory.mktemp("plan") / "net.plan"
    sk.compile(saved[1], (1, 3, 32, 32)).save(path)
    return path


def same(found: list[dict], expected: list[dict]) -> bool:
    return [(p["label"], p["index"]) for p in found] == [(p["label"], p["index"]) for p in expected] and [
        p["score"] for p in found
    ] == pytest.approx([p["score"] for p in expected], abs=1e-5)


def test_the_engine_says_the_same(saved, plan, photo, tmp_path, capsys):
    photo.save(tmp_path / "a.png")
    _, expected, _ = predict(capsys, tmp_path / "a.png", "--model", saved[0])
    for arguments in (["--model", saved[0], "--engine", "native"], ["--model", plan], ["--model", plan, "--engine", "native"]):
        code, found, err = predict(capsys, tmp_path / "a.png", *arguments)
        assert (code, err) == (0, [])
        assert same(found[0]["predictions"], expected[0]["predictions"])


def test_a_plan_needs_no_torch(saved, plan, photo, tmp_path, capsys):
    photo.save(tmp_path / "a.png")
    _, expected, _ = predict(capsys, tmp_path / "a.png", "--model", saved[0])
    code = (
        "import sys; sys.modules['torch'] = None; from shufflekit.cli.main import main;"
        f"sys.exit(main(['predict', '--json', {str(tmp_path / 'a.png')!r}, '--model', {str(plan)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert same(json.loads(done.stdout)[0]["predictions"], expected[0]["predictions"])


def test_a_plan_that_is_no_classifier_is_one_line(photo, tmp_path, capsys):
    photo.save(tmp_path / "a.png")
    sk.compile(torch.nn.Conv2d(3, 2, 3), (1, 3, 8, 8), name="a layer").save(tmp_path / "net.plan")
    assert main(["predict", str(tmp_path / "a.png"), "--model", str(tmp_path / "net.plan")]) == 1
    err = capsys.readouterr().err
    assert "a layer: must give a vector of 2 scores or more for each image, found 1x2x6x6 for 1" in err
    four = torch.nn.Sequential(torch.nn.Conv2d(4, 2, 8), torch.nn.Flatten())
    sk.compile(four, (1, 4, 8, 8)).save(tmp_path / "net.plan")
    assert main(["predict", str(tmp_path / "a.png"), "--model", str(tmp_path / "net.plan")]) == 2
    assert "input_size: photos have 3 channels, or 1 where they are grey, found 4" in capsys.readouterr().err
    (tmp_path / "net.plan").write_text("damaged")
    assert main(["predict", str(tmp_path / "a.png"), "--model", str(tmp_path / "net.plan")]) == 1
    assert "net.plan: plan: the file is too short" in capsys.readouterr().err


def test_a_plan_has_its_weights_and_its_engine(plan, capsys):
    assert main(["predict", "a.png", "--model", str(plan), "--weights", "imagenet"]) == 2
    assert "weights: a plan has its own, found 'imagenet'" in capsys.readouterr().err
    assert main(["predict", "a.png", "--model", str(plan), "--engine", "torch"]) == 2
    assert "engine: a plan runs on native only, found 'torch'" in capsys.readouterr().err
    assert main(["predict", "a.png", "--model", "missing.plan"]) == 1
    assert "missing.plan: cannot be read: No such file or directory" in capsys.readouterr().err


@pytest.mark.parametrize("engine", ["torch", "native"])
def test_a_network_of_one_channel_sees_photos_in_grey(engine, photo, tmp_path, capsys):
    torch.manual_seed(0)
    net = build_model("shufflenet_v2_x0_5", num_classes=4, in_chans=1, small_input=True).eval()
    torch.nn.init.normal_(net.fc.weight, std=2)
    net.pretrained_cfg = {"input_size": (1, 32, 32), "crop_pct": 1.0, "mean": [0.5], "std": [0.2], "num_classes": 4}
    net.save_pretrained(tmp_path / "grey")
    photo.save(tmp_path / "colour.png")
    photo.convert("L").save(tmp_path / "grey.png")
    options = ["--model", tmp_path / "grey", "--engine", engine]
    code, found, err = predict(capsys, tmp_path / "colour.png", tmp_path / "grey.png", *options)
    x = (torch.from_numpy(np.array(photo.convert("L"))).float()[None, None] / 255 - 0.5) / 0.2
    with torch.no_grad():
        scores = net(x)[0].softmax(0)
    assert (code, err) == (0, [])
    for one in found:
        assert [p["score"] for p in one["predictions"]] == pytest.approx(sorted(scores.tolist(), reverse=True), abs=1e-4)


def test_odd_names_stay_on_their_line_and_are_whole_in_json(saved, photo, tmp_path, capsys):
    odd = tmp_path / "a\nb :cat: [red].png"
    photo.save(odd)
    assert main(["predict", str(odd), "--model", str(saved[0]), "--topk", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == str(odd).replace("\n", "\\n")
    _, found, _ = predict(capsys, odd, "--model", saved[0])
    assert found[0]["file"] == str(odd)


@pytest.mark.parametrize("engine", ["torch", "native"])
def test_scores_that_are_no_numbers_are_an_error(engine, saved, photo, tmp_path, capsys):
    net = build_model("shufflenet_v2_x0_5", num_classes=4, small_input=True).eval()
    torch.nn.init.constant_(net.fc.bias, float("nan"))
    net.save_pretrained(tmp_path / "nan")
    photo.save(tmp_path / "a.png")
    assert main(["predict", str(tmp_path / "a.png"), "--model", str(tmp_path / "nan"), "--engine", engine]) == 1
    assert "4 of 4 output values are infinite or not a number" in capsys.readouterr().err


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "I;16", "1"])
def test_any_mode(mode, saved, photo, tmp_path, capsys):
    photo = Image.fromarray(np.full((4, 4), 40000, np.uint16)) if mode == "I;16" else photo.convert(mode)
    assert photo.mode == mode
    photo.save(tmp_path / "a.tif")
    code, found, err = predict(capsys, tmp_path / "a.tif", "--model", saved[0])
    assert (code, len(found), err) == (0, 1, [])


def test_exif_rotation_is_undone(saved, photo, tmp_path, capsys):
    photo.save(tmp_path / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees clockwise
    photo.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    _, found, _ = predict(capsys, tmp_path / "upright.png", tmp_path / "turned.png", "--model", saved[0])
    assert found[0]["predictions"] == found[1]["predictions"]


def test_folder_gives_its_images_in_natural_order(saved, photo, tmp_path, capsys):
    for name in ("p10.png", "p9.PNG", "p1.jpg"):
        photo.save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "deeper").mkdir()
    photo.save(tmp_path / "deeper" / "p0.png")
    code, found, err = predict(capsys, tmp_path, "--model", saved[0])
    assert (code, err) == (0, [])
    assert [Path(entry["file"]).name for entry in found] == ["p1.jpg", "p9.PNG", "p10.png"]


def test_bad_photos_are_a_line_each_and_the_others_run(saved, photo, tmp_path, capsys):
    photo.save(tmp_path / "good.png")
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "folder").mkdir()
    bad = [tmp_path / name for name in ("text.jpg", "empty.jpg", "folder", "missing.jpg")]
    code, found, err = predict(capsys, *bad, tmp_path / "good.png", "--model", saved[0])
    assert code == 1
    assert [entry["file"] for entry in found] == [str(tmp_path / "good.png")]
    assert [line.partition(": ")[2].partition(": ")[0] for line in err] == [str(path) for path in bad]


def test_text_has_a_line_a_class(saved, photo, tmp_path, capsys):
    photo.save(tmp_path / "a [b].png")
    assert main(["predict", str(tmp_path / "a [b].png"), "--model", str(saved[0]), "--topk", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == str(tmp_path / "a [b].png")
    assert len(lines) == 3
    assert all(line.split()[1] == "%" and line.split()[2] in NAMES for line in lines[1:])


def test_standard_input_in_a_process_of_its_own(saved, photo):
    encoded = io.BytesIO()
    photo.save(encoded, "png")
    command = [sys.executable, "-m", "shufflekit", "predict", "-", "--json", "--model", str(saved[0])]
    done = subprocess.run(command, input=encoded.getvalue(), capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert [entry["file"] for entry in json.loads(done.stdout)] == ["standard input"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "photos: must be one file or more"),
        (["-", "a.jpg", "-"], "photos: standard input (-) can be read once, found 2 times"),
        (["a.jpg", "--topk", "0"], "topk: must be 1 or more, found 0"),
        (["--tpok", "3", "a.jpg"], "no option is named --tpok"),
        (["a.jpg", "--model", "shufflenet_v9"], "no network is named 'shufflenet_v9'"),
        (["a.jpg", "--model", "shufflenet_v2_x1_0", "--weights", "nonsense"], "found 'nonsense'"),
    ],
)
def test_wrong_usage_is_one_line(arguments, message, capsys):
    assert main(["predict", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1


def test_the_network_of_another_tag_is_fetched_or_that_is_one_line(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("SHUFFLEKIT_OFFLINE", "1")
    monkeypatch.setenv("SHUFFLEKIT_CACHE", str(tmp_path))
    assert main(["predict", "a.jpg", "--weights", "imagenet"]) == 1
    err = capsys.readouterr().err
    assert "shufflenet_v2_x1_0" in err
    assert "cannot fetch https://" in err
    assert err.count("\n") == 1


def test_bundled_weights_see_a_cat_in_a_real_photo(capsys):
    skimage = pytest.importorskip("skimage", reason="the photo comes with scikit-image")
    photo = Path(skimage.__file__).parent / "data" / "chelsea.png"
    code, found, err = predict(capsys, photo, "--weights", "cifar10", "--topk", "1")
    assert (code, err) == (0, [])
    assert found[0]["predictions"][0]["label"] == "cat"


CAT = Path(__file__).parents[2] / "docs" / "detection" / "chelsea.jpg"
TAKEN = (
    "shufflekit: model: shufflenet_v2_x0_5.cifar10 of the package, which knows airplane, automobile, bird, cat, deer, dog, "
    "frog, horse, ship, truck; --weights imagenet or --model takes another"
)


def test_by_default_the_network_of_the_package_is_taken_and_named_without_torch():
    code = "import sys; sys.modules['torch'] = None; from shufflekit.cli.main import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "predict", "--json", str(CAT)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, f"{TAKEN}\n")
    assert json.loads(done.stdout)[0]["predictions"][0]["label"] == "cat"


def test_the_plan_of_the_package_is_the_network_of_its_weights(capsys):
    """Else compile it anew, as classify/bundled.py says."""
    _, expected, no_line = predict(capsys, CAT, "--weights", "cifar10")
    assert no_line == []
    for arguments in ([], ["--engine", "native"], ["--engine", "torch"]):
        code, found, err = predict(capsys, CAT, *arguments)
        assert (code, err) == (0, [TAKEN])
        assert same(found[0]["predictions"], expected[0]["predictions"])
    program = sk.compile(sk.create_model("shufflenet_v2_x0_5", "cifar10"), (1, 3, 32, 32)).program
    bundled = sk.load(BUNDLED_PLAN).program
    assert (bundled.info, [step.kernel for step in bundled.steps]) == (program.info, [step.kernel for step in program.steps])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--mean", "0.5,0.5,0.5"], "mean: is for an ONNX file, others say how photos go in, found no model"),
        (["--shape", "1x3x32x32"], "shape: is for an ONNX file, others have their own, found no model"),
    ],
)
def test_what_the_network_of_the_package_says_itself_is_refused(arguments, message, capsys):
    assert main(["predict", str(CAT), *arguments]) == 2
    assert capsys.readouterr().err == f"shufflekit: {message}\n"
