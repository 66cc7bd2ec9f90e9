from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

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


def test_large_blocks_lie_in_huge_pages() -> None:
    setting = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if platform.libc_ver()[0] != "glibc" or not setting.exists() or "[never]" in setting.read_text():
        pytest.skip("the system has no huge pages to ask for")
    program = """
import pathlib
from shufflekit.train.memory import keep_freed_memory
assert keep_freed_memory()
block = bytearray(24 << 20)
smaps = pathlib.Path("/proc/self/smaps").read_text().splitlines()
print(max(int(line.split()[1]) for line in smaps if line.startswith("AnonHugePages:")))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 16 << 10, "KiB of one mapping"
