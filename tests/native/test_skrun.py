"""skrun and the C interface against the engine in Python, which is compared with PyTorch elsewhere."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import shufflekit as sk
from shufflekit.classify.classifier import engine_classifier
from shufflekit.data.preprocess import Preprocessing
from shufflekit.detect.create import create_detector
from shufflekit.detect.runners import engine_detector
from tests.runtime.lively import enliven, images
from tests.runtime.test_inputs import noise, sum_of

pytest.importorskip("shufflekit._native", reason="the compiled part is not built")

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small classifier's plan, with classes and a preparation of its own."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 7))
    info = {
        "classes": [f'"{letter}"\n' for letter in "abcdefg"],
        "mean": [0.5, 0.4, 0.3],
        "std": [0.2, 0.3, 0.4],
        "crop_pct": 0.9,
    }
    path = tmp_path_factory.mktemp("plan") / "net.plan"
    sk.compile(network.eval(), (1, 3, 20, 24), name="small", info={**info, "channel_order": "bgr"}).save(path)
    return path


def numbers(path: Path) -> np.ndarray:
    return np.fromfile(path, np.float32)


def test_output_is_the_engines(native_folder: Path, run: Callable[..., str], plan: Path, tmp_path: Path) -> None:
    engine = sk.load(plan)
    x = np.random.default_rng(0).standard_normal((1, *engine.input_shape), np.float32)
    x.tofile(tmp_path / "x.f32")
    command = [native_folder / "skrun", plan, "--input", tmp_path / "x.f32", "--output", tmp_path / "y.f32"]
    for options in (["--repeat", "0"], ["--threads", "2"], ["--isa", "scalar", "--profile"]):
        run(*command, *options)
        np.testing.assert_allclose(numbers(tmp_path / "y.f32"), engine(x).reshape(-1), atol=1e-6)


def test_json_says_what_was_run_and_how_long(native_folder: Path, run: Callable[..., str], plan: Path) -> None:
    found = json.loads(run(native_folder / "skrun", plan, "--json", "--profile", "--repeat", "3", "--isa", "scalar"))
    assert (found["network"], found["instruction_set"], found["threads"], found["repeat"]) == ("small", "scalar", 1, 3)
    assert 0 < found["min_ms"] <= found["median_ms"]
    assert found["outputs"][0]["shape"] == [7]
    assert [step["kernel"] for step in found["steps"]] == ["convolution", "pool", "gemm", "gather"]
    assert found["steps"][0]["variant"] == "any"
    assert found["steps"][2]["flops"] == 8 * 7
    text = run(native_folder / "skrun", plan, "--profile")
    assert "ms median" in text
    assert all(step["name"] in text for step in found["steps"])


@pytest.mark.parametrize("size", [(20, 24), (31, 90), (90, 31), (90, 24), (20, 31), (7, 5), (256, 300)])
def test_photo_is_prepared_as_in_python(
    native_folder: Path, run: Callable[..., str], plan: Path, tmp_path: Path, size: tuple[int, int]
) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(photo).save(tmp_path / "photo.ppm")
    copy = nn.Conv2d(3, 3, 1, bias=False)
    nn.init.dirac_(copy.weight)
    prepare = Preprocessing((20, 24), crop_pct=0.9, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4), channel_order="bgr")
    info = {"crop_pct": prepare.crop_pct, "mean": prepare.mean, "std": prepare.std, "channel_order": prepare.channel_order}
    sk.compile(copy, (1, 3, 20, 24), info=info).save(tmp_path / "copy.plan")
    run(native_folder / "skrun", tmp_path / "copy.plan", "--image", tmp_path / "photo.ppm", "--output", tmp_path / "x.f32")
    np.testing.assert_allclose(numbers(tmp_path / "x.f32").reshape(3, 20, 24), prepare(photo), rtol=1e-6, atol=1e-6)


def test_photo_gives_named_classes(native_folder: Path, run: Callable[..., str], plan: Path, tmp_path: Path) -> None:
    photo = np.random.default_rng(1).integers(0, 256, (40, 40, 3), np.uint8)
    Image.fromarray(photo).save(tmp_path / "photo.ppm")
    command = [native_folder / "skrun", plan, "--image", tmp_path / "photo.ppm", "--output", tmp_path / "y.f32"]
    found = json.loads(run(*command, "--json"))["top"]
    scores = torch.from_numpy(numbers(tmp_path / "y.f32")).softmax(0)
    assert [each["class"] for each in found] == scores.topk(5).indices.tolist()
    assert [each["name"] for each in found] == [f'"{"abcdefg"[each["class"]]}"\n' for each in found]
    np.testing.assert_allclose([each["score"] for each in found], scores.topk(5).values, rtol=1e-4)
    (tmp_path / "classes.txt").write_text("\n".join("tuvwxyz"))
    assert f"%  {'tuvwxyz'[found[0]['class']]}\n" in run(*command, "--classes", tmp_path / "classes.txt")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ([], 2, "PLAN is missing"),
        (["PLAN", "--fast"], 2, "--fast: no such option"),
        (["PLAN", "--repeat", "many"], 2, "--repeat: must be 0 to 1000000, found many"),
        (["PLAN", "--image"], 2, "--image: needs a value"),
        (["PLAN", "--least", "1"], 2, "--least: must be above 0 and below 1, found 1"),
        (["PLAN", "--threads", "900"], 1, "threads: must be 1 to 256, found 900"),
        (["PLAN", "--isa", "mmx"], 1, "must be one that runs here, found mmx"),
        (["PLAN", "--input", "PLAN"], 1, "must have 5760 bytes"),
        (["PLAN", "--image", "PLAN"], 1, "must be a binary PPM photo"),
        (["no.plan"], 1, "no.plan: No such file"),
        (["JUNK"], 1, "no safetensors file"),
        (["PLAN", "--output", "no/such/folder"], 1, "cannot be written"),
    ],
)
def test_what_it_refuses(native_folder: Path, plan: Path, tmp_path: Path, arguments: list[str], code: int, says: str) -> None:
    (tmp_path / "junk").write_bytes(b"\xff" * 100)
    words = {"PLAN": str(plan), "JUNK": str(tmp_path / "junk")}
    command = [native_folder / "skrun", *(words.get(word, word) for word in arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("skrun: ")
    assert says in done.stderr.splitlines()[0]


def test_a_photo_without_finite_scores_is_refused(native_folder: Path, tmp_path: Path) -> None:
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4))
    nn.init.constant_(network[2].bias, float("nan"))
    sk.compile(network, (1, 3, 20, 24)).save(tmp_path / "bad.plan")
    Image.fromarray(np.zeros((30, 30, 3), np.uint8)).save(tmp_path / "photo.ppm")
    command = [native_folder / "skrun", tmp_path / "bad.plan", "--image", tmp_path / "photo.ppm"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "skrun: Sequential: the outputs must be finite numbers\n"


@pytest.mark.parametrize("name", ["nanodet_m_shufflenet_v2_x0_5", "fastestdet"])
def test_boxes_on_a_photo_are_pythons(native_folder: Path, run: Callable[..., str], tmp_path: Path, name: str) -> None:
    pixels = np.array(Image.open(ROOT / "docs" / "detection" / "coffee.jpg").convert("RGB"))
    Image.fromarray(pixels).save(tmp_path / "photo.ppm")
    engine = lively_detector(name)
    engine.save(tmp_path / "detector.plan")
    command = [native_folder / "skrun", tmp_path / "detector.plan", "--image", tmp_path / "photo.ppm", "--repeat", "0"]
    found = json.loads(run(*command, "--json", "--least", "0.35"))["boxes"]
    needed = engine_detector(engine, name)(pixels, 0.35)
    assert len(needed) > 5
    assert len({each.label for each in needed}) > 1
    assert [each["class"] for each in found] == [each.index for each in needed]
    assert [each["name"] for each in found] == [each.label for each in needed]
    np.testing.assert_allclose([each["score"] for each in found], [each.score for each in needed], rtol=1e-4)
    np.testing.assert_allclose([each["box"] for each in found], [each.box for each in needed], atol=0.02)
    left, top, right, bottom = (f"{side:.0f}" for side in found[0]["box"])
    assert f"%  {found[0]['name']}  ({left}, {top}) to ({right}, {bottom})\n" in run(*command, "--least", "0.35")


def lively_detector(name: str) -> sk.Engine:
    network = enliven(create_detector(name, num_classes=5), images(2, (3, 96, 96)))
    cfg = {**network.pretrained_cfg, "input_size": (3, 96, 96), "classes": tuple("abcde")}
    network.pretrained_cfg = cfg
    return sk.compile(network, (1, 3, 96, 96))


DETECTION = {"form": "grid", "strides": [16], "classes": 2, "iou": 0.5, "most": 10, "fit": "stretch"}


def detector_of(numbers: list[float], **detection: object) -> sk.Engine:
    """Its map has these channels, and the same numbers in each of 2x2 pixels, whatever the photo."""
    network = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Conv2d(3, len(numbers), 1))
    nn.init.zeros_(network[1].weight)
    network[1].bias = nn.Parameter(torch.tensor(numbers))
    told = {**DETECTION, **detection}
    info = {"detection": told, "classes": list("abc")[: told["classes"]], "mean": (0, 0, 0), "std": (1, 1, 1)}
    return sk.compile(network, (1, 3, 32, 32), name="maps", info=info)


@pytest.mark.parametrize(
    ("detection", "numbers", "boxes"),
    [
        ({}, [3.0, 0, 0, 0, 0, 0, 9], 4),
        ({}, [3.0, 0, 0, 0, 0, 0, 0], 0),  # surely something, but of which class?
        ({}, [3.0, 1, 0, -60, 0, 0, 9], 0),  # no width
        ({"form": "focal", "classes": 1, "bins": 2}, [1.5] + 8 * [0.0], 4),
        ({"form": "focal", "classes": 1, "bins": 2}, [1.2] + 8 * [0.0], 0),
    ],
)
def test_a_box_has_a_score_and_an_area(
    native_folder: Path, run: Callable[..., str], tmp_path: Path, detection: dict[str, object], numbers: list[float], boxes: int
) -> None:
    engine, least, photo = detector_of(numbers, **detection), 0.8, np.zeros((30, 40, 3), np.uint8)
    engine.save(tmp_path / "maps.plan")
    Image.fromarray(photo).save(tmp_path / "photo.ppm")
    command = [native_folder / "skrun", tmp_path / "maps.plan", "--image", tmp_path / "photo.ppm", "--repeat", "0", "--json"]
    assert len(json.loads(run(*command, "--least", str(least)))["boxes"]) == boxes
    assert len(engine_detector(engine, "maps")(photo, least)) == boxes


def test_scores_are_shares_of_logits_of_any_size(native_folder: Path, run: Callable[..., str], tmp_path: Path) -> None:
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3))
    nn.init.zeros_(network[2].weight)
    network[2].bias = nn.Parameter(torch.tensor([500.0, 499.0, -500.0]))
    info = {"mean": (0, 0, 0), "std": (1, 1, 1)}
    sk.compile(network, (1, 3, 20, 24), info=info).save(tmp_path / "large.plan")
    Image.fromarray(np.zeros((30, 30, 3), np.uint8)).save(tmp_path / "photo.ppm")
    found = json.loads(
        run(native_folder / "skrun", tmp_path / "large.plan", "--image", tmp_path / "photo.ppm", "--repeat", "0", "--json")
    )
    needed = torch.softmax(torch.tensor([500.0, 499.0, -500.0]), 0).tolist()
    assert [each["score"] for each in found["top"]] == pytest.approx(needed, abs=1e-6)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({}, ""),
        ({"form": "regions"}, "form must be one of focal, grid, found regions"),
        ({"form": "focal"}, "bins must be above 0"),
        ({"classes": 3}, "maps: must have the channels and sides that detection says"),
        ({"classes": 2**24 + 1}, "classes must be above 0"),
        ({"strides": [8]}, "maps: must have the channels and sides that detection says"),
        ({"strides": [16, 16]}, "strides must be one for each of 1 maps"),
        ({"strides": []}, "strides must be one for each of 1 maps"),
        ({"form": "focal", "classes": 3, "bins": 1}, ""),
        ({"form": "focal", "classes": 3, "bins": 1, "strides": [16, 16]}, "strides must be one for each of 1 maps"),
        ({"strides": [-16]}, "strides must be above 0"),
        ({"most": 0}, "most must be above 0"),
        ({"iou": 0}, "iou must be above 0"),
        ({"iou": "0.5"}, "iou must be above 0"),
    ],
)
def test_a_plan_that_tells_of_other_maps_than_it_has_is_refused(
    native_folder: Path, tmp_path: Path, wrong: dict[str, object], says: str
) -> None:
    """Else boxes would be read from beside them."""
    detector_of([0.0] * 7, **wrong).save(tmp_path / "maps.plan")
    Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(tmp_path / "photo.ppm")
    command = [native_folder / "skrun", tmp_path / "maps.plan", "--image", tmp_path / "photo.ppm"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == ((1, f"skrun: maps: {says}\n") if says else (0, ""))


def test_a_damaged_plan_is_refused(native_folder: Path, plan: Path, tmp_path: Path) -> None:
    content = bytearray(plan.read_bytes())
    content[-700] ^= 64
    (tmp_path / "bad.plan").write_bytes(content)
    done = subprocess.run([native_folder / "skrun", tmp_path / "bad.plan"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert "plan: the file is damaged: its checksum must be " in done.stderr


def test_photos_from_c(native_folder: Path, run: Callable[..., str], plan: Path, tmp_path: Path) -> None:
    """Rows of four bytes a pixel too, which c_api_test makes of what it is given."""
    pixels = np.array(Image.open(ROOT / "docs" / "detection" / "coffee.jpg").convert("RGB"))
    pixels.tofile(tmp_path / "photo.rgb")
    photo = [tmp_path / "photo.rgb", str(pixels.shape[1]), str(pixels.shape[0])]
    prepared, *classes = run(native_folder / "c_api_test", plan, *photo).splitlines()[2:]
    engine = sk.load(plan)
    needed = engine_classifier(engine)(pixels)
    assert float(prepared) == pytest.approx(float(engine_classifier(engine).prepare(pixels).sum(dtype=np.float64)), rel=1e-5)
    for line, each in zip(classes, needed, strict=True):
        index, score, label = line.split(" ", 2)
        assert (int(index), label) == (each.index, each.label.replace("\n", "~"))
        assert float(score) == pytest.approx(each.score, rel=1e-4)

    detector = lively_detector("fastestdet")
    detector.save(tmp_path / "detector.plan")
    lines = run(native_folder / "c_api_test", tmp_path / "detector.plan", *photo).splitlines()
    boxes = [line.split() for line in lines if line.startswith("box ")]
    needed_boxes = engine_detector(detector, "fastestdet")(pixels, 0.35)[:10]
    assert [(int(box[1]), box[2]) for box in boxes] == [(each.index, each.label) for each in needed_boxes]
    np.testing.assert_allclose(
        [[float(x) for x in box[3:]] for box in boxes], [[each.score, *each.box] for each in needed_boxes], rtol=1e-4, atol=0.02
    )


def test_c_interface_from_c(native_folder: Path, run: Callable[..., str], plan: Path) -> None:
    engine = sk.load(plan)
    images = (np.arange(3 * 3 * 20 * 24) % 17).astype(np.float32).reshape(3, 3, 20, 24) / np.float32(17) - np.float32(0.5)
    first, second = run(native_folder / "c_api_test", plan).splitlines()
    assert first == "small 3 20 24"
    assert second.split()[1] == "2"
    assert float(second.split()[2]) == pytest.approx(engine(images).sum(), abs=1e-4)


def test_skrun_reads_inputs_one_after_another(native_folder: Path, run: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "sum.plan").write_bytes(sum_of((3, 4, 5), (3, 4, 5)).to_bytes())
    a, b = noise(1, 3, 4, 5), 2 * noise(1, 3, 4, 5)
    np.concatenate([a, b]).tofile(tmp_path / "x.f32")
    said = run(native_folder / "skrun", tmp_path / "sum.plan", "--input", tmp_path / "x.f32", "--output", tmp_path / "y.f32")
    assert said.startswith("sum, 3x4x5, 3x4x5, ")
    np.testing.assert_allclose(np.fromfile(tmp_path / "y.f32", np.float32).reshape(a.shape), a + b, rtol=1e-6)
    Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(tmp_path / "photo.ppm")
    photo = [native_folder / "skrun", tmp_path / "sum.plan", "--image", tmp_path / "photo.ppm"]
    done = subprocess.run(photo, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "skrun: sum: the network takes no photos: it must have one input\n")


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_a_plan_of_bytes_takes_photos_bytes_and_noise(
    native_folder: Path, run: Callable[..., str], tmp_path: Path, layout: str
) -> None:
    copy = nn.Conv2d(3, 3, 1, bias=False)
    nn.init.dirac_(copy.weight)
    info = {"crop_pct": 0.9, "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4), "channel_order": "bgr"}
    sk.compile(copy, (1, 3, 20, 24), info=info, input="uint8", layout=layout).save(tmp_path / "copy.plan")
    photo = np.random.default_rng(0).integers(0, 256, (31, 90, 3), np.uint8)
    Image.fromarray(photo).save(tmp_path / "photo.ppm")
    command = [native_folder / "skrun", tmp_path / "copy.plan", "--repeat", "1"]
    run(*command, "--image", tmp_path / "photo.ppm", "--output", tmp_path / "y.f32")
    prepare = Preprocessing((20, 24), **info)
    np.testing.assert_allclose(numbers(tmp_path / "y.f32").reshape(3, 20, 24), prepare(photo), rtol=1e-6, atol=1e-6)
    engine = sk.load(tmp_path / "copy.plan")
    x = np.random.default_rng(1).integers(0, 256, (1, *engine.inputs[0].shape), np.uint8)
    x.tofile(tmp_path / "x.u8")
    run(*command, "--input", tmp_path / "x.u8", "--output", tmp_path / "y.f32")
    np.testing.assert_allclose(numbers(tmp_path / "y.f32"), engine(x).reshape(-1), atol=1e-6)
    assert " ms median" in run(*command)
