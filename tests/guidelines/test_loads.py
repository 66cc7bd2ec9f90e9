"""What is timed, and by which clock."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from shufflekit.guidelines import loads
from shufflekit.guidelines.loads import clock_of


@pytest.mark.parametrize(("threads", "counts"), [(1, False), (2, True)])
def test_one_thread_is_timed_without_what_others_take_in_between(threads, counts):
    clock = clock_of(threads)
    start = clock()
    time.sleep(0.02)
    assert (clock() - start > 15e6) == counts, "ns"


@pytest.mark.parametrize("threads", [1, 2])
def test_windows_whose_clock_of_a_thread_is_coarse_times_by_the_other(threads, monkeypatch):
    monkeypatch.setattr(loads, "os", SimpleNamespace(name="nt"))
    assert clock_of(threads) is time.perf_counter_ns
