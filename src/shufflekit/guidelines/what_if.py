"""A network with other numbers in its constructor, beside itself as it is."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from shufflekit.cost import count
from shufflekit.errors import UsageError, one_line
from shufflekit.models import model_entry
from shufflekit.modes import evaluation, torch_threads
from shufflekit.profiling import measure_in_turn
from shufflekit.profiling.profile import random_input


@dataclass(frozen=True)
class Trial:
    """A network as it is and with other numbers, timed in turn."""

    before_ms: float
    after_ms: float
    before_flops: int
    after_flops: int

    def __str__(self) -> str:
        each = (self.after_ms / self.after_flops) / (self.before_ms / self.before_flops) - 1
        return (
            f"{self.before_ms:.2f} to {self.after_ms:.2f} ms (measured), {self.before_flops / 1e6:.1f} to "
            f"{self.after_flops / 1e6:.1f} M multiply-adds: {each:+.0%} time for a multiply-add"
        )


def measure_change(before: nn.Module, after: nn.Module, shape: Sequence[int], threads: int) -> Trial:
    """Times both in PyTorch, in turn."""
    x = random_input(before, tuple(shape))
    flops = [count(network, shape).flops for network in (before, after)]
    with evaluation(before, after), torch_threads(threads), torch.inference_mode():
        times = measure_in_turn([partial(network, x) for network in (before, after)])
    return Trial(times[0].median_ms, times[1].median_ms, *flops)


def rebuilt(name: str, changes: Sequence[str]) -> nn.Module:
    """A registered network with other numbers in its constructor.

    Raises:
        UsageError: no registered network, or not one of its numbers.
    """
    constructor = model_entry(name).constructor
    given: dict[str, Any] = {}
    while isinstance(constructor, partial):
        bound = inspect.signature(constructor.func).bind_partial(*constructor.args, **constructor.keywords)
        given = {**bound.arguments, **given}
        constructor = constructor.func
    parameters = inspect.signature(constructor).parameters
    numbers = {option: given.get(option, parameter.default) for option, parameter in parameters.items()}
    numbers = {option: value for option, value in numbers.items() if _is_number(value) or isinstance(value, tuple)}
    for change in changes:
        option, _, text = change.partition("=")
        parts = text.split(",")
        if option not in numbers or not all(re.fullmatch(r"\s*\d{1,9}\s*", part) for part in parts):
            raise UsageError(f"what_if: must be OPTION=NUMBER[,NUMBER...] of {', '.join(numbers)}, found {change!r}")
        values = tuple(map(int, parts))
        given[option] = values if isinstance(numbers[option], tuple) else values[0]
    try:
        return constructor(**given)
    except (ArithmeticError, IndexError, RuntimeError, TypeError, ValueError) as error:
        raise UsageError(f"what_if: {name} cannot be built with {', '.join(changes)}: {one_line(error)}") from None


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
