"""Augmentation: the same for a sample wherever it is, and as random as it should be."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from shufflekit.errors import UsageError

pytest.importorskip("kornia")

from shufflekit.data.augment import Augmentation  # after the check for kornia


def noise(count: int, side: int = 32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(side)
    return torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=generator)


FULL = Augmentation(pad=4, brightness=0.4, contrast=0.4, saturation=0.4, cutout=8)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_sample_becomes_the_same_in_any_batch(threads: int):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    for side, count in ((32, 40), (224, 12)):  # the larger ones are worked on in several parts
        images, indices = noise(count, side), np.arange(count) * 7
        draws = FULL.draws(3, 1, indices)
        whole = FULL.erase(FULL.batch(images.clone(), draws).float(), draws)
        order = np.random.default_rng(0).permutation(count)
        for chosen in np.split(order, [3, 8, 10]):
            draws = FULL.draws(3, 1, indices[chosen])
            part = FULL.erase(FULL.batch(images[chosen], draws).float(), draws)
            assert torch.equal(part, whole[chosen])
    torch.set_num_threads(before)


def test_another_epoch_or_seed_gives_another_image():
    image = noise(1)
    results = [
        FULL.batch(image.clone(), FULL.draws(seed, epoch, np.array([5]))) for seed, epoch in ((0, 0), (0, 1), (1, 0), (0, 0))
    ]
    assert not torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])
    assert torch.equal(results[0], results[3])


def test_half_of_the_images_are_mirrored():
    images = torch.arange(16, dtype=torch.uint8).view(1, 1, 4, 4).expand(20_000, 3, 4, 4).clone()
    augmentation = Augmentation()
    flipped = augmentation.batch(images, augmentation.draws(0, 0, np.arange(20_000)))
    mirrored = flipped[:, 0, 0, 0] == 3
    assert torch.equal(flipped[mirrored][0], flipped[~mirrored][0].flip(2))
    assert abs(mirrored.float().mean() - 0.5) < 0.018  # 5 standard errors


def test_padded_crops_are_crops_of_the_reflected_image_at_uniform_offsets():
    image = noise(1)
    padded = np.pad(image[0].numpy(), ((0, 0), (4, 4), (4, 4)), mode="reflect")
    crops = {padded[:, top : top + 32, left : left + 32].tobytes(): (top, left) for top in range(9) for left in range(9)}
    augmentation = Augmentation(pad=4, flip=False)
    shifted = augmentation.batch(image.expand(8100, 3, 32, 32).clone(), augmentation.draws(0, 0, np.arange(8100)))
    offsets = [crops[crop.numpy().tobytes()] for crop in shifted]
    counts = np.zeros((9, 9))
    np.add.at(counts, tuple(np.array(offsets).T), 1)
    assert ((counts - 100) ** 2 / 100).sum() < 140  # chi squared, 80 degrees of freedom: more once in 30,000 runs


def test_cutout_sets_a_square_to_the_mean():
    augmentation = Augmentation(flip=False, cutout=8)
    draws = augmentation.draws(0, 0, np.arange(10_000))
    erased = augmentation.erase(torch.ones(10_000, 1, 32, 32), draws)[:, 0] == 0
    heights, widths = erased.any(2).sum(1), erased.any(1).sum(1)
    assert torch.equal(erased.sum((1, 2)), heights * widths)  # one rectangle
    assert heights.min() == widths.min() == 4  # centred on the border: half of it is outside
    assert heights.max() == widths.max() == 8
    # Worked by hand: of the 32 centres, 25 keep all 8 rows, the others 4, 5, 6, 7 and 7, 6, 5.
    assert abs(heights.float().mean() - (25 * 8 + 4 + 2 * (5 + 6 + 7)) / 32) < 0.06
    centre = erased[:, 16, 16].float().mean()
    assert abs(centre - (8 / 32) ** 2) < 0.013


def test_colour_factors_follow_pillow():
    from PIL import ImageEnhance

    rows, columns = np.mgrid[0:64, 0:64]
    pixels = np.stack([rows + 60, columns * 2 + 40, 200 - rows - columns], axis=2).astype(np.uint8)
    images = torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None].expand(6, 3, 64, 64)
    for name, enhancer in (
        ("brightness", ImageEnhance.Brightness),
        ("contrast", ImageEnhance.Contrast),
        ("saturation", ImageEnhance.Color),
    ):
        augmentation = Augmentation(flip=False, **{name: 0.4})
        draws = augmentation.draws(0, 0, np.arange(6))
        factors = 0.6 + 0.8 * draws[:, {"brightness": 3, "contrast": 4, "saturation": 5}[name]]
        got = augmentation.batch(images.clone(), draws).numpy().transpose(0, 2, 3, 1).astype(int)
        for image, factor in zip(got, factors, strict=True):
            expected = np.asarray(enhancer(Image.fromarray(pixels)).enhance(factor)).astype(int)
            assert np.abs(image - expected).max() <= 3  # Pillow rounds the grey and the mean to whole numbers


def test_colour_off_leaves_pixels_alone():
    augmentation = Augmentation(flip=False)
    assert torch.equal(augmentation.batch(noise(3), augmentation.draws(0, 0, np.arange(3))), noise(3))


@pytest.mark.parametrize(("height", "width"), [(300, 400), (400, 300), (64, 64)])
@pytest.mark.parametrize("scale", [(0.35, 1.0), (0.08, 1.0)])
def test_resized_crops_keep_to_scale_ratio_and_image(height: int, width: int, scale: tuple[float, float]):
    augmentation = Augmentation.imagenet(scale=scale)
    boxes = np.array([augmentation.crop_box(height, width, row) for row in augmentation.draws(0, 0, np.arange(4000))])
    widths, heights = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    assert boxes[:, :2].min() >= 0
    assert boxes[:, 2].max() <= width
    assert boxes[:, 3].max() <= height
    areas, ratios = widths * heights / (height * width), widths / heights
    assert areas.min() > scale[0] * 0.95  # sides are whole pixels
    assert areas.min() < scale[0] + 0.02
    assert areas.max() > 0.85
    assert ratios.min() > 0.75 * 0.95
    assert ratios.max() < 4 / 3 * 1.05
    assert abs(np.log(ratios[areas < 0.5]).mean()) < 0.03  # wide and tall are as likely where both fit
    room = height - heights > 20
    assert abs((boxes[room, 1] / (height - heights[room])).mean() - 0.5) < 0.05


def test_an_image_too_long_for_any_crop_gives_its_middle():
    augmentation = Augmentation.imagenet()
    left, top, right, bottom = augmentation.crop_box(10, 1000, augmentation.draws(0, 0, np.array([0]))[0])
    assert (top, bottom, right - left) == (0, 10, 13)
    assert left == (1000 - 13) // 2


def test_a_file_and_its_pixels_give_the_same_crop():
    rows, columns = np.mgrid[0:480, 0:640]
    pixels = np.stack([rows // 2, columns // 3, (rows + columns) // 5], axis=2).astype(np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=95)
    augmentation = Augmentation.imagenet()
    for row in augmentation.draws(0, 0, np.arange(12)):
        # 96 pixels out of crops of 284 and more: decoded at a half or a quarter
        quick = augmentation.crop_encoded(file.getvalue(), "a", (96, 96), "bilinear", row).astype(int)
        assert np.abs(quick - augmentation.crop_pixels(pixels, (96, 96), "bilinear", row)).mean() < 1.5
    png = BytesIO()
    Image.fromarray(pixels).save(png, "PNG")
    whole = augmentation.crop_encoded(png.getvalue(), "a", (96, 96), "bilinear", row)
    assert (whole == augmentation.crop_pixels(pixels, (96, 96), "bilinear", row)).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale": (0.0, 1.0)}, "scale: must be two shares"),
        ({"scale": (0.5, 0.2)}, "scale: must be two shares"),
        ({"ratio": (2, 1)}, "ratio: must be two numbers"),
        ({"pad": -1}, "pad: must be 0 or more, found -1"),
        ({"brightness": 1.5}, "brightness: must be at most 1, found 1.5"),
    ],
)
def test_wrong_values_are_refused(change: dict, message: str):
    with pytest.raises(UsageError, match=message):
        Augmentation(**change)


def test_sides_of_a_crop_are_rounded_to_the_nearest_pixel():
    """60 % of 100 pixels as a square: sides of 7.75 pixels; 13 % of 400: of 7.21."""
    for share, side, expected in ((0.6, 10, 8), (0.13, 20, 7)):
        augmentation = Augmentation(scale=(share, share), ratio=(1.0, 1.0))
        left, top, right, bottom = augmentation.crop_box(side, side, augmentation.draws(0, 0, np.array([3]))[0])
        assert (right - left, bottom - top) == (expected, expected)


def test_a_crop_may_lie_anywhere():
    augmentation = Augmentation(scale=(0.25, 0.25), ratio=(1.0, 1.0))
    boxes = [augmentation.crop_box(4, 4, draws) for draws in augmentation.draws(0, 0, np.arange(200))]
    assert {(left, top) for left, top, _, _ in boxes} == {(left, top) for left in range(3) for top in range(3)}
    assert {(right - left, bottom - top) for left, top, right, bottom in boxes} == {(2, 2)}
