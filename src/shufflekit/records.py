"""Records that are kept as JSON: whatever is wrong with a file is one line."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from shufflekit.errors import InputError, one_line

Kind = TypeVar("Kind")

_MOST = 2**63  # no count of ours is larger
_LONGEST = 200  # letters of a reason: a number can have thousands of digits


def read_text(path: Path) -> str:
    """What is in a file.

    Raises:
        InputError: it cannot be read, or is no text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{path}: cannot be read: no text") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or one_line(error)}") from None


def parsed(text: str, name: str) -> Any:
    """JSON as plain data.

    Args:
        text: the JSON.
        name: what the caller calls it, for the message.

    Raises:
        InputError: it is none.

    Example:
        >>> parsed("", "profile")
        Traceback (most recent call last):
        shufflekit.errors.InputError: profile: no JSON (Expecting value: line 1 column 1 (char 0))
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name}: no JSON ({one_line(error)})") from None


def record(kind: type[Kind], found: Any, name: str) -> Kind:
    """Plain data as a dataclass, by the types of its fields; what else there is, is passed over.

    A dataclass may have a method `wrong` that says what its fields cannot be together, or None.

    Args:
        kind: a dataclass of texts, numbers, tuples, lists, mappings and dataclasses.
        found: what was parsed.
        name: what the caller calls it, for the message.

    Raises:
        InputError: a field is missing or of another type, or a number is infinite or none.

    Example:
        >>> from shufflekit.device import Rate
        >>> record(Rate, {"best": 2, "median": 1.5}, "rate")
        Rate(best=2.0, median=1.5)
        >>> record(Rate, {"best": 2, "median": "fast"}, "rate")
        Traceback (most recent call last):
        shufflekit.errors.InputError: rate: not readable (median: must be a number, found 'fast')
    """
    try:
        built: Kind = _built(kind, found, "")
    except _WrongError as error:
        raise InputError(f"{name}: not readable ({str(error)[:_LONGEST]})") from None
    return built


class _WrongError(Exception):
    """Where a value is, and what it must be."""


def _misfit(place: str, needed: str, found: Any) -> _WrongError:
    return _WrongError(f"{place or 'it'}: must be {needed}, found {_shown(found)}")


def _shown(found: Any) -> str:
    if isinstance(found, dict | list):
        return f"{'an object' if isinstance(found, dict) else 'a list'} of {len(found)}"
    return f"{str(found) if isinstance(found, float) else repr(found):.60}"


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


_PLAIN = {str: "a text", bool: "true or false", int: "a whole number", float: "a number", NoneType: "null"}


def _built(hint: Any, found: Any, place: str) -> Any:
    """`found` as the hint says."""
    origin, inside = get_origin(hint), get_args(hint)
    if hint is Any:
        return found
    if is_dataclass(hint):
        return _dataclass(hint, found, place)
    if origin is Literal:
        if found not in inside:
            raise _misfit(place, f"one of {', '.join(map(str, inside))}", found)
        return found
    if origin in (Union, UnionType):
        return _one_of(inside, found, place)
    if origin is tuple or origin is list:
        if not isinstance(found, list | tuple):
            raise _misfit(place, "a list", found)
        return origin(_built(inside[0], value, f"{place}[{number}]") for number, value in enumerate(found))
    if origin is dict or origin is Mapping:
        if not isinstance(found, dict):
            raise _misfit(place, "an object", found)
        return {key: _built(inside[1], value, f"{place}.{key:.40}") for key, value in found.items()}
    return _plain(hint, found, place)


def _plain(hint: Any, found: Any, place: str) -> Any:
    whole = isinstance(found, int) and not isinstance(found, bool) and abs(found) < _MOST
    if hint is float and (whole or (isinstance(found, float) and math.isfinite(found))):
        return float(found)
    if whole if hint is int else hint is not float and isinstance(found, hint):
        return found
    raise _misfit(place, _PLAIN[hint], found)


def _one_of(hints: tuple[Any, ...], found: Any, place: str) -> Any:
    """As the first hint that fits, whole numbers before others; what does not fit the last one is wrong."""
    ordered = sorted(hints, key=lambda hint: (hint is float, hint is not NoneType))
    for hint in ordered[:-1]:
        try:
            return _built(hint, found, place)
        except _WrongError:
            continue
    return _built(ordered[-1], found, place)


def _dataclass(kind: Any, found: Any, place: str) -> Any:
    if not isinstance(found, dict):
        raise _misfit(place, "an object", found)
    names = {field.name: f"{place}.{field.name}" if place else field.name for field in fields(kind)}
    if missing := [where for name, where in names.items() if name not in found]:
        raise _WrongError(f"{missing[0]}: is missing")
    built = kind(**{name: _built(_hints(kind)[name], found[name], where) for name, where in names.items()})
    if why := getattr(built, "wrong", lambda: None)():
        raise _WrongError(f"{place}: {why}" if place else why)
    return built
