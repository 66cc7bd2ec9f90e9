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


SOUND = {"id": 77, "image_id": 1, "category_id": 7, "bbox": [1, 1, 5, 5], "area": 25, "iscrowd": 0}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        *(
            ({"bbox": bbox}, f"annotation 77: bbox must be four numbers (left, top, width, height), found {json.dumps(bbox)}")
            for bbox in (
                [],
                None,
                [1, 2, 3],
                [1, 2, 3, 4, 5],
                ["1", 2, 3, 4],
                [True, 2, 3, 4],
                "1234",
                {"x": 1},
                [[1], 2, 3, 4],
            )
        ),
        ({"area": "5"}, 'annotation 77: area must be a number, found "5"'),
        ({"area": float("nan")}, "annotation 77: area must be a number, found NaN"),
        ({"iscrowd": "0"}, 'annotation 77: iscrowd must be 0 or 1, found "0"'),
        ({"image_id": None}, "annotation 77: image_id must be a whole number or text, found null"),
        ({"category_id": 1.5}, "annotation 77: category_id must be a whole number or text, found 1.5"),
        ({"id": None, "image_id": [1]}, "annotations[1]: image_id must be a whole number or text, found [1]"),
    ],
)
def test_a_wrong_annotation_is_named(wrong, said, tmp_path):
    path = write(tmp_path / "a.json", [SOUND | {"id": 1}, SOUND | wrong])
    with pytest.raises(InputError) as error:
        read_truth(path)
    assert str(error.value) == f"{path}: not COCO's annotation format: {said}"


@pytest.mark.parametrize("key", ["image_id", "category_id", "bbox"])
def test_what_an_annotation_lacks_is_named(key, tmp_path):
    lacking = {name: value for name, value in SOUND.items() if name != key}
    with pytest.raises(InputError, match=f"annotation 77: '{key}' is missing"):
        read_truth(write(tmp_path / "a.json", [lacking]))


@pytest.mark.parametrize(
    ("part", "wrong", "said"),
    [
        ("images", {}, "images must be a list, found {}"),
        ("images", [5], "images[0] must be an object, found 5"),
        ("categories", "cat", 'categories must be a list, found "cat"'),
        ("annotations", None, "annotations must be a list, found null"),
        (
            "images",
            [{"id": 1, "file_name": "a", "width": 0, "height": 5}],
            "images[0] (id 1): width must be pixels, 1 or more, found 0",
        ),
        ("images", [{"id": 1, "file_name": "a", "width": 5, "height": None}], "height must be pixels, 1 or more, found null"),
        ("images", [{"id": 1, "file_name": 5, "width": 5, "height": 5}], "file_name must be a file's name, found 5"),
        ("images", [{"id": 1, "file_name": "a\0", "width": 5, "height": 5}], "file_name must be a file's name"),
        ("images", [{"id": 1, "file_name": "\ud800", "width": 5, "height": 5}], "file_name must be a file's name"),
        (
            "images",
            [{"id": True, "file_name": "a", "width": 5, "height": 5}],
            "images[0]: id must be a whole number or text, found true",
        ),
        ("categories", [{"id": 7}], "category 7: 'name' is missing"),
    ],
)
def test_wrong_parts_of_the_file_are_named(part, wrong, said, tmp_path):
    path = write(tmp_path / "a.json", [])
    path.write_text(json.dumps(json.loads(path.read_text()) | {part: wrong}))
    with pytest.raises(InputError) as error:
        read_truth(path)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"[" * 100_000, b'{"a": 1' + b"0" * 5000, b'{"a": 1} x', b'"text"'])
def test_files_of_another_kind_are_one_line(content, tmp_path):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match="a.json: not ") as error:
        read_truth(tmp_path / "a.json")
    assert "\n" not in str(error.value)


AS_WRITTEN = {"text": str, "float": float, "zeros": lambda number: f"{number:012d}"}


@pytest.mark.parametrize("kind", AS_WRITTEN)
@pytest.mark.parametrize(
    "where", [("images", "id"), ("annotations", "image_id"), ("categories", "id"), ("annotations", "category_id")]
)
def test_ids_are_the_same_however_they_are_written(where, kind, tmp_path):
    annotations = [box([10, 5, 20, 30]), box([0, 0, 1, 2], category=3, image=2)]
    path = write(tmp_path / "a.json", annotations, images=((1, 100, 50), (2, 80, 80)))
    plain, content = read_truth(path), json.loads(path.read_text())
    for entry in content[where[0]]:
        entry[where[1]] = AS_WRITTEN[kind](entry[where[1]])
    path.write_text(json.dumps(content))
    found = read_truth(path)
    for ours, theirs in zip(found.images, plain.images, strict=True):
        assert (ours.key, ours.boxes.tolist(), ours.labels.tolist()) == (
            theirs.id,
            theirs.boxes.tolist(),
            theirs.labels.tolist(),
        )
    assert [image.id for image in found.images] == [entry["id"] for entry in content["images"]]
    assert (found.classes, found.odd) == (plain.classes, {})
    assert [str(number) for number in found.category_ids] == [
        str(entry["id"]) for entry in sorted(content["categories"], key=lambda entry: int(entry["id"]))
    ]


def test_ids_that_are_names_stay_names(tmp_path):
    path = write(
        tmp_path / "a.json",
        [box([0, 0, 1, 2], image="b-1", category="x")],
        (("a-1", 9, 9), ("b-1", 9, 9)),
        (("x", "cat"), (2, "ant")),
    )
    truth = read_truth(path)
    assert [len(image.boxes) for image in truth.images] == [0, 1]
    assert (truth.classes, truth.category_ids) == (("ant", "cat"), (2, "x"))


@pytest.mark.parametrize("ids", [(1, 1), (1, "1"), ("01", 1.0), ("a", "a")])
@pytest.mark.parametrize("part", ["images", "categories"])
def test_two_of_one_id_are_refused(part, ids, tmp_path):
    entries = {"images": ((1, 9, 9),), "categories": ((7, "cat"),)}
    entries[part] = tuple((number, 9, 9) if part == "images" else (number, "cat") for number in ids)
    with pytest.raises(InputError, match=rf"{part}\[1\]: two have the same id, .* and "):
        read_truth(write(tmp_path / "a.json", [], **entries))


def test_annotations_of_other_images_or_categories_are_refused(tmp_path):
    with pytest.raises(InputError, match='none of 2 annotations is of a listed image: the first has image_id "1.jpg"'):
        read_truth(write(tmp_path / "a.json", [box([0, 0, 1, 1], image="1.jpg"), box([0, 0, 1, 1], image=5)]))
    with pytest.raises(InputError, match="none of 1 annotations is of a listed category: the first has category_id 1"):
        read_truth(write(tmp_path / "a.json", [box([0, 0, 1, 1], category=1)]))


def test_what_is_left_out_is_named(tmp_path):
    wrong = [box([5, 5, 0, 9]) | {"id": number} for number in range(7)] + [box([0, 0, 9, 9]), box([0, 0, 9, 9], iscrowd=1)]
    truth = read_truth(write(tmp_path / "a.json", wrong))
    named = "annotation 0, annotation 1, annotation 2, annotation 3, annotation 4, ..."
    line = f"{tmp_path / 'a.json'}: 7 boxes without area: left out ({named})"
    assert truth.notes() == [line, f"{tmp_path / 'a.json'}: 1 crowds: neither right nor wrong"]
    assert truth.notes(only_left_out=True) == [line]


def test_a_number_too_large_is_no_box(tmp_path):
    path = write(tmp_path / "a.json", [box([0, 0, 1, 1]), box([0, 0, 10**400, 1])])
    assert read_truth(path).odd["boxes without area: left out"] == 1


def test_a_photo_of_another_size_is_named(tmp_path):
    image = read_truth(write(tmp_path / "a.json", [])).images[0]
    image.check_size(np.zeros((50, 100, 3), np.uint8))
    with pytest.raises(InputError, match="1.jpg: is 50x100, but the annotations say 100x50"):
        image.check_size(np.zeros((100, 50, 3), np.uint8))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_truth(tmp_path / "a.json")


def test_coco_mini(shared_data):
    truth = read_truth(shared_data / "coco_mini" / "annotations" / "instances_train.json")
    assert len(truth.images) == 150
    assert len(truth.classes) == 80
    assert sum(len(image.boxes) + len(image.crowds) for image in truth.images) == 1242
    assert truth.odd["crowds: neither right nor wrong"] == 8
