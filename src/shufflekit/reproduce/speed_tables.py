"""The tables of measured speed, V1 Table 8 and V2 Table 8: one thread, one image, as on the papers' phones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from shufflekit.device import Device
from shufflekit.reproduce.papers import PaperTable
from shufflekit.reproduce.record import Cell
from shufflekit.reproduce.speed import Built, disturbances, missing, quickest_peer, time_networks
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
    "ShuffleNet v2 1x": Built("shufflenet_v2_x1_0", options=_RELEASE),
    "0.5 MobileNet v1": Built("mobilenet_v1_x0_5"),
    "0.75 MobileNet v2 (re-implemented, 192x192)": Built("mobilenet_v2_x0_75", (192, 192)),
    "0.6 MobileNet v2 (re-implemented)": Built("mobilenet_v2_x0_6"),
    "ShuffleNet v1 1x g=3": Built("shufflenet_v1_g3_x1_0"),
    "DenseNet 1x (re-implemented)": Built("densenet_like_x1_0"),
    "Xception 1x (re-implemented)": Built("xception_like_v2_x1_0"),
    "ShuffleNet v2 1.5x": Built("shufflenet_v2_x1_5", options=_RELEASE),
    "0.75 MobileNet v1": Built("mobilenet_v1_x0_75"),
    "1.0 MobileNet v2": Built("mobilenet_v2_x1_0"),
    "1.0 MobileNet v2 (re-implemented)": Built("mobilenet_v2_x1_0"),
    "ShuffleNet v1 1.5x g=3": Built("shufflenet_v1_g3_x1_5"),
    "DenseNet 1.5x (re-implemented)": Built("densenet_like_x1_5"),
    "Xception 1.5x (re-implemented)": Built("xception_like_v2_x1_5"),
    "ShuffleNet v2 2x": Built("shufflenet_v2_x2_0", options=_RELEASE),
    "1.0 MobileNet v1": Built("mobilenet_v1_x1_0"),
    "1.4 MobileNet v2": Built("mobilenet_v2_x1_4"),
    "1.4 MobileNet v2 (re-implemented)": Built("mobilenet_v2_x1_4"),
    "ShuffleNet v1 2x g=3": Built("shufflenet_v1_g3_x2_0"),
    "DenseNet 2x (re-implemented)": Built("densenet_like_x2_0"),
    "Xception 2x (re-implemented)": Built("xception_like_v2_x2_0"),
    "ShuffleNet v2 2x with SE": Built("se_shufflenet_v2_x2_0"),
}


def v1_table_8(table: PaperTable, device: Device, tell: Callable[[str], object]) -> Rows:
    """Inference time at three input sizes."""
    found, sessions = time_networks(list(V1_TABLE_8.values()), list(_V1_SIZES.values()), device, peers=True, tell=tell)
    columns = ("network", "input", "paper: ms on a Snapdragon 820", *_OURS)
    rows: list[tuple[Cell, ...]] = []
    notes: list[str] = []
    for label, built in V1_TABLE_8.items():
        for column, size in _V1_SIZES.items():
            one = found[built.network, *size]
            rows.append((label, column, table.row(label)[column], *_times(one)))
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


def v2_table_8(table: PaperTable, device: Device, tell: Callable[[str], object]) -> Rows:
    """Error, as published, and speed of 39 networks at four complexities."""
    found, sessions = time_networks(list(V2_TABLE_8.values()), None, device, peers=True, tell=tell)
    paper = ("paper: error, %", "paper: MFLOPs", "MFLOPs", "paper: GPU, batches/s", "paper: ARM, images/s")
    columns = ("network", "level", *paper, *_OURS)
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
            rows.append((*head, *[None] * len(_OURS)))
            continue
        one = found[built.network, *built.size]
        rows.append((*head, *_times(one)))
        notes += missing(one)
    if unbuilt:
        notes.append(f"not built here: {', '.join(unbuilt)}")
    notes.append("a row and its re-implementation are one network here: what differs is the training")
    return columns, rows, list(dict.fromkeys(notes)) + disturbances(sessions)


_OURS = ("PyTorch, ms", "engine, ms", "of limit", "best other, ms", "best other")


def _times(found: Mapping[str, Any]) -> tuple[Cell, ...]:
    name, other = quickest_peer(found)
    share = found["engine"].limit_share
    return found["torch"].median_ms, found["engine"].median_ms, None if share is None else f"{share:.0%}", other, name
