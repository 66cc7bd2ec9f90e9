"""Channels, parameters and FLOPs of the ShuffleNets against both papers' numbers."""

from __future__ import annotations

import inspect
import json
from functools import cache
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from shufflekit.models import Network, build_model, list_models, model_entry

# Each group's stages 2 to 4 at 1x.
V1_TABLE_1 = {1: (144, 288, 576), 2: (200, 400, 800), 3: (240, 480, 960), 4: (272, 544, 1088), 8: (384, 768, 1536)}
# Conv1, stages 2 to 4, Conv5.
V2_TABLE_5 = {
    "x0_5": (24, 48, 96, 192, 1024),
    "x1_0": (24, 116, 232, 464, 1024),
    "x1_5": (24, 176, 352, 704, 1024),
    "x2_0": (24, 244, 488, 976, 2048),
}

# Those of V1 are pytorchcv's, whose widths are ours wherever its own divide by the groups; those of V2 torchvision's.
PARAMETERS = {
    "shufflenet_v1_g1_x1_0": 1_531_936,
    "shufflenet_v1_g2_x1_0": 1_733_848,
    "shufflenet_v1_g3_x1_0": 1_865_728,
    "shufflenet_v1_g4_x1_0": 1_968_344,
    "shufflenet_v1_g8_x1_0": 2_434_768,
    "shufflenet_v1_g1_x0_75": 975_214,
    "shufflenet_v1_g3_x0_75": 1_238_266,
    "shufflenet_v1_g1_x0_5": 534_484,
    "shufflenet_v1_g3_x0_5": 718_324,
    "shufflenet_v2_x0_5": 1_366_792,
    "shufflenet_v2_x1_0": 2_278_604,
    "shufflenet_v2_x1_5": 3_503_624,
    "shufflenet_v2_x2_0": 7_393_996,
}

# Printed with one figure for all groups, though these widths do not divide by the groups: rounded up, they cost more.
ROUNDED_AWAY_FROM_PRINT = {
    "shufflenet_v1_g2_x0_5": 38.57,
    "shufflenet_v1_g2_x0_25": 13.78,
    "shufflenet_v1_g4_x0_25": 13.98,
    "shufflenet_v1_g8_x0_25": 15.72,
}


def on_meta(name: str, **options: object) -> Network:
    with torch.device("meta"):
        return build_model(name, **options).eval()


@cache
def mflops(name: str) -> float:
    """Millions of multiply-adds; V2 with the unit whose FLOPs the paper prints."""
    takes_split = "unit_split" in inspect.signature(model_entry(name).constructor).parameters
    net = on_meta(name, **({"unit_split": "release"} if takes_split else {}))
    with FlopCounterMode(display=False) as counter:
        net(torch.empty(1, 3, *model_entry(name).input_size, device="meta"))
    return counter.get_total_flops() / 2e6


def parameters(name: str, **options: object) -> int:
    return sum(p.numel() for p in on_meta(name, **options).parameters())


@pytest.mark.parametrize("groups", V1_TABLE_1)
def test_channels_of_v1_table_1(groups: int) -> None:
    info = on_meta(f"shufflenet_v1_g{groups}_x1_0").feature_info
    assert info.channels() == [24, 24, *V1_TABLE_1[groups]]
    assert info.reduction() == [2, 4, 8, 16, 32]


@pytest.mark.parametrize("width", V2_TABLE_5)
def test_channels_of_v2_table_5(width: str) -> None:
    stem, *stages, conv5 = V2_TABLE_5[width]
    net = on_meta(f"shufflenet_v2_{width}")
    assert net.feature_info.channels() == [stem, stem, *stages]
    assert net.num_features == conv5


def test_the_tables_above_are_those_of_the_papers(shared_papers: Path) -> None:
    v1 = json.loads((shared_papers / "shufflenet_v1.json").read_text())["table1"]
    for column, name in enumerate(v1["columns"]):
        if name.startswith("g="):
            stages = [row[column] for row in v1["rows"] if row[0].startswith("Stage") and row[3] == 2]
            assert tuple(stages) == V1_TABLE_1[int(name[2:])]
    v2 = json.loads((shared_papers / "shufflenet_v2.json").read_text())["table5"]
    rows = [row for row in v2["rows"] if row[0] in ("Conv1", "Conv5") or (row[0].startswith("Stage") and row[3] == 2)]
    assert [tuple(row[5 + i] for row in rows) for i in range(4)] == list(V2_TABLE_5.values())


@pytest.mark.parametrize("groups", V1_TABLE_1)
def test_units_of_a_stage(groups: int) -> None:
    net = on_meta(f"shufflenet_v1_g{groups}_x1_0")
    assert [len(net.get_submodule(stage)) for stage in net.stages] == [4, 8, 4]
    ungrouped = [n for n, m in net.named_modules() if n.endswith((".conv1", ".conv3")) and m.groups != groups]
    assert ungrouped == ([] if groups == 1 else ["stage2.0.conv1"])


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters(name: str) -> None:
    assert parameters(name) == PARAMETERS[name]


def test_parameters_with_another_first_convolution_or_classifier() -> None:
    assert parameters("shufflenet_v1_g1_x0_25", stem_channels=6) == 209_746
    assert parameters("shufflenet_v1_g3_x0_25", stem_channels=6) == 305_902
    assert parameters("shufflenet_v1_g3_x1_0", classifier_bias=False) == 1_865_728 - 1000


@pytest.mark.parametrize(("width", "expected"), [("x0_5", 1.366792), ("x1_0", 2.27976), ("x1_5", 3.50772), ("x2_0", 7.4036)])
def test_parameters_of_the_release_unit(width: str, expected: float) -> None:
    assert parameters(f"shufflenet_v2_{width}", unit_split="release") == round(expected * 1e6)


@pytest.mark.parametrize("name", [name for name in list_models("*shufflenet*") if model_entry(name).mflops])
def test_printed_flops(name: str) -> None:
    """Within 1.4 % (2 % where a table prints GFLOPs with one decimal), or equal in the digits printed."""
    printed = model_entry(name).mflops
    if name in ROUNDED_AWAY_FROM_PRINT:
        assert mflops(name) == pytest.approx(ROUNDED_AWAY_FROM_PRINT[name], abs=0.005)
        assert "rounded to a multiple of" in model_entry(name).note
    else:
        relative = 0.02 if printed > 1000 else 0.014
        assert mflops(name) == pytest.approx(printed, rel=relative) or round(mflops(name)) == printed


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("shufflenet_v1_g1_x1_0", 143.08),
        ("shufflenet_v1_g2_x1_0", 140.84),
        ("shufflenet_v1_g3_x1_0", 137.46),
        ("shufflenet_v1_g4_x1_0", 134.34),
        ("shufflenet_v1_g8_x1_0", 138.37),
        ("shufflenet_v1_g1_x0_25", 13.16),
        ("shufflenet_v1_g3_x0_25", 13.30),
        ("shufflenet_v1_g1_x0_5", 38.52),
        ("shufflenet_v1_g3_x0_5", 37.59),
        ("shufflenet_v1_g3_x1_5", 292.44),
        ("shufflenet_v1_g3_x2_0", 524.05),
        ("shufflenet_v2_x0_5", 40.48),
        ("shufflenet_v2_x1_0", 145.81),
        ("shufflenet_v2_x1_5", 298.97),
        ("shufflenet_v2_x2_0", 590.78),
    ],
)
def test_flops_equal_the_recount(name: str, expected: float) -> None:
    """The `recount` values of the papers' files, which count every width that can be built (whole groups)."""
    assert mflops(name) == pytest.approx(expected, abs=0.006)


def test_flops_of_the_even_split() -> None:
    for width, expected in (("x0_5", 40.48), ("x1_0", 144.91), ("x1_5", 295.76), ("x2_0", 583.25)):
        with FlopCounterMode(display=False) as counter:
            on_meta(f"shufflenet_v2_{width}")(torch.empty(1, 3, 224, 224, device="meta"))
        assert counter.get_total_flops() / 2e6 == pytest.approx(expected, abs=0.006)


@pytest.mark.parametrize(
    ("name", "gflops"), [("shufflenet_v2_50", 2.30), ("se_shufflenet_v2_164", 12.5), ("shufflenet_v1_50", 2.3)]
)
def test_large_models(name: str, gflops: float) -> None:
    assert mflops(name) / 1000 == pytest.approx(gflops, rel=0.02)


def test_errors_of_v1_table_2(shared_papers: Path) -> None:
    rows = json.loads((shared_papers / "shufflenet_v1.json").read_text())["table2"]["rows"]
    for width, (_, _, *errors) in zip(("x1_0", "x0_5", "x0_25"), rows, strict=True):
        assert [model_entry(f"shufflenet_v1_g{g}_{width}").top1_error for g in (1, 2, 3, 4, 8)] == errors


@pytest.mark.parametrize(
    ("name", "paper", "table", "row"),
    [
        ("shufflenet_v1_g3_x2_0", 1, "table5", "ShuffleNet 2x g=3"),
        ("se_shufflenet_v1_g3_x2_0", 1, "table5", "ShuffleNet 2x + SE g=3"),
        ("shufflenet_v1_g3_x1_5", 1, "table5", "ShuffleNet 1.5x g=3"),
        ("shufflenet_v1_g3_x0_5_shallow", 1, "table5", "ShuffleNet 0.5x shallow g=3"),
        ("shufflenet_v2_x0_5", 2, "table8", "ShuffleNet v2 0.5x"),
        ("shufflenet_v2_x1_0", 2, "table8", "ShuffleNet v2 1x"),
        ("shufflenet_v2_x1_5", 2, "table8", "ShuffleNet v2 1.5x"),
        ("shufflenet_v2_x2_0", 2, "table8", "ShuffleNet v2 2x"),
        ("se_shufflenet_v2_x2_0", 2, "table8", "ShuffleNet v2 2x with SE"),
        ("shufflenet_v1_50", 2, "table6", "ShuffleNet v1-50 (re-implemented)"),
        ("shufflenet_v2_50", 2, "table6", "ShuffleNet v2-50"),
        ("se_shufflenet_v2_164", 2, "table6", "SE-ShuffleNet v2-164 with residual"),
    ],
)
def test_error_and_mflops_of_a_row(name: str, paper: int, table: str, row: str, shared_papers: Path) -> None:
    printed = json.loads((shared_papers / f"shufflenet_v{paper}.json").read_text())[table]
    found = next(dict(zip(printed["columns"], cells, strict=True)) for cells in printed["rows"] if cells[0] == row)
    entry = model_entry(name)
    assert entry.top1_error == found.get("error", found.get("top1_err"))
    assert entry.mflops == found.get("complexity", found.get("mflops", 1000 * found.get("GFLOPs", 0)))


def test_every_shufflenet_takes_224_and_has_a_source() -> None:
    for name in list_models("*shufflenet*"):
        assert model_entry(name).input_size == (224, 224)
        assert model_entry(name).source


@pytest.mark.parametrize("name", list_models("*shufflenet*x0_5"))
@pytest.mark.parametrize(("height", "width"), [(32, 33), (65, 47), (127, 96)])
def test_a_shufflenet_rounds_odd_sizes_up(name: str, height: int, width: int) -> None:
    with torch.device("meta"):
        net = build_model(name, features_only=True).eval()
    maps = net(torch.empty(1, 3, height, width, device="meta"))
    assert [m.shape[2:] for m in maps] == [(-(-height // r), -(-width // r)) for r in net.feature_info.reduction()]
