from __future__ import annotations

import pytest

from shufflekit.errors import UsageError
from shufflekit.guidelines.what_if import Trial, measure_change, rebuilt
from shufflekit.models import build_model


def test_only_the_numbers_that_are_named_change() -> None:
    before, after = build_model("shufflenet_v1_g3_x0_25"), rebuilt("shufflenet_v1_g3_x0_25", ["groups=2"])
    grouped = [{m.groups for _, m in net.named_modules() if getattr(m, "groups", 1) in (2, 3)} for net in (before, after)]
    assert grouped == [{3}, {2}]
    widths = [[entry["num_chs"] for entry in net.feature_info] for net in (before, after)]
    assert widths[0] == widths[1]
    trial = measure_change(before, after, (1, 3, 32, 32), threads=1)
    assert trial.before_flops < trial.after_flops  # fewer groups of the same width
    assert min(trial.before_ms, trial.after_ms) > 0


def test_a_trial_says_what_a_multiply_add_takes() -> None:
    assert str(Trial(2.0, 3.0, 10_000_000, 20_000_000)) == (
        "2.00 to 3.00 ms (measured), 10.0 to 20.0 M multiply-adds: -25% time for a multiply-add"
    )


@pytest.mark.parametrize("change", ["groups", "groups=a", "depth=3", "groups=-1", "groups=1,"])
def test_what_is_no_number_of_the_network_is_refused(change: str) -> None:
    with pytest.raises(UsageError, match=r"what_if: must be OPTION=NUMBER\[,NUMBER...\] of .*groups.*, found '" + change):
        rebuilt("shufflenet_v1_g3_x0_25", [change])
