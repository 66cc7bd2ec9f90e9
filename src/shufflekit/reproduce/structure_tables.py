"""The tables that describe networks: V1 Tables 1 and 6, V2 Tables 5 and 6 and appendix Table 2."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from shufflekit.device import Device
from shufflekit.models import Network
from shufflekit.reproduce.papers import PaperTable
from shufflekit.reproduce.record import Cell
from shufflekit.reproduce.speed import TIMES, Built, disturbances, missing, time_networks, times_of

_RELEASE = {"unit_split": "release"}  # whose FLOPs the paper prints
_RELEASE_NOTE = "built with unit_split='release', whose FLOPs the paper prints; the default splits evenly, as torchvision does"

V1_TABLE_1 = {f"g={g}": Built(f"shufflenet_v1_g{g}_x1_0") for g in (1, 2, 3, 4, 8)}
V1_TABLE_6 = {
    "VGG-16": Built("vgg16"),
    "ShuffleNet 2x g=3": Built("shufflenet_v1_g3_x2_0"),
    "GoogleNet (BVLC)": Built("googlenet_bvlc"),
    "ShuffleNet 1x g=8": Built("shufflenet_v1_g8_x1_0"),
    "AlexNet": Built("alexnet"),
    "SqueezeNet": Built("squeezenet1_0", (227, 227)),
    "ShuffleNet 0.5x g=4": Built("shufflenet_v1_g4_x0_5"),
}
V2_TABLE_5 = {
    width: Built(f"shufflenet_v2_{name}", options=_RELEASE)
    for width, name in {"0.5x": "x0_5", "1x": "x1_0", "1.5x": "x1_5", "2x": "x2_0"}.items()
}
V2_TABLE_6 = {
    "ShuffleNet v2-50": Built("shufflenet_v2_50"),
    "ShuffleNet v1-50 (re-implemented)": Built("shufflenet_v1_50"),
    "ResNet-50": Built("resnet50"),
    "SE-ShuffleNet v2-164 with residual": Built("se_shufflenet_v2_164"),
    "SENet": Built("senet_154"),
}
V2_APPENDIX_TABLE_2 = {
    "ShuffleNet v1-50 g=3": Built("shufflenet_v1_50"),
    "ShuffleNet v2-50": Built("shufflenet_v2_50"),
    "ResNet-50": Built("resnet50"),
    "SE-ShuffleNet v2-164": Built("se_shufflenet_v2_164"),
}

Rows = tuple[tuple[str, ...], list[tuple[Cell, ...]], list[str]]  # columns, rows, notes


def v1_table_1(table: PaperTable, device: Device, tell: Callable[[str], object], kept: Path | None) -> Rows:
    """Channels of each stage and FLOPs of ShuffleNet 1x, by groups."""
    return _by_width(table, V1_TABLE_1, "Complexity", None, device, tell, kept)


def v2_table_5(table: PaperTable, device: Device, tell: Callable[[str], object], kept: Path | None) -> Rows:
    """Channels of each stage, FLOPs and weights of ShuffleNet V2, by width."""
    columns, rows, notes = _by_width(table, V2_TABLE_5, "FLOPs", "Weights", device, tell, kept)
    return columns, rows, [_RELEASE_NOTE, *notes]


def v1_table_6(table: PaperTable, device: Device, tell: Callable[[str], object], kept: Path | None) -> Rows:
    """Error, as published, and FLOPs of older networks and ShuffleNets that err as often."""
    notes = [
        "GoogLeNet: the 1,500 printed are its own claim, whose table counts 34 for the 118 of the first layer",
        "SqueezeNet at 227x227, the input of its release, where the printed FLOPs hold",
    ]
    return _by_network(table, V1_TABLE_6, "complexity", 1.0, notes, device, tell, kept)


def v2_table_6(table: PaperTable, device: Device, tell: Callable[[str], object], kept: Path | None) -> Rows:
    """Error, as published, and FLOPs of large networks."""
    notes = [
        "ShuffleNet v1-50: a bottleneck of 1:2 meets the printed FLOPs; 1:4, as the paper says, gives 1.16 G",
        "SENet: SENet-154",
    ]
    return _by_network(table, V2_TABLE_6, "GFLOPs", 1e3, notes, device, tell, kept)


def v2_appendix_table_2(table: PaperTable, _device: Device, _tell: Callable[[str], object], _kept: Path | None) -> Rows:
    """Units and channels of each stage of the large networks."""
    columns = ("network", "stage", "paper: units", "units", "paper: channels", "channels")
    rows: list[tuple[Cell, ...]] = []
    notes = ["GFLOPs, parameters and speed of the same networks: v2.table6"]
    for label, built in V2_APPENDIX_TABLE_2.items():
        model = built.build()
        for number in range(2, 6):
            printed: Mapping[str, Any] = table.row(f"conv{number}_x")[label]
            units, channels = _stage(model, number)
            rows.append((label, f"conv{number}_x", printed["repeat"], units, printed["1x1,3x3,1x1"][-1], channels))
    return columns, rows, notes


def _stage(model: Network, number: int) -> tuple[int, int]:
    """Units and output channels of conv2_x to conv5_x: ResNet's layer1 to layer4, ShuffleNet's stage2 to stage5."""
    name = next(name for name in (f"layer{number - 1}", f"stage{number}") if hasattr(model, name))
    channels = model.feature_info.channels()[model.feature_info.module_name().index(name)]
    return len(list(model.get_submodule(name).children())), channels


def _by_width(
    table: PaperTable,
    networks: Mapping[str, Built],
    flops: str,
    weights: str | None,
    device: Device,
    tell: Callable[[str], object],
    kept: Path | None,
) -> Rows:
    """A table with a column a network: its cells become a row each."""
    found, sessions = time_networks(list(networks.values()), None, device, peers=True, tell=tell, kept=kept)
    columns = ("network", "registry name", "paper: stages 2-4", "stages 2-4", "paper: MFLOPs", "MFLOPs")
    columns += (*(("paper: weights, M",) if weights else ()), "parameters", *TIMES)
    rows: list[tuple[Cell, ...]] = []
    notes = []
    for label, built in networks.items():
        printed = [row[table.columns.index(label)] for row in table.rows if row[0].startswith("Stage") and row[3] == 2]
        ours = built.build().feature_info.channels()[-3:]
        params, mflops = built.counts()
        one = found[built.network, *built.size]
        row: tuple[Cell, ...] = (label, built.network, _join(printed), _join(ours), table.row(flops)[label], mflops)
        row += ((table.row(weights)[label],) if weights else ()) + (params,)
        rows.append(row + times_of(one))
        notes += missing(one)
    return columns, rows, notes + disturbances(sessions)


def _by_network(
    table: PaperTable,
    networks: Mapping[str, Built],
    flops: str,
    unit: float,
    notes: list[str],
    device: Device,
    tell: Callable[[str], object],
    kept: Path | None,
) -> Rows:
    """A table with a row a network; `unit` is how many millions of multiply-adds the paper's number counts."""
    found, sessions = time_networks(list(networks.values()), None, device, peers=True, tell=tell, kept=kept)
    columns = ("network", "registry name", "paper: error, %", "paper: MFLOPs", "MFLOPs", "parameters", *TIMES)
    rows: list[tuple[Cell, ...]] = []
    for cells in table.rows:
        printed = dict(zip(table.columns, cells, strict=True))
        built = networks.get(printed["model"])
        head: tuple[Cell, ...] = (
            printed["model"],
            built.network if built else None,
            printed["error"],
            unit * printed[flops],
        )
        if built is None:
            rows.append((*head, *[None] * (len(columns) - len(head))))
            continue
        params, mflops = built.counts()
        one = found[built.network, *built.size]
        rows.append((*head, mflops, params, *times_of(one)))
        notes = notes + missing(one)
    return columns, rows, notes + disturbances(sessions)


def _join(channels: list[int]) -> str:
    return " ".join(map(str, channels))
