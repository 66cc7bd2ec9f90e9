from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

pytest.importorskip("altair")
pytest.importorskip("jinja2")

from shufflekit.report import PaperTable, render_html
from tests.guidelines.test_record import a_finding
from tests.report.subjects import RULES, a_subject, an_answer

_VOID = {"meta", "link", "input", "br", "hr", "img"}


class Page(HTMLParser):
    """Checks that what opens closes, and collects words and attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.addresses += [value for name, value in attrs if name in ("src", "href", "action", "xlink:href", "srcset")]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words += [data.strip()] if data.strip() else []


def test_the_answer_stands_first_and_what_does_not_gain_is_folded():
    text = " ".join(" ".join(Page(render_html([an_answer()], RULES)).words).split())
    order = [
        "On the engine a thing gains 0.500 ms of 2.000",
        "gains 0.500 ms, 0.400 to 0.600: 25.0 % of 2.000, measured in turn",
        "changes 1.50 times the multiply-adds, 1.00 times the parameters; accuracy unknown: train it again",
        "write so: 8 to 16 channels (1 layer)",
        "1 measured that do not gain, 2 not measured",
        "G4 a thing: -0.200 ms, -0.300 to -0.100",
        "G4 a thing: too late",
        "Overview",
        "leave it out; measured gain 1.500 ms",
    ]
    places = [text.find(each) for each in order]
    assert -1 not in places, text
    assert places == sorted(places)


def test_tables_of_the_paper_are_folded_and_where_there_are_none_it_says_how_to_get_them():
    table = PaperTable("Table 2, G2: groups", ("networks", "g"), (("x1", "1"), ("x1", "<8>")), ("The engine follows G2.",))
    text = " ".join(Page(page := render_html([a_subject()], tables=[table])).words)
    assert "Table 2, G2: groups The engine follows G2. networks g x1 1 x1 <8>" in text
    assert "<details><summary>Table 2, G2: groups</summary>" in page
    assert "`" not in text
    assert "shufflekit guidelines" not in text
    assert "shufflekit guidelines" in " ".join(Page(render_html([a_subject()])).words)


def test_several_warnings_are_folded_so_that_the_answer_stands_near_the_top():
    subject = an_answer()
    profile = replace(subject.audit.profile, warnings=("it was busy", "it was hot"))
    page = render_html([replace(subject, audit=replace(subject.audit, profile=profile))], RULES)
    assert (
        '<summary class="warning">2 warnings, engine: it was busy</summary>\n<p class="warning">engine: it was hot</p>' in page
    )
    assert '<p class="warning">engine: it was busy</p>' not in page


def test_all_that_was_promised_is_there():
    page = Page(render_html([a_subject()], RULES))
    text = " ".join(" ".join(page.words).split())
    for said in (
        "a CPU, 2 cores",
        "PyTorch: the machine was busy",
        "4.100",
        "0.800 to 0.900",
        "two convolutions: the engine takes 0.20 of the time of PyTorch",
        "Compiled away: 1 reshape",
        "Time by category",
        "Roofline",
        "thick-copies",
        "a: copies",
        "2.000 ms, measured: 50.0 % of the time",
        "0.500 ms, predicted: 12.5 % of the time; within the budget",
        "leave it out; predicted gain 1.500 ms",
        "What G4 says",
        "flags copies.",
        "step2",
        "L1 32 KiB",
        "50.0",
    ):
        assert said in text, said
    assert "What G9 says" not in text  # no finding is of that rule


def test_it_asks_nobody_for_anything():
    text = render_html([a_subject()], RULES)
    assert [address for address in Page(text).addresses if not address.startswith(("data:", "#"))] == []
    assert "default-src 'none'" in text
    assert not re.search(r"@import|url\((?!#)|fetch\(|XMLHttpRequest", text)


def test_names_are_text_and_never_markup():
    evil = '<script>alert("1")</script>&'
    text = render_html([a_subject(evil), a_subject("other")], {"G4": f"# {evil}"})
    assert "<script>alert" not in text
    assert text.count("<script>") == 1
    assert evil in Page(text).words[0]


def test_two_networks_stand_side_by_side():
    text = render_html([a_subject("a"), replace(a_subject("b"), against=None)])
    page = Page(text)
    assert "a against b" in page.words
    for run in ("a, PyTorch", "a, engine", "b, PyTorch"):
        assert f'<th scope="col">{run}</th>' in text
    assert text.count("<figure") == 4  # categories of all, and a roofline for each
    assert text.count('<tr data-run="b, PyTorch"') == 3


def test_a_profile_alone_says_that_no_rule_was_asked():
    subject = a_subject()
    nothing = replace(subject, audit=replace(subject.audit, findings=(), selected=()))
    silent = replace(subject, audit=replace(subject.audit, findings=(), selected=("G1", "G2")))
    assert "No rule was asked." in render_html([nothing])
    assert "None of G1, G2." in render_html([silent])


def test_more_than_six_findings_are_folded():
    subject = a_subject()
    many = replace(subject, audit=replace(subject.audit, findings=tuple(a_finding(cost_ms=9.0 - i) for i in range(8))))
    text = render_html([many])
    shown, folded = text.split("<summary>2 more, each below 4.000 ms</summary>")
    assert (shown.count("<article>"), folded.count("<article>")) == (6, 2)


def test_what_is_unknown_is_named():
    subject = a_subject()
    profile = replace(subject.audit.profile, unknown={"fft_r2c": 2})
    text = render_html([replace(subject, audit=replace(subject.audit, profile=profile))])
    assert "PyTorch: it is not known whether these multiply: 2 fft_r2c." in text
