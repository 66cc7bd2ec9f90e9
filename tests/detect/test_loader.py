from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from shufflekit.data.augment import Augmentation
from shufflekit.data.preprocess import Preprocessing
from shufflekit.detect.coco import read_truth
from shufflekit.detect.loader import DetectionLoader
from shufflekit.detect.prepare import Preparation
from shufflekit.errors import InputError

PLAIN = Preparation(Preprocessing((64, 64), mean=(0.0, 0.0, 0.0), std=(1 / 255, 1 / 255, 1 / 255)), "letterbox")
COLOURS = [(250, 10, 10), (10, 250, 10), (10, 10, 250)]


@pytest.fixture
def data(tmp_path):
    """Twelve black photos of two sizes with a rectangle of its class's colour each, and a crowd on the first."""
    generator, images, annotations = np.random.default_rng(0), [], []
    for number in range(12):
        width, height = (90, 60) if number % 2 else (64, 80)
        left, top = int(generator.integers(2, 20)), int(generator.integers(2, 20))
        wide, tall = int(generator.integers(15, 40)), int(generator.integers(15, 35))
        pixels = np.zeros((height, width, 3), np.uint8)
        pixels[top : top + tall, left : left + wide] = COLOURS[number % 3]
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": width, "height": height})
        annotations.append({"image_id": number, "category_id": 1 + number % 3, "bbox": [left, top, wide, tall]})
    annotations.append({"image_id": 0, "category_id": 1, "bbox": [0, 60, 64, 20], "iscrowd": 1})
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": i, "name": name} for i, name in ((1, "red"), (2, "green"), (3, "blue"))],
    }
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(content))
    return read_truth(path), tmp_path


@pytest.mark.parametrize("augmentation", [None, Augmentation(), Augmentation(flip=False), Augmentation(scale=(0.5, 1.0))])
def test_boxes_stay_on_their_objects(data, augmentation):
    truth, folder = data
    loader = DetectionLoader(truth, folder, 4, PLAIN, augmentation, seed=3)
    seen = 0
    for epoch in range(2):
        for batch in loader.epoch(epoch):
            for image, target in zip(batch.images, batch.targets):
                for box, label in zip(target.boxes.tolist(), target.labels.tolist()):
                    left, top, right, bottom = (round(v) for v in box)
                    inside = image[:, top + 3 : bottom - 3, left + 3 : right - 3]
                    assert inside[label].mean() > 200
                    around = image[label, max(0, top - 2) : bottom + 2, max(0, left - 2) : right + 2]
                    assert around.sum() > 0.98 * image[label].sum()
                    seen += 1
    assert seen >= 18


def test_classes_stay_with_their_boxes_when_a_crop_takes_some_away(tmp_path):
    """Three objects of three colours, of which a small crop seldom has all."""
    pixels, boxes = np.zeros((60, 90, 3), np.uint8), [(5, 5, 18, 18), (62, 8, 20, 20), (30, 38, 18, 18)]
    for (left, top, wide, tall), colour in zip(boxes, COLOURS):
        pixels[top : top + tall, left : left + wide] = colour
    for number in range(8):
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    content = {
        "images": [{"id": n, "file_name": f"{n}.png", "width": 90, "height": 60} for n in range(8)],
        "categories": [{"id": i, "name": str(i)} for i in range(3)],
        "annotations": [{"image_id": n, "category_id": i, "bbox": list(box)} for n in range(8) for i, box in enumerate(boxes)],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    loader = DetectionLoader(read_truth(tmp_path / "a.json"), tmp_path, 8, PLAIN, Augmentation(scale=(0.3, 0.5)), seed=0)
    seen: set[tuple[int, ...]] = set()
    for batch in loader.epoch(0):
        for image, target in zip(batch.images, batch.targets):
            seen.add(tuple(target.labels.tolist()))
            for box, label in zip(target.boxes.tolist(), target.labels.tolist()):
                left, top, right, bottom = (round(v) for v in box)
                assert image[label, (top + bottom) // 2, (left + right) // 2] > 200
    assert any(labels and labels[0] > 0 for labels in seen)


def test_crowds_are_set_apart_and_mirrored_too(data):
    truth, folder = data
    targets = {}
    for epoch in range(4):
        for batch in DetectionLoader(truth, folder, 4, PLAIN, Augmentation(), seed=0).epoch(epoch):
            for index, target in zip(batch.indices.tolist(), batch.targets):
                targets.setdefault(index, set()).add(tuple(map(tuple, target.ignored.tolist())))
    for ((left, top, right, bottom),) in targets[0]:  # as wide as the photo: 51 of 64 pixels, mirrored or not
        assert (left, round(top), round(right - left), round(bottom)) in {(6, 48, 51, 64), (7, 48, 51, 64)}
    assert len(targets[0]) == 2
    assert all(ignored == {()} for index, ignored in targets.items() if index)


def batches(loader: DetectionLoader, epoch: int = 1, start: int = 0):
    return [(batch.images, [target.boxes for target in batch.targets], batch.indices) for batch in loader.epoch(epoch, start)]


def same(a, b) -> bool:
    return len(a) == len(b) and all(
        x[0].equal(y[0]) and all(s.equal(t) for s, t in zip(x[1], y[1])) and (x[2] == y[2]).all() for x, y in zip(a, b)
    )


def test_an_epoch_can_be_taken_up_anywhere_and_shared_by_processes(data):
    truth, folder = data
    arguments = (truth, folder, 3, PLAIN, Augmentation(scale=(0.5, 1.0), brightness=0.3), 7)
    whole = batches(DetectionLoader(*arguments))
    assert len(whole) == 4
    assert same(batches(DetectionLoader(*arguments), start=2), whole[2:])
    shares = [batches(DetectionLoader(*arguments, rank, 2)) for rank in range(2)]
    assert same([shares[0][0], shares[1][0], shares[0][1], shares[1][1]], whole)
    assert not same(batches(DetectionLoader(*arguments), epoch=2), whole)


def test_broken_images_are_left_out_and_named(data):
    truth, folder = data
    (folder / "3.png").write_text("no image")
    Image.new("RGB", (5, 5)).save(folder / "4.png")
    loader = DetectionLoader(truth, folder, 4, PLAIN, None, seed=0)
    assert sum(len(batch.targets) for batch in loader.epoch(0)) == 10
    assert loader.broken == {"3.png": "not a known image format", "4.png": "is 5x5, but the annotations say 64x80"}
    for number in range(12):
        (folder / f"{number}.png").unlink()
    with pytest.raises(InputError, match="none of 4 images in .* could be read; [0-9]+.png: No such file"):
        next(loader.epoch(0))


def test_a_broken_image_changes_nothing_of_the_others(data):
    truth, folder = data
    arguments = (truth, folder, 12, PLAIN, Augmentation(scale=(0.5, 1.0)), 0)
    (whole,) = DetectionLoader(*arguments).epoch(0)
    (folder / "3.png").write_text("no image")
    (rest,) = DetectionLoader(*arguments).epoch(0)
    assert rest.indices.tolist() == [index for index in whole.indices.tolist() if index != 3]
    place = {index: row for row, index in enumerate(whole.indices.tolist())}
    for row, index in enumerate(rest.indices.tolist()):
        assert rest.images[row].equal(whole.images[place[index]])
        assert rest.targets[row].boxes.equal(whole.targets[place[index]].boxes)


def test_too_few_images_are_refused(data):
    with pytest.raises(InputError, match="12 images do not fill 1 batches of 13"):
        DetectionLoader(*data, 13, PLAIN, None, seed=0)


def test_boxes_are_mirrored_within_a_wide_image(data):
    truth, folder = data
    wide = Preparation(replace(PLAIN.preprocessing, input_size=(48, 96)), "stretch")
    batches = list(DetectionLoader(truth, folder, 4, wide, Augmentation(), seed=3).epoch(0))
    found = [(image, target) for batch in batches for image, target in zip(batch.images, batch.targets)]
    assert len(found) == 12
    for image, target in found:
        for (left, top, right, bottom), label in zip(target.boxes.round().long().tolist(), target.labels.tolist()):
            assert image[label, top + 3 : bottom - 3, left + 3 : right - 3].mean() > 200
