from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image, ImageOps

from shufflekit.data.images import read_image
from shufflekit.detect.coco import read_truth
from shufflekit.detect.frames import turn, turn_images, turn_truth

BOX = (3, 5, 12, 6)  # left, top, width, height in 40x24 stored pixels


def stored(path, orientation: int, size=(40, 24)):
    """A photo with one white rectangle, stored with an orientation."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[BOX[1] : BOX[1] + BOX[3], BOX[0] : BOX[0] + BOX[2]] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 95, "subsampling": 0} if path.suffix == ".jpg" else {}
    Image.fromarray(pixels).save(path, exif=exif, **options)
    return path


def white(photo) -> list[int]:
    rows, columns = np.nonzero(np.asarray(photo)[:, :, 0] > 128)
    return [int(v) for v in (columns.min(), rows.min(), columns.max() + 1 - columns.min(), rows.max() + 1 - rows.min())]


def truth_of(folder, sizes, box=BOX):
    """A file that lists photos 0.jpg, 1.jpg, ... of these sizes, with the same box on each."""
    content = {
        "images": [{"id": n, "file_name": f"{n}.jpg", "width": w, "height": h} for n, (w, h) in enumerate(sizes)],
        "categories": [{"id": 1, "name": "white"}],
        "annotations": [{"id": n, "image_id": n, "category_id": 1, "bbox": list(box)} for n in range(len(sizes))],
    }
    (folder / "a.json").write_text(json.dumps(content))
    return read_truth(folder / "a.json")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_turn_as_pillow_turns_photos(orientation, tmp_path):
    path = stored(tmp_path / "0.png", orientation)
    with Image.open(path) as photo:
        seen = white(ImageOps.exif_transpose(photo))
    assert turn(np.array([BOX]), orientation, 40, 24)[0].tolist() == seen


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", [1, 5, 6, 7, 8])
def test_a_quarter_turn_is_known_by_the_size(orientation, suffix, tmp_path):
    path = stored(tmp_path / f"0.{suffix}", orientation)
    seen = white(read_image(path, "0"))
    for size, box in (((40, 24), BOX), ((24, 40), seen)):
        image = truth_of(tmp_path, [size], box).images[0]
        (turned,), notes = turn_images([(image, path)])
        turns = orientation != 1 and size == (40, 24)
        if orientation == 1 and size == (24, 40):
            assert turned.image is image  # of no size of this photo's: whoever reads it says so
            continue
        assert turned.image.bboxes[0].tolist() == seen
        assert turned.orientation == (orientation if turns else 1)
        turned.image.check_size(read_image(path, "0"))
        assert turned.to_file([float(v) for v in seen]) == list(box)
        assert ["EXIF orientation and, by their size, boxes of the stored pixels" in note for note in notes] == [True] * turns


@pytest.mark.parametrize("orientation", [2, 3, 4])
def test_half_a_turn_is_said_and_follows_the_others_of_its_file(orientation, tmp_path):
    stored(tmp_path / "0.jpg", orientation)
    alone, notes = turn_truth(truth_of(tmp_path, [(40, 24)]), tmp_path)
    assert alone.images[0].bboxes.tolist() == [list(BOX)]
    unsure = "1 photos have an EXIF orientation of which their size says nothing"
    assert notes == [f"{tmp_path / 'a.json'}: {unsure}: boxes taken as those of the photo as it is seen"]
    for number in (1, 2):
        stored(tmp_path / f"{number}.jpg", 6)
    for sizes, follows in (([(40, 24)], True), ([(24, 40)], False), ([(40, 24), (24, 40)], False)):
        both, notes = turn_truth(truth_of(tmp_path, [(40, 24), *sizes]), tmp_path)
        expected = turn(np.array([BOX]), orientation, 40, 24)[0].tolist() if follows else list(BOX)
        assert both.images[0].bboxes[0].tolist() == expected
        assert notes[-1].endswith("stored pixels, as the others are: turned" if follows else "photo as it is seen")


def test_a_square_photo_is_no_witness(tmp_path):
    stored(tmp_path / "0.jpg", 6, size=(24, 24))
    turned, notes = turn_truth(truth_of(tmp_path, [(24, 24)]), tmp_path)
    assert turned.images[0].bboxes.tolist() == [list(BOX)]
    assert "1 photos have an EXIF orientation of which their size says nothing" in notes[0]


def test_crowds_and_size_turn_with_the_boxes(tmp_path):
    stored(tmp_path / "0.jpg", 8)
    truth = truth_of(tmp_path, [(40, 24)])
    truth.images[0].in_crowd[:] = True
    image = turn_truth(truth, tmp_path)[0].images[0]
    assert (image.width, image.height) == (24, 40)
    assert image.crowds.tolist() == [[5, 25, 11, 37]]


def test_photos_without_orientation_or_not_there_are_left_alone(tmp_path):
    stored(tmp_path / "0.jpg", 1)
    (tmp_path / "1.jpg").write_text("no photo")
    stored(tmp_path / "3.jpg", 77)
    truth = truth_of(tmp_path, [(40, 24)] * 4)
    turned, notes = turn_truth(truth, tmp_path)
    assert turned.images == truth.images
    assert notes == []
