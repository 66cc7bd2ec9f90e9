"""Start-up: what loading a saved plan and running the first image add to a process that imports numpy, in ms and memory.

    python benchmarks/start_up.py                              # ShuffleNet V2 1x at 224x224, one thread
    python benchmarks/start_up.py --model shufflenet_v1_g3_x0_5 --repeats 20

Each line is a fresh process, `repeats` times in turn; medians, and the peak resident memory of the process (Linux).
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cyclopts import App
from rich.console import Console
from rich.table import Table

import shufflekit as sk

PROCESSES = {
    "import numpy": "import numpy",
    "and load, run": "import numpy, shufflekit as sk; sk.load({plan!r})(numpy.zeros({shape}, numpy.float32))",
}
# Not getrusage: a child's peak there starts at its parent's, which has torch.
_MEMORY = "print(*(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"

app = App(help=__doc__)


def _timed(code: str) -> tuple[float, float]:
    """Seconds from start to exit, and MB."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", f"{code}; {_MEMORY}"], check=True, capture_output=True, text=True)
    return time.perf_counter() - start, int(done.stdout) * 1024 / 1e6


@app.default
def main(model: str = "shufflenet_v2_x1_0", repeats: int = 10) -> None:
    """Prints the table.

    Args:
        model: a registry name, with random weights.
        repeats: of each process.
    """
    shape = (1, 3, 224, 224)
    with tempfile.TemporaryDirectory() as folder:
        plan = str(Path(folder) / "net.plan")
        sk.compile(sk.create_model(model), shape).save(plan)
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in PROCESSES}
        for _ in range(repeats + 1):  # the first turn fills the disk's cache
            for name, code in PROCESSES.items():
                found[name].append(_timed(code.format(plan=plan, shape=shape)))
    table = Table("process", "ms", "more than numpy, ms", "peak MB")
    medians = {name: [statistics.median(column) for column in zip(*runs[1:])] for name, runs in found.items()}
    for name, (seconds, megabytes) in medians.items():
        beyond = (seconds - medians["import numpy"][0]) * 1e3
        table.add_row(name, f"{seconds * 1e3:.0f}", f"{beyond:.0f}", f"{megabytes:.0f}")
    Console().print(f"{model}, {repeats} processes each", table)


if __name__ == "__main__":
    app()
