"""G3: one convolution in place of several in a row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from shufflekit.graph import Graph
from shufflekit.graph.edits.refit import refit
from shufflekit.graph.edits.widths import Widths
from shufflekit.graph.ops.conv import Conv
from shufflekit.guidelines.edits.edit import Edit, Subject
from shufflekit.guidelines.edits.scale import scaled


def shortened(subject: Subject, numbers: Sequence[int]) -> Iterator[Edit]:
    rows: dict[int, tuple[str, str]] = {}
    for number in numbers:
        nodes = [subject.nodes[place] for place in subject.findings[number].layers]
        if not isinstance(nodes[-1].operator, Conv):
            continue  # a join
        convs = [node for node in nodes if isinstance(node.operator, Conv)]
        convs = convs[convs[0].inputs[0] in subject.graph.inputs :]  # what reads a photo stays as thin on that side
        if len(convs) > 1:
            rows[number] = convs[0].output, convs[-1].output
    for chosen in [[*rows], *([number] for number in rows if len(rows) > 1)] if rows else []:
        yield Edit(
            rule="G3",
            findings=tuple(chosen),
            text=f"one wide convolution in place of several in a row at {subject.stage(chosen)}",
            code="nn.Conv2d(c * sqrt(n), c * sqrt(n), k) in place of n times nn.Conv2d(c, c, k)",
            most_ms=subject.most_ms(chosen),
            apply=partial(_shorten, rows=tuple(rows[number] for number in chosen)),
        )


def _shorten(graph: Graph, rows: Sequence[tuple[str, str]]) -> Graph:
    """The first of each row stays, and both of its widths grow by what the others multiplied."""
    flops = Widths(graph).flops({})
    instead = {last: first for first, last in rows}
    made = refit(graph, instead=instead, widths={first: graph.values[last].sizes[0] for first, last in rows})
    solver, producers = Widths(made), {node.output: node for node in made.nodes}
    named = {first: last for first, last in rows if last in graph.outputs}  # an output keeps its name
    kept = [named.get(first, first) for first, _ in rows]
    sides = (name for first in kept for name in (producers[first].inputs[0], first))
    return scaled(solver, {writer: 1.0 for name in sides if (writer := solver.group_of(name))}, flops)
