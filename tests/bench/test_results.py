from __future__ import annotations

from dataclasses import replace

import pytest

from shufflekit.bench.results import Result, Session, compare, timing
from shufflekit.device import CopyRate, Device, PeakRate, Rate
from shufflekit.errors import InputError

RATE = Rate(best=50e9, median=48e9)
DEVICE = Device(
    "a CPU",
    "x86_64",
    "Linux",
    2,
    2**33,
    (),
    ("avx2",),
    ("avx2",),
    (PeakRate("avx2", RATE, Rate(100e9, 90e9)),),
    (CopyRate(2**14, Rate(180e9, 170e9), None), CopyRate(2**28, Rate(16e9, 15e9), Rate(20e9, 18e9))),
    "2026-01-01",
    1,
)


def timed(model: str, low: float, median: float, high: float, runtime: str = "engine") -> Result:
    return Result(model, runtime, "1", "timed", "", 224, 224, 1, 1, 30, median, high, low, low, high)


def session(*results: Result, noise: float = 0.01) -> Session:
    return Session(DEVICE, "2026-01-01T00:00:00+00:00", "engine", 6, 5, noise, (), results)


def verdicts(old: Session, new: Session) -> list[str]:
    return [change.verdict for change in compare(old, new)]


def test_a_session_reads_as_it_was_written() -> None:
    one = session(timed("a", 1.0, 1.1, 1.2), Result("b", "mnn", "", "skipped", "missing", 224, 224, 1, 1))
    assert Session.from_json(one.to_json()) == one


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"form": 2}', session().to_json().replace('"noise": 0.01', '"noise": "x"')])
def test_another_file_is_told_in_one_line(text: str) -> None:
    with pytest.raises(InputError, match="^bench results: (not readable|no JSON)"):
        Session.from_json(text)


def test_a_loss_is_beyond_intervals_and_noise() -> None:
    old = session(timed("a", 1.00, 1.01, 1.02))
    assert verdicts(old, session(timed("a", 1.06, 1.07, 1.08))) == ["loss"]
    assert verdicts(old, session(timed("a", 1.015, 1.07, 1.08))) == ["same"]  # the intervals touch
    assert verdicts(old, session(timed("a", 1.025, 1.028, 1.03))) == ["same"]  # 1.8 %
    assert verdicts(old, session(timed("a", 1.06, 1.07, 1.08), noise=0.10)) == ["same"]
    assert verdicts(session(*old.results, noise=0.10), session(timed("a", 1.06, 1.07, 1.08))) == ["same"]


def test_a_gain_is_too() -> None:
    old = session(timed("a", 1.00, 1.01, 1.02), timed("b", 1.00, 1.01, 1.02))
    new = session(timed("b", 0.98, 0.995, 1.01), timed("a", 0.90, 0.91, 0.92), timed("c", 1, 1, 1))
    assert verdicts(old, new) == ["same", "gain"]
    assert compare(old, new)[1].ratio == pytest.approx(0.91 / 1.01)


def test_only_what_was_the_same_is_compared() -> None:
    old = session(timed("a", 1.00, 1.01, 1.02))
    with pytest.raises(InputError, match="^compare: no model was timed both times in the same runtime"):
        compare(old, session(replace(old.results[0], threads=2), replace(old.results[0], runtime="mnn")))
    other = replace(old, device=replace(DEVICE, cpu="another CPU"))
    with pytest.raises(InputError, match="^compare: must be results of this machine, a CPU with 2 cores, found another CPU"):
        compare(other, old)


def test_calls_of_a_turn_do_not_narrow_the_interval() -> None:
    turns = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    found = timing([time for time in turns for _ in range(5)], calls=5)
    assert (found["low_ms"], found["high_ms"]) == (1.0, 6.0)  # six turns: no more is known
    assert (found["median_ms"], found["best_ms"], found["p95_ms"]) == (3.5, 1.0, 6.0)
