"""G1: both widths of a pair to their geometric mean, all of the network's multiply-adds as before."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial

from shufflekit.graph import Graph
from shufflekit.graph.edits.widths import Widths
from shufflekit.guidelines.edits.edit import Edit, Subject, counted
from shufflekit.guidelines.edits.scale import scaled


def balanced(subject: Subject, numbers: Sequence[int]) -> Iterator[Edit]:
    by_plane: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for number in numbers:
        by_plane[subject.graph.values[subject.node(number).output].sizes[1:]].append(number)
    sets = [list(numbers), *(by_plane.values() if len(by_plane) > 1 else ())]
    for chosen in sets:
        sides = "x".join(map(str, subject.graph.values[subject.node(chosen[0]).output].sizes[1:]))
        where = f" on {sides}" if len(chosen) < len(numbers) else ""
        yield Edit(
            rule="G1",
            findings=tuple(chosen),
            text=f"equal widths on both sides of {counted(len(chosen), 'pointwise convolution')}{where}",
            code="nn.Conv2d(c, c, 1) in place of nn.Conv2d(c1, c2, 1), c near sqrt(c1 c2)",
            most_ms=subject.most_ms(chosen),
            apply=partial(_balance, outputs=tuple(subject.node(number).output for number in chosen)),
        )


def _balance(graph: Graph, outputs: Sequence[str]) -> Graph:
    widths = Widths(graph)
    found: dict[str, list[float]] = defaultdict(list)
    producers = {node.output: node for node in graph.nodes}
    for output in outputs:
        node = producers[output]
        narrow, wide = node.inputs[0], output
        counts = [graph.values[name].sizes[0] for name in (narrow, wide)]
        for name, ratio in ((narrow, counts[1] / counts[0]), (wide, counts[0] / counts[1])):
            if (writer := widths.group_of(name)) is not None:
                found[writer].append(math.log(ratio) / 2)
    factors = {writer: math.exp(sum(logs) / len(logs)) for writer, logs in found.items()}
    return scaled(widths, factors)
