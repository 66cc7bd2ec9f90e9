"""Draws boxes on a photo, with labels that can be read on any ground and do not hide each other."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from shufflekit.detect.photo_detector import Detection

_GOLDEN = 0.618034  # of the circle of hues: neighbours in the list of classes get colours far apart
_LEAST_FONT = 13

Rectangle = tuple[float, float, float, float]


def draw_boxes(photo: NDArray[np.uint8], detections: Sequence[Detection]) -> Image.Image:
    """The photo with a box and a label for each object, in the colour of its class.

    Args:
        photo: (H, W, 3) uint8 RGB.
        detections: best first; the best is drawn last, on top.

    Example:
        >>> found = Detection("cat", 15, 17, 0.9, (10.0, 20.0, 60.0, 70.0))
        >>> draw_boxes(np.zeros((100, 120, 3), np.uint8), [found]).getpixel((10, 45)) == class_colour(15)
        True
    """
    picture = Image.fromarray(photo)
    draw = ImageDraw.Draw(picture)
    side = min(picture.size)
    line = max(2, round(side / 160))
    font = ImageFont.load_default(max(_LEAST_FONT, round(side / 26)))
    for one in reversed(detections):
        left, top, right, bottom = one.box
        draw.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=class_colour(one.index), width=line)
    taken: list[Rectangle] = []
    for one in detections:  # the best choose their place first
        text = f"{one.label} {100 * one.score:.0f} %"
        ground = _place(one.box, _size(font, text), picture.size, taken)
        taken.append(ground)
        colour = class_colour(one.index)
        draw.rectangle(ground, fill=colour)
        draw.text((ground[0] + 3, ground[1] + 1), text, _ink(colour), font)
    return picture


def class_colour(index: int) -> tuple[int, int, int]:
    """A bright colour for a class, always the same."""
    hue = index * _GOLDEN % 1
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.75 if index % 2 else 0.95, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


def _ink(colour: tuple[int, int, int]) -> str:
    """Black on light colours, white on dark ones."""
    return "black" if 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 120 else "white"


def _size(font: ImageFont.FreeTypeFont | ImageFont.ImageFont, text: str) -> tuple[float, float]:
    _, _, right, bottom = font.getbbox(text)
    return right + 6, bottom + 4


def _place(box: Rectangle, size: tuple[float, float], picture: tuple[int, int], taken: Sequence[Rectangle]) -> Rectangle:
    """Above the box, else in its upper corner, below it, or further down inside: the first place that is free."""
    (left, top, _, bottom), (width, height) = box, size
    x = max(0.0, min(left, picture[0] - width))
    heights = [top - height, top, bottom, *np.arange(top + height, bottom - height, height).tolist()]
    places = [(x, y, x + width, y + height) for y in heights if 0 <= y <= picture[1] - height]
    free = [place for place in places if not any(_overlap(place, other) for other in taken)]
    y = max(0.0, min(top, picture[1] - height))
    return (free or places or [(x, y, x + width, y + height)])[0]


def _overlap(a: Rectangle, b: Rectangle) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
