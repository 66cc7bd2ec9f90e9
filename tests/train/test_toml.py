from __future__ import annotations

import tomllib
from dataclasses import asdict

import pytest

from shufflekit.train.recipe import RECIPES
from shufflekit.train.toml import to_toml


def _plain(value: object) -> object:
    """As TOML gives it back: lists for tuples, and no None."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_come_back(name: str) -> None:
    values = asdict(RECIPES[name])
    assert tomllib.loads(to_toml(values)) == _plain(values)


def test_awkward_values_come_back() -> None:
    values = {"text": 'a "quoted" \\ line\n', "small": 4e-05, "table": {"inner": {"flag": False}, "list": [1, 2]}}
    assert tomllib.loads(to_toml(values)) == values
