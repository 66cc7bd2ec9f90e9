"""What --shape may say."""

from __future__ import annotations

import pytest

from shufflekit.cli._shapes import one_shape, shapes, word_of_shape
from shufflekit.errors import UsageError


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (None, None),
        (["1", "3", "8", "9"], (1, 3, 8, 9)),
        (["1x3x8x9"], (1, 3, 8, 9)),
        (["16"], (16,)),
        (["1x3x8x9,1x7"], [(1, 3, 8, 9), (1, 7)]),
        (["1x3", "1x7"], [(1, 3), (1, 7)]),
        (["a:1x3,b.c:0:1x7"], {"a": (1, 3), "b.c:0": (1, 7)}),
        (["a:1x3", "b:1x7"], {"a": (1, 3), "b": (1, 7)}),
        (["a:1x3"], {"a": (1, 3)}),
    ],
)
def test_shapes_of_one_input_and_of_several(words, found):
    assert shapes(words) == found


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["1x3x?x9"], "must be as in 1 3 224 224, or 1x3x224x224, or of several inputs .*, found 1x3x.x9"),
        (["photo.jpg"], "must be as in .*, found photo.jpg"),
        (["1", "3", "a.png"], "must be as in .*, found 1 3 a.png"),
        (["1x3,"], "must be as in .*, found 1x3,"),
        ([""], "must be as in"),
        (["0", "3"], r"must be \(N, C, H, W\) or the like, whole numbers of 1 or more, found \(0, 3\)"),
        (["a:1x-3"], "must be .*, whole numbers of 1 or more, found .1, -3."),
        (["a:1x3,1x7"], "a name for each input or for none, found a:1x3,1x7"),
        (["a:1x3,a:1x7"], "each name once, found a:1x3,a:1x7"),
    ],
)
def test_what_is_no_shape_is_refused(words, message):
    with pytest.raises(UsageError, match=f"shape: {message}"):
        shapes(words)


def test_one_input_has_no_name():
    assert one_shape(["1", "3"]) == (1, 3)
    for words in (["a:1x3"], ["1x3,1x7"]):
        with pytest.raises(UsageError, match="shape: must be of one input, without a name, found"):
            one_shape(words)


def test_one_word_is_a_whole_shape():
    assert word_of_shape("1x3x8x8") == (1, 3, 8, 8)
    assert word_of_shape(None) is None
    with pytest.raises(UsageError, match="shape: must be one word, as in 1x3x224x224, found 1"):
        word_of_shape("1")  # of 1 3 224 224, whose rest would be taken for photos
