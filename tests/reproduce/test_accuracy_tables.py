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
from shufflekit.reproduce.runs import Run, Scored, Trained
from shufflekit.reproduce.speed import Built

DATA = {"name": "cifar10", "classes": 10, "training_images": 45000, "held_out_images": 5000, "test_images": 10000}


def trained(built: Built, seed: int, error: float, date: str = "2026-01-01") -> Trained:
    test, held_out, fitted = (Scored(1000, round(1000 - 10 * of)) for of in (error, error + 1, error - 2))
    return Trained(
        built.network, dict(built.options), seed, "the command", date, {"epochs": 30}, DATA, test, held_out, fitted, 400.0,
        "nchw", 1, {"cpu": "a CPU"}, {}, [{"epoch": 0, "train_loss": 3.0, "images_per_s": 900.0}],
    )  # fmt: skip


def all_runs(name: str, errors: list[list[float]], level: int = -1) -> list[Trained]:
    """Runs of each row of a table's level, a seed each."""
    rows = groups_of(name)[level].rows
    return [
        trained(row.trained, seed, error) for row, of_row in zip(rows, errors, strict=True) for seed, error in enumerate(of_row)
    ]


def by_seed(*errors: float) -> dict[int, float]:
    return dict(enumerate(errors))


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        # scipy.stats.t.interval(0.95, 4, mean, sem): 0.02 to 1.98, and -0.10 to 2.10
        ([-0.2, 1.0, 2.0, 1.2, 1.0], "does not reach 0"),
        ([-0.4, 1.0, 2.0, 1.4, 1.0], "reaches 0"),
    ],
)
def test_an_order_is_decided_by_the_paired_interval(differences: list[float], expected: str) -> None:
    low = by_seed(30.0, 33.0, 28.0, 30.5, 29.0)  # the runs of two seeds differ by more than the networks
    high = {seed: low[seed] + more for seed, more in enumerate(differences)}
    decides = expected == "does not reach 0"
    assert verdict(low, high).word == ("holds" if decides else "not decided")
    assert verdict(high, low).word == ("does not hold" if decides else "not decided")
    assert verdict(low, high).difference == pytest.approx(1.0)
    assert verdict(high, low).difference == pytest.approx(-1.0)


def test_the_margin_is_students() -> None:
    low, high = by_seed(*[20.0] * 10), by_seed(21.0, 22.0, 20.0, 21.5, 20.5, 21.0, 23.0, 21.0, 20.0, 22.0)
    five = verdict({seed: low[seed] for seed in range(5)}, high)
    assert (five.pairs, five.margin) == (5, pytest.approx(0.98162, abs=1e-4))  # scipy.stats.t.interval
    ten = verdict(low, high)
    assert (ten.pairs, ten.difference, ten.margin) == (10, pytest.approx(1.2), pytest.approx(0.67865, abs=1e-4))


def test_pairs_are_of_one_seed_and_complete() -> None:
    low, high = by_seed(20.0, 21.0, 22.0, 23.0, 24.0), by_seed(20.5, 21.6, 22.4, 23.5, 24.5)
    assert verdict(low, high).word == "holds", "paired; side by side they overlap"
    assert verdict(low, high | {5: 90.0}).margin == verdict(low, high).margin, "a sixth alone counts for nothing"
    assert verdict(low | {5: 20.0}, high | {5: 90.0}).pairs == 5
    del low[2]
    found = verdict(low, high)
    assert (found.word, found.pairs, str(found)) == ("not finished", 4, "not finished")
    assert verdict({}, {}).word == "not finished"


def test_what_is_undecided_says_within_what() -> None:
    found = verdict(by_seed(20.0, 21.0, 20.0, 21.0, 20.0), by_seed(20.5, 20.5, 20.5, 20.5, 20.5))
    assert (
        str(found)
        == f"not decided: within +-{abs(found.difference) + found.margin:.1f} points"
        == ("not decided: within +-0.8 points")
    )
    assert found.is_open
    narrow = verdict(by_seed(20.0, 20.2, 20.0, 20.2, 20.1), by_seed(20.1, 20.1, 20.1, 20.1, 20.1))
    assert (narrow.word, narrow.is_open) == ("not decided", False)


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
    assert len({run.name for run in runs}) == len(runs) == 150, "30 networks, five seeds"
    assert {run.seed for run in runs} == {0, 1, 2, 3, 4}
    assert [run.seed for run in runs[:40]] == [seed for _pair in range(4) for seed in range(5) for _ in range(2)]
    assert len([run for run in runs[:40] if "-shuffle=no" in run.name]) == 20, "four pairs"
    assert [run.built.network.split("_")[-1] for run in runs[:40]] == ["25"] * 20 + ["5"] * 20
    assert {run.built.options.get("stem_stride") for run in runs[-20:]} == {2}
    assert runs == planned(reversed(list(ACCURACY_TABLES)))
    for name in ("v1.table2", "v1.table4", "v1.table5", "v2.table8.accuracy"):
        assert {run.name for run in planned([name])} <= {run.name for run in runs}


def test_all_that_is_planned_can_be_built_in_its_small_form() -> None:
    with torch.device("meta"):
        for run in planned(ACCURACY_TABLES)[::5]:
            build_model(run.built.network, small_input=True, **run.built.options)


def test_more_seeds_are_planned_for_what_is_undecided_and_wide() -> None:
    undecided = all_runs("v1.table3", [[30.0, 31.0, 30.0, 31.0, 30.0], [30.5] * 5])
    decided = all_runs("v1.table3", [[30.0, 31.0, 30.0, 31.0, 30.0], [32.5] * 5], level=-2)
    first = planned(["v1.table3"])
    more = planned(["v1.table3"], undecided + decided)
    assert more[: len(first)] == first
    assert {run.name for run in more[len(first) :]} == {
        f"shufflenet_v1_g8_x0_25{option}-seed{seed}" for option in ("", "-shuffle=no") for seed in range(5, 10)
    }
    assert planned(["v1.table3"], undecided[:-1] + decided) == first, "a pair is not finished"


def test_a_table_without_runs_is_none() -> None:
    assert accuracy_record("v1.table5", []) is None
    assert accuracy_record("v1.table5", [trained(Built("alexnet"), 0, 50.0)]) is None
    assert accuracy_record("v1.table5", [trained(Built("mobilenet_v1_x0_25"), 99, 50.0)]) is None, "of a trial"


def test_a_table_says_what_holds() -> None:
    mobilenet, shufflenet = [30.0, 31.0, 32.0, 31.0, 31.0], [28.0, 28.0, 28.0, 28.0, 28.0]
    runs = all_runs("v1.table5", [mobilenet, shufflenet, [30.0, 32.0, 31.0, 31.5, 30.5]])
    runs[-1] = replace(runs[-1], date="2026-02-02")
    record = accuracy_record("v1.table5", [*runs, trained(Built("mobilenet_v1_x0_25"), 99, 99.0)])
    assert record is not None
    level = "as 0.25 MobileNet-224"
    assert [row[:8] for row in record.rows] == [
        (level, "0.25 MobileNet-224", "mobilenet_v1_x0_25", 49.4, "31.00", "32.00", "29.00", 5),
        (level, "ShuffleNet 0.5x g=4", "shufflenet_v1_g4_x0_5", 41.6, "28.00", "29.00", "26.00", 5),
        (level, "ShuffleNet 0.5x shallow g=3", "shufflenet_v1_g3_x0_5_shallow", 42.8, "31.00", "32.00", "29.00", 5),
    ]
    assert [row[8:] for row in record.rows] == [
        (None, "(the first)"),
        ("-3.00 (-3.88 to -2.12)", "holds"),
        ("+0.00 (-0.98 to +0.98)", "not decided: within +-1.0 points"),
    ]
    assert (record.machine, record.date) == ("a CPU, 1 thread", "2026-02-02")
    assert record.notes[0] == "the paper's order against the first of a level: holds for 1 of 2, not decided for 1 of 2"
    assert record.notes[1] == "the paper's order of all pairs of a level: holds for 2 of 3, not decided for 1 of 3"
    assert record.notes[2] == "held-out less training error of a run: 3.0 to 3.0 points"
    assert record.notes[3].startswith("not run at this scale: as 1.0 MobileNet-224 (1.0 MobileNet-224, ShuffleNet 2x g=3,")


def test_an_order_that_is_turned_round_is_said() -> None:
    record = accuracy_record("v1.table3", all_runs("v1.table3", [[30.0, 30.1, 30.2, 30.1, 30.0], [25.0] * 5]))
    assert record is not None
    assert record.rows[-1][-2:] == ("-5.08 (-5.18 to -4.98)", "does not hold")
    assert record.rows[0][-6:] == (None, None, None, 0, None, "(the first)")
    expected = "does not hold for 1 of 6, not finished for 5 of 6"
    assert record.notes[0] == f"the paper's order against the first of a level: {expected}"
    assert not any("all pairs" in note for note in record.notes), "a level has one pair"


def test_commands_of_the_papers_recipe() -> None:
    commands = dict(imagenet_commands(["v1.table3", "v2.table8.accuracy"]))
    assert commands["shufflenet_v1_g8_x1_0-shuffle=no"] == (
        "torchrun --nproc-per-node 4 --module shufflekit train --recipe imagenet --batch 256 --data DATA --split train "
        "--val DATA --val-split val --model shufflenet_v1_g8_x1_0 --options.shuffle no --resume auto "
        "--out runs/shufflenet_v1_g8_x1_0-shuffle=no"
    )
    assert "--preprocessing.input-size 160 160" in commands["mobilenet_v2_x0_4"]
    assert "--options.unit_split release" in commands["shufflenet_v2_x1_0-unit_split=release"]
    assert not any("stem_stride" in command for command in commands.values()), "that is the small scale's"
    assert Run(Built("alexnet"), 0).network_name not in commands
