"""V2 Figure 2: where the time goes, by category of operators."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from shufflekit.compiling import compile as compile_network
from shufflekit.cost.categories import CATEGORIES
from shufflekit.device import Device
from shufflekit.profiling import profile
from shufflekit.profiling.engine import profile_engine
from shufflekit.profiling.record import MeasuredProfile
from shufflekit.reproduce.papers import PaperTable
from shufflekit.reproduce.record import Cell
from shufflekit.reproduce.speed import Built
from shufflekit.reproduce.structure_tables import Rows

V2_FIGURE_2 = {
    "ShuffleNet V1 1x g=3": Built("shufflenet_v1_g3_x1_0"),
    "MobileNet V2 1x": Built("mobilenet_v2_x1_0"),
    "ShuffleNet V2 1x": Built("shufflenet_v2_x1_0", options={"unit_split": "release"}),
}
# Our categories, and the figure's that they take in.
_PRINTED = {
    "convolution": ("Conv",),
    "data movement": ("Data", "Shuffle"),
    "element-wise": ("Elemwise",),
    "other": ("Other",),
}


def v2_figure_2(table: PaperTable, _device: Device, tell: Callable[[str], object], _kept: Path | None) -> Rows:
    """Shares of a pass by category, in PyTorch and in the engine, and ms of all."""
    columns = ("network", "category", "paper: GPU, %", "paper: ARM, %", "PyTorch, %", "engine, %", "PyTorch, ms", "engine, ms")
    rows: list[tuple[Cell, ...]] = []
    notes = [
        "data movement is the paper's Data and Shuffle: a shuffle here is a copy like others",
        "ShuffleNet V2 is not in the figure",
    ]
    for label, built in V2_FIGURE_2.items():
        tell(built.network)
        shape = (1, built.channels, *built.size)
        model = built.build().eval()
        eager = profile(model, shape, measure=True, threads=1)
        compiled = profile_engine(compile_network(model, shape, threads=1))
        shares = [_shares(one) for one in (eager, compiled)]
        for category in CATEGORIES:
            paper = [_printed(table, label, hardware, _PRINTED[category]) for hardware in ("GPU", "ARM")]
            times = [one.by_category[category] for one in (eager, compiled)]
            rows.append((label, category, *paper, *(share[category] for share in shares), *times))
        rows.append((label, "all", None, None, None, None, eager.ms, compiled.ms))
        for name, one in (("PyTorch", eager), ("engine", compiled)):
            notes += [f"{label}, {name}: {line}" for line in one.warnings]
    return columns, rows, notes


def _shares(found: MeasuredProfile) -> dict[str, float]:
    """Of all operators, in %."""
    return {name: 100 * ms / found.ms for name, ms in found.by_category.items()}


def _printed(table: PaperTable, label: str, hardware: str, columns: tuple[str, ...]) -> float | None:
    """The sum of the figure's categories, None for a network that is not in it."""
    for cells in table.rows:
        found = dict(zip(table.columns, cells, strict=True))
        if (found["network"], found["hardware"]) == (label, hardware):
            return float(sum(found[column] or 0 for column in columns))
    return None
