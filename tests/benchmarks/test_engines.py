"""The pure parts of the race, on times written down by hand, and one real turn on stand-ins."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def engines() -> Iterator[ModuleType]:
    folder = str(Path(__file__).parents[2] / "benchmarks")
    sys.path.insert(0, folder)
    yield import_module("engines")
    sys.path.remove(folder)


@pytest.fixture(scope="module")
def race(engines: ModuleType) -> ModuleType:
    return import_module("_race")


def test_ratios_are_of_the_best_peer(race: ModuleType) -> None:
    rows = (
        race.Row("shufflekit", "1", "timed", times_ms=(2.0, 1.0, 9.0)),
        race.Row("MNN", "1", "timed", times_ms=(3.0, 2.5, 3.0)),
        race.Row("ncnn", "1", "timed", times_ms=(4.0, 2.0, 5.0)),
    )
    one = race.Race("net", 30_000_000, rows)
    assert [row.engine for row in one.peers] == ["MNN", "ncnn"]
    assert (one.ratio, one.best_ratio) == (1.5, 2.0)
    assert one.share(60e9) == pytest.approx(0.25)  # 30 M in 2 ms are 15 G/s


def test_the_mean_is_geometric_and_leaves_out_who_ran_alone(race: ModuleType) -> None:
    def one(ours: float, peer: float | None) -> object:
        rows = [race.Row("shufflekit", "1", "timed", times_ms=(ours,))]
        rows += [race.Row("MNN", "1", "timed", times_ms=(peer,))] if peer else [race.Row("MNN", "", "skipped", "missing")]
        return race.Race("net", 1, tuple(rows))

    assert race.mean_ratio([one(1.0, 1.0), one(1.0, 4.0), one(1.0, None)]) == pytest.approx(2.0)
    assert race.mean_ratio([one(1.0, None)]) is None


def test_the_headline_divides_any_engine_by_ours(race: ModuleType) -> None:
    large = race.Race("large", 1, (race.Row("ncnn", "1", "timed", times_ms=(20.0,)), race.Row("shufflekit", "1", "failed")))
    both = (race.Row("ncnn", "1", "timed", times_ms=(0.5,)), race.Row("shufflekit", "1", "timed", times_ms=(1.0,)))
    small = race.Race("small", 1, both)
    assert race.headline([large, small], "large", "small") == (20.0, 20.0)
    assert race.headline([small], "large", "small") is None
    assert race.headline([small, large], "small", "large") is None


def test_an_error_is_of_the_largest_value(race: ModuleType) -> None:
    expected = np.array([[1.0, -4.0]], np.float32)
    assert race.relative_error(np.array([[1.0, -3.0]], np.float32), expected) == 0.25
    assert race.relative_error(np.array([1.0, -4.0], np.float32), expected) == float("inf")
    assert race.relative_error(np.array([[1.0, np.nan]], np.float32), expected) == float("inf")


def test_everyone_gets_the_same_turns(race: ModuleType) -> None:
    calls = {"a": 0, "b": 0}

    def call(name: str) -> None:
        calls[name] += 1

    rounds = []
    times, _ = race.take_turns({name: (lambda name=name: call(name)) for name in calls}, 3, 2, lambda: rounds.append(1))
    assert calls == {"a": 9, "b": 9}  # one more a turn, which does not count
    assert [len(spent) for spent in times.values()] == [6, 6]
    assert len(rounds) == 3


def test_the_table_says_who_did_not_run(engines: ModuleType, race: ModuleType) -> None:
    rows = (race.Row("shufflekit", "1", "timed", times_ms=(2.0,)), race.Row("MNN", "", "skipped", "MNN is not installed"))
    one = race.Race("net", 60_000_000, rows)
    header, lines = engines.table([one], ["shufflekit", "MNN"], 1, 60e9)
    assert header == ["network", "shufflekit, ms", "MNN, ms", "best peer / ours", "of peak"]
    assert lines == [["net", "2.00 (2.00)", "skipped", "", "50%"]]
    assert engines.untimed([one]) == ["MNN skipped: MNN is not installed (every network)"]
    assert engines.table([one], ["shufflekit"], 16, 60e9)[1][0][1] == "8000 (8000)"  # images a second


def test_a_missing_a_wrong_and_a_broken_engine_get_a_row(engines: ModuleType, tmp_path: Path) -> None:
    class Missing(engines.Engine):
        name, packages = "Missing", ("no_such_package",)

        def prepare(self, *_: object) -> None:
            pytest.fail("it is not there")

    class Wrong(engines.Engine):
        name, packages = "Wrong", ("numpy",)

        def prepare(self, *_: object) -> object:
            return lambda x: np.ones((len(x), 1000), np.float32)

    class Broken(engines.Engine):
        name, packages = "Broken", ("numpy",)

        def prepare(self, *_: object) -> object:
            raise RuntimeError("no such operator\nand a page of text")

    entry = engines.prepare("shufflenet_v2_x0_5", (1, 3, 64, 64), 1, [Missing(), Wrong(), Broken()], tmp_path)
    assert not entry.runs
    notes = {row.engine: (row.state, row.note) for row in entry.untimed}
    assert notes["Missing"] == ("skipped", "no_such_package is not installed: pip install 'shufflekit[bench]'")
    assert notes["Wrong"][0] == "wrong"
    assert notes["Broken"] == ("failed", "RuntimeError: no such operator")
