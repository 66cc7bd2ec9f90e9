"""What a fresh process needs to its first output: time from its start, and memory at most.

    python -m shufflekit.bench.cold_start RUNTIME STEM THREADS N C H W

runs converted files once and prints `time of the first output` (seconds since 1970) and `peak resident kB`.
"""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from shufflekit.bench.runtimes import RUNTIMES
from shufflekit.errors import InputError
from shufflekit.export.format import Shape
from shufflekit.export.quiet import stdout_to_stderr


@dataclass(frozen=True)
class ColdStart:
    """Medians over fresh processes: ms from start to first output, and resident memory at most, in MB.

    Python, its imports and the loading of the converted files are in it; memory is None where the system does not say.
    """

    first_output_ms: float
    peak_mb: float | None


def measure_cold_start(runtime: str, stem: Path, shape: Shape, threads: int, repeats: int) -> ColdStart:
    """Starts fresh processes, one after another.

    Args:
        runtime: a key of `RUNTIMES`.
        stem: of the files that it wrote.
        shape: of the input.
        threads: of the runtime.
        repeats: processes.

    Raises:
        InputError: a process failed; the last line of what it said.
    """
    command = [sys.executable, "-m", __name__, runtime, str(stem), str(threads), *map(str, shape)]
    times, peaks = [], []
    for _ in range(repeats):
        start = time.time()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise InputError(f"{runtime}: a fresh process failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
        end, peak = done.stdout.split()
        times.append((float(end) - start) * 1e3)
        peaks.append(int(peak) * 1024 / 1e6)
    return ColdStart(median(times), median(peaks) if min(peaks) else None)


def peak_kb() -> int:
    """Resident memory of this process at most, 0 where the system does not say.

    Not getrusage: a child's peak there starts at its parent's.
    """
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.is_file() else []
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def _main(runtime: str, stem: str, threads: str, *shape: str) -> None:
    with stdout_to_stderr():
        RUNTIMES[runtime].load(Path(stem), int(threads))(np.zeros(tuple(map(int, shape)), np.float32))
        end = time.time()
    sys.stdout.write(f"{end} {peak_kb()}\n")


if __name__ == "__main__":
    _main(*sys.argv[1:])
