"""Which widths must agree: equal ones are one group, and sums of others are equations."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from fractions import Fraction

from shufflekit.graph.edits.size import ONE, Size, difference
from shufflekit.graph.graph import Node
from shufflekit.graph.operator import RefusedError

_Row = dict[int, Fraction]  # the factor of each width; its sum with the widths is 0


class System:
    """Widths, found while the nodes of a graph are walked.

    Example:
        >>> from shufflekit.graph.ops.arithmetic import Add
        >>> node = Node(Add(), "add", "unit", ("a", "b"), "sum")
        >>> system = System()
        >>> stem, branch, whole = (system.new(width) for width in (24, 216, 240))
        >>> system.agree(Size((*stem.parts, *branch.parts)), whole, node)
        >>> system.solved({2: 256})
        {0: 24, 1: 232, 2: 256}
    """

    def __init__(self) -> None:
        self.widths: dict[int, int] = {}  # of each variable, as the network has it
        self.fixed: dict[int, Node] = {}  # by group, what forbids a change
        self._group: dict[int, int] = {}
        self._equations: list[tuple[dict[int, int], Node]] = []
        self._divided: dict[tuple[Size, int], Size] = {}

    def new(self, width: int) -> Size:
        """A width that nothing is known of."""
        variable = len(self.widths)
        self.widths[variable] = width
        self._group[variable] = variable
        return Size(((1, variable),))

    def group(self, variable: int) -> int:
        """The first of the widths that are always equal to this one."""
        while variable != ONE and self._group[variable] != variable:
            variable = self._group[variable]
        return variable

    def value(self, size: Size) -> int:
        return size.value(self.widths)

    def fix(self, size: Size, node: Node) -> None:
        """Nothing in it may change, because of that node."""
        for _, variable in size.parts:
            if variable != ONE:
                self.fixed.setdefault(self.group(variable), node)

    def agree(self, a: Size, b: Size, node: Node) -> None:
        """Both are always the same, because of that node."""
        rest = difference(self._grouped(a), self._grouped(b))
        variables = [variable for variable in rest if variable != ONE]
        if not variables:
            return
        if len(variables) == 1:
            self.fixed.setdefault(variables[0], node)
        elif len(rest) == 2 and sum(rest.values()) == 0:
            self._unite(*variables)
        else:
            self._equations.append((rest, node))

    def divided(self, size: Size, parts: int, node: Node) -> Size:
        """One of so many equal parts of a size, which must stay whole because of that node."""
        if parts == len(size.parts) and len({self.value(Size((part,))) for part in size.parts}) == 1:
            for other in size.parts[1:]:  # maps put together and taken apart again: they stay as wide as each other
                self.agree(Size((other,)), Size(size.parts[:1]), node)
            return Size(size.parts[:1])
        key = self._grouped(size), parts
        if key not in self._divided:
            exact = key[0].over(parts)
            if exact is None:
                exact = self.new(self.value(size) // parts)
                self._equations.append((difference(key[0], exact.times(parts)), node))
            self._divided[key] = exact
        return self._divided[key]

    def solved(self, changes: Mapping[int, int]) -> dict[int, int]:
        """All widths after some groups have others; those that must follow do, and as few as can.

        Raises:
            RefusedError: a group must stay as it is, or nothing whole follows; the message names the node that forbids it.
        """
        wanted = {self.group(variable): width for variable, width in changes.items()}
        fixed = {self.group(variable): node for variable, node in self.fixed.items()}
        for group, width in wanted.items():
            if width < 1:
                raise RefusedError(f"a width must be 1 or more, found {width}")
            if group in fixed and width != self.widths[group]:
                raise RefusedError(f"the width {self.widths[group]} must stay: {_named(fixed[group])} needs it")
        widths = {group: wanted.get(group, self.widths[group]) for group in set(map(self.group, self.widths))}
        self._follow(widths, {*wanted, *fixed})
        return {variable: widths[self.group(variable)] for variable in self.widths}

    def independent(self, groups: Iterable[int]) -> list[int]:
        """Those of some groups whose widths can all be chosen: none follows from the ones before it."""
        known = {*map(self.group, self.fixed), ONE}
        rows = [self._row(equation) for equation, _ in self._equations]
        whole, found = _rank(rows, known), []
        for group in groups:
            if group not in known and _rank(rows, known | {group}) == whole:
                known.add(group)
                found.append(group)
        return found

    def multiple(self, group: int) -> int:
        """What a width must be a multiple of, as groups of convolutions and shuffles have it."""
        parts = [
            count // math.gcd(count, size.parts[0][0])
            for size, count in self._divided
            if len(size.parts) == 1 and self.group(size.parts[0][1]) == group
        ]
        return math.lcm(*parts)

    def _follow(self, widths: dict[int, int], known: set[int]) -> None:
        """Changes widths that are not known until every equation holds."""
        equations = [(self._row(equation), node) for equation, node in self._equations]
        often = Counter(group for row, _ in equations for group in row)
        pivots: list[tuple[int, _Row, Fraction, Node]] = []
        for row, node in equations:
            rest = -sum((factor * (1 if group == ONE else widths[group]) for group, factor in row.items()), Fraction(0))
            row = {group: factor for group, factor in row.items() if group != ONE and group not in known}
            for pivot, other, of_other, _ in pivots:
                if times := row.get(pivot):
                    rest -= times * of_other
                    row = _less(row, other, times)
            if not row:
                if rest:
                    raise RefusedError(f"the widths would not fit in {_named(node)}")
                continue
            # What only one equation knows changes rather than what others depend on; of two such the wider one.
            pivot = min(row, key=lambda group: (often[group], -self.widths[group], group))
            factor = row[pivot]
            pivots.append((pivot, {group: each / factor for group, each in row.items()}, rest / factor, node))
        changes: dict[int, Fraction] = {}
        for pivot, row, rest, node in reversed(pivots):
            changes[pivot] = rest - sum((row[group] * changes.get(group, 0) for group in row if group != pivot), Fraction(0))
            width = widths[pivot] + changes[pivot]
            if width.denominator > 1 or width < 1:
                raise RefusedError(f"{_named(node)} would need a width of {width}")
            widths[pivot] = int(width)

    def _row(self, equation: Mapping[int, int]) -> _Row:
        row: Counter[int] = Counter()
        for variable, factor in equation.items():
            row[self.group(variable)] += factor
        return {group: Fraction(factor) for group, factor in row.items() if factor}

    def _grouped(self, size: Size) -> Size:
        return Size(tuple((factor, self.group(variable)) for factor, variable in size.parts))

    def _unite(self, a: int, b: int) -> None:
        first, second = sorted((a, b))
        self._group[second] = first
        if second in self.fixed:
            self.fixed.setdefault(first, self.fixed[second])


def _rank(rows: Sequence[_Row], known: Set[int]) -> int:
    """How many equations say something of their own about widths that are not known."""
    pivots: list[tuple[int, _Row]] = []
    for row in rows:
        left = {group: factor for group, factor in row.items() if group not in known}
        for pivot, other in pivots:
            if times := left.get(pivot):
                left = _less(left, other, times)
        if left:
            pivot, factor = next(iter(left.items()))
            pivots.append((pivot, {group: each / factor for group, each in left.items()}))
    return len(pivots)


def _less(row: _Row, other: _Row, times: Fraction) -> _Row:
    found = {group: row.get(group, Fraction(0)) - times * other.get(group, Fraction(0)) for group in {**row, **other}}
    return {group: factor for group, factor in found.items() if factor}


def _named(node: Node) -> str:
    return f"{node.op} in {node.place}"
