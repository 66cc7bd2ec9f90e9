"""docs/results.md is what the script writes from the tables and runs that are kept."""

from __future__ import annotations

import json
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from shufflekit.reproduce.accuracy_tables import ACCURACY_TABLES, accuracy_record, small_groups
from tests.reproduce.test_accuracy_tables import all_runs

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "results_page.py"))
EVIDENCE = SCRIPT["read_evidence"]()
MOBILENET, SHUFFLENET, SHALLOW = [30.0, 31.0, 32.0, 31.0, 31.0], [28.0] * 5, [30.0, 32.0, 31.0, 31.5, 30.5]


def test_the_page_is_up_to_date() -> None:
    assert EVIDENCE.records
    assert (ROOT / "docs" / "results.md").read_text() == SCRIPT["page"](EVIDENCE)
    for name in ACCURACY_TABLES:
        assert (ROOT / "docs" / "accuracy" / f"{name}.svg").exists() == (name in EVIDENCE.records)


def test_an_accuracy_table_without_runs_says_how_to_make_it() -> None:
    nothing = {name: record for name, record in EVIDENCE.records.items() if name not in ACCURACY_TABLES}
    text = SCRIPT["page"](replace(EVIDENCE, records=nothing, runs=[]))
    for name in ACCURACY_TABLES:
        assert f"nothing trained yet: `shufflekit reproduce {name} --scale small --data DATA -o results/accuracy`" in text
    assert text.count("| not finished |") == 6
    assert "reach.svg" not in text


def test_an_accuracy_table_has_its_picture() -> None:
    runs = all_runs("v1.table5", [MOBILENET, SHUFFLENET, SHALLOW])
    text = SCRIPT["page"](
        replace(EVIDENCE, records=EVIDENCE.records | {"v1.table5": accuracy_record("v1.table5", runs)}, runs=runs)
    )
    assert "](accuracy/v1.table5.svg)" in text
    shown = "shufflenet_v1_g4_x0_5 | 41.6 | 28.00 | 29.00 | 26.00 | 5 | -3.00 (-3.88 to -2.12) | holds |"
    assert f"| ShuffleNet 0.5x g=4 | {shown}" in text
    assert "| It errs less than MobileNet of equal FLOPs | holds for 1 of 2, not decided for 1 of 2 |" in text
    drawn = json.loads(SCRIPT["draw"]("v1.table5", runs).to_json())
    assert [row["error"] for row in drawn["hconcat"][0]["data"]["values"]] == [*MOBILENET, *SHUFFLENET, *SHALLOW]


def test_intervals_are_drawn_beside_the_papers_difference() -> None:
    drawn = json.loads(SCRIPT["draw"]("v1.table5", all_runs("v1.table5", [MOBILENET, SHUFFLENET, SHALLOW])).to_json())
    first, better, level = next(
        layer["data"]["values"] for layer in drawn["hconcat"][1]["layer"] if len(layer["data"]["values"]) > 1
    )
    assert "paper" not in first
    found = [better[key] for key in ("low", "more", "high", "paper")]
    assert found == pytest.approx([-3.878, -3, -2.122, 41.6 - 49.4], abs=1e-3)
    assert level["more"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("gain", "expected"), [(0.1, "does not hold for 1 of 3"), (2.0, "holds for 1 of 3")])
def test_the_gain_of_eight_groups_is_held_against_that_of_three(gain: float, expected: str) -> None:
    noise = [0.0, 0.1, -0.1, 0.05, 0.0]
    eight = all_runs("v1.table3", [[30 + each for each in noise], [30 + gain] * 5])
    three = all_runs("v1.table3", [[30 + 2 * each for each in noise], [31.0] * 5], level=-2)
    text = SCRIPT["page"](replace(EVIDENCE, runs=eight + three))
    assert f"| and by more with 8 groups than with 3 | {expected}, not finished for 2 of 3 |" in text


def test_reach_is_drawn_beside_what_is_wired() -> None:
    pair = small_groups("v1.table3")[-1]
    runs = all_runs("v1.table3", [[30.0] * 2, [31.0] * 2])
    units = [f"stage{stage}.{unit}" for stage, count in ((2, 4), (3, 8), (4, 4)) for unit in range(count)][1:]
    runs = [replace(one, reach=dict.fromkeys(units, 1.5 + one.seed)) for one in runs]
    (values,) = (
        json.loads(SCRIPT["draw_reach"](runs).to_json())["datasets"].values()
        if False
        else (json.loads(SCRIPT["draw_reach"](runs).to_json())["data"]["values"],)
    )
    without = [row for row in values if row["network"] == pair.rows[1].label]
    assert [row["groups"] for row in without if row["line"] == "used"] == [2.0] * 15
    assert [row["groups"] for row in without if row["line"] == "wired"] == [1.0] * 4 + [2.0] * 8 + [4.0] * 3
