"""The evaluation transform, against the same steps done one by one with Pillow."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from shufflekit.data import preprocess
from shufflekit.data.preprocess import Preprocessing, resize
from shufflekit.errors import UsageError


def noise(height: int, width: int) -> np.ndarray:
    """Pixels of 64 to 191, so that Pillow clips nothing between its two passes, whose order depends on the size."""
    return np.random.default_rng(height * 1000 + width).integers(64, 192, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(("height", "width"), [(300, 400), (400, 300), (256, 256), (100, 81), (500, 375)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_resize_then_centre_crop(height: int, width: int, interpolation: str):
    short = 256  # 224 / 0.875
    size = (short, int(short * height / width)) if width < height else (int(short * width / height), short)
    resized = Image.fromarray(noise(height, width)).resize(size, Image.Resampling[interpolation.upper()])
    top, left = round((size[1] - 224) / 2), round((size[0] - 224) / 2)
    expected = np.asarray(resized)[top : top + 224, left : left + 224].astype(int)
    got = Preprocessing(interpolation=interpolation).crop(noise(height, width))
    assert got.shape == (224, 224, 3)
    assert np.abs(got - expected).max() <= 1


def test_an_image_of_the_right_size_is_left_as_it_is():
    image = noise(32, 32)
    assert (Preprocessing(input_size=(32, 32), crop_pct=1.0).crop(image) == image).all()


@given(height=st.integers(1, 90), width=st.integers(1, 90), side=st.tuples(st.integers(1, 50), st.integers(1, 50)))
def test_any_image_gives_the_input_size(height: int, width: int, side: tuple[int, int]):
    assert Preprocessing(input_size=side, crop_pct=0.9).crop(noise(height, width)).shape == (*side, 3)


def test_a_very_long_image_takes_little_memory():
    assert Preprocessing().crop(np.zeros((2, 60_000, 3), np.uint8)).shape == (224, 224, 3)  # resized whole: 256 x 7,680,000


def test_normalisation_and_channel_order():
    image = np.zeros((8, 8, 3), np.uint8)
    image[...] = (255, 51, 0)
    mean, std = (0.5, 0.25, 0.125), (0.5, 0.2, 0.1)
    rgb = Preprocessing(input_size=(8, 8), crop_pct=1.0, mean=mean, std=std)(image)
    bgr = Preprocessing(input_size=(8, 8), crop_pct=1.0, mean=mean, std=std, channel_order="bgr")(image)
    assert rgb.dtype == np.float32
    assert rgb[:, 3, 3] == pytest.approx([(1 - 0.5) / 0.5, (0.2 - 0.25) / 0.2, (0 - 0.125) / 0.1], abs=1e-6)
    assert bgr[:, 3, 3] == pytest.approx([(0 - 0.5) / 0.5, (0.2 - 0.25) / 0.2, (1 - 0.125) / 0.1], abs=1e-6)


def test_the_release_takes_bytes_as_they_are():
    image = noise(8, 8)
    prepare = Preprocessing((8, 8), 1.0, mean=(0, 0, 0), std=(1 / 255,) * 3, channel_order="bgr")
    assert np.abs(prepare(image) - image.transpose(2, 0, 1)[::-1]).max() < 1e-4


def test_grey_is_pillows_grey_and_a_grey_photo_stays_as_it_is():
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    prepare = Preprocessing.from_config({"input_size": (1, 64, 64), "crop_pct": 1, "mean": (0,) * 3, "std": (1 / 255,) * 3})
    grey = np.asarray(Image.fromarray(image).convert("L"))
    assert prepare.in_chans == 1
    assert np.abs(prepare(image) - grey).max() < 1e-4
    assert np.abs(prepare(np.repeat(grey[..., None], 3, axis=2)) - grey).max() < 1e-4


@pytest.mark.parametrize(("order", "expected"), [("rgb", [0, 1, 2]), ("bgr", [2, 1, 0])])
def test_planes_of_a_batch_are_those_of_each_image(order: str, expected: list[int]):
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 5), dtype=np.uint8)
    assert (Preprocessing(channel_order=order).planes(images) == images[:, expected]).all()
    grey = Preprocessing(channel_order="grey", mean=(0.5,), std=(0.5,))
    assert (grey.planes(images)[1] == grey.planes(images[1])).all()
    assert grey.planes(images).shape == (2, 1, 4, 5)


def test_one_channel_takes_the_average_normalisation():
    prepare = Preprocessing.from_config(
        {"input_size": (1, 32, 32), "mean": [0.1, 0.2, 0.6], "std": (0.2,), "channel_order": "bgr"}
    )
    assert prepare.mean == pytest.approx((0.3,))
    assert (prepare.std, prepare.channel_order) == ((0.2,), "grey")
    assert Preprocessing.from_config({"mean": (0.5,), "std": (0.5,)}).mean == (0.5, 0.5, 0.5)
    assert Preprocessing.from_config({"channel_order": "grey"}).mean == pytest.approx(((0.485 + 0.456 + 0.406) / 3,))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"input_size": (4, 32, 32)}, "^input_size: photos have 3 channels, or 1 where they are grey, found 4$"),
        ({"input_size": (3, 32, 32), "channel_order": "grey"}, "mean, std: must be 1 number each"),
        ({"input_size": (3, 32.5, 32)}, "pretrained_cfg: 'float' object cannot be interpreted as an integer"),
        ({"input_size": 32}, "pretrained_cfg: .* not iterable"),
        ({"mean": [None, 0, 0]}, "pretrained_cfg: "),
        ({"std": "abc"}, "pretrained_cfg: could not convert string to float: 'a'"),
        ({"crop_pct": "0.9"}, "pretrained_cfg: "),
        ({"interpolation": ["bilinear"]}, "pretrained_cfg: "),
        ({"input_size": (32,)}, "input_size: must be a height and a width"),
    ],
)
def test_a_configuration_that_cannot_be_met_is_one_line(config: dict, message: str):
    with pytest.raises(UsageError, match=message):
        Preprocessing.from_config(config)


def test_what_a_configuration_has_as_none_is_the_default():
    assert (
        Preprocessing.from_config(dict.fromkeys(("input_size", "mean", "std", "crop_pct", "channel_order"))) == Preprocessing()
    )


def test_from_config_takes_what_is_there():
    config = {"input_size": (3, 96, 128), "crop_pct": 0.9, "mean": [0, 0, 0], "channel_order": "bgr", "url": "x"}
    assert Preprocessing.from_config(config) == Preprocessing((96, 128), 0.9, mean=(0, 0, 0), channel_order="bgr")
    assert Preprocessing.from_config({}) == Preprocessing()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input_size": (0, 32)}, "input_size: must be a height and a width"),
        ({"crop_pct": 1.5}, "crop_pct: must be above 0 and at most 1, found 1.5"),
        ({"interpolation": "linear"}, "interpolation: must be one of nearest, bilinear, bicubic, lanczos, found 'linear'"),
        ({"channel_order": "gbr"}, "channel_order: must be one of rgb, bgr, grey, found 'gbr'"),
        ({"std": (1, 0, 1)}, "mean, std"),
        ({"mean": (1, 1)}, "mean, std"),
    ],
)
def test_wrong_values_are_refused(change: dict, message: str):
    with pytest.raises(UsageError, match=message):
        Preprocessing(**change)


def test_reading_and_preparing_an_image_need_no_torch():
    code = "import sys, shufflekit.data.images, shufflekit.data.preprocess; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("box", [(0, 0, 90, 1300), (3.3, 700.5, 71.9, 1299.2), (10, 0, 50, 3)])
def test_resizing_in_bands_differs_by_rounding_alone(
    monkeypatch: pytest.MonkeyPatch, interpolation: str, box: tuple[float, float, float, float]
):
    image = noise(1300, 90)
    for size in ((40, 90), (32, 32), (1300, 17), (1400, 100)):
        whole = resize(image, box, size, interpolation)
        monkeypatch.setattr(preprocess, "_WHOLE_PIXELS", 1000)
        in_bands = resize(image, box, size, interpolation)
        monkeypatch.undo()
        assert np.abs(in_bands.astype(int) - whole).max() <= 2


@pytest.mark.parametrize(("side", "first"), [(34, 1), (35, 2), (36, 2), (39, 4), (33, 0), (37, 2)])
def test_the_centre_is_rounded_as_python_rounds(side: int, first: int):
    """A margin of a half pixel goes to the even one, as in torchvision's centre crop, which `round` makes too."""
    image = np.arange(side, dtype=np.uint8)[:, None, None] + np.zeros((1, side, 3), np.uint8)
    crop = Preprocessing(input_size=(32, 32), crop_pct=32 / (side + 0.5)).crop(image)
    assert crop[:, 0, 0].tolist() == list(range(first, first + 32))
