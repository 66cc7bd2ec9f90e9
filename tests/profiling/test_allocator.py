from __future__ import annotations

import subprocess
import sys

import pytest

# Six maps of 2 MiB, one after the other and each with the one before, as a network makes them.
PASSES = """
import resource, sys
import numpy as np
from shufflekit.profiling.allocator import settle_allocator

def one_pass():
    maps = []
    for _ in range(6):
        maps.append(np.empty(2 << 20, np.uint8))
        maps[-1][::4096] = 1
    maps.clear()

if "settle" in sys.argv:
    settle_allocator()
for _ in range(3):
    one_pass()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    one_pass()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 20)
"""


def faults(*arguments: str) -> float:
    """New pages a pass, in a process of its own."""
    found = subprocess.run([sys.executable, "-c", PASSES, *arguments], capture_output=True, text=True, check=True)
    return float(found.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts page faults, and knows glibc's rules only")
def test_a_settled_allocator_keeps_the_memory_of_freed_maps():
    new_pages = faults()
    if new_pages < 100:
        pytest.skip(f"this C library keeps memory by itself: {new_pages:.0f} new pages a pass")
    assert faults("settle") < 10
