"""config.json of a saved network, which may come from anybody: its types and sizes are checked before anything is built."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from shufflekit.errors import WeightsError, one_line

_TUPLES = ("input_size", "mean", "std")
_MOST_CONFIG = 1 << 24  # bytes
_LARGEST = 1 << 24  # of channels, pixels and classes
_MOST_LAYERS = 10_000  # that lists among the options may add up to
# What reading a safetensors file or building a network of somebody's configuration can end in.
FOREIGN_ERRORS = (
    SafetensorError,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    MemoryError,
    AssertionError,
)


def read_config(path: Path) -> dict[str, Any]:
    """A saved network's `architecture`, `options` and `pretrained_cfg`, of the right types.

    Raises:
        WeightsError: it cannot be read, or is something else.
    """
    try:
        if path.stat().st_size > _MOST_CONFIG:
            raise ValueError(f"it has {path.stat().st_size} bytes, needed at most {_MOST_CONFIG}")
        config = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(config["architecture"], str):
            raise TypeError(f"architecture must be a name, found {brief(config['architecture'])}")
        config["options"] = _checked_options(config.get("options"))
        config["pretrained_cfg"] = _checked_cfg(config.get("pretrained_cfg"))
    except FOREIGN_ERRORS as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else one_line(error)
        raise WeightsError(f"{path}: not the configuration of a saved network: {reason}") from None
    return config


def _checked_options(options: Any) -> dict[str, Any]:
    """Options whose lists, of layers a stage, name no more layers than a network can have."""
    if not isinstance(options, dict | None):
        raise TypeError(f"options must be names and values, found {brief(options)}")
    for name, value in (options or {}).items():
        if isinstance(value, list | dict) and not sum(_numbers(value)) <= _MOST_LAYERS:
            raise ValueError(f"options: {brief(name)} must add up to at most {_MOST_LAYERS}, found {brief(value)}")
    return dict(options or {})


def _numbers(value: Any) -> list[float]:
    if isinstance(value, dict | list):
        return [number for one in (value.values() if isinstance(value, dict) else value) for number in _numbers(one)]
    return [abs(value)] if isinstance(value, int | float) else []


def _checked_cfg(cfg: Any) -> dict[str, Any] | None:
    """`pretrained_cfg` with the types that its readers expect; keys that nobody reads pass."""
    if not isinstance(cfg, dict | None):
        raise TypeError(f"pretrained_cfg must be names and values, found {brief(cfg)}")
    for name, (needed, right) in _CFG.items():
        value = (cfg or {}).get(name)
        if value is not None and not right(value):
            raise TypeError(f"pretrained_cfg: {name} must be {needed}, found {brief(value)}")
    return cfg and {key: tuple(value) if key in _TUPLES and value is not None else value for key, value in cfg.items()}


def _is_number(value: Any, least: float = -math.inf) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least < value < math.inf


def _is_count(value: Any, least: int = 0) -> bool:
    return type(value) is int and least <= value <= _LARGEST


def _are(value: Any, right: Callable[[Any], bool], length: int | None = None) -> bool:
    return isinstance(value, list) and length in (None, len(value)) and all(map(right, value))


_CFG: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "input_size": ("channels, height and width", lambda v: _are(v, lambda n: _is_count(n, 1), 3)),
    "mean": ("numbers", lambda v: _are(v, _is_number) and len(v) > 0),
    "std": ("numbers above 0", lambda v: _are(v, lambda n: _is_number(n, 0)) and len(v) > 0),
    "channel_order": ("rgb, bgr or grey", lambda v: v in ("rgb", "bgr", "grey")),
    "interpolation": ("a name", lambda v: isinstance(v, str)),
    "crop_pct": ("a number above 0", lambda v: _is_number(v, 0)),
    "num_classes": ("a whole number", _is_count),
    "classes": ("a name or names", lambda v: isinstance(v, str) or _are(v, lambda n: isinstance(n, str))),
    "top1_error": ("a number", _is_number),
    "detection": ("names and values", lambda v: isinstance(v, dict)),
}


def brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
