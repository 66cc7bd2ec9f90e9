"""G3: one branch in place of several."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from shufflekit.graph import Graph, Node
from shufflekit.graph.edits.refit import refit
from shufflekit.graph.edits.widths import Widths
from shufflekit.graph.operator import RefusedError
from shufflekit.graph.ops.arithmetic import Add
from shufflekit.graph.ops.conv import Conv
from shufflekit.graph.ops.moves import Concat
from shufflekit.guidelines.edits.edit import Edit, Subject
from shufflekit.guidelines.edits.scale import scaled


def merged(subject: Subject, numbers: Sequence[int]) -> Iterator[Edit]:
    last = {number: subject.nodes[max(subject.findings[number].layers)] for number in numbers}
    joins = {number: node for number, node in last.items() if isinstance(node.operator, Concat | Add)}  # a row otherwise
    for chosen in [[*joins], *([number] for number in joins if len(joins) > 1)] if joins else []:
        yield Edit(
            rule="G3",
            findings=tuple(chosen),
            text=f"one wide branch in place of several at {subject.stage(chosen)}",
            code="one nn.Conv2d of as many multiply-adds in place of branches that are added or concatenated",
            most_ms=subject.most_ms(chosen),
            apply=partial(_merge, joins=tuple(joins[number].output for number in chosen)),
        )


def _merge(graph: Graph, joins: Sequence[str]) -> Graph:
    """The branch that multiplies most stays, and is as wide as all were; its own widths grow by what the others multiplied."""
    producers = {node.output: node for node in graph.nodes}
    flops = Widths(graph).flops({})
    instead, widths, inner = {}, {}, []
    for join in joins:
        branches = [chain(graph, producers, name) for name in _operands(producers, join)]
        kept = max((branch for branch in branches if branch), key=lambda branch: _work(graph, branch), default=None)
        if kept is None:
            raise RefusedError(f"{producers[join].op} in {producers[join].place} joins nothing that convolutions compute")
        instead[join] = kept[-1].output
        last = next(node for node in reversed(kept) if isinstance(node.operator, Conv))
        widths[last.output] = graph.values[join].sizes[0]
        convs = [node.output for node in kept if isinstance(node.operator, Conv) and node is not last]
        inner += convs or [last.inputs[0], last.output]  # of one convolution only what it reads and writes can be wider
    made = refit(graph, instead=instead, widths=widths)
    solver = Widths(made)
    inner = [instead.get(name, name) for name in inner]  # what a branch reads may be a join itself
    free = {writer: 1.0 for name in inner if name in solver.dims and (writer := solver.group_of(name))}
    return scaled(solver, free, flops) if free else made


def _operands(producers: Mapping[str, Node], join: str) -> list[str]:
    """What a join, and the joins that it reads, put together."""
    node = producers.get(join)
    if node is None or not isinstance(node.operator, Concat | Add):
        return [join]
    return [operand for name in node.inputs for operand in _operands(producers, name)]


def chain(graph: Graph, producers: Mapping[str, Node], value: str) -> list[Node]:
    """The nodes of one input that nobody else reads, up to the one that writes a value; without a convolution none."""
    readers = graph.readers()
    found: list[Node] = []
    while value in producers and len([name for name in producers[value].inputs if name not in graph.constants]) == 1:
        if found and readers[value] > 1:
            break
        found.append(producers[value])
        value = found[-1].inputs[0]
    return found[::-1] if any(isinstance(node.operator, Conv) for node in found) else []


def _work(graph: Graph, nodes: Sequence[Node]) -> int:
    convs = [node for node in nodes if isinstance(node.operator, Conv)]
    shapes = [(graph.constants[node.inputs[1]].shape, graph.values[node.output].sizes) for node in convs]
    return sum(math.prod(weights[1:]) * math.prod(sizes) for weights, sizes in shapes)
