"""The tables of measured speed, V1 Table 8, V2 Table 8 and its appendix's 1: one thread, one image, as on the phones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn

from shufflekit.cost import count
from shufflekit.device import Device
from shufflekit.models.mobilenet_v2 import InvertedResidual
from shufflekit.models.shufflenet_v1 import Unit as V1Unit
from shufflekit.models.shufflenet_v2 import Unit as V2Unit
from shufflekit.models.xception_like_v2 import xception_unit
from shufflekit.reproduce.papers import PaperTable
from shufflekit.reproduce.record import Cell
from shufflekit.reproduce.speed import TIMES, Built, disturbances, missing, time_networks, times_of
from shufflekit.reproduce.structure_tables import Rows

V1_TABLE_8 = {
    "ShuffleNet 0.5x g=3": Built("shufflenet_v1_g3_x0_5"),
    "ShuffleNet 1x g=3": Built("shufflenet_v1_g3_x1_0"),
    "ShuffleNet 2x g=3": Built("shufflenet_v1_g3_x2_0"),
    "AlexNet": Built("alexnet"),
    "1.0 MobileNet-224": Built("mobilenet_v1_x1_0"),
}
_V1_SIZES = {"224x224": (224, 224), "480x640": (480, 640), "720x1280": (720, 1280)}
_RELEASE = {"unit_split": "release"}
V2_TABLE_8 = {
    "ShuffleNet v2 0.5x": Built("shufflenet_v2_x0_5", options=_RELEASE),
    "0.25 MobileNet v1": Built("mobilenet_v1_x0_25"),
    "0.4 MobileNet v2 (re-implemented, 160x160)": Built("mobilenet_v2_x0_4", (160, 160)),
    "0.15 MobileNet v2 (re-implemented)": Built("mobilenet_v2_x0_15"),
    "ShuffleNet v1 0.5x g=3": Built("shufflenet_v1_g3_x0_5"),
    "DenseNet 0.5x (re-implemented)": Built("densenet_like_x0_5"),
    "Xception 0.5x (re-implemented)": Built("xception_like_v2_x0_5"),
    "IGCV2-0.25": Built("igcv2_x0_25"),
    "ShuffleNet v2 1x": Built("shufflenet_v2_x1_0", options=_RELEASE),
    "0.5 MobileNet v1": Built("mobilenet_v1_x0_5"),
    "0.75 MobileNet v2 (re-implemented, 192x192)": Built("mobilenet_v2_x0_75", (192, 192)),
    "0.6 MobileNet v2 (re-implemented)": Built("mobilenet_v2_x0_6"),
    "ShuffleNet v1 1x g=3": Built("shufflenet_v1_g3_x1_0"),
    "DenseNet 1x (re-implemented)": Built("densenet_like_x1_0"),
    "Xception 1x (re-implemented)": Built("xception_like_v2_x1_0"),
    "IGCV2-0.5": Built("igcv2_x0_5"),
    "IGCV3-D (0.7)": Built("igcv3_d_x0_7"),
    "ShuffleNet v2 1.5x": Built("shufflenet_v2_x1_5", options=_RELEASE),
    "0.75 MobileNet v1": Built("mobilenet_v1_x0_75"),
    "1.0 MobileNet v2": Built("mobilenet_v2_x1_0"),
    "1.0 MobileNet v2 (re-implemented)": Built("mobilenet_v2_x1_0"),
    "ShuffleNet v1 1.5x g=3": Built("shufflenet_v1_g3_x1_5"),
    "DenseNet 1.5x (re-implemented)": Built("densenet_like_x1_5"),
    "CondenseNet (G=C=8)": Built("condensenet_74_g8"),
    "Xception 1.5x (re-implemented)": Built("xception_like_v2_x1_5"),
    "IGCV3-D": Built("igcv3_d_x1_0"),
    "ShuffleNet v2 2x": Built("shufflenet_v2_x2_0", options=_RELEASE),
    "1.0 MobileNet v1": Built("mobilenet_v1_x1_0"),
    "1.4 MobileNet v2": Built("mobilenet_v2_x1_4"),
    "1.4 MobileNet v2 (re-implemented)": Built("mobilenet_v2_x1_4"),
    "ShuffleNet v1 2x g=3": Built("shufflenet_v1_g3_x2_0"),
    "DenseNet 2x (re-implemented)": Built("densenet_like_x2_0"),
    "CondenseNet (G=C=4)": Built("condensenet_74_g4"),
    "Xception 2x (re-implemented)": Built("xception_like_v2_x2_0"),
    "IGCV2-1.0": Built("igcv2_x1_0"),
    "IGCV3-D (1.4)": Built("igcv3_d_x1_4"),
    "ShuffleNet v2 2x with SE": Built("se_shufflenet_v2_x2_0"),
    "NASNet-A (4@1056, re-implemented)": Built("nasnet_a_mobile"),
    "PNASNet-5 (re-implemented)": Built("pnasnet_5_mobile"),
}
# By level of multiply-adds at 224x224: 40M, 140M, 300M, 500M.
APPENDIX_TABLE_1A = {
    "ShuffleNet v2": [Built(f"shufflenet_v2_{width}", options=_RELEASE) for width in ("x0_5", "x1_0", "x1_5", "x2_0")],
    "ShuffleNet v1": [Built(f"shufflenet_v1_g3_{width}") for width in ("x0_5", "x1_0", "x1_5", "x2_0")],
    "MobileNet v2": [Built(f"mobilenet_v2_{width}") for width in ("x0_15", "x0_6", "x1_0", "x1_4")],
    "Xception": [Built(f"xception_like_v2_{width}") for width in ("x0_5", "x1_0", "x1_5", "x2_0")],
}
_LEVELS = ("40M", "140M", "300M", "500M")
_APPENDIX_SIZES = {"320x320": (320, 320), "640x480": (480, 640), "1080x720": (720, 1080)}  # printed as width x height


@dataclass(frozen=True)
class Stack:
    """Ten units of one kind, as appendix Table 1b times them."""

    kind: str
    width: int
    size: tuple[int, int]

    @property
    def network(self) -> str:
        """A name, as a file may have it."""
        return f"{self.kind.lower().replace(' ', '_')}_units_{self.width}"

    @property
    def channels(self) -> int:
        """Of input and output."""
        return self.width

    def build(self) -> nn.Module:
        """With random weights."""
        return nn.Sequential(*(_UNITS[self.kind](self.width, self.width, 1) for _ in range(10)))

    def mflops(self) -> float:
        """Millions of multiply-adds of one image."""
        with torch.device("meta"):
            return count(self.build(), (1, self.width, *self.size)).flops / 1e6


_UNITS: dict[str, Callable[[int, int, int], nn.Module]] = {
    "ShuffleNet v2": V2Unit,
    "ShuffleNet v1": partial(V1Unit, groups=3, first_groups=3),
    "MobileNet v2": partial(InvertedResidual, expansion=6),
    "Xception": xception_unit,
}
_V2_WIDTHS = (64, 128, 256)
# The paper gives the widths of V2 alone; these come nearest to its multiply-adds, V1's in twelves, Xception's in fours.
APPENDIX_TABLE_1B = {
    "ShuffleNet v2": _V2_WIDTHS,
    "ShuffleNet v1": (108, 228, 444),
    "MobileNet v2": (12, 25, 51),
    "Xception": (52, 112, 232),
}


def v1_table_8(table: PaperTable, device: Device, tell: Callable[[str], object], kept: Path | None) -> Rows:
    """Inference time at three input sizes."""
    networks, sizes = list(V1_TABLE_8.values()), list(_V1_SIZES.values())
    found, sessions = time_networks(networks, sizes, device, peers=True, tell=tell, kept=kept)
    columns = ("network", "input", "paper: ms on a Snapdragon 820", *TIMES)
    rows: list[tuple[Cell, ...]] = []
    notes: list[str] = []
    for label, built in V1_TABLE_8.items():
        for column, size in _V1_SIZES.items():
            one = found[built.network, *size]
            rows.append((label, column, table.row(label)[column], *times_of(one)))
            notes += missing(one)
    for column, size in _V1_SIZES.items():
        large, small = found["alexnet", *size], found["shufflenet_v1_g3_x0_5", *size]
        ratio = table.row("AlexNet")[column] / table.row("ShuffleNet 0.5x g=3")[column]
        fastest = min(one.median_ms for one in large.values() if one.median_ms)
        ours = small["engine"].median_ms
        if ours:
            notes.append(
                f"AlexNet over ShuffleNet 0.5x g=3 at {column}: {ratio:.1f} in the paper; here {fastest / ours:.1f}, "
                "the fastest runtime's over the engine's"
            )
    return columns, rows, notes + disturbances(sessions)


def v2_table_8(table: PaperTable, device: Device, tell: Callable[[str], object], kept: Path | None) -> Rows:
    """Error, as published, and speed of 39 networks at four complexities."""
    found, sessions = time_networks(list(V2_TABLE_8.values()), None, device, peers=True, tell=tell, kept=kept)
    paper = ("paper: error, %", "paper: MFLOPs", "MFLOPs", "paper: GPU, batches/s", "paper: ARM, images/s")
    columns = ("network", "level", *paper, *TIMES)
    rows: list[tuple[Cell, ...]] = []
    notes: list[str] = []
    unbuilt = []
    for cells in table.rows:
        printed = dict(zip(table.columns, cells, strict=True))
        built = V2_TABLE_8.get(printed["model"])
        mflops = built.counts()[1] if built else None
        head: tuple[Cell, ...] = (printed["model"], printed["level"], printed["top1_err"], printed["mflops"], mflops)
        head += (printed["gpu_batches_per_s"], printed["arm_images_per_s"])
        if built is None:
            unbuilt.append(printed["model"])
            rows.append((*head, *[None] * len(TIMES)))
            continue
        one = found[built.network, *built.size]
        rows.append((*head, *times_of(one)))
        notes += missing(one)
    if unbuilt:
        notes.append(f"not built here: {', '.join(unbuilt)}")
    notes.append("a row and its re-implementation are one network here: what differs is the training")
    return columns, rows, list(dict.fromkeys(notes)) + disturbances(sessions)


def v2_appendix_table_1a(table: PaperTable, device: Device, tell: Callable[[str], object], kept: Path | None) -> Rows:
    """Speed of four families at three larger inputs."""
    networks = [built for family in APPENDIX_TABLE_1A.values() for built in family]
    found, sessions = time_networks(networks, list(_APPENDIX_SIZES.values()), device, peers=False, tell=tell, kept=kept)
    columns = ("input", "family", "level", "paper: GPU, batches/s", "paper: ARM, images/s", *TIMES[:3])
    rows: list[tuple[Cell, ...]] = []
    notes: list[str] = []
    for cells in table.rows:
        printed = dict(zip(table.columns, cells, strict=True))
        for level, built in zip(_LEVELS, APPENDIX_TABLE_1A[printed["model"]], strict=True):
            one = found[built.network, *_APPENDIX_SIZES[printed["input"]]]
            paper = (printed[f"GPU {level}"], printed[f"ARM {level}"])
            rows.append((printed["input"], printed["model"], level, *paper, *times_of(one)[:3]))
            notes += missing(one)
    notes.append("levels are multiply-adds at 224x224; MobileNet v2 at 40M: 0.15 of the width")
    return columns, rows, notes + disturbances(sessions)


def v2_appendix_table_1b(table: PaperTable, device: Device, tell: Callable[[str], object], kept: Path | None) -> Rows:
    """Speed of ten stacked units of four kinds, at equal multiply-adds."""
    columns = ("input", "unit", "V2's width", "width", "MFLOPs", "paper: GPU, batches/s", "paper: ARM, images/s", *TIMES[:3])
    rows: list[tuple[Cell, ...]] = []
    notes: list[str] = []
    everything = []
    for cells in table.rows:
        printed = dict(zip(table.columns, cells, strict=True))
        side = int(printed["input"].split("x")[0])
        for c, width in zip(_V2_WIDTHS, APPENDIX_TABLE_1B[printed["unit"]], strict=True):
            stack = Stack(printed["unit"], width, (side, side))
            found, sessions = time_networks([stack], None, device, peers=False, tell=tell, kept=kept)
            one = found[stack.network, side, side]
            paper = (printed[f"GPU c={c}"], printed[f"ARM c={c}"])
            rows.append((printed["input"], printed["unit"], c, width, stack.mflops(), *paper, *times_of(one)[:3]))
            notes += missing(one)
            everything += sessions
    notes.append("widths of all but V2 are ours, to meet V2's multiply-adds; the paper does not print them")
    return columns, rows, notes + disturbances(everything)
