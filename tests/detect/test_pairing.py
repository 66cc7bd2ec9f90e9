from __future__ import annotations

import json

import pytest

from shufflekit.detect.coco import read_truth
from shufflekit.detect.pairing import pair_classes, pair_photos
from shufflekit.errors import InputError, UsageError


def truth_of(folder, files=("a.jpg",), categories=((1, "cat"), (2, "dog"))):
    content = {
        "images": [{"id": number, "file_name": name, "width": 9, "height": 9} for number, name in enumerate(files, start=10)],
        "categories": [{"id": number, "name": name} for number, name in categories],
        "annotations": [],
    }
    (folder / "t.json").write_text(json.dumps(content))
    return read_truth(folder / "t.json")


def ids(pairs) -> dict[str, int]:
    return {photo: image.id for photo, image in pairs.items()}


def test_photos_are_found_by_name_and_by_folder_where_names_are_alike(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    truth = truth_of(tmp_path, ["x/1.jpg", "y\\1.jpg", "deep/y/2.jpg", "3.jpg"])
    photos = ["/else/x/1.jpg", "y/1.jpg", "z/2.jpg", "./3.jpg"]
    assert ids(pair_photos(truth, photos)) == dict(zip(photos, (10, 11, 12, 13)))
    (tmp_path / "y").mkdir()
    monkeypatch.chdir(tmp_path / "y")
    assert ids(pair_photos(truth, ["1.jpg"])) == {"1.jpg": 11}


@pytest.mark.parametrize(
    ("listed", "photos", "error", "said"),
    [
        (["a.jpg"], ["b.jpg"], InputError, "does not list b.jpg"),
        (
            ["x/1.jpg", "y/1.jpg"],
            ["z/1.jpg"],
            InputError,
            r"lists 2 images that may be z/1.jpg: x/1.jpg \(id 10\), y/1.jpg \(id 11\)",
        ),
        (["1.jpg", "1.jpg"], ["1.jpg"], InputError, "lists 2 images that may be 1.jpg"),
        (["1.jpg"], ["1.jpg", "1.jpg"], UsageError, "1.jpg and 1.jpg are both 1.jpg of"),
        (["1.jpg"], ["x/1.jpg", "y/1.jpg"], UsageError, "x/1.jpg and y/1.jpg are both 1.jpg of"),
    ],
)
def test_what_cannot_be_told_apart_is_refused(listed, photos, error, said, tmp_path):
    with pytest.raises(error, match=said):
        pair_photos(truth_of(tmp_path, listed), photos)


def test_classes_are_found_by_name_whatever_their_ids(tmp_path):
    pairs, notes = pair_classes(truth_of(tmp_path), ["bird", "dog", "cat"], [1, 2, 3])
    assert pairs == {2: 1, 1: 2}
    assert ["other ids than the detector's classes: taken by their names" in note for note in notes] == [True]
    same, notes = pair_classes(truth_of(tmp_path), ["cat", "dog"], ["1", 2])
    assert (same, notes) == ({0: 1, 1: 2}, [])


def test_a_category_that_the_detector_does_not_have_is_said(tmp_path):
    pairs, notes = pair_classes(truth_of(tmp_path), ["Cat", "cow"], [1, 2])
    assert pairs == {0: 1}
    (note,) = notes
    assert "1 of 2 categories are none of the detector's classes, so that their objects count as missed: dog" in note
    with pytest.raises(InputError, match=r"none of its categories \(cat, dog\) is a class of the detector \(ant\)"):
        pair_classes(truth_of(tmp_path), ["ant"], [1])


def test_classes_without_names_are_found_by_id(tmp_path):
    assert pair_classes(truth_of(tmp_path, categories=(("2", "b"), (7, "c"))), None, [1, 2])[0] == {1: "2"}
    with pytest.raises(InputError, match=r"none of its categories \(b, c\) is a class of the detector \(1, 3\)$"):
        pair_classes(truth_of(tmp_path, categories=(("2", "b"), (7, "c"))), None, [1, 3])


def test_categories_of_one_name(tmp_path):
    truth = truth_of(tmp_path, categories=((0, "fish"), (1, "fish")))
    assert pair_classes(truth, ["fish", "fish"], [0, 1])[0] == {0: 0, 1: 1}
    with pytest.raises(InputError, match="categories 0 and 1 are one class of the detector"):
        pair_classes(truth, ["fish"], [5])
