from __future__ import annotations

import platform
import subprocess
import sys

import pytest


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has the setting")
def test_freed_memory_stays_in_the_process() -> None:
    """In a process of its own, since the setting stays."""
    program = """
import resource
from shufflekit.train.memory import keep_freed_memory
assert keep_freed_memory()
faults = []
for _ in range(6):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    bytearray(24 << 20)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(faults[-1])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    pages = (24 << 20) // 4096
    assert int(done.stdout) < pages / 10, "the pages of the block before are used again"
