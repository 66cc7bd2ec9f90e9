from __future__ import annotations

import numpy as np
import pytest

from shufflekit.cli._annotate import Tile, draw_sheet

RED = np.zeros((60, 80, 3), np.uint8) + np.array([200, 10, 10], np.uint8)
GREEN_TEXT, RED_TEXT = (0x7D, 0xDC, 0x8B), (0xFF, 0x8A, 0x80)


def has_colour(sheet, colour) -> bool:
    return bool((np.asarray(sheet) == np.array(colour, np.uint8)).all(axis=2).any())


def test_photo_fills_its_tile_and_text_stands_below():
    sheet = draw_sheet([Tile(RED, "cat 90 %", "truth: cat", True)], ["title"])
    assert sheet.size == (480 + 2 * 16, 52 + 360 + 92 + 2 * 16)
    pixels = np.asarray(sheet)
    assert (pixels[52 + 16 : 52 + 16 + 360, 16 : 16 + 480] == RED[0, 0]).all()
    caption = pixels[52 + 16 + 360 : 52 + 16 + 360 + 92, 16 : 16 + 480]
    assert (caption == GREEN_TEXT).all(axis=2).any()


@pytest.mark.parametrize(("right", "green", "red"), [(True, True, False), (False, False, True), (None, False, False)])
def test_colour_says_whether_it_is_right(right, green, red):
    sheet = draw_sheet([Tile(RED, "cat", "", right)], ["title"])
    assert (has_colour(sheet, GREEN_TEXT), has_colour(sheet, RED_TEXT)) == (green, red)


@pytest.mark.parametrize(("count", "columns", "rows"), [(1, 1, 1), (2, 2, 1), (3, 2, 2), (5, 3, 2), (9, 3, 3)])
def test_sheet_is_near_to_square(count, columns, rows):
    sheet = draw_sheet([Tile(RED, "", "")] * count, ["title", "more"])
    assert sheet.size == (columns * 496 + 16, rows * 468 + 16 + 78)


def test_input_is_shown_enlarged_in_the_corner():
    seen = np.zeros((32, 32, 3), np.uint8) + np.array([1, 2, 3], np.uint8)
    sheet = draw_sheet([Tile(RED, "", "", None, seen)], ["title"])
    assert (np.asarray(sheet) == seen[0, 0]).all(axis=2).sum() == 112 * 112


@pytest.mark.parametrize("shape", [(1, 5000), (5000, 1), (1, 1)])
def test_any_shape_and_any_length_of_text(shape):
    photo = np.full((*shape, 3), 255, np.uint8)
    draw_sheet([Tile(photo, "word " * 200, "x" * 1000, None, photo[:32, :32])], ["t" * 1000, ""])
