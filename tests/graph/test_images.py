"""The place of the images is followed through reshapes and permutations, or refused."""

from __future__ import annotations

import pytest
import torch

from shufflekit.graph.images import Images
from shufflekit.graph.operator import BATCH, RefusedError

ONE = Images((1, 8, 6, 5), 0)


def numbered(batch: int) -> torch.Tensor:
    """Elements that say which image they are of (thousands), and which of its own they are."""
    return (torch.arange(batch)[:, None] * 1000 + torch.arange(8 * 6 * 5)).reshape(batch, 8, 6, 5)


def test_what_is_stored_of_each_image_is_what_the_tensor_has_of_it() -> None:
    """The authors' shuffle, step by step: the tensor of N images against the stored ones of each."""
    n = 3
    tensor, stored, place = numbered(n), numbered(n), ONE
    for step in (
        ("reshape", (n * 4, 2, 30), (4, 2, 30), 0),
        ("permute", (1, 0, 2)),
        ("reshape", (2, n, 4, 6, 5), (2, 1, 4, 6, 5), 1),
    ):
        if step[0] == "reshape":
            tensor, place = tensor.reshape(step[1]), place.reshaped(*step[2:])
            stored = stored.reshape(n, *place.stored[1:])
        else:
            tensor, stored = tensor.permute(step[1]), stored.permute(place.stored_order(step[1]))
            place = place.permuted(step[1])
        assert place.stored == (BATCH, *stored.shape[1:])
        for image in range(n):
            digits = tensor.unflatten(place.axis, (place.outer, n, place.inner)).select(place.axis + 1, image)
            assert digits.flatten().tolist() == stored[image].flatten().tolist()
    assert (place.axis, place.is_first) == (1, False)


@pytest.mark.parametrize(
    ("sizes", "axis"),
    [((2, 120), 1), ((8, 30), 0), ((4, 8, 1, 15), 2)],
    ids=["a literal in front of the batch", "seven images in eight", "behind what each image has"],
)
def test_a_reshape_that_mixes_images_is_refused(sizes: tuple[int, ...], axis: int) -> None:
    place = Images((1, 240), 0) if axis else Images((7, 30), 0, 7)
    with pytest.raises(RefusedError, match="the images of the batch do not stay apart"):
        place.reshaped(sizes, axis)


def test_the_dimension_that_counts_images_is_not_cut() -> None:
    assert [Images((2, 1, 4), 1).stored_dim(dim) for dim in (0, 2)] == [1, 2]
    assert [Images((2, 3, 4), 1, 3).stored_dim(dim) for dim in (0, 2)] == [1, 3]
    with pytest.raises(RefusedError, match="dimension 1 counts the images"):
        Images((2, 1, 4), 1).stored_dim(1)


def test_dimensions_come_and_go_around_the_images() -> None:
    assert ONE.unsqueezed(0) == Images((1, 1, 8, 6, 5), 1)
    assert ONE.unsqueezed(0).squeezed(0) == ONE
    assert ONE.unsqueezed(2).squeezed(2) == ONE
    assert str(Images((4, 2, 30), 0)) == "(4N, 2, 30)"
