"""The tables of detection, V1 Table 7 and V2 Table 7: backbones compared in one detector."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from shufflekit.bench.machine import Machine
from shufflekit.bench.race import take_turns
from shufflekit.compiling import compile as compile_network
from shufflekit.cost import count
from shufflekit.detect.coco import Truth, read_truth
from shufflekit.detect.create import CHECKPOINTS, create_detector
from shufflekit.detect.evaluate import evaluate
from shufflekit.detect.faster_rcnn import FasterRCNN
from shufflekit.detect.find_all import find_all
from shufflekit.detect.light_head_rcnn import LightHeadRCNN
from shufflekit.detect.region_detector import RegionDetector
from shufflekit.device import Device
from shufflekit.errors import DownloadError
from shufflekit.export.random_weights import spread_weights
from shufflekit.modes import torch_threads
from shufflekit.reproduce.papers import PaperTable
from shufflekit.reproduce.record import Cell
from shufflekit.reproduce.speed import Built
from shufflekit.reproduce.structure_tables import Rows

_RELEASE = {"unit_split": "release"}  # whose FLOPs the paper prints
V1_TABLE_7 = {
    "ShuffleNet 2x g=3": Built("shufflenet_v1_g3_x2_0"),
    "ShuffleNet 1x g=3": Built("shufflenet_v1_g3_x1_0"),
    "1.0 MobileNet-224 (as published)": Built("mobilenet_v1_x1_0"),
    "1.0 MobileNet-224 (re-implemented)": Built("mobilenet_v1_x1_0"),
}
V1_SIZES = {"300x image": (300, 400), "600x image": (600, 800)}
V2_LEVELS = ("40M", "140M", "300M", "500M")
_V2_WIDTHS = ("x0_5", "x1_0", "x1_5", "x2_0")
V2_TABLE_7 = {
    "Xception": [Built(f"xception_like_v2_{width}") for width in _V2_WIDTHS],
    "ShuffleNet v1": [Built(f"shufflenet_v1_g3_{width}") for width in _V2_WIDTHS],
    "MobileNet v2": [Built(f"mobilenet_v2_{width}") for width in ("x0_15", "x0_6", "x1_0", "x1_4")],
    "ShuffleNet v2": [Built(f"shufflenet_v2_{width}", options=_RELEASE) for width in _V2_WIDTHS],
    "ShuffleNet v2*": [Built(f"shufflenet_v2_{width}_star", options=_RELEASE) for width in _V2_WIDTHS],
}
V2_SIZE = (800, 1200)
_ROUNDS = 2  # a call takes a second or more

_OURS = ("backbone: MFLOPs at 224x224", "detector: GFLOPs", "parameters", "PyTorch, ms", "engine, ms")
_NOTES = [
    "no weights of these detectors are published: no average precision of ours",
    "one image of the size named, on one thread; GFLOPs count all regions that the second stage looks at",
    "the engine runs all that comes once an image, and the second stage; suppression and ROI align are PyTorch's in both",
    "weights are random, and 0 in the first stage's last layer: the proposals of every backbone are the same anchors",
]


@dataclass(frozen=True)
class _Images:
    """What precision is measured on; read before anything is timed."""

    truth: Truth
    folder: Path


@dataclass
class Measured:
    """What a detector costs: multiply-adds with all its proposals, parameters, median ms by runtime."""

    flops: int
    params: int
    ms: Mapping[str, float] = field(default_factory=dict)


class Dense(nn.Module):
    """What a detector in two stages runs once an image, by itself: it can be counted and compiled."""

    def __init__(self, detector: RegionDetector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, x: Tensor) -> list[Tensor]:
        return list(self.detector.dense(x))


class Look(nn.Module):
    """Its second stage, by itself."""

    def __init__(self, detector: RegionDetector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, pooled: Tensor) -> Tensor:
        return self.detector.look(pooled)


def v1_table_7(table: PaperTable, _device: Device, tell: Callable[[str], object], _kept: Path | None) -> Rows:
    """Faster R-CNN at two input sizes."""
    columns = ("backbone", "registry name", "input", "paper: mAP, %", *_OURS)
    rows: list[tuple[Cell, ...]] = []
    machine = Machine(1)
    shares: list[float] = []
    seen: dict[tuple[str, tuple[int, int]], tuple[Cell, ...]] = {}
    for label, built in V1_TABLE_7.items():
        for column, size in V1_SIZES.items():
            if (built.network, size) not in seen:
                tell(f"faster_rcnn_{built.network} at {size[0]}x{size[1]}")
                detector = FasterRCNN(built.network, backbone_options=dict(built.options))
                seen[built.network, size] = _cells(built, measure(detector, size, machine, shares))
            printed = table.row(label)[column]
            rows.append((label, f"faster_rcnn_{built.network}", "x".join(map(str, size)), printed, *seen[built.network, size]))
    notes = [*_NOTES, "a row and its re-implementation are one network here: what differs is the training"]
    return columns, rows, notes + _disturbances(machine, shares)


def v2_table_7(table: PaperTable, _device: Device, tell: Callable[[str], object], coco: Path | None) -> Rows:
    """Light-Head R-CNN with five backbones at four complexities; below them what we have on ShuffleNet V2 with weights."""
    columns = ("backbone", "registry name", "level", "paper: mmAP, %", "paper: GPU, images/s", *_OURS, "AP on coco_mini, %")
    images = _Images(read_truth(coco / "annotations" / "instances_val.json"), coco / "images" / "val") if coco else None
    rows: list[tuple[Cell, ...]] = []
    machine = Machine(1)
    shares: list[float] = []
    for label, networks in V2_TABLE_7.items():
        for level, built in zip(V2_LEVELS, networks, strict=True):
            tell(f"light_head_rcnn_{built.network}")
            detector = LightHeadRCNN(built.network, backbone_options=dict(built.options))
            printed = table.row(label)
            head = (label, f"light_head_rcnn_{built.network}", level, printed[f"mmAP {level}"], printed[f"speed {level}"])
            rows.append((*head, *_cells(built, measure(detector, V2_SIZE, machine, shares)), None))
    notes = [*_NOTES, f"input {V2_SIZE[0]}x{V2_SIZE[1]}, as in the paper, whose GPU takes four images at a time"]
    notes.append("V2 and V2* are built with unit_split='release', whose FLOPs the paper prints")
    ours, more = _with_weights(machine, shares, tell, images)
    return columns, rows + ours, notes + more + _disturbances(machine, shares)


def measure(detector: RegionDetector, size: tuple[int, int], machine: Machine, shares: list[float]) -> Measured:
    """Counts and times one detector in two stages, whose weights are random.

    Args:
        detector: in any mode; it is left in evaluation.
        size: height and width of the input.
        machine: measures its rates between the rounds.
        shares: gets how much of a core the timed calls had.
    """
    torch.manual_seed(0)
    spread_weights(detector.backbone, (1, 3, 64, 64))
    nn.init.zeros_(detector.proposal_head.last.weight)  # else suppression takes as long as random boxes happen to overlap
    detector.eval()
    x = torch.rand(1, 3, *size)
    pooled = pooled_shape(detector)
    dense, look = count(Dense(detector), (1, 3, *size)), count(Look(detector), (detector.proposals, *pooled))
    engine = on_engine(detector, size)
    with torch_threads(1), torch.inference_mode():
        times, share = take_turns({"torch": partial(detector, x), "engine": partial(engine, x)}, _ROUNDS, 1, machine.measure)
    shares.append(share)
    params = sum(parameter.numel() for parameter in detector.parameters())
    return Measured(dense.flops + look.flops, params, {name: median(found) for name, found in times.items()})


def pooled_shape(detector: RegionDetector) -> tuple[int, ...]:
    """What the second stage looks at, of one region."""
    with torch.inference_mode():
        _, seen = detector.eval().dense(torch.zeros(1, 3, 64, 64))
        return tuple(detector.pool(seen, torch.zeros(1, 4), torch.zeros(1, dtype=torch.long)).shape[1:])


def on_engine(detector: RegionDetector, size: tuple[int, int]) -> RegionDetector:
    """The same detector with both its stages compiled; what lies between them stays PyTorch's."""
    dense = compile_network(Dense(detector), (1, 3, *size))
    look = compile_network(Look(detector), (1, *pooled_shape(detector)))
    twin = copy.copy(detector)
    vars(twin).update(
        dense=lambda x: tuple(torch.from_numpy(found) for found in dense(x.numpy())),
        look=lambda pooled: torch.from_numpy(look(np.ascontiguousarray(pooled.numpy()))),
    )
    return twin


def _cells(built: Built, found: Measured) -> tuple[Cell, ...]:
    return built.counts()[1], found.flops / 1e9, found.params, found.ms["torch"], found.ms["engine"]


def _with_weights(
    machine: Machine, shares: list[float], tell: Callable[[str], object], images: _Images | None
) -> tuple[list[tuple[Cell, ...]], list[str]]:
    """A row for each detector in one stage that has published weights."""
    rows: list[tuple[Cell, ...]] = []
    notes = ["NanoDet-m and FastestDet have one stage, and published weights: their rows compare with none of the paper's"]
    if images is None:
        notes.append("no AP on coco_mini: --coco names no folder")
    for checkpoint in CHECKPOINTS:
        name = checkpoint.architecture
        tell(name)
        try:
            detector = create_detector(name, True).eval()
        except DownloadError as error:
            notes.append(f"{name}: {error}")
            continue
        assert detector.pretrained_cfg is not None, "published weights say how they take photos"
        size = detector.pretrained_cfg["input_size"][1:]
        engine = compile_network(detector, (1, 3, *size))
        x = torch.rand(1, 3, *size)
        with torch_threads(1), torch.inference_mode():
            runs: dict[str, Callable[[], object]] = {"torch": partial(detector, x), "engine": partial(engine, x.numpy())}
            times, share = take_turns(runs, 2 * _ROUNDS, _ROUNDS, machine.measure)
        shares.append(share)
        precision = None
        if images is not None:
            results = find_all(detector, detector.pretrained_cfg, images.truth, images.folder)
            precision = 100 * evaluate(images.truth, results).ap
        backbone = Built(detector.backbone.architecture).counts()[1]
        counts = count(detector, (1, 3, *size))
        speed = (median(times["torch"]), median(times["engine"]))
        head = ("ShuffleNet v2, one stage", name, "x".join(map(str, size)), None, None)
        rows.append((*head, backbone, counts.flops / 1e9, counts.params, *speed, precision))
    return rows, notes


def _disturbances(machine: Machine, shares: Sequence[float]) -> list[str]:
    complaints: list[Any] = machine.complaints(shares)
    return [f"{complaint}: a quiet machine's medians are lower" for complaint in complaints]
