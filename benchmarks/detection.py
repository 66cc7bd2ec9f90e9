"""Detectors: the compiled network against ONNX Runtime on the published ONNX file, in turn, on one thread; and what follows.

    pip install -c constraints.txt -e '.[bench,detect]'
    python benchmarks/detection.py                        # NanoDet-m 0.5x and 1.0x at 320x320, FastestDet at 352x352
    python benchmarks/detection.py --rounds 40 --cpu-time # beside other work on the same core

Outputs are compared first. Every round gives each runtime a turn, in another order each time; a cell is the median of the
calls and, in brackets, the quickest. Post-processing is ours, from raw maps to named boxes in the photo's pixels, on real
photos at score 0.3, timed photo by photo; its share is that of network and post-processing together. Preparing the photo is
the same for both and not counted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from cyclopts import App
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import shufflekit as sk
from shufflekit.bench.race import ALLOWED_DIFFERENCE, take_turns
from shufflekit.data.images import read_image
from shufflekit.detect.create import create_detector
from shufflekit.detect.runners import engine_detector
from shufflekit.device.host import cpu_name
from shufflekit.errors import ShufflekitError
from shufflekit.export.to_onnx import load_onnx
from shufflekit.outputs import largest_difference

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
# Detector -> its weights and the file that ONNX Runtime runs.
FILES = {
    "nanodet_m_shufflenet_v2_x0_5": ("nanodet_m_0.5x.onnx", "nanodet_m_0.5x.onnx"),
    "nanodet_m_shufflenet_v2_x1_0": ("nanodet_m.onnx", "nanodet_m.onnx"),
    "fastestdet": ("fastestdet_coco_ap05_0.253.pth", "fastestdet_coco.onnx"),
}
OURS, PEER = "shufflekit", "ONNX Runtime"
SCORE = 0.3
PHOTOS = 40

app = App(help=__doc__)


@app.default
def main(data: Path = DATA, rounds: int = 20, calls: int = 5, cpu_time: bool = False) -> None:
    """Prints the table.

    Args:
        data: the folder with weights/ and coco_mini/.
        rounds: turns of each runtime.
        calls: timed calls of a turn.
        cpu_time: of this process in place of the time that goes by.
    """
    if not (data / "weights").is_dir():
        print(f"skipped: the published detectors are not at {data / 'weights'}")
        return
    torch.set_num_threads(1)
    table = Table("detector", "input", "M multiply-adds", f"{OURS}, ms", f"{PEER}, ms", "ratio", "post-processing, ms", "share")
    had = []
    for name, (weights, original) in FILES.items():
        net = create_detector(name, data / "weights" / weights).eval()
        shape = (1, *net.pretrained_cfg["input_size"])
        engine = sk.compile(net, shape, threads=1)
        published = load_onnx(data / "weights" / original, threads=1)
        photos = read_photos(data)
        detector = engine_detector(engine, name)
        prepared = [detector.prepare(photo) for photo in photos]
        x = np.ascontiguousarray(prepared[0][0][None])
        check(name, engine(x), published(x))
        runs: dict[str, Callable[[], object]] = {OURS: partial(engine, x), PEER: partial(published, x)}
        times, cores = take_turns(runs, rounds, calls, cpu_time=cpu_time)
        had.append(cores)
        after = post_processing(detector, prepared, cpu_time)
        ours, theirs = (median(times[runtime]) for runtime in (OURS, PEER))
        best = min(times[PEER]) / min(times[OURS])
        table.add_row(
            name,
            f"{shape[2]}x{shape[3]}",
            f"{engine.program.flops / 1e6:.0f}",
            *(f"{median(times[one]):.2f} ({min(times[one]):.2f})" for one in (OURS, PEER)),
            f"{theirs / ours:.2f} ({best:.2f})",
            f"{after:.3f}",
            f"{after / (ours + after):.1%}",
        )
    Console(width=160).print(table)
    clock = "CPU time" if cpu_time else "wall time"
    print(f"{cpu_name()}, one thread, {rounds} x {calls} calls, {clock}; load average {os.getloadavg()[0]:.1f}")
    print(f"cores that the timed calls had: {min(had):.2f} to {max(had):.2f}")


def read_photos(data: Path) -> list[NDArray[np.uint8]]:
    """The first photos of coco_mini's val part."""
    paths = sorted((data / "coco_mini" / "images" / "val").iterdir())[:PHOTOS]
    return [read_image(path, path.name) for path in paths]


def check(name: str, maps: Any, original: list[NDArray[np.float32]]) -> None:
    """Raises ShufflekitError where the compiled detector and the published file say different things."""
    if name == "fastestdet":
        found = [1 / (1 + np.exp(-maps[:, :1])), maps[:, 1:5]]
        expected = [original[0][:, :1], original[0][:, 1:5]]
    else:
        found = [1 / (1 + np.exp(-y[:, :80].reshape(1, 80, -1).transpose(0, 2, 1))) for y in maps]
        expected = original[:3]
    worst = largest_difference(found, expected)
    if worst > ALLOWED_DIFFERENCE:
        raise ShufflekitError(f"{name}: differs from {PEER} by {worst:.1e} of the maximum, allowed {ALLOWED_DIFFERENCE:.0e}")


def post_processing(detector: Any, prepared: list[Any], cpu_time: bool) -> float:
    """Median ms over photos, each timed alone."""
    runs = {
        number: partial(detector.detections, detector.run(x[None]), placing, SCORE)
        for number, (x, placing) in enumerate(prepared)
    }
    times, _ = take_turns(runs, 3, 3, cpu_time=cpu_time)
    return median(median(of_photo) for of_photo in times.values())


if __name__ == "__main__":
    try:
        app()
    except ShufflekitError as error:
        sys.exit(f"detection.py: {error}")
