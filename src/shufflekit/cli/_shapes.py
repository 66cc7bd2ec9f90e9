"""`--shape`: of one input or of several."""

from __future__ import annotations

from collections.abc import Sequence

from shufflekit.errors import UsageError
from shufflekit.shapes import Shapes, sizes

_NEEDED = "must be as in 1 3 224 224, or 1x3x224x224, or of several inputs image:1x3x224x224,mask:1x1x224x224"


def shapes(given: Sequence[str] | None) -> Shapes | None:
    """What `--shape` says.

    Args:
        given: its words; None without it.

    Raises:
        UsageError: they are no shapes, or some have a name and others none.

    Example:
        >>> shapes(["1", "3", "8", "8"]), shapes(["1x3x8x8"])
        ((1, 3, 8, 8), (1, 3, 8, 8))
        >>> shapes(["image:1x3x8x8,mask:1x8"])
        {'image': (1, 3, 8, 8), 'mask': (1, 8)}
    """
    if given is None:
        return None
    words = "x".join(given) if all("x" not in each and ":" not in each for each in given) else ",".join(given)
    parts = [part.rpartition(":") for part in words.split(",")]
    found = [(name, _sizes(text, given)) for name, _, text in parts]
    named = dict(found)
    if "" not in named:
        if len(named) < len(found):
            raise UsageError(f"shape: each name once, found {' '.join(given)}")
        return named
    if set(named) != {""}:
        raise UsageError(f"shape: a name for each input or for none, found {' '.join(given)}")
    return found[0][1] if len(found) == 1 else [shape for _, shape in found]


def one_shape(given: Sequence[str] | None) -> tuple[int, ...] | None:
    """The same where one input is taken.

    Raises:
        UsageError: it is of several, or no shape.
    """
    found = shapes(given)
    if found is None or isinstance(found, tuple):
        return found
    raise UsageError(f"shape: must be of one input, without a name, found {' '.join(given or ())}")


def word_of_shape(given: str | None) -> tuple[int, ...] | None:
    """The same of a single word, where what comes behind it may be something else.

    Raises:
        UsageError: it is no shape, or one of several words.
    """
    if given is not None and "x" not in given:
        raise UsageError(f"shape: must be one word, as in 1x3x224x224, found {given}")
    return one_shape(None if given is None else [given])


def _sizes(text: str, given: Sequence[str]) -> tuple[int, ...]:
    try:
        found = [int(size) for size in text.split("x")]
    except ValueError:
        raise UsageError(f"shape: {_NEEDED}, found {' '.join(given)}") from None
    return sizes(found, "shape")
