"""What rounding lost, as a record: in a plan and back, and the one warning."""

from __future__ import annotations

import json

import pytest

from shufflekit.errors import InputError
from shufflekit.quantization import Quantization, StepLoss

STEPS = (
    StepLoss("a", "conv", 31.0, 30.0),
    StepLoss("b", "conv", 9.0, 8.0),
    StepLoss("c", "conv", 5.0, 200.0, "asked to be kept"),
)


def test_it_is_kept_as_plain_data() -> None:
    found = Quantization(STEPS, {"y": 21.5}, 7, 300)
    assert Quantization.from_json(json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.parametrize(
    "content", [{}, {"steps": [{"name": "a"}], "outputs": {}, "weight_bits": 8, "images": 1}, {"steps": 3}]
)
def test_other_data_is_refused(content) -> None:
    with pytest.raises(InputError, match="plan: quantization is not as it was written"):
        Quantization.from_json(content)


def test_the_table_says_what_is_kept() -> None:
    lines = str(Quantization(STEPS, {"y": 21.5}, 7, 1)).splitlines()
    assert lines[1:] == [
        "a     conv       31.0       30.0",
        "b     conv        9.0        8.0",
        "c     conv        5.0          -  asked to be kept",
        "signal-to-noise in dB; output y 21.5; weights of 7 bits, ranges of 1 image",
    ]


def test_under_20_db_a_warning_names_the_step_that_loses_most() -> None:
    assert Quantization(STEPS, {"y": 20.0, "z": 33.0}, 8, 1).warning == ""
    warning = Quantization(STEPS, {"y": 19.9, "z": 33.0}, 8, 1).warning
    assert "output y must have 20 dB of signal to noise to be trusted, found 19.9" in warning
    assert "step b loses most, with 9.0 dB alone: --keep b leaves it in float32" in warning
