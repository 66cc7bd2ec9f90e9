"""What is timed, and by which clock."""

from __future__ import annotations

import time

import pytest

from shufflekit.guidelines.loads import clock_of


@pytest.mark.parametrize(("threads", "counts"), [(1, False), (2, True)])
def test_one_thread_is_timed_without_what_others_take_in_between(threads, counts):
    clock = clock_of(threads)
    start = clock()
    time.sleep(0.02)
    assert (clock() - start > 15e6) == counts, "ns"
