"""The one place that checks the shapes of inputs."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

from shufflekit.errors import UsageError

Shapes = Sequence[int] | Sequence[Sequence[int]] | Mapping[str, Sequence[int]]  # of one input, of each in order, by name
MOST_DIMENSIONS = 5  # of an input, its batch among them
PHOTO_CHANNELS = (1, 3)


def sizes(shape: Sequence[Any], name: str = "input_shape") -> tuple[int, ...]:
    """A shape of any rank as whole numbers of 1 or more.

    Args:
        shape: one size or more.
        name: what the caller calls it, for the message.

    Raises:
        UsageError: it is none, is empty, or has a size that is no whole number, or less than 1.

    Example:
        >>> sizes([1, 8, 50])
        (1, 8, 50)
        >>> sizes((1, -8))
        Traceback (most recent call last):
        shufflekit.errors.UsageError: input_shape: must be (N, C, H, W) or the like, whole numbers of 1 or more, found (1, -8)
    """
    found = _whole_numbers(shape)
    if not found or min(found) < 1:
        raise UsageError(f"{name}: must be (N, C, H, W) or the like, whole numbers of 1 or more, found {_shown(shape)}")
    return found


def image_shape(shape: Sequence[Any], name: str = "input_shape") -> tuple[int, int, int, int]:
    """A shape as four whole numbers of 1 or more.

    Args:
        shape: (N, C, H, W).
        name: what the caller calls it, for the message.

    Raises:
        UsageError: it has another length, or a size that is no whole number, or less than 1.

    Example:
        >>> image_shape([1, 3, 224, 224])
        (1, 3, 224, 224)
        >>> image_shape((1, 3, 0, 32.5))
        Traceback (most recent call last):
        shufflekit.errors.UsageError: input_shape: must be (N, C, H, W), whole numbers of 1 or more, found (1, 3, 0, 32.5)
    """
    found = _whole_numbers(shape)
    if len(found) != 4 or min(found) < 1:
        raise UsageError(f"{name}: must be (N, C, H, W), whole numbers of 1 or more, found {_shown(shape)}")
    n, c, h, w = found
    return n, c, h, w


def is_channels_last(shape: Sequence[int]) -> bool:
    """Whether an image is (H, W, C), as in files that came from TensorFlow; one that could be both is (C, H, W).

    Example:
        >>> is_channels_last((224, 224, 3)), is_channels_last((3, 224, 224)), is_channels_last((3, 3, 3))
        (True, False, False)
    """
    return len(shape) == 3 and shape[0] not in PHOTO_CHANNELS and shape[-1] in PHOTO_CHANNELS


def shapes_of(shapes: Shapes, names: Sequence[str], name: str = "input_shape") -> dict[str, tuple[int, ...]]:
    """The shapes of a network's inputs by name; given by name, some may be left out.

    Args:
        shapes: (N, C, H, W) or the like where there is one input; else one for each, in order or by name.
        names: of the inputs, in order.
        name: what the caller calls the shapes, for the message.

    Raises:
        UsageError: one is no shape of 1 to 5 dimensions, they are more or fewer than the inputs, or of others.

    Example:
        >>> shapes_of([(1, 3, 8, 8), (1, 7)], ["image", "sizes"])
        {'image': (1, 3, 8, 8), 'sizes': (1, 7)}
        >>> shapes_of({"size": (1, 7)}, ["image", "sizes"])
        Traceback (most recent call last):
        shufflekit.errors.UsageError: input_shape: must be of the inputs image, sizes, found size
    """
    if isinstance(shapes, Mapping):
        if unknown := [each for each in shapes if each not in names]:
            raise UsageError(f"{name}: must be of the inputs {', '.join(names)}, found {', '.join(map(str, unknown))}")
        return {each: _input_shape(shape, f"{name} of {each}") for each, shape in shapes.items()}
    given: Sequence[Any] = shapes if are_several(shapes) else [shapes]
    found = [_input_shape(shape, name) for shape in given]
    if len(found) != len(names):
        raise UsageError(f"{name}: must be one for each of the inputs {', '.join(names)}, found {len(found)}")
    return dict(zip(names, found))


def are_several(shapes: Shapes) -> bool:
    """Whether they are of several inputs in order.

    Example:
        >>> are_several((1, 3, 8, 8)), are_several([(1, 3), (1, 4)])
        (False, True)
    """
    return isinstance(shapes, Sequence) and bool(shapes) and all(_is_shape(each) for each in shapes)


def shapes_in_order(shapes: Shapes) -> list[Sequence[int]]:
    """Those of one input or of several, whatever they are called.

    Example:
        >>> shapes_in_order((1, 3)), shapes_in_order({"a": (1, 3), "b": (1, 4)})
        ([(1, 3)], [(1, 3), (1, 4)])
    """
    given: Any = shapes
    if isinstance(shapes, Mapping):
        return list(shapes.values())
    return list(given) if are_several(shapes) else [given] if given else []


def _input_shape(shape: Sequence[Any], name: str) -> tuple[int, ...]:
    found = sizes(shape, name)
    if len(found) > MOST_DIMENSIONS:
        raise UsageError(f"{name}: must have 1 to {MOST_DIMENSIONS} dimensions, found {_shown(shape)}")
    return found


def _is_shape(found: Any) -> bool:
    return isinstance(found, Sequence) and not isinstance(found, str)


def _whole_numbers(shape: Sequence[Any]) -> tuple[int, ...]:
    """The sizes, or none where one is no whole number."""
    try:
        return () if any(isinstance(size, bool) for size in shape) else tuple(operator.index(size) for size in shape)
    except TypeError:
        return ()


def _shown(shape: Any) -> str:
    return f"({', '.join(map(str, shape))})" if _is_shape(shape) else repr(shape)
