from __future__ import annotations

import json

import numpy as np
import pytest

from shufflekit.detect.coco import read_truth
from shufflekit.errors import InputError


def box(bbox, category=7, image=1, **more):
    return {"id": 1, "image_id": image, "category_id": category, "bbox": bbox, **more}


def write(path, annotations, images=((1, 100, 50),), categories=((7, "cat"), (3, "ant"))):
    content = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": w, "height": h} for i, w, h in images],
        "categories": [{"id": i, "name": name} for i, name in categories],
        "annotations": annotations,
    }
    path.write_text(json.dumps(content))
    return path


def test_boxes_become_corners_and_classes_follow_their_ids(tmp_path):
    truth = read_truth(write(tmp_path / "a.json", [box([10, 5, 20, 30]), box([0, 0, 1, 2], category=3)]))
    assert (truth.classes, truth.category_ids) == (("ant", "cat"), (3, 7))
    (image,) = truth.images
    assert image.boxes.tolist() == [[10, 5, 30, 35], [0, 0, 1, 2]]
    assert image.labels.tolist() == [1, 0]
    assert truth.odd == {}


def test_what_is_odd_is_cut_or_left_out_and_counted(tmp_path):
    annotations = [
        box([90, 40, 20, 20]),  # over the border
        box([99.5, 0, 0.9, 5]),  # over it by less than a pixel
        box([200, 0, 5, 5]),
        box([5, 5, 0, 9]),
        box([5, 5, 9, -1]),
        box([5, 5, float("nan"), 3]),
        box([1, 1, 2, 2], category=99),
        box([1, 1, 2, 2], image=42),
        box([0, 0, 50, 50], iscrowd=1),
    ]
    truth = read_truth(write(tmp_path / "a.json", annotations, images=((1, 100, 50), (2, 8, 8))))
    first, second = truth.images
    assert first.boxes.tolist() == [[90, 40, 100, 50], [99.5, 0, 100, 5]]
    assert first.crowds.tolist() == [[0, 0, 50, 50]]
    assert (second.boxes.shape, second.boxes.dtype) == ((0, 4), np.float32)
    assert truth.odd == {
        "boxes of an image that is not listed: left out": 1,
        "boxes over the border: cut": 1,
        "boxes outside the image: left out": 1,
        "boxes without area: left out": 3,
        "boxes of an unknown category: left out": 1,
        "crowds: neither right nor wrong": 1,
        "images without boxes: all background": 1,
    }


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not JSON"),
        (b"[]", "not COCO's annotation format"),
        (b"{}", "'categories' is missing"),
        (b'{"categories": [], "images": [], "annotations": []}', "categories must be 1 or more"),
        (b'{"categories": [{"id": 1, "name": "a"}], "images": [], "annotations": [{}]}', "'image_id' is missing"),
        (b'{"categories": [{"id": 1, "name": "a"}], "images": [{"id": 1}], "annotations": []}', "'width' is missing"),
    ],
)
def test_other_files_are_refused_in_one_line(content, said, tmp_path):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError) as error:
        read_truth(tmp_path / "a.json")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_truth(tmp_path / "a.json")


def test_coco_mini(shared_data):
    truth = read_truth(shared_data / "coco_mini" / "annotations" / "instances_train.json")
    assert len(truth.images) == 150
    assert len(truth.classes) == 80
    assert sum(len(image.boxes) + len(image.crowds) for image in truth.images) == 1242
    assert truth.odd["crowds: neither right nor wrong"] == 8
