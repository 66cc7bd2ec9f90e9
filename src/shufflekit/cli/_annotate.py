"""Draws what a network said under each photo, and lays several photos out on one sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

_TILE = (480, 360)  # of the photo, pixels
_CAPTION = 92
_MARGIN = 16
_INSET = 112
_PAPER, _TILE_PAPER, _INK, _FAINT = "#16181d", "#23262e", "#f4f5f7", "#a9afbb"
_VERDICTS = {True: "#7ddc8b", False: "#ff8a80", None: _INK}


@dataclass(frozen=True)
class Tile:
    """One photo on a sheet.

    Args:
        photo: (H, W, 3) uint8 RGB.
        prediction: the large line below it.
        detail: the small line below that.
        right: whether the prediction is; None where nobody said.
        seen: what the network was given where that is small, (h, w, 3) uint8 RGB; shown in a corner, enlarged.
    """

    photo: NDArray[np.uint8]
    prediction: str
    detail: str
    right: bool | None = None
    seen: NDArray[np.uint8] | None = None


def draw_sheet(tiles: Sequence[Tile], header: Sequence[str]) -> Image.Image:
    """A sheet of all tiles, near to square, with lines of text above, the first of them large.

    Example:
        >>> photo = np.zeros((30, 40, 3), np.uint8)
        >>> draw_sheet([Tile(photo, "cat", "truth: cat", True)] * 3, ["a network", "its costs"]).size
        (1008, 1030)
    """
    columns = math.ceil(math.sqrt(len(tiles)))
    rows = math.ceil(len(tiles) / columns)
    step = (_TILE[0] + _MARGIN, _TILE[1] + _CAPTION + _MARGIN)
    top = 52 + 26 * (len(header) - 1)
    sheet = Image.new("RGB", (columns * step[0] + _MARGIN, rows * step[1] + _MARGIN + top), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, line in enumerate(header):
        at, size, colour = (_MARGIN, _MARGIN + (number and 12 + 26 * number)), 17 if number else 26, _FAINT if number else _INK
        _write(draw, at, line, size, colour, sheet.width - 2 * _MARGIN)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        sheet.paste(_draw_tile(tile), (_MARGIN + column * step[0], top + _MARGIN + row * step[1]))
    return sheet


def _draw_tile(tile: Tile) -> Image.Image:
    picture = Image.new("RGB", (_TILE[0], _TILE[1] + _CAPTION), _TILE_PAPER)
    photo = Image.fromarray(tile.photo)
    scale = min(_TILE[0] / photo.width, _TILE[1] / photo.height)
    size = max(1, round(photo.width * scale)), max(1, round(photo.height * scale))
    photo = photo.resize(size, Image.Resampling.LANCZOS)
    left, top = (_TILE[0] - size[0]) // 2, (_TILE[1] - size[1]) // 2
    picture.paste(photo, (left, top))
    draw = ImageDraw.Draw(picture)
    if tile.seen is not None:
        _draw_inset(picture, draw, tile.seen, _TILE[0] - 10, top + size[1] - 10)
    width = _TILE[0] - 2 * _MARGIN
    _write(draw, (_MARGIN, _TILE[1] + 12), tile.prediction, 30, _VERDICTS[tile.right], width)
    _write(draw, (_MARGIN, _TILE[1] + 56), tile.detail, 18, _FAINT, width)
    return picture


def _draw_inset(picture: Image.Image, draw: ImageDraw.ImageDraw, seen: NDArray[np.uint8], right: int, bottom: int) -> None:
    """The network's input with its lower right corner at (right, bottom), on a label that gives its size."""
    bottom = max(bottom, _INSET + 30)
    left, top = right - _INSET, bottom - _INSET
    draw.rectangle((left - 2, top - 22, right + 1, bottom + 1), fill=_INK)
    picture.paste(Image.fromarray(seen).resize((_INSET, _INSET), Image.Resampling.NEAREST), (left, top))
    _write(draw, (left + 3, top - 19), f"input {seen.shape[1]}x{seen.shape[0]}", 14, _PAPER, _INSET)


def _write(draw: ImageDraw.ImageDraw, at: tuple[int, int], text: str, size: int, colour: str, width: int) -> None:
    """Writes one line, smaller where it would not fit, and cut where it would be too small to read."""
    font = ImageFont.load_default(size)
    while size > 14 and font.getlength(text) > width:
        size -= 1
        font = ImageFont.load_default(size)
    while len(text) > 1 and font.getlength(text) > width:
        text = text[:-2].rstrip() + "…"
    draw.text(at, text, colour, font)
