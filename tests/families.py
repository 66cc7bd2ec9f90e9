"""Which networks are tested always: the smallest of each family; the rest with the slow ones."""

from __future__ import annotations

import re

import pytest

from shufflekit.models import list_models

_SIZES = {"small": 0.0, "medium": 1.0, "large": 2.0}


def family_and_size(name: str) -> tuple[str, float]:
    """`mobilenet_v1_x0_25` -> (`mobilenet_v1`, 0.25), `vgg_like_140m` -> (`vgg_like`, 140)."""
    match = re.search(r"_(x\d+_\d+|\d+m?|small|medium|large)(_star)?$", name)
    if match is None:
        return name, 0.0
    size = match.group(1)
    number = _SIZES[size] if size in _SIZES else float(size.strip("xm").replace("_", "."))
    return name[: match.start()] + (match.group(2) or ""), number


def smallest_first() -> list[object]:
    smallest: dict[str, str] = {}
    for name in sorted(list_models(), key=lambda name: family_and_size(name)[1]):
        smallest.setdefault(family_and_size(name)[0], name)
    return [name if name in smallest.values() else pytest.param(name, marks=pytest.mark.slow) for name in list_models()]
