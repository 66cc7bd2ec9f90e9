"""G5: widths to multiples of the vector, down and up; equal widths at once."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial

from shufflekit.graph import Graph
from shufflekit.graph.edits.widths import Widths
from shufflekit.graph.operator import RefusedError
from shufflekit.guidelines.edits.edit import Edit, Subject, counted


def aligned(subject: Subject, numbers: Sequence[int]) -> Iterator[Edit]:
    by_width: dict[int, list[int]] = defaultdict(list)
    for number in numbers:
        by_width[subject.graph.values[subject.node(number).output].sizes[0]].append(number)
    plans: dict[tuple[tuple[int, int], ...], list[int]] = {}
    for width, chosen in by_width.items():
        below = width // subject.lanes * subject.lanes
        for target in (below + subject.lanes, below):
            if target:
                plans[((width, target),)] = chosen
    if len(by_width) > 1:
        for rounding in (math.ceil, lambda share: max(1, round(share))):
            plans[tuple((width, rounding(width / subject.lanes) * subject.lanes) for width in by_width)] = list(numbers)
    for plan, chosen in plans.items():
        names = ", ".join(f"{target} in place of {width}" for width, target in plan)
        yield Edit(
            rule="G5",
            findings=tuple(chosen),
            text=f"{names} channels in {counted(len(chosen), 'convolution')} and all that must agree",
            code=f"widths in multiples of {subject.lanes}: {names}",
            most_ms=subject.most_ms(chosen),
            apply=partial(_align, plan=plan),
        )


def _align(graph: Graph, plan: Sequence[tuple[int, int]]) -> Graph:
    widths, targets = Widths(graph), dict(plan)
    free = [group for group in widths.groups if group.width in targets and group.fixed_by is None]
    if not free:
        fixed = [group.fixed_by for group in widths.groups if group.width in targets and group.fixed_by]
        why = f"{fixed[0].op} in {fixed[0].place} needs it" if fixed else "it follows from others"
        raise RefusedError(f"the width {plan[0][0]} must stay: {why}")
    return widths.changed({group.writers[0]: targets[group.width] for group in free})
