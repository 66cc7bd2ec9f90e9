from __future__ import annotations

import numpy as np
import pytest

from shufflekit.data.preprocess import Preprocessing
from shufflekit.detect.prepare import Placing, Preparation
from shufflekit.errors import UsageError

PLAIN = Preprocessing((64, 64), mean=(0.0, 0.0, 0.0), std=(1 / 255, 1 / 255, 1 / 255), channel_order="bgr")


def test_letterbox_centres_and_pads_with_black():
    photo = np.full((50, 100, 3), (10, 20, 30), np.uint8)
    x, placing = Preparation(PLAIN, "letterbox")(photo)
    assert x.shape == (3, 64, 64)
    assert (x[:, :16] == 0).all()
    assert (x[:, 48:] == 0).all()
    assert x[:, 16:48].reshape(3, -1).mean(1).round(3).tolist() == [30, 20, 10]
    assert (placing.scale, placing.shift, placing.photo_size) == ((0.64, 0.64), (0, 16), (50, 100))


@pytest.mark.parametrize(("height", "rows"), [(77, 49), (78, 50)])  # 49.28 and 49.92
def test_letterbox_takes_the_nearest_whole_pixels_and_says_so(height, rows):
    x, placing = Preparation(PLAIN, "letterbox")(np.full((height, 100, 3), 200, np.uint8))
    lit = np.flatnonzero((x[0] > 100).all(1))
    assert (lit[0], len(lit)) == ((64 - rows) // 2, rows)
    assert placing.to_input(np.array([[0, 0, 100, height]], np.float32)).tolist() == [[0, lit[0], 64, lit[0] + rows]]


def test_stretch_fills_the_input():
    x, placing = Preparation(PLAIN, "stretch")(np.full((50, 100, 3), 7, np.uint8))
    assert (x.round(3) == 7).all()
    assert (placing.scale, placing.shift) == ((0.64, 1.28), (0, 0))


@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
@pytest.mark.parametrize("size", [(1, 1), (3, 1000), (999, 2), (77, 131)])
def test_boxes_find_back_to_the_photo(fit, size):
    x, placing = Preparation(PLAIN, fit)(np.zeros((*size, 3), np.uint8))
    assert x.shape == (3, 64, 64)
    height, width = size
    boxes = np.array([[0, 0, width, height], [width / 4, height / 4, width / 2, height / 2]], np.float32)
    assert placing.to_photo(placing.to_input(boxes)) == pytest.approx(boxes, abs=1e-3 * max(size))


def test_boxes_end_at_the_border():
    placing = Placing((1.0, 1.0), (0.0, 0.0), (10, 20))
    assert placing.to_photo(np.array([[-5, -5, 50, 50]], np.float32)).tolist() == [[0, 0, 20, 10]]


def test_another_fit_is_refused():
    with pytest.raises(UsageError, match="fit: must be one of stretch, letterbox, found 'crop'"):
        Preparation(PLAIN, "crop")
