"""Options of a network's constructor: of the right kind, or one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from shufflekit.errors import UsageError
from shufflekit.models import build_model
from shufflekit.train.options import network_options

V2 = "shufflenet_v2_x0_5"


def test_numbers_become_what_the_constructor_takes(tmp_path: Path) -> None:
    assert network_options(V2, {"in_chans": 1.0, "unit_split": "even"}, False) == {"in_chans": 1, "unit_split": "even"}
    assert type(network_options(V2, {"in_chans": 1.0}, False)["in_chans"]) is int
    assert network_options("alexnet", {"dropout": 0.25}, False) == {"dropout": 0.25}
    assert network_options("shufflenet_v1_g3_x0_25", {"shuffle": False}, True) == {"shuffle": False, "small_input": True}
    build_model(V2, num_classes=7, in_chans=1).save_pretrained(tmp_path / "saved")
    assert network_options(str(tmp_path / "saved"), {}, False) == {"in_chans": 1}


@pytest.mark.parametrize(
    ("model", "given", "message"),
    [
        (V2, {"num_classes": 5.0}, "options.num_classes: the data's classes decide it, found 5"),
        (V2, {"features_only": True}, "options.features_only: only a whole network can be trained, found True"),
        (V2, {"pretrained": True}, "options.pretrained: --weights says it"),
        (V2, {"name": "x"}, "options.name: --model says it"),
        (V2, {"nothing": 3.0}, "shufflenet_v2_x0_5: takes no option 'nothing'"),
        (V2, {"in_chans": "abc"}, "options.in_chans: must be a whole number, found abc"),
        (V2, {"in_chans": True}, "options.in_chans: must be a whole number, found True"),
        (V2, {"in_chans": 1.5}, "options.in_chans: must be a whole number, found 1.5"),
        (V2, {"in_chans": float("nan")}, "options.in_chans: must be a whole number, found nan"),
        (V2, {"in_chans": 0.0}, "in_chans: must be 1 or more, found 0"),
        (V2, {"unit_split": 7.0}, "options.unit_split: must be a word, found 7"),
        (V2, {"small_input": False}, "options.small_input: the recipe has the 32x32 form; --no-small-input leaves it"),
        ("shufflenet_v1_g3_x0_25", {"shuffle": 0.0}, "options.shuffle: must be yes or no, found 0"),
        ("alexnet", {"dropout": 7.0}, "options: alexnet cannot be built with dropout=7.0"),
        ("igcv2_x0_25", {"unit": "x"}, "options.unit: cannot be said in words, found x"),
        ("shufflenet_v9", {}, "no network is named 'shufflenet_v9'"),
    ],
)
def test_what_does_not_fit_is_one_line(model: str, given: dict[str, float | bool | str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        network_options(model, given, small_input="small_input" in given)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
