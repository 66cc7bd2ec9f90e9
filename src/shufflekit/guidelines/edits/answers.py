"""All changes that answer what a network is accused of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from shufflekit.graph import Graph, Node
from shufflekit.guidelines.edits.align import aligned
from shufflekit.guidelines.edits.balance import balanced
from shufflekit.guidelines.edits.edit import Edit, Subject
from shufflekit.guidelines.edits.fewer import fewer
from shufflekit.guidelines.edits.merge import merged
from shufflekit.guidelines.edits.shorten import shortened
from shufflekit.guidelines.edits.ungroup import ungrouped
from shufflekit.guidelines.record import Finding

_OF_RULE: Mapping[str, tuple[Callable[[Subject, Sequence[int]], Iterator[Edit]], ...]] = {
    "G1": (balanced,),
    "G2": (ungrouped,),
    "G3": (merged, shortened),
    "G4": (fewer,),
    "G5": (aligned,),
}


# Without any finding too: what costs nothing by itself may cost where it is computed.
_ALWAYS = ("G4",)


def edits(
    graph: Graph, nodes: Sequence[Node], findings: Sequence[Finding], lanes: int, selected: Sequence[str] = ()
) -> list[Edit]:
    """All edits that answer findings.

    Args:
        graph: of the network.
        nodes: what the places in findings mean.
        findings: of all rules.
        lanes: numbers in a vector of the device.
        selected: codes of rules that were asked.
    """
    subject = Subject(graph, nodes, findings, lanes)
    found: list[Edit] = []
    for code, ways in _OF_RULE.items():
        if (own := subject.of(code)) or (code in _ALWAYS and code in selected):
            found += [edit for way in ways for edit in way(subject, own)]
    return sorted(found, key=lambda edit: -edit.most_ms)
