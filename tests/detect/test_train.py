from __future__ import annotations

import json
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from shufflekit.cli.main import main
from shufflekit.data.augment import Augmentation
from shufflekit.data.images import read_image
from shufflekit.detect.coco import read_truth
from shufflekit.detect.create import create_detector
from shufflekit.detect.evaluate import evaluate
from shufflekit.detect.find_all import find_all
from shufflekit.detect.train import DetectorTrainer, _check_validation, _read, run_detection
from shufflekit.errors import InputError
from shufflekit.train.recipe import DETECT
from shufflekit.train.run import Settings
from tests.detect.test_find_all import UNNAMED, Fixed
from tests.detect.test_loader import data as data  # a fixture

pytest.importorskip("faster_coco_eval")

NUMBERS = ["--epochs", "2", "--batch", "4", "--warmup-epochs", "0", "--preprocessing.input-size", "64", "64"]


PARTS = {
    "nanodet_m_shufflenet_v2_x0_5": {"class", "box", "sides"},
    "fastestdet": {"object", "box", "class"},
    "light_head_rcnn_shufflenet_v2_x0_5": {"object", "proposal", "class", "box"},
    "faster_rcnn_shufflenet_v2_x0_5": {"object", "proposal", "class", "box"},
}
# Epochs, photos of an update, side of the input, and AP50 that it must reach.
BY_HEART = {
    "nanodet_m_shufflenet_v2_x0_5": (120, 10, 320, 0.9),
    "fastestdet_shufflenet_v2_x0_5": (260, 10, 352, 0.9),
    "light_head_rcnn_shufflenet_v2_x0_5": (200, 4, 512, 0.9),
    "faster_rcnn_shufflenet_v2_x0_5": (320, 4, 416, 0.9),
}


@pytest.mark.parametrize("model", [*list(PARTS)[:-1], pytest.param(list(PARTS)[-1], marks=pytest.mark.slow)])
def test_trains_and_leaves_a_folder_that_detects(model, data, tmp_path, capsys):
    truth, folder = data
    out = tmp_path / "out"
    command = ["train", "--task", "detect", "--data", str(truth.path), "--images", str(folder), "--val", str(truth.path)]
    command += ["--model", model, "--out", str(out), "--layout", "nchw", "--compile", "no", "--log-every", "1", *NUMBERS]
    assert main(command) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert f"shufflekit: {truth.path}: 1 crowds: neither right nor wrong" in lines
    assert len([line for line in lines if "epoch 2/2: loss" in line and "ema AP " in line]) == 1
    logged = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    for line in logged:
        if "train/loss" in line:
            assert sum(line[f"train/loss_{part}"] for part in PARTS[model]) == pytest.approx(line["train/loss"], rel=1e-4)
    assert {"val/model_ap50", "val/ema_ap"} <= {key for line in logged for key in line}
    net = create_detector(out)
    assert net.pretrained_cfg["classes"] == ["red", "green", "blue"]
    assert net.pretrained_cfg["detection"]["category_ids"] == [1, 2, 3]
    assert main(["detect", str(folder / "1.png"), "--model", str(out), "--score", "0.001", "--json"]) == 0
    assert {result["category"] for result in json.loads(capsys.readouterr().out)} <= {"red", "green", "blue"}
    assert main(command) == 2
    assert "holds a run already" in capsys.readouterr().err


def settings(truth, folder, out, model, **more) -> Settings:
    return Settings(
        task="detect",
        data=truth.path,
        images=folder,
        model=model,
        out=out,
        layout="nchw",
        compile="no",
        **more,
    )


@pytest.mark.parametrize("model", ["nanodet_m_shufflenet_v2_x0_5", "light_head_rcnn_shufflenet_v2_x0_5"])
def test_a_resumed_run_ends_with_the_same_weights(model, data, tmp_path):
    truth, folder = data
    small = replace(DETECT.preprocessing, input_size=(64, 64))
    recipe = replace(DETECT, epochs=2, batch=4, reference_batch=4, warmup_epochs=0, preprocessing=small)

    class StopAfterFirst:
        def note(self, line):
            if line.startswith("epoch 1/2"):
                raise KeyboardInterrupt

        def begin(self, title, total, done): ...
        def advance(self, images): ...
        def end(self): ...

    assert run_detection(settings(truth, folder, tmp_path / "whole", model), recipe) == 0
    with pytest.raises(KeyboardInterrupt):
        run_detection(settings(truth, folder, tmp_path / "cut", model, checkpoint_every=2), recipe, StopAfterFirst())
    assert run_detection(settings(truth, folder, tmp_path / "cut", model, resume="auto"), recipe) == 0
    nets = [create_detector(tmp_path / name).state_dict() for name in ("whole", "cut")]
    assert all(torch.equal(nets[0][name], nets[1][name]) for name in nets[0])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "images: the folder with the images of"),
        (["--images", "nowhere"], "images: nowhere is no folder"),
        (["--images", ".", "--holdout", "3"], "holdout: a detector is validated on --val"),
        (["--images", ".", "--teacher", "runs/other"], "teacher: only a classifier can learn from one"),
        (["--images", ".", "--options.shuffle", "no"], "options: a detector has none, found shuffle"),
        (["--images", ".", "--model", "shufflenet_v2_x0_5"], "no detector is named 'shufflenet_v2_x0_5'"),
    ],
)
def test_wrong_usage_is_one_line(arguments, said, data, tmp_path, capsys):
    model = [] if "--model" in arguments else ["--model", "fastestdet"]
    command = ["train", "--task", "detect", "--data", str(data[0].path), "--out", str(tmp_path / "out"), *model, *arguments]
    assert main(command) == 2
    assert said in capsys.readouterr().err


def test_boxes_of_stored_pixels_are_turned_before_training(data):
    truth, folder = data
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(folder / "1.png") as photo:
        photo.save(folder / "1.png", exif=exif)
    read, _, notes = _read(truth.path, folder)
    assert (read.images[1].width, read.images[1].height) == (60, 90)
    read.images[1].check_size(read_image(folder / "1.png", "1.png"))
    assert ["1 photos have an EXIF orientation and, by their size, boxes of the stored pixels" in line for line in notes] == [
        False,
        True,
    ]


def test_validation_is_over_the_photos_that_could_be_read(data):
    """The truth is what the network says of every photo."""
    truth, folder = data
    content = dict(truth.content) | {
        "annotations": [
            {
                "image_id": image.id,
                "category_id": 2,
                "bbox": [image.width / 4, image.height / 4, image.width / 2, image.height / 2],
            }
            for image in truth.images
        ]
    }
    truth.path.write_text(json.dumps(content))
    (folder / "3.png").write_text("no photo")
    network = Fixed()
    network.pretrained_cfg = UNNAMED
    trainer = SimpleNamespace(model=network, watcher=SimpleNamespace(advance=lambda _: None))
    validation = SimpleNamespace(truth=read_truth(truth.path), folder=folder, broken={})
    found = DetectorTrainer._score(trainer, network, validation)
    assert (found.ap, found.ap50) == (pytest.approx(100), pytest.approx(100))
    assert validation.broken == {"3.png": "not a known image format"}
    for number in range(12):
        (folder / f"{number}.png").unlink()
    with pytest.raises(InputError, match="val: none of 12 images in .* could be read; 3.png: No such file"):
        DetectorTrainer._score(trainer, network, validation)


def test_a_validation_set_of_other_categories_or_without_boxes_is_refused(data, tmp_path):
    truth, _ = data
    _check_validation(truth, truth)
    for change, said in (
        ({"categories": [{"id": 1, "name": "red"}]}, "must have the categories of"),
        ({"annotations": []}, "must have boxes to be found, found none"),
    ):
        content = dict(truth.content) | {"annotations": []} | change
        (tmp_path / "val.json").write_text(json.dumps(content))
        with pytest.raises(InputError, match=said):
            _check_validation(truth, read_truth(tmp_path / "val.json"))


@pytest.mark.slow
@pytest.mark.parametrize("model", BY_HEART)
def test_twenty_photos_are_learnt_by_heart(model, shared_data, tmp_path):
    """From random heads on the FastestDet backbone: 156 objects, 67 of them smaller than 32x32 in the photo."""
    photos = shared_data / "coco_mini" / "images" / "train"
    content = json.loads((shared_data / "coco_mini" / "annotations" / "instances_train.json").read_text())
    having = {entry["image_id"] for entry in content["annotations"] if not entry["iscrowd"]}
    content["images"] = [entry for entry in content["images"] if entry["id"] in having][:20]
    kept = {entry["id"] for entry in content["images"]}
    content["annotations"] = [entry for entry in content["annotations"] if entry["image_id"] in kept]
    path = tmp_path / "twenty.json"
    path.write_text(json.dumps(content))
    truth = read_truth(path)
    epochs, batch, side, least = BY_HEART[model]
    recipe = replace(
        DETECT,
        epochs=epochs,
        batch=batch,
        reference_batch=batch,
        ema_decay=0.9,
        weight_decay=0.0,
        matrix_weight_decay=0.0,
        preprocessing=replace(DETECT.preprocessing, input_size=(side, side)),
        augmentation=Augmentation(flip=False),
    )
    backbone = str(shared_data / "weights" / "fastestdet_shufflenetv2_backbone.pth")
    before = time.process_time()
    assert run_detection(settings(truth, photos, tmp_path / "out", model, weights=backbone), recipe) == 0
    spent = time.process_time() - before
    net = create_detector(tmp_path / "out")
    found = evaluate(truth, find_all(net, net.pretrained_cfg, truth, photos))
    print(f"{model}: AP {found.ap:.3f} AP50 {found.ap50:.3f}, {spent / 60:.1f} minutes of one core")
    assert found.ap50 > least
