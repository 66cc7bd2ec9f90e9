from __future__ import annotations

import numpy as np
import pytest

from shufflekit.data.preprocess import Preprocessing
from shufflekit.graph import BATCH, Builder, Graph, Node, interpret
from shufflekit.graph.ops.conv import Conv
from shufflekit.graph.ops.moves import Permute
from shufflekit.graph.photos import grids_of_photos, normalised, taking_photos


def network(channels: int, is_last: bool) -> Graph:
    """A padded convolution, whose residual and output the input is too."""
    builder = Builder()
    x = first = builder.input("x", (BATCH, 5, 4, channels) if is_last else (BATCH, channels, 5, 4))
    if is_last:
        x = builder.add(Node(Permute((0, 3, 1, 2)), "planes", "", (x,), "planes"))
    w = builder.constant("w", np.random.default_rng(0).standard_normal((channels, channels, 3, 3)))
    return builder.graph([builder.add(Node(Conv(padding=(1, 1, 1, 1)), "conv", "", (x, w), "y", residual=x)), first])


def prepared(order: str) -> Preprocessing:
    if order == "grey":
        return Preprocessing(mean=(0.4,), std=(0.2,), channel_order=order)
    return Preprocessing(mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4), channel_order=order)


@pytest.mark.parametrize("is_last", [False, True])
@pytest.mark.parametrize("photo_is_last", [False, True])
@pytest.mark.parametrize("order", ["rgb", "bgr", "grey"])
def test_bytes_give_what_prepared_photos_give(order: str, photo_is_last: bool, is_last: bool) -> None:
    prepare = prepared(order)
    channels = prepare.in_chans
    graph = network(channels, is_last)
    taking = taking_photos(graph, *prepare.affine(), prepare.channels(), photo_is_last, is_last)
    photos = np.random.default_rng(1).integers(0, 256, (2, channels, 5, 4), np.uint8)
    scale, shift = prepare.affine()
    x = photos[:, prepare.channels()] * scale[:, None, None] + shift[:, None, None]
    expected = interpret(graph, x.transpose(0, 2, 3, 1) if is_last else x)
    given = photos.transpose(0, 2, 3, 1) if photo_is_last else photos
    assert taking.values["x"].type == "uint8"
    assert (BATCH, *given.shape[1:]) == taking.values["x"].shape
    for found, right in zip(interpret(taking, given), expected, strict=True):
        np.testing.assert_array_equal(found, right)


def test_zero_must_be_a_byte_or_between_two() -> None:
    scale, inside, beyond = (np.array(each, np.float32) for each in ([0.1, 0.5, 0.1], [-25.5, -100, 0], [-26, 0, 0]))
    for shift, is_grid in ((inside, True), (beyond, False), (-inside, False)):
        graph = taking_photos(network(3, False), scale, shift, (0, 1, 2), True, False)
        assert [*normalised(graph)] == ["x.normalised"]
        assert [*grids_of_photos(graph)] == ["x.normalised"] * is_grid
    found, zero = grids_of_photos(taking_photos(network(3, False), scale, inside, (2, 1, 0), False, False))["x.normalised"]
    np.testing.assert_array_equal(found, scale)
    np.testing.assert_allclose(zero, [255, 200, 0])
    assert normalised(network(3, False)) == {}
