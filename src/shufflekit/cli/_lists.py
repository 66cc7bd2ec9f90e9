"""Options that take several values with commas between them, as in `--threads 1,2`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from shufflekit.errors import UsageError


def words(option: str, text: str, known: Sequence[str]) -> list[str]:
    """The words of a list, each once.

    Raises:
        UsageError: none, or one that is not known.

    Example:
        >>> words("format", "ncnn,onnx", ["onnx", "ncnn"])
        ['ncnn', 'onnx']
    """
    found = list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    wrong = [word for word in found if word not in known]
    if wrong or not found:
        raise UsageError(f"{option}: must be one or more of {','.join(known)}, found {wrong[0] if wrong else text!r}")
    return found


def numbers(option: str, text: str) -> list[int]:
    """The numbers of a list, each 1 or more.

    Raises:
        UsageError: none, or something else.
    """
    if not re.fullmatch(r"[1-9]\d*(,[1-9]\d*)*", text):
        raise UsageError(f"{option}: must be numbers of 1 or more with commas between, found {text!r}")
    return [int(number) for number in text.split(",")]


def sizes(option: str, text: str) -> list[tuple[int, int]]:
    """The sizes of a list, height x width.

    Raises:
        UsageError: none, or something else.

    Example:
        >>> sizes("size", "224x224,480x640")
        [(224, 224), (480, 640)]
    """
    found = [re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", part) for part in text.split(",")]
    if not all(found):
        raise UsageError(f"{option}: must be height x width, as in 224x224,480x640, found {text!r}")
    return [(int(match[1]), int(match[2])) for match in found if match]
