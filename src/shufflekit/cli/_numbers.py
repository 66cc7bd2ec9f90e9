"""Numbers on the command line, of every verb: whole where they must be, and never rounded."""

from __future__ import annotations

import math
from typing import Any, get_args

from cyclopts import App
from cyclopts.argument import ArgumentCollection

from shufflekit.errors import UsageError


def check_numbers(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:  # noqa: ARG001
    """Refuses 32.5 where a whole number is needed, which cyclopts would round, and a number that is none.

    Raises:
        UsageError: with the option's name and what was found.
    """
    for argument in arguments:
        kinds = _kinds(argument.hint)
        if not kinds & {int, float}:
            continue
        for token in argument.tokens:
            found = _number(token.value)
            name = argument.name.lstrip("-").replace("-", "_")
            if float not in kinds and found is not None and not found.is_integer():
                raise UsageError(f"{name}: must be a whole number, found {token.value}")
            if found is not None and math.isnan(found):
                raise UsageError(f"{name}: must be a number, found {token.value}")


def _kinds(hint: Any) -> set[Any]:
    """The plain types in a hint, those of a Literal's values too."""
    inside = get_args(hint)
    if not inside:
        return {hint if isinstance(hint, type) else type(hint)}
    return set().union(*map(_kinds, inside))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
