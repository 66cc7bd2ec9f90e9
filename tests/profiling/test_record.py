from __future__ import annotations

import json
from pathlib import Path

import pytest

from shufflekit.device import Device
from shufflekit.errors import InputError
from shufflekit.profiling import Latency, MeasuredLayer, MeasuredProfile

DEVICE = Device.from_json((Path(__file__).parents[1] / "device" / "a_device.json").read_text())


def a_profile() -> MeasuredProfile:
    """Two convolutions and a copy, of a made-up machine."""
    conv = MeasuredLayer(
        "a.conv", "convolution", ((1, 2, 3, 3), (4, 2, 1, 1)), ((1, 4, 3, 3),), 72, 8, 62, 248, (), 1.0, 0.9, 1.2, 0.5, 0.25
    )
    copy = MeasuredLayer("a", "clone", ((1, 4, 3, 3),), ((1, 4, 3, 3),), 0, 0, 72, 288, (0,), 2.0, 1.9, 2.2, 0.5, 0.5)
    last = MeasuredLayer(
        "b", "convolution", ((1, 4, 3, 3), (4, 4, 1, 1)), ((1, 4, 3, 3),), 144, 16, 88, 352, (1,), 1.0, 0.9, 1.2, 0.5, 0.25
    )
    return MeasuredProfile(
        input_shape=(1, 2, 3, 3),
        flops=216,
        params=24,
        mac=222,
        layers=(conv, copy, last),
        unknown={},
        threads=1,
        latency=Latency(4.1, 4.0, 4.3, 50),
        network="two convolutions",
        device=DEVICE,
        warnings=("the machine was busy",),
    )


def test_sums_are_those_of_the_parts():
    found = a_profile()
    assert (found.ms, found.limit_ms, found.mac_bytes, found.latency_ms) == (4.0, 1.5, 888, 4.1)
    assert found.by_category == {"convolution": 2.0, "data movement": 2.0, "element-wise": 0.0, "other": 0.0}
    assert found.by_operator == {"convolution": 2.0, "clone": 2.0}
    assert found.by_module() == {"a": 2.0, "a.conv": 1.0, "b": 1.0}
    assert found.by_module(depth=1) == {"a": 3.0, "b": 1.0}


def test_json_reads_back():
    found = a_profile()
    assert MeasuredProfile.from_json(found.to_json()) == found
    layer = json.loads(found.to_json())["layers"][1]
    assert (layer["category"], layer["intensity"]) == ("data movement", 0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"layers": [{}]}, r"layers.0..name: is missing"),
        ({"latency": {"median_ms": "fast", "low_ms": 1, "high_ms": 1, "runs": 6}}, "latency.median_ms: must be a number"),
        ({"device": {}}, "device.cpu: is missing"),
        ({"unknown": None}, "unknown: must be an object, found None"),
    ],
)
def test_another_file_is_refused_in_one_line(change, reason):
    with pytest.raises(InputError, match=reason):
        MeasuredProfile.from_json(json.dumps(a_profile().to_dict() | change))


def test_nan_times_are_refused():
    text = a_profile().to_json().replace('"ms": 2.0', '"ms": NaN')
    with pytest.raises(InputError, match=r"layers.1..ms: must be a number, found nan"):
        MeasuredProfile.from_json(text)


def test_what_is_no_json_is_refused():
    with pytest.raises(InputError, match="profile: no JSON"):
        MeasuredProfile.from_json("{")
