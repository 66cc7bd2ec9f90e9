"""The networks of a kind: numbers that may change, and the graph that comes of them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Protocol

import torch
from torch import nn

from shufflekit.compiling import capture
from shufflekit.errors import UsageError
from shufflekit.graph import Graph, Node
from shufflekit.graph.edits.repeat import repeated
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

    def moved(self, value: int, steps: int) -> int:
        """So many steps away, within a half and four times of what it was."""
        low, high = self._ends
        near = round(value / self.step) * self.step
        return min(max(near + steps * self.step, math.ceil(low / self.step) * self.step), high)

    def levels(self, count: int) -> tuple[int, ...]:
        """As it was, and so many others at the most from a half to four times that, as far from each other by their ratio."""
        low, high = self._ends
        even = (low * (high / low) ** (number / (count - 1)) for number in range(count))
        return tuple(sorted({self.value, *(self.moved(round(value), 0) for value in even)}))

    def around(self, value: int, steps: int) -> tuple[int, ...]:
        """A number, and those at most so many steps away."""
        return tuple(sorted({value, *(self.moved(value, each) for each in range(-steps, steps + 1))}))

    @property
    def _ends(self) -> tuple[int, int]:
        return max(1, self.value // 2), 4 * self.value


@dataclass(frozen=True)
class Part:
    """Nodes of a network whose shapes are those of some numbers.

    Args:
        name: one of its own.
        dials: places of these numbers.
        repeats: place of the number that says how often it is there, and once less; nothing of what is there once.
        expands: the last number is an expansion, a factor of the first one.
    """

    name: str
    dials: tuple[int, ...]
    repeats: int | None = None
    expands: bool = False

    def times(self, values: Sequence[int]) -> int:
        """How often a network has it."""
        return 1 if self.repeats is None else values[self.repeats] - 1

    def numbers(self, values: Sequence[int]) -> tuple[int, ...]:
        """Its own of all numbers of a network."""
        return tuple(values[place] for place in self.dials)


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
    """Networks of the registry with other numbers in their constructor: stages of units, of which all but the first are alike.

    One with two units in each stage is captured, which takes seconds. Widths are changed in its graph, and units repeated.
    """

    def __init__(self, model: nn.Module, shape: tuple[int, ...]) -> None:
        self.architecture, self.options, self.shape = str(model.architecture), dict(model.options), shape  # type: ignore[arg-type]
        self.kind = type(model)
        self.numbers = _numbers(self.architecture) | self.options
        self.dials = tuple(_dials(self.kind, self.numbers))
        self.chain = self._places("stem_channels")[-1:] + self._places("stage_channels")  # each stage reads the one before
        self.depths = self._places("stages") or self._places("stage_units")
        self.order = self._order([dial.value for dial in self.dials])

    def _places(self, option: str) -> tuple[int, ...]:
        return tuple(place for place, dial in enumerate(self.dials) if dial.name.partition("[")[0] == option)

    def _order(self, values: Sequence[int]) -> list[int]:
        """Of each stage: whether it is wider than what it reads, as wide, or narrower."""
        return [(values[b] > values[a]) - (values[b] < values[a]) for a, b in zip(self.chain, self.chain[1:])]

    def in_order(self, values: Sequence[int]) -> bool:
        """Whether each stage is wider than what it reads, as wide or narrower, as it was."""
        return self._order(values) == self.order

    def goes(self, place: int, before: int, value: int) -> bool:
        """Whether a width of the chain may follow another: units of other widths may add what they read, or not."""
        now = self.order[self.chain.index(place) - 1]
        return (value > before) - (value < before) == now

    @cached_property
    def _shallow(self) -> Widths:
        values = self._two_deep([dial.value for dial in self.dials])
        made = build_model(self.architecture, **self.options | self.changed(values)).eval()
        return Widths(capture(made, self.shape))

    def _two_deep(self, values: Sequence[int]) -> list[int]:
        return [2 if place in self.depths else value for place, value in enumerate(values)]

    def graph(self, values: Sequence[int]) -> Graph:
        if not self.in_order(values):
            raise UsageError("stage_channels: each must be wider than what it reads, as wide or narrower, as it was")
        with torch.device("meta"):
            blank = build_model(self.architecture, **self.options | self.changed(self._two_deep(values)))
        widths, changes = self._shallow, {}
        writers = {writer for group in widths.groups for writer in group.writers}
        for node in widths.graph.nodes:
            if node.output in writers and isinstance(module := blank.get_submodule(node.module), nn.Conv2d):
                changes[node.output] = module.out_channels
        graph = widths.changed(changes)
        for stage, place in enumerate(self.depths):
            if values[place] != 2:
                graph = repeated(graph, partial(_is_in, self._unit(stage, 1)), values[place] - 1)
        return graph

    def _unit(self, stage: int, number: int) -> str:
        """The path of one of the two units of a stage."""
        return f"features.{1 + 2 * stage + number}" if self.kind is MobileNetV2 else f"stage{2 + stage}.{number}"

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """What comes first, the first unit of each stage and the others, and what comes last."""
        factors = dict(zip([place for place in self.depths if self._expands(place)], self._places(_EXPANSIONS), strict=True))
        found = [Part("head", self.chain[:1])]
        for stage, place in enumerate(self.depths):
            before, width = self.chain[stage : stage + 2]
            factor = (factors[place],) if place in factors else ()
            found.append(Part(f"first {stage}", (before, width, *factor), expands=bool(factor)))
            found.append(Part(f"rest {stage}", (width, *factor), place, expands=bool(factor)))
        last = self._places("conv5_channels") + self._places("last_channels")
        return (*found, Part("tail", (self.chain[-1], *last)))

    def _expands(self, depth: int) -> bool:
        return "stages" in self.numbers and self.numbers["stages"][self.depths.index(depth)][0] > 1

    @cached_property
    def part_of(self) -> Mapping[str, str]:
        """The part that a node is in, by what it writes in the network of two units a stage."""
        found, now = {}, "head"
        for node in self._shallow.graph.nodes:
            inside = [
                f"{name} {stage}"
                for stage in range(len(self.depths))
                for number, name in enumerate(("first", "rest"))
                if _is_in(self._unit(stage, number), node)
            ]
            now = inside[0] if inside else "head" if now == "head" else "tail"
            found[node.output] = now
        return found

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
        may_differ = {option for option, _, _ in _KINDS[self.kind]}
        options = {key: value for key, value in self.options.items() if key not in may_differ}
        found: dict[str, tuple[tuple[int, ...], Callable[[], Graph]]] = {}
        for name in list_models():
            constructor = model_entry(name).constructor
            if isinstance(constructor, partial) and constructor.func is self.kind:
                numbers = _numbers(name) | options
                if all(numbers.get(key) == value for key, value in self.numbers.items() if key not in may_differ):
                    values = tuple(dial.value for dial in _dials(self.kind, numbers))
                    if len(values) == len(self.dials):
                        found[name] = values, partial(self._as_published, name, options, values)
        return found

    def _as_published(self, name: str, options: Mapping[str, Any], values: tuple[int, ...]) -> Graph:
        if self._order(values) == self.order:
            return self.graph(values)
        return capture(build_model(name, **options).eval(), self.shape)


def _is_in(path: str, node: Node) -> bool:
    return f"{node.module}.".startswith(f"{path}.")


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
        ("stem_channels", True, lambda numbers: math.lcm(numbers["groups"], 4)),
        ("stage_channels", True, lambda numbers: math.lcm(4 * numbers["groups"], 8)),
        ("stage_units", False, lambda _: 1),
    ),
    ShuffleNetV2: (
        ("stem_channels", True, lambda _: 8),
        ("stage_channels", True, lambda _: _STEP),
        ("stage_units", False, lambda _: 1),
        ("conv5_channels", True, lambda _: 4 * _STEP),
    ),
    MobileNetV2: (
        ("stem_channels", True, lambda _: 8),
        ("stage_channels", True, lambda _: _STEP // 2),
        ("stages", False, lambda _: 1),
        (_EXPANSIONS, True, lambda _: 1),
        ("last_channels", True, lambda _: 4 * _STEP),
    ),
}


def has_constructor(model: object) -> bool:
    """Whether it is a network of the registry that takes widths and depths."""
    return type(model) in _KINDS and getattr(model, "architecture", "") in list_models()


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
