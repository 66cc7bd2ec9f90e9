"""How long an ONNX file takes to become an engine: reading it, and planning; seconds of the processor, the least of some runs.

    python benchmarks/compile_time.py                                  # MobileNets and a ResNet-50 at 224x224
    python benchmarks/compile_time.py --networks resnet50 unet
    python benchmarks/compile_time.py --networks resnet50 --tune --runs 1  # kernels chosen by a stopwatch

Files are written by our own export of `benchmarks/networks`. A fresh process imports numpy and onnx besides, once.
"""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from cyclopts import App, Parameter
from networks import NETWORKS

import shufflekit as sk
from shufflekit.errors import UsageError
from shufflekit.export import export

app = App(help=__doc__)


@app.default
def main(
    *,
    networks: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = (
        *("mobilenet_v3_small", "mobilenet_v3_large", "mobilenet_v4_small", "resnet50"),
    ),
    runs: int = 3,
    tune: bool = False,
) -> None:
    """Print a table.

    Args:
        networks: names of `benchmarks/networks`.
        runs: of each.
        tune: plan with a stopwatch (`sk.compile(..., tune=True)`).
    """
    if unknown := set(networks) - NETWORKS.keys():
        raise UsageError(f"networks: must be of {', '.join(NETWORKS)}, found {', '.join(sorted(unknown))}")
    print("| network | MB | reading, s | planning, s | together, s |\n|---|--:|--:|--:|--:|")
    for name in networks:
        with TemporaryDirectory() as folder:
            (path,) = export(NETWORKS[name](), NETWORKS[name].shape, "onnx", folder, name=name, verify=False)
            reading, planning = min((timed(path, tune) for _ in range(runs)), key=sum)
            size = path.stat().st_size / 1e6
            print(f"| {name} | {size:.1f} | {reading:.2f} | {planning:.2f} | {reading + planning:.2f} |", flush=True)


def timed(path: Path, tune: bool) -> tuple[float, float]:
    """Seconds of reading a file, and of making an engine of it."""
    start = time.process_time()
    network = sk.load_onnx(path)
    middle = time.process_time()
    sk.compile(network, tune=tune)
    return middle - start, time.process_time() - middle


if __name__ == "__main__":
    app()
