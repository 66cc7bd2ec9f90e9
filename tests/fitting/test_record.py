from __future__ import annotations

import csv
import json

from shufflekit.fitting.record import Candidate, Fit
from shufflekit.graph import Builder


def a_fit(maximise: str = "flops", **given: object) -> Fit:
    """A small one, by hand: the third is larger than the second and quicker, so the second is not on the frontier."""
    measured = (Candidate((8,), 1.0, 10, 7), Candidate((16,), 3.0, 20, 9), Candidate((24,), 2.0, 30, 8))
    published = (Candidate((12,), 1.9, 24, 6, "half"), Candidate((48,), 9.0, 90, 20, "whole"))
    start = Candidate((16,), 3.0, 20, 9, "net")
    found = {"network": "net", "budget_ms": 2.0, "maximise": maximise, "numbers": ("width",), "best": measured[2]}
    found |= {"start": start, "published": published, "measured": measured, "call": "", "architecture": "", "options": {}}
    return Fit(**{**found, **given}, graph=Builder().graph([]))


def test_the_frontier_has_what_nothing_beats() -> None:
    assert [each.values for each in a_fit().frontier] == [(8,), (24,)]
    assert [each.values for each in a_fit("params").frontier] == [(8,), (24,), (16,)]


def test_the_answer_stands_beside_the_largest_published_one_within_the_budget() -> None:
    assert a_fit().answer == "0.0 M multiply-adds in 2.000 ms of 2.000: +25.0% of those of half, which takes 1.900 ms."
    assert a_fit(published=()).answer == "0.0 M multiply-adds in 2.000 ms of 2.000."


def test_the_table_has_a_line_for_each() -> None:
    rows = list(csv.DictReader(a_fit().to_csv().splitlines()))
    assert [(row["name"], row["ms"], row["width"]) for row in rows] == [
        ("frontier", "1.0000", "8"),
        ("best", "2.0000", "24"),
        ("half", "1.9000", "12"),
        ("whole", "9.0000", "48"),
    ]
    off = Candidate((30,), 2.0, 29, 8)
    assert "best,2.0000,29,8,30" in a_fit(best=off).to_csv().splitlines()


def test_it_is_plain_data() -> None:
    found = json.loads(json.dumps(a_fit().to_dict()))
    assert found["best"] == {"values": [24], "ms": 2.0, "flops": 30, "params": 8, "name": ""}
    assert (len(found["measured"]), len(found["frontier"]), "graph" in found) == (3, 2, False)
