"""Which networks stand for the accuracy tables, in which order they are trained, and what is said of made-up runs."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from shufflekit.models import build_model, list_models
from shufflekit.reproduce.accuracy_tables import (
    ACCURACY_TABLES,
    accuracy_record,
    groups_of,
    imagenet_commands,
    planned,
    verdict,
)
from shufflekit.reproduce.papers import paper_table
from shufflekit.reproduce.runs import Probe, Run, Trained
from shufflekit.reproduce.speed import Built

DATA = {"name": "tiny", "classes": 25, "training_images": 12500, "validation_images": 1250}
PROBE = Probe(DATA, [64, 64], 10.0, {"10": 12.0}, 150, 12.0, 60.0, {"cpu": "a CPU"})


def trained(built: Built, seed: int, top1: float, date: str = "2026-01-01") -> Trained:
    return Trained(
        built.network, dict(built.options), seed, "the command", date, {"epochs": 30}, DATA, round(12.5 * top1), top1, 400.0,
        "nchw", 1, {"cpu": "a CPU"}, [{"epoch": 0, "train_loss": 3.0, "images_per_s": 900.0}],
    )  # fmt: skip


def all_runs(name: str, top1s: list[list[float]]) -> list[Trained]:
    """Three runs of each row of a table's last group."""
    rows = groups_of(name)[-1].rows
    return [trained(row.built, seed, top1) for row, of_row in zip(rows, top1s, strict=True) for seed, top1 in enumerate(of_row)]


@pytest.mark.parametrize(
    ("better", "worse", "expected"),
    [
        ([60, 61, 62], [63, 64, 65], "holds"),
        ([63, 64, 65], [60, 61, 62], "does not hold"),
        ([60, 61, 63], [62, 64, 65], "not decided"),
        ([60, 61, 62], [62, 64, 65], "not decided"),  # a tie is an overlap
        ([60, 61, 62], [60, 61, 62], "not decided"),
        ([60, 61], [63, 64, 65], "not finished"),
        ([], [], "not finished"),
    ],
)
def test_an_order_holds_where_no_run_overlaps(better: list[float], worse: list[float], expected: str) -> None:
    assert verdict(better, worse) == expected


def test_every_row_has_its_network_and_the_printed_error() -> None:
    for name in ACCURACY_TABLES:
        for group in groups_of(name):
            assert {row.built.network for row in group.rows} <= set(list_models())
    assert [(group.level, [(row.label, row.error) for row in group.rows]) for group in groups_of("v1.table3")][4:] == [
        ("0.25x g=3", [("shuffle", 55.0), ("no shuffle", 56.3)]),
        ("0.25x g=8", [("shuffle", 52.7), ("no shuffle", 56.5)]),
    ]
    assert [row.built.network for row in groups_of("v1.table2")[1].rows] == [
        f"shufflenet_v1_g{g}_x0_5" for g in (1, 2, 3, 4, 8)
    ]
    assert [row.label for row in groups_of("v1.table4")[0].rows] == [
        "ShuffleNet", "VGG-like", "ResNet", "Xception-like", "ResNeXt",
    ]  # fmt: skip
    assert [(row.label, row.built.network, row.error) for row in groups_of("v1.table4")[2].rows] == [
        ("ShuffleNet", "shufflenet_v1_g8_x0_25", 52.7),
        ("ResNet", "resnet_like_13m", 63.7),
        ("Xception-like", "shufflenet_v1_g1_x0_25", 57.1),
        ("ResNeXt", "resnext_like_13m", 65.2),
    ]
    assert [row.label for row in groups_of("v1.table5")[-1].rows] == [
        "0.25 MobileNet-224", "ShuffleNet 0.5x g=4", "ShuffleNet 0.5x shallow g=3",
    ]  # fmt: skip
    level = groups_of("v2.table8.accuracy")[0]
    assert (level.rows[0].label, level.rows[0].error) == ("ShuffleNet v2 0.5x", 39.7)
    assert {row.error for row in level.rows} <= {row[3] for row in paper_table("v2.table8").rows if row[1] == "40"}


def test_xception_like_is_shufflenet_of_one_group() -> None:
    with torch.device("meta"):
        for width, mflops in (("x1_0", 140), ("x0_5", 38), ("x0_25", 13)):
            ours, theirs = build_model(f"shufflenet_v1_g1_{width}"), build_model(f"xception_like_v1_{mflops}m")
            assert str(ours) == str(theirs)
            assert not any(unit.shuffle_groups > 1 for unit in ours.modules() if hasattr(unit, "shuffle_groups"))


def test_what_is_required_is_planned_once_and_the_shuffle_first() -> None:
    runs = planned(ACCURACY_TABLES)
    assert len({run.name for run in runs}) == len(runs)
    assert {run.seed for run in runs} == {0, 1, 2}
    first = [run for run in runs[:36] if "-shuffle=no" in run.name]
    assert len(first) == 18, "six pairs, three seeds"
    assert [run.seed for run in runs[:36]] == [0] * 12 + [1] * 12 + [2] * 12
    assert [run.built.network.split("_")[-1] for run in runs[:12]] == ["25"] * 4 + ["5"] * 4 + ["0"] * 4
    assert runs == planned(reversed(list(ACCURACY_TABLES)))
    for name in ("v1.table2", "v1.table4", "v1.table5", "v2.table8.accuracy"):
        assert {run.name for run in planned([name])} <= {run.name for run in runs}


def test_a_table_without_runs_is_none() -> None:
    assert accuracy_record("v1.table5", [], PROBE) is None
    assert accuracy_record("v1.table5", [trained(Built("alexnet"), 0, 50.0)], PROBE) is None
    assert accuracy_record("v1.table5", [trained(Built("mobilenet_v1_x0_25"), 99, 50.0)], PROBE) is None, "of a trial"


def test_a_table_says_what_holds() -> None:
    mobilenet, shufflenet, shallow = [30.0, 31.0, 32.0], [33.0, 34.0, 35.0], [31.5, 33.0, 36.0]
    runs = all_runs("v1.table5", [mobilenet, shufflenet, shallow])
    runs[-1] = replace(runs[-1], date="2026-02-02")
    runs[3:6] = [replace(run, epochs=[{"epoch": 0, "train_loss": 2.8, "images_per_s": 900.0}]) for run in runs[3:6]]
    record = accuracy_record("v1.table5", runs, PROBE)
    assert record is not None
    assert record.rows == (
        (
            "as 0.25 MobileNet-224", "0.25 MobileNet-224", "mobilenet_v1_x0_25", 49.4, "69.0",
            "68.0 to 70.0", "3.000", 3, "(the first)",
        ),
        (
            "as 0.25 MobileNet-224", "ShuffleNet 0.5x g=4", "shufflenet_v1_g4_x0_5", 41.6, "66.0",
            "65.0 to 67.0", "2.800", 3, "holds",
        ),
        (
            "as 0.25 MobileNet-224", "ShuffleNet 0.5x shallow g=3", "shufflenet_v1_g3_x0_5_shallow", 42.8, "66.5",
            "64.0 to 68.5", "3.000", 3, "not decided",
        ),
    )  # fmt: skip
    assert (record.machine, record.date) == ("a CPU, 1 thread", "2026-02-02")
    assert record.notes[0] == "the paper's order against the first of a level: holds for 1 of 2, not decided for 1 of 2"
    assert record.notes[1] == "the same by the training loss of the last epoch: holds for 1 of 2, not decided for 1 of 2"
    assert record.notes[2] == "the paper's order of all pairs of a level: holds for 1 of 3, not decided for 2 of 3"
    assert record.notes[3].endswith("must err 10 points less, and the worst errs 18.0 less")
    assert record.notes[4].startswith("not run at this scale: as 1.0 MobileNet-224 (1.0 MobileNet-224, ShuffleNet 2x g=3,")


def test_an_order_that_is_turned_round_is_said() -> None:
    record = accuracy_record("v1.table3", all_runs("v1.table3", [[30.0, 30.1, 30.2], [40.0, 40.1, 40.2]]), PROBE)
    assert record is not None
    assert record.rows[-1][-1] == "does not hold"
    assert record.rows[0][-5:] == (None, None, None, 0, "(the first)")
    expected = "does not hold for 1 of 6, not finished for 5 of 6"
    assert record.notes[0] == f"the paper's order against the first of a level: {expected}"
    assert not any("all pairs" in note for note in record.notes), "a level has one pair"


def test_a_run_near_the_probe_is_named() -> None:
    runs = all_runs("v1.table5", [[30.0, 31.0, 21.9], [33.0, 34.0, 35.0], [31.5, 33.0, 36.0]])
    for probe, expected in (
        (PROBE, "points less: these do not: mobilenet_v1_x0_25-seed2 (9.9)"),
        (None, "no linear probe was computed yet"),
    ):
        record = accuracy_record("v1.table5", runs, probe)
        assert record is not None
        assert any(note.endswith(expected) for note in record.notes)


def test_commands_of_the_papers_recipe() -> None:
    commands = dict(imagenet_commands(["v1.table3", "v2.table8.accuracy"]))
    assert commands["shufflenet_v1_g8_x1_0-shuffle=no"] == (
        "torchrun --nproc-per-node 4 --module shufflekit train --recipe imagenet --batch 256 --data DATA --split train "
        "--val DATA --val-split val --model shufflenet_v1_g8_x1_0 --options.shuffle no --resume auto "
        "--out runs/shufflenet_v1_g8_x1_0-shuffle=no"
    )
    assert "--preprocessing.input-size 160 160" in commands["mobilenet_v2_x0_4"]
    assert "--options.unit_split release" in commands["shufflenet_v2_x1_0-unit_split=release"]
    assert Run(Built("alexnet"), 0).network_name not in commands
