from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from shufflekit.errors import InputError
from shufflekit.reproduce.runs import Run, Scored, read_runs
from shufflekit.reproduce.speed import Built
from tests.reproduce.test_accuracy_tables import trained


def test_names_tell_options_and_seeds_apart() -> None:
    built = Built("shufflenet_v2_x0_5", options={"unit_split": "release"})
    assert Run(built, 1).name == "shufflenet_v2_x0_5-unit_split=release-seed1"
    one = trained(Built("shufflenet_v1_g3_x0_5", options={"shuffle": False}), 2, 30.0)
    assert (one.network_name, one.run_name) == (
        "shufflenet_v1_g3_x0_5-shuffle=no",
        "shufflenet_v1_g3_x0_5-shuffle=no-seed2",
    )


def test_a_run_reads_as_it_was_written(tmp_path: Path) -> None:
    one = trained(Built("shufflenet_v1_g3_x0_5", options={"shuffle": False}), 2, 30.0)
    (tmp_path / f"{one.run_name}.json").write_text(one.to_json())
    assert read_runs(tmp_path) == [one]
    assert read_runs(tmp_path / "nowhere") == []


@pytest.mark.parametrize(("images", "right"), [(0, 0), (10, 11), (10, -1)])
def test_a_score_of_more_than_there_is_is_refused(tmp_path: Path, images: int, right: int) -> None:
    one = replace(trained(Built("alexnet"), 0, 30.0), held_out=Scored(images, right))
    (tmp_path / "alexnet-seed0.json").write_text(one.to_json())
    with pytest.raises(InputError, match=f"held_out.*right: must be 0 to {images}, found {right}"):
        read_runs(tmp_path)


def test_runs_of_two_recipes_are_not_laid_side_by_side(tmp_path: Path) -> None:
    first = trained(Built("alexnet"), 0, 30.0)
    for one in (first, replace(first, seed=1, recipe={"epochs": 3})):
        (tmp_path / f"{one.run_name}.json").write_text(one.to_json())
    with pytest.raises(InputError, match=r"alexnet-seed1.json: trained with epochs 3, needed 30; keep such runs in another"):
        read_runs(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"network": "alexnet"}'])
def test_a_file_that_is_no_run_is_told_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "alexnet-seed0.json").write_text(text)
    with pytest.raises(InputError, match=r"alexnet-seed0.json: not readable as a finished run \(") as caught:
        read_runs(tmp_path)
    assert "\n" not in str(caught.value)
