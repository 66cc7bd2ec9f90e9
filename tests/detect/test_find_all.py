from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from shufflekit.detect.find_all import find_all
from shufflekit.errors import InputError
from tests.detect.test_loader import data as data  # a fixture
from tests.detect.test_photo_detector import CFG, maps

UNNAMED = {**CFG, "classes": None}


class Fixed(nn.Module):
    """Says the same of every photo."""

    def __init__(self, value: float = 0.0) -> None:
        super().__init__()
        self.said = nn.Parameter(torch.from_numpy(maps(value)))
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> list[Tensor]:
        assert not self.training
        assert not self.norm.training
        return [self.said]


def test_every_image_has_its_results_in_its_own_pixels(data):
    truth, folder = data
    network, done = Fixed(), []
    network.norm.eval()
    results = find_all(network, UNNAMED, truth, folder, advance=done.append)
    assert [result["image_id"] for result in results] == [image.id for image in truth.images]
    for result, image in zip(results, truth.images):
        w, h = image.width, image.height
        assert result["bbox"] == pytest.approx([w / 4, h / 4, w / 2, h / 2], abs=0.01)
        assert result["category_id"] == 2
    assert sum(done) == 12
    assert network.training
    assert not network.norm.training


def test_boxes_down_to_a_score_of_one_in_a_hundred_count(data):
    truth, folder = data
    network = Fixed()
    for logit, found in ((-7.5, 12), (-8.0, 0)):  # sigmoid(-7.5)^0.6 is 0.011, sigmoid(-8)^0.6 is 0.008
        with torch.no_grad():
            network.said[0, 0, 1, 1] = logit
        assert len(find_all(network, UNNAMED, truth, folder)) == found


def test_what_cannot_be_used_is_named_and_has_no_results(data):
    truth, folder = data
    (folder / "3.png").write_text("no image")
    Image.fromarray(np.zeros((5, 5, 3), np.uint8)).save(folder / "4.png")
    broken: dict[str, str] = {}
    results = find_all(Fixed(), UNNAMED, truth, folder, broken)
    assert {result["image_id"] for result in results} == set(range(12)) - {3, 4}
    assert broken == {"3.png": "not a known image format", "4.png": "is 5x5, but the annotations say 64x80"}
    with pytest.raises(InputError, match="3.png: not a known image format"):
        find_all(Fixed(), UNNAMED, truth, folder)


def test_a_network_that_says_no_numbers_is_an_error(data):
    with pytest.raises(InputError, match="Fixed: 1 of 28 output values are infinite or not a number"):
        find_all(Fixed(np.nan), UNNAMED, *data)
