"""Accuracy in int8: our own quantiser, and ONNX Runtime's and OpenVINO's from the same calibration images.

    pip install -c constraints.txt -e '.[bench,detect,train]'
    python benchmarks/quantization.py                  # the ten-class network and three detectors
    python benchmarks/quantization.py --only fastestdet --weight-bits 7

Ranges are learnt from 300 images of the training part, none of which is scored. The ten-class network is scored by its top-1 on
the 10,000 test images of CIFAR-10, detectors by AP on the 100 validation photos of coco_mini. Signal-to-noise is that of the
outputs on 32 images of the calibration, against the network in float32, as `Engine.quantization` has it. The plan of photos as
bytes takes them as decoders give them, so that nothing of the image itself is rounded.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from cyclopts import App
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import shufflekit as sk
from shufflekit.errors import ShufflekitError

Images = NDArray[np.float32]
Run = Callable[[Images], Sequence[Images]]
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
DETECTORS = {
    "nanodet_m_shufflenet_v2_x0_5": "nanodet_m_0.5x.onnx",
    "nanodet_m_shufflenet_v2_x1_0": "nanodet_m.onnx",
    "fastestdet": "fastestdet_coco_ap05_0.253.pth",
}
TEN = "shufflenet_v2_x0_5.cifar10"
PEERS = {"onnx": "ONNX Runtime int8", "openvino": "OpenVINO int8"}
CALIBRATION = 300
SCORE = 0.02  # of the least certain box that counts

app = App(help=__doc__)


@dataclass(frozen=True, eq=False)
class Task:
    """A network, images to learn ranges from, and how its runs are scored, in points of a hundred."""

    network: Any
    shape: tuple[int, ...]
    calibration: Images
    score: Callable[[Run], float]


@app.default
def main(data: Path = DATA, only: str | None = None, weight_bits: int = 8, peers: bool = True) -> None:
    """Prints the table.

    Args:
        data: the folder with cifar10/, weights/ and coco_mini/.
        only: one network.
        weight_bits: of ours.
        peers: whether the other quantisers run too.
    """
    if not (data / "weights").is_dir():
        print(f"skipped: the published detectors are not at {data / 'weights'}")
        return
    rounded = f"int8, {weight_bits} bits of weight"
    columns = ("network", "float32", rounded, "loss", "signal to noise, dB", "of photos as bytes", "loss", *PEERS.values())
    table = Table(*columns)
    for name in [only] if only else [TEN, *DETECTORS]:
        task = ten_classes(data) if name == TEN else detector(name, data)
        table.add_row(name, *row(task, weight_bits, peers))
    Console(width=160).print(table)


def row(task: Task, weight_bits: int, peers: bool) -> list[str]:
    """Scores of a network, in float32 and rounded."""
    before = task.score(run_of(sk.compile(task.network, task.shape)))
    engine = sk.compile(task.network, task.shape, int8=task.calibration, weight_bits=weight_bits)
    after = task.score(run_of(engine))
    assert engine.quantization is not None
    noise = min(engine.quantization.outputs.values())
    photos = photos_of(task.network)
    of_photos = sk.compile(task.network, task.shape, int8=photos(task.calibration), weight_bits=weight_bits, input="uint8")
    as_bytes = task.score(lambda x: run_of(of_photos)(photos(x)))
    others = [shown(lambda one=one: task.score(peer(one, task)), before) if peers else "" for one in PEERS]
    ours = (before, after, before - after, noise, as_bytes, before - as_bytes)
    return [*(f"{each:.2f}" for each in ours), *others]


def shown(score: Callable[[], float], before: float) -> str:
    """A peer's score and loss, or why there is none."""
    try:
        after = score()
    except ShufflekitError as error:
        return str(error)
    return f"{after:.2f} ({before - after:.2f} lost)"


def run_of(engine: Any) -> Run:
    def run(x: Images) -> Sequence[Images]:
        found = engine(x)
        return found if isinstance(found, list) else [found]

    return run


def photos_of(network: Any) -> Callable[[Images], NDArray[np.uint8]]:
    """What takes prepared images back to the photos that they were."""
    cfg = network.pretrained_cfg
    mean, std = (np.reshape(cfg[key], (1, -1, 1, 1)) for key in ("mean", "std"))

    def photos(x: Images) -> NDArray[np.uint8]:
        pixels = np.rint((x * std + mean) * 255).astype(np.uint8).transpose(0, 2, 3, 1)
        return np.ascontiguousarray(pixels[..., ::-1] if cfg.get("channel_order") == "bgr" else pixels)

    return photos


def peer(one: str, task: Task) -> Run:
    """The network as another quantiser rounds it, from the same images."""
    from shufflekit.export.convert import FORMATS, convert
    from shufflekit.export.format import Settings
    from shufflekit.export.quantize import quantize

    with TemporaryDirectory() as folder:
        convert(task.network, task.shape, one, Path(folder), "net", Settings(), False)
        name = quantize(one, folder, "net", task.calibration)
        run = FORMATS[one].load(Path(folder) / name, 1)

    def one_by_one(x: Images) -> list[Images]:
        singles = [[y.copy() for y in run(x[i : i + 1])] for i in range(len(x))]  # OpenVINO writes into the same memory again
        return [np.concatenate(each) for each in zip(*singles)]

    return one_by_one


def ten_classes(data: Path) -> Task:
    from shufflekit.classify.inputs import input_shape, preparation
    from shufflekit.data.loader import evaluation_loader
    from shufflekit.data.sources import open_source

    network = sk.create_model("shufflenet_v2_x0_5", pretrained="cifar10").eval()

    def batches(part: str, shuffle: bool) -> Any:
        source = open_source(data / "cifar10" / f"{part}.parquet")
        return evaluation_loader(source, preparation(network), 100, shuffle=shuffle).epoch(0)

    test = [(np.asarray(each.images), np.asarray(each.labels)) for each in batches("test", False)]
    calibration = np.concatenate([np.asarray(each.images) for each in islice(batches("train", True), CALIBRATION // 100)])

    def score(run: Run) -> float:
        right = sum(int((run(x)[0].argmax(1) == labels).sum()) for x, labels in test)
        return 100 * right / sum(len(labels) for _, labels in test)

    return Task(network, input_shape(network), calibration, score)


def detector(name: str, data: Path) -> Task:
    from shufflekit.data.images import read_image
    from shufflekit.detect.coco import read_truth
    from shufflekit.detect.create import create_detector
    from shufflekit.detect.evaluate import evaluate
    from shufflekit.detect.photo_detector import PhotoDetector

    def read(path: Path) -> NDArray[np.uint8]:
        return read_image(path.read_bytes(), path.name)

    network = create_detector(name, data / "weights" / DETECTORS[name]).eval()
    truth = read_truth(data / "coco_mini" / "annotations" / "instances_val.json")
    photos = {image.key: read(data / "coco_mini" / "images" / "val" / image.file_name) for image in truth.images}
    finder = PhotoDetector(lambda x: [x], network.pretrained_cfg, name)
    train = sorted((data / "coco_mini" / "images" / "train").glob("*.jpg"))[:CALIBRATION]
    calibration = np.stack([finder.prepare(read(path))[0] for path in train])

    def score(run: Run) -> float:
        finder.run = run
        found = [{"image_id": key, **each.to_coco()} for key, photo in photos.items() for each in finder(photo, SCORE)]
        return 100 * evaluate(truth, found).ap

    return Task(network, (1, *network.pretrained_cfg["input_size"]), calibration, score)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(app())
