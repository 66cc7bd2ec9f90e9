"""Plain values to TOML; Python reads the format and does not write it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def to_toml(values: Mapping[str, Any], table: str = "") -> str:
    """Numbers, strings, booleans, lists of them, and tables; None is left out, as TOML has no such value.

    Example:
        >>> print(to_toml({"epochs": 3, "augmentation": {"flip": True, "scale": None}}), end="")
        epochs = 3
        <BLANKLINE>
        [augmentation]
        flip = true
    """
    lines = [
        f"{name} = {_value(value)}\n" for name, value in values.items() if not isinstance(value, Mapping) and value is not None
    ]
    tables = {f"{table}{name}": value for name, value in values.items() if isinstance(value, Mapping)}
    return "".join(lines) + "".join(f"\n[{name}]\n{to_toml(value, f'{name}.')}" for name, value in tables.items())


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(item) for item in value)}]"
    assert isinstance(value, str | bool | int | float)
    return json.dumps(value)  # JSON's spelling of these is TOML's too
