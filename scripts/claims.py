"""What both papers claim, each with the verdict that the kept results give; the first table of docs/results.md."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from guidelines_measured import Result

from shufflekit.reproduce.accuracy_tables import Verdict, counted, errors_of, order, small_groups, verdict
from shufflekit.reproduce.guidelines import judge
from shufflekit.reproduce.guidelines.cells import TITLES
from shufflekit.reproduce.record import Record
from shufflekit.reproduce.runs import Trained


@dataclass(frozen=True)
class Evidence:
    """All that is kept: tables by name, training runs, and the guidelines' tables."""

    records: dict[str, Record]
    runs: list[Trained]
    guidelines: list[Result]


@dataclass(frozen=True)
class Claim:
    """A sentence of a paper, in our words, and how the evidence is read."""

    paper: str
    claim: str
    verdict: Callable[[Evidence], str]
    where: str
    "A link of docs/results.md."


def _table(name: str) -> str:
    """A link to a table's section, as the site's and GitHub's anchors have it."""
    return f"[{name}](#{name.replace('.', '')})"


def _order(name: str) -> Callable[[Evidence], str]:
    """How many orders of an accuracy table hold, against the first of a level."""

    def judged(evidence: Evidence) -> str:
        errors, found = errors_of(evidence.runs), []
        for group in small_groups(name):
            first, *others = group.rows
            found += [order(first, row, errors) for row in others]
        return _summed_up(found)

    return judged


def _summed_up(found: Sequence[Verdict]) -> str:
    return "not finished" if {one.word for one in found} == {"not finished"} else counted(found)


def _more_with_more_groups(evidence: Evidence) -> str:
    """Whether what the shuffle gains with 8 groups is more than with 3, at one width and seed."""
    errors = errors_of(evidence.runs)
    gains = {
        group.level: {
            seed: errors[without.network][seed] - error
            for seed, error in errors.get(shuffled.network, {}).items()
            if seed in errors.get(without.network, {})
        }
        for group in small_groups("v1.table3")
        for shuffled, without in [group.rows]
    }
    # A larger gain stands in place of a larger error.
    pairs = [pair for pair in pairwise(gains) if pair[0].endswith("g=3")]
    return _summed_up([verdict(gains[three], gains[eight]) for three, eight in pairs])


def _fewer_operations(evidence: Evidence) -> str:
    rows = {str(row[0]): row for row in evidence.records["v1.table6"].rows}
    column = evidence.records["v1.table6"].columns.index("MFLOPs")
    ratio = float(rows["AlexNet"][column] or 0) / float(rows["ShuffleNet 0.5x g=4"][column] or 0)
    return f"{ratio:.0f} times fewer as counted; its errors are the paper's, not trained here"


def _faster_than_alexnet(evidence: Evidence) -> str:
    record = evidence.records["v1.table8"]
    times = {row[0]: row for row in record.rows if row[1] == "224x224"}

    def ratio(runtime: str) -> float:
        column = record.columns.index(f"{runtime}, ms")
        return float(times["AlexNet"][column] or 0) / float(times["ShuffleNet 0.5x g=3"][column] or 0)

    return f"faster here too: {ratio('PyTorch'):.1f} times in PyTorch, {ratio('engine'):.0f} in the engine"


def _guideline(number: int) -> Callable[[Evidence], str]:
    def judged(evidence: Evidence) -> str:
        found = []
        for result in evidence.guidelines:
            if result.table.number == number and result.table.threads == 1:
                judged_here = [(TITLES[engine], judge(result.table, engine)) for engine in result.table.engines]
                found += [f"{name}: {one.follows} (x {one.slowdown:.2f})" for name, one in judged_here if one]
        return ", ".join(found)

    return judged


def _fastest_of_level(evidence: Evidence) -> str:
    record, found = evidence.records["v2.table8"], []
    for runtime in ("PyTorch", "engine"):
        column, slower, others = record.columns.index(f"{runtime}, ms"), 0, 0
        first: dict[object, float] = {}
        for row in record.rows:
            if row[column] is None:
                continue
            if row[1] not in first:
                first[row[1]] = float(row[column] or math.nan)
                continue
            others += 1
            slower += float(row[column] or math.nan) > first[row[1]]
        found.append(f"{runtime}: faster than {slower} of {others}")
    return "; ".join(found)


def _convolutions_are_not_all(evidence: Evidence) -> str:
    record = evidence.records["v2.figure2"]
    column = record.columns.index("PyTorch, %")
    shares = [float(row[column] or 0) for row in record.rows if row[1] == "convolution"]
    return f"holds in PyTorch: convolutions take {min(shares):.0f} to {max(shares):.0f} % of the time"


def _says(text: str) -> Callable[[Evidence], str]:
    return lambda _: text


_NOT_TRIED = _says("not tried: no weights are published")
CLAIMS = (
    Claim("V1", "More groups buy wider maps and a lower error at equal FLOPs", _order("v1.table2"), _table("v1.table2")),
    Claim("V1", "The channel shuffle lowers the error", _order("v1.table3"), _table("v1.table3")),
    Claim("V1", "and by more with 8 groups than with 3", _more_with_more_groups, _table("v1.table3")),
    Claim("V1", "Its unit errs less than others of equal FLOPs", _order("v1.table4"), _table("v1.table4")),
    Claim("V1", "It errs less than MobileNet of equal FLOPs", _order("v1.table5"), _table("v1.table5")),
    Claim("V1", "It matches AlexNet with 18 times fewer operations", _fewer_operations, _table("v1.table6")),
    Claim(
        "V1",
        "As a backbone it detects better than MobileNet",
        _says("not tried: no weights are published"),
        _table("v1.table7"),
    ),
    Claim("V1", "On a phone it is 13 times as fast as AlexNet", _faster_than_alexnet, _table("v1.table8")),
    Claim("V2", "FLOPs are not time: convolutions take a part of it only", _convolutions_are_not_all, _table("v2.figure2")),
    Claim("V2", "G1: equal channel width is fastest", _guideline(1), "[guidelines](guidelines-measured.md)"),
    Claim("V2", "G2: group convolution costs time", _guideline(2), "[guidelines](guidelines-measured.md)"),
    Claim("V2", "G3: fragmentation costs time", _guideline(3), "[guidelines](guidelines-measured.md)"),
    Claim("V2", "G4: element-wise operations cost time", _guideline(4), "[guidelines](guidelines-measured.md)"),
    Claim("V2", "It errs least at 40 MFLOPs", _order("v2.table8.accuracy"), _table("v2.table8.accuracy")),
    Claim("V2", "It is faster than others of its FLOPs", _fastest_of_level, _table("v2.table8")),
    Claim("V2", "As a backbone it detects best", _NOT_TRIED, _table("v2.table7")),
)


def claims_table(evidence: Evidence) -> str:
    """As Markdown."""
    lines = ["| paper | claim | here | where |", "| --- | --- | --- | --- |"]
    lines += [f"| {each.paper} | {each.claim} | {each.verdict(evidence)} | {each.where} |" for each in CLAIMS]
    return "".join(f"{line}\n" for line in lines)
