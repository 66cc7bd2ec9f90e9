"""The picture of a fit, by the words in it."""

from __future__ import annotations

import re

import pytest

from shufflekit.fitting.record import Candidate
from tests.fitting.test_record import a_fit

pytest.importorskip("altair")
frontier = pytest.importorskip("shufflekit.report.frontier").frontier

FAR = Candidate((48,), 9.0, 90, 20, "whole")


def words(svg: bytes) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]+)</text>", svg.decode())


def test_what_is_far_beyond_the_budget_is_counted_and_not_drawn() -> None:
    near = Candidate((14,), 3.9, 40, 9, "double")
    found = words(frontier(a_fit(published=(near, FAR)), ".svg"))
    assert "1 published beyond 4 ms" in found
    assert "double" in found
    assert "whole" not in found
    assert not [word for word in words(frontier(a_fit(published=(near,)), ".svg")) if "beyond" in word]


def test_a_start_that_is_published_is_named_once() -> None:
    start = a_fit().start
    published = Candidate(start.values, 3.1, 20, 9, "net as published")
    found = words(frontier(a_fit(published=(published,)), ".svg"))
    assert "net as published" in found
    assert "net" not in found
    assert "net" in words(frontier(a_fit(), ".svg"))


def test_names_stand_on_the_side_of_the_middle() -> None:
    """So that none runs out of the picture, or into another's."""
    near = Candidate((14,), 3.9, 40, 9, "double")
    svg = frontier(a_fit(published=(near,)), ".svg").decode()
    assert re.search(r'<text[^>]*text-anchor="end"[^>]*>double<', svg)
    assert frontier(a_fit(), ".png").startswith(b"\x89PNG")
