"""G2: one group, and both widths over the root of the number of groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from shufflekit.graph import Graph
from shufflekit.graph.edits.refit import refit
from shufflekit.graph.edits.shuffles import shuffles
from shufflekit.graph.edits.widths import Widths
from shufflekit.graph.operator import Operator
from shufflekit.graph.ops.conv import Conv
from shufflekit.guidelines.edits.edit import Edit, Subject, conv_of, counted
from shufflekit.guidelines.edits.scale import scaled


def ungrouped(subject: Subject, numbers: Sequence[int]) -> Iterator[Edit]:
    groups = sorted({conv_of(subject.node(number)).groups for number in numbers})
    yield Edit(
        rule="G2",
        findings=tuple(numbers),
        text=f"one group in {counted(len(numbers), 'convolution')} of {' and '.join(map(str, groups))} groups, and widths over "
        "the root of that; no channel shuffle behind them",
        code="nn.Conv2d(c1 / sqrt(g), c2 / sqrt(g), 1) in place of nn.Conv2d(c1, c2, 1, groups=g)",
        most_ms=subject.most_ms(numbers),
        apply=partial(_ungroup, outputs=tuple(subject.node(number).output for number in numbers)),
    )


def _ungroup(graph: Graph, outputs: Sequence[str]) -> Graph:
    flops = Widths(graph).flops({})
    operators: dict[str, Operator] = {}
    for node in graph.nodes:
        if node.output in outputs:
            operators[node.output] = Conv(conv_of(node).stride, conv_of(node).padding, conv_of(node).dilation)
    groups = {conv_of(node).groups for node in graph.nodes if node.output in outputs}
    instead = {each.last.output: each.reads for each in shuffles(graph) if each.groups in groups}
    dense = refit(graph, instead=instead, operators=operators)
    widths, factors = Widths(dense), {}
    for node in dense.nodes:
        if node.output in outputs:
            for writer in (widths.group_of(node.inputs[0]), widths.group_of(node.output)):
                if writer is not None:
                    factors[writer] = 1.0
    return scaled(widths, factors, flops)
