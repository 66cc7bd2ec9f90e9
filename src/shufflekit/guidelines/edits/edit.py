"""A change that was thought of, and the network that it is about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shufflekit.graph import Graph, Node
from shufflekit.graph.ops.conv import Conv
from shufflekit.guidelines.record import Finding


@dataclass(frozen=True)
class Edit:
    """A change that was thought of, not yet made.

    Args:
        rule: whose findings it answers.
        findings: their numbers.
        text: what changes.
        code: how that is written.
        most_ms: what it could gain at most.
        apply: the graph after it; raises a RefusedError where no whole network comes of it.
    """

    rule: str
    findings: tuple[int, ...]
    text: str
    code: str
    most_ms: float
    apply: Callable[[Graph], Graph]


class Subject:
    """A network with what it is accused of."""

    def __init__(self, graph: Graph, nodes: Sequence[Node], findings: Sequence[Finding], lanes: int) -> None:
        self.graph, self.nodes, self.findings, self.lanes = graph, nodes, findings, lanes

    def of(self, code: str) -> list[int]:
        """The findings of a rule."""
        return [number for number, finding in enumerate(self.findings) if finding.rule == code]

    def node(self, number: int) -> Node:
        """Of a finding about one operator."""
        return self.nodes[self.findings[number].layers[0]]

    def most_ms(self, numbers: Sequence[int]) -> float:
        """What the findings' operators take beyond what they would at the rule's bound, or at 1."""
        return sum(self.findings[n].cost_ms * (1 - 1 / max(1.0, self.findings[n].value)) for n in numbers)

    def stage(self, numbers: Sequence[int]) -> str:
        """Where findings are, in few words."""
        places = list(dict.fromkeys(self.findings[number].node for number in numbers))
        return places[0] if len(places) == 1 else f"{len(places)} places, {places[0]} to {places[-1]}"


def conv_of(node: Node) -> Conv:
    assert isinstance(node.operator, Conv)
    return node.operator


def counted(number: int, what: str) -> str:
    """`2 shuffles`."""
    return f"{number} {what}{'s' * (number != 1)}"
