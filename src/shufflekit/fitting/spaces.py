"""The networks of a kind: numbers that may change, and the graph that comes of them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
from torch import nn

from shufflekit.compiling import capture
from shufflekit.graph import Graph
from shufflekit.graph.edits.widths import Widths
from shufflekit.models import build_model, list_models, model_entry
from shufflekit.models.mobilenet_v2 import MobileNetV2
from shufflekit.models.shufflenet_v1 import ShuffleNetV1
from shufflekit.models.shufflenet_v2 import ShuffleNetV2

_STEP = 16  # of widths: a vector of the widest instruction sets
_EXPANSIONS = "expansions"  # of `stages`, where there is any
_WHOLE = 16  # the factor 1 of a graph's widths


@dataclass(frozen=True)
class Dial:
    """A number that may change.

    Args:
        name: as the table has it.
        value: of the network as it is.
        step: what it must be a multiple of; the number as it is may be none.
        is_width: it is, and no depth.
    """

    name: str
    value: int
    step: int
    is_width: bool

    @property
    def is_factor(self) -> bool:
        """It is that of another width."""
        return self.name.startswith(_EXPANSIONS)

    def moved(self, value: int, steps: int) -> int:
        """So many steps away, within a half and four times of what it was."""
        low, high = max(1, self.value // 2), 4 * self.value
        near = round(value / self.step) * self.step
        return min(max(near + steps * self.step, math.ceil(low / self.step) * self.step), high)


class Space(Protocol):
    """All networks of a kind."""

    dials: tuple[Dial, ...]

    def graph(self, values: Sequence[int]) -> Graph:
        """Raises a UsageError where there is no such network."""

    def call(self, values: Sequence[int]) -> tuple[str, str, dict[str, Any]]:
        """How it is built, as code, and its architecture and options."""

    def published(self) -> Mapping[str, tuple[tuple[int, ...], Callable[[], Graph]]]:
        """Others of its kind, as they were published: their values, and what captures them."""


class Constructed:
    """Networks of the registry with other numbers in their constructor.

    A network is captured once for each of its depths, which takes seconds; widths are then changed in the graph.
    """

    def __init__(self, model: nn.Module, shape: tuple[int, ...], captured: Graph) -> None:
        self.architecture, self.options, self.shape = str(model.architecture), dict(model.options), shape  # type: ignore[arg-type]
        self.kind = type(model)
        self.numbers = _numbers(self.architecture) | self.options
        self.dials = tuple(_dials(self.kind, self.numbers))
        self._of_depths = {self._depths([dial.value for dial in self.dials]): Widths(captured)}

    def _depths(self, values: Sequence[int]) -> tuple[int, ...]:
        return tuple(value for dial, value in zip(self.dials, values, strict=True) if not dial.is_width)

    def graph(self, values: Sequence[int]) -> Graph:
        with torch.device("meta"):
            blank = build_model(self.architecture, **self.options | self.changed(values))
        depths = self._depths(values)
        if depths not in self._of_depths:
            as_wide = [dial.value if dial.is_width else value for dial, value in zip(self.dials, values, strict=True)]
            made = build_model(self.architecture, **self.options | self.changed(as_wide)).eval()
            self._of_depths[depths] = Widths(capture(made, self.shape))
        widths, changes = self._of_depths[depths], {}
        writers = {writer for group in widths.groups for writer in group.writers}
        for node in widths.graph.nodes:
            if node.output in writers and isinstance(module := blank.get_submodule(node.module), nn.Conv2d):
                changes[node.output] = module.out_channels
        return widths.changed(changes)

    def call(self, values: Sequence[int]) -> tuple[str, str, dict[str, Any]]:
        options = self.options | self.changed(values)
        arguments = "".join(f", {name}={value!r}" for name, value in options.items())
        return f'build_model("{self.architecture}"{arguments})', self.architecture, options

    def changed(self, values: Sequence[int]) -> dict[str, Any]:
        """The options that such values are."""
        given = iter(values)
        found: dict[str, Any] = {}
        for option, _, _ in _KINDS[self.kind]:
            now = self.numbers["stages" if option == _EXPANSIONS else option]
            if option == "stages":
                found[option] = tuple((each[0], next(given), each[2]) for each in now)
            elif option == _EXPANSIONS:
                stages = found["stages"]
                found["stages"] = tuple((next(given) if each[0] > 1 else 1, *each[1:]) for each in stages)
            else:
                found[option] = tuple(next(given) for _ in now) if isinstance(now, tuple | list) else next(given)
        return found

    def published(self) -> Mapping[str, tuple[tuple[int, ...], Callable[[], Graph]]]:
        may_differ, found = {"stem_channels", *(option for option, _, _ in _KINDS[self.kind])}, {}
        options = {key: value for key, value in self.options.items() if key not in may_differ}
        for name in list_models():
            constructor = model_entry(name).constructor
            if isinstance(constructor, partial) and constructor.func is self.kind:
                numbers = _numbers(name) | options
                if all(numbers.get(key) == value for key, value in self.numbers.items() if key not in may_differ):
                    values = tuple(dial.value for dial in _dials(self.kind, numbers))
                    found[name] = values, partial(self._as_published, name, options)
        return {name: each for name, each in found.items() if len(each[0]) == len(self.dials)}

    def _as_published(self, name: str, options: Mapping[str, Any]) -> Graph:
        return capture(build_model(name, **options).eval(), self.shape)


class Captured:
    """A graph with other widths: one factor for all free widths on maps of a size."""

    def __init__(self, captured: Graph) -> None:
        self.captured, self.widths = captured, Widths(captured)
        free = {group.writers[0]: group for group in self.widths.groups if group.fixed_by is None}
        self.stages: dict[str, list[str]] = {}
        for writer in self.widths.independent(free):
            sides = captured.values[writer].sizes[1:] or (1,)
            self.stages.setdefault("x".join(map(str, sides)), []).append(writer)
        self.was = {writer: group.width for writer, group in free.items()}
        self.dials = tuple(Dial(f"widths on {sides}, sixteenths", _WHOLE, 1, True) for sides in self.stages)

    def graph(self, values: Sequence[int]) -> Graph:
        changes = {}
        for value, writers in zip(values, self.stages.values(), strict=True):
            for writer in writers:
                step = math.lcm(8, self.widths.multiple(writer))
                width = self.was[writer] * value / _WHOLE
                changes[writer] = self.was[writer] if value == _WHOLE else max(1, round(width / step)) * step
        return self.widths.changed(changes)

    def call(self, values: Sequence[int]) -> tuple[str, str, dict[str, Any]]:
        return "", "", {}

    def published(self) -> Mapping[str, tuple[tuple[int, ...], Callable[[], Graph]]]:
        return {}


# Options that may change: a width or a depth, and what widths are multiples of.
_KINDS: Mapping[type, tuple[tuple[str, bool, Callable[[Mapping[str, Any]], int]], ...]] = {
    ShuffleNetV1: (
        ("stage_channels", True, lambda numbers: math.lcm(4 * numbers["groups"], 8)),
        ("stage_units", False, lambda _: 1),
    ),
    ShuffleNetV2: (
        ("stage_channels", True, lambda _: _STEP),
        ("stage_units", False, lambda _: 1),
        ("conv5_channels", True, lambda _: 4 * _STEP),
    ),
    MobileNetV2: (
        ("stage_channels", True, lambda _: _STEP // 2),
        ("stages", False, lambda _: 1),
        (_EXPANSIONS, True, lambda _: 1),
        ("last_channels", True, lambda _: 4 * _STEP),
    ),
}


def space_of(model: nn.Module, shape: tuple[int, ...], captured: Graph) -> Space:
    """By its constructor where that takes widths and depths, else by the widths of its graph."""
    if type(model) in _KINDS and getattr(model, "architecture", "") in list_models():
        return Constructed(model, shape, captured)
    return Captured(captured)


def _dials(kind: type, numbers: Mapping[str, Any]) -> list[Dial]:
    found = []
    for option, is_width, step in _KINDS[kind]:
        now = numbers["stages" if option == _EXPANSIONS else option]
        if option == "stages":
            values = [each[1] for each in now]
        elif option == _EXPANSIONS:
            values = [each[0] for each in now if each[0] > 1]
        else:
            values = list(now) if isinstance(now, tuple | list) else [now]
        of_many = len(values) > 1
        for number, value in enumerate(values):
            found.append(Dial(f"{option}[{number}]" if of_many else option, value, step(numbers), is_width))
    return found


def _numbers(architecture: str) -> dict[str, Any]:
    """What a registered network is built with."""
    parameters = inspect.signature(model_entry(architecture).constructor).parameters.values()
    return {each.name: each.default for each in parameters if each.default is not each.empty}
