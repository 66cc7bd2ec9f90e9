"""The race in bytes: what it keeps, and the tables that docs/int8.md has of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("altair")

from torch import nn

from shufflekit.errors import InputError, UsageError
from shufflekit.models import list_models
from shufflekit.quantization import LEAST_DB

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module", autouse=True)
def path() -> Iterator[None]:
    sys.path.insert(0, str(FOLDER))
    yield
    sys.path.remove(str(FOLDER))


@pytest.fixture(scope="module")
def results(path: None) -> ModuleType:
    return import_module("contestants.results")


@pytest.fixture(scope="module")
def race(path: None) -> ModuleType:
    return import_module("int8_race")


@pytest.fixture(scope="module")
def noise(path: None) -> ModuleType:
    return import_module("int8_noise")


def unit(results: ModuleType, network: str, ours: float, theirs: float, *others) -> object:
    entries = (
        results.Entry("shufflekit float32", "timed", "", 2 * ours, ours, 120.0),
        results.Entry("shufflekit int8", "timed", "", ours, ours, 30.0),
        results.Entry("OpenVINO int8", "timed", "", theirs, theirs, 25.0),
        *others,
    )
    return results.Unit(network, 1, "a processor", "2026-11-30", (), entries)


def test_the_page_has_the_tables_of_what_is_kept(results: ModuleType, noise: ModuleType) -> None:
    page = results.PAGE.read_text(encoding="utf-8")
    tables = {
        "race": results.race_table(results.read_units(results.RESULTS)),
        "scores": results.score_table(results.read_scores(results.RESULTS)),
        "noise": noise.table(noise.read_noise(results.RESULTS)),
    }
    for name, text in tables.items():
        opening, closing = results.marks(name)
        assert f"{opening}\n{text}{closing}" in page, name


def test_no_network_loses_much_without_a_warning(results: ModuleType, noise: ModuleType) -> None:
    found = noise.read_noise(results.RESULTS)
    names = {one.network for one in found}
    assert [one.network for one in found] == [name for name in list_models() if name in names]
    assert not [one.network for one in found if one.db is None]
    # A warning is of images of the calibration, on which a network is a little better than on others.
    assert not [one.network for one in found if one.db < LEAST_DB - 2 and "dB alone: --keep" not in one.warning]


def test_a_ratio_is_of_each_sides_best(results: ModuleType) -> None:
    one = unit(results, "a", 1.0, 3.0, results.Entry("MNN int8", "timed", "", 2.5, 2.5, 9.0))
    assert (one.ratio, one.least(True), one.least(False)) == (2.5, (1.0, "shufflekit int8"), (2.5, "MNN int8"))
    alone = results.Unit("a", 1, "", "", (), one.entries[:2])
    assert alone.ratio is None


def test_the_table_tells_who_is_missing_and_who_is_behind(results: ModuleType) -> None:
    missing = results.Entry("MNN int8", "failed", "its quantiser ended")
    text = results.race_table([unit(results, "a", 1.0, 3.0, missing), unit(results, "b", 2.0, 1.0, missing)])
    assert "| a | 2.00 | 1.00 | 3.00 | 3.00 |\n| b | 4.00 | 2.00 | 1.00 | 0.50 |" in text
    assert "Behind the best peer: b 0.50." in text
    assert "- MNN int8 failed: its quantiser ended (every network)" in text
    assert "| a | 30.0 | 25.0 |" in text  # dB of what is not float32
    assert "geometric mean" not in text  # of ten that are not all there


def test_the_mean_is_of_ten(results: ModuleType) -> None:
    units = [unit(results, name, 1.0, ms) for name, ms in zip(results.TEN, [2.0, 8.0] * 5)]
    units.append(unit(results, "resnet18", 1.0, 100.0))
    assert "geometric mean is 4.00 of the best peer's best over our best, and 2.00 of our float32 over our int8" in (
        results.race_table(units)
    )


def test_scores_stand_beside_what_they_lose(results: ModuleType) -> None:
    name = results.TRAINED[0]
    scores = [
        results.Score(name, "shufflekit float32", 89.0),
        results.Score(name, "MNN int8", 88.5),
        results.Score(name, "LiteRT float32", None, "not installed"),
    ]
    text = results.score_table(scores)
    assert "| MNN int8 | 88.50 (-0.50) |" in text
    assert "- LiteRT float32: not installed (every network)" in text


def test_a_picture_is_of_networks_that_have_time_and_score(results: ModuleType) -> None:
    name = results.TRAINED[0]
    scores = [results.Score(name, "shufflekit int8", 89.0), results.Score(name, "MNN int8", None, "none")]
    assert results.picture([unit(results, "a", 1.0, 2.0)], scores) is None
    drawn = results.picture([unit(results, name, 1.0, 2.0)], scores).to_dict()
    assert len(drawn["concat"]) == 1
    assert drawn["data"]["values"] == [
        {"network": name, "runtime": "shufflekit", "precision": "int8", "ms": 1.0, "score": 89.0}
    ]


@pytest.mark.parametrize(
    ("found", "db"), [([3.0, 0.0], 200.0), ([3.3, 0.0], 20.0), ([0.0, 0.0], 0.0), ([float("nan"), 0.0], -200.0)]
)
def test_decibels(results: ModuleType, found, db) -> None:
    assert results.decibels(np.array([3.0, 0.0]), np.array(found)) == db


def test_a_page_without_marks_is_left_alone(results: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- race: end -->\nb\n")
    with pytest.raises(InputError, match=r"page.md: must have the lines <!-- race: written .* in this order, found 1 of them"):
        results.put(page, "race", "text")
    assert page.read_text() == "a\n<!-- race: end -->\nb\n"


def test_what_is_kept_is_not_raced_again(race: ModuleType, results: ModuleType, tmp_path: Path, monkeypatch) -> None:
    pytest.importorskip("onnx")
    name, page, folder = "shufflenet_v2_x0_5", tmp_path / "page.md", tmp_path / "files"
    page.write_text("".join("\n".join(results.marks(each)) + "\n" for each in ("race", "scores")))
    images = np.random.default_rng(0).standard_normal((4, 3, 8, 8), np.float32)
    monkeypatch.setattr(
        race, "_network", lambda *_: (nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 1)).eval(), images)
    )
    with pytest.raises(InputError, match="not prepared"):
        race.race(networks=(name,), folder=folder, results=tmp_path, page=page)
    race.prepare(networks=(name,), contestants=results.OURS, folder=folder)
    settings = {
        "networks": (name,),
        "threads": (1,),
        "rounds": 1,
        "calls": 1,
        "folder": folder,
        "results": tmp_path,
        "page": page,
    }
    race.race(**settings)
    (first,) = results.read_units(tmp_path)
    states = {one.contestant: one.state for one in first.entries}
    assert [states[one] for one in results.OURS] == 3 * ["timed"]
    others = {
        state for one, state in states.items() if one not in (*results.OURS, "ONNX Runtime float32")
    }  # whose file is there
    assert others <= {"failed", "skipped"}
    assert first.entries[0].db > 100 > first.entries[1].db > first.entries[2].db > 10
    assert f"| {name} | " in page.read_text()
    race.race(**settings)
    assert results.read_units(tmp_path) == [first]
    race.race(**settings, again=True)
    assert results.read_units(tmp_path) != [first]


def test_what_is_no_network_is_refused(race: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"networks: must be of shufflenet_v2_x0_5, .* found resnet19"):
        race.prepare(networks=("resnet19",), folder=tmp_path)
    with pytest.raises(UsageError, match="threads, rounds and calls: must be at least 1"):
        race.race(rounds=0, folder=tmp_path)


def test_outputs_in_another_order_are_put_right(race: ModuleType) -> None:
    a, b = np.zeros((1, 3)), np.ones((1, 4))
    assert [y.size for y in race._in_order([b, a], [a, b])] == [3, 4]
    same = np.full((1, 3), 2.0)
    assert race._in_order([same, a], [a, same])[0] is same, "which is which cannot be told"
    images = np.arange(2.0).reshape(2, 1)
    found = race._one_by_one(lambda x: [b + x, a + x], [a, b], images)
    assert [y.tolist() for y in found] == [[[0.0] * 3, [1.0] * 3], [[1.0] * 4, [2.0] * 4]]
