"""The registry: order, patterns, and what a wrong name or option gets."""

from __future__ import annotations

import re

import pytest

from shufflekit.errors import UsageError
from shufflekit.models import _registry, build_model, list_models, model_entry
from shufflekit.models.shufflenet_v2 import ShuffleNetV2


@pytest.fixture
def empty_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_registry, "_ENTRIES", {})


@pytest.mark.usefixtures("empty_registry")
def test_names_are_listed_in_natural_order() -> None:
    for name in ("net_g8_x0_5", "net_g16_x1_0", "net_g8_x0_25", "net_140m", "net_13m", "net_g8_x0_5_shallow"):
        _registry.register(name, ShuffleNetV2)
    assert list_models() == ["net_13m", "net_140m", "net_g8_x0_25", "net_g8_x0_5", "net_g8_x0_5_shallow", "net_g16_x1_0"]


@pytest.mark.usefixtures("empty_registry")
def test_a_name_is_registered_once() -> None:
    _registry.register("net", ShuffleNetV2)
    with pytest.raises(AssertionError, match="net is registered twice"):
        _registry.register("net", ShuffleNetV2)


def test_a_pattern_selects() -> None:
    assert list_models("shufflenet_v1_g[34]_x1_0") == ["shufflenet_v1_g3_x1_0", "shufflenet_v1_g4_x1_0"]
    assert list_models("no_such_*") == []


def test_an_entry_holds_what_was_published() -> None:
    entry = model_entry("shufflenet_v2_x1_0")
    assert (entry.top1_error, entry.mflops, entry.input_size, entry.source) == (30.6, 146, (224, 224), "V2 Table 8")


def test_an_unknown_name_gets_the_nearest_ones() -> None:
    with pytest.raises(
        UsageError, match=r"^model: no network is named 'shufflenet_v2_1_0'; did you mean shufflenet_v2_x1_0, "
    ) as e:
        build_model("shufflenet_v2_1_0")
    assert "\n" not in str(e.value)
    with pytest.raises(UsageError, match=r"named 'zzz'; `shufflekit models` lists them$"):
        model_entry("zzz")


def test_an_option_that_the_network_does_not_take() -> None:
    with pytest.raises(UsageError, match=re.escape("shufflenet_v2_x0_5: takes no option 'grups'")):
        build_model("shufflenet_v2_x0_5", grups=3)


def test_a_type_error_inside_the_constructor_is_not_hidden() -> None:
    with pytest.raises(TypeError, match="'<' not supported"):
        build_model("shufflenet_v2_x0_5", num_classes="ten")


def test_out_indices_need_features_only() -> None:
    with pytest.raises(UsageError, match=r"^out_indices: only has a meaning with features_only=True$"):
        build_model("shufflenet_v2_x0_5", out_indices=(1,))


def test_name_and_options_are_noted() -> None:
    net = build_model("shufflenet_v2_x0_5", num_classes=4, unit_split="release")
    assert (net.architecture, net.options) == ("shufflenet_v2_x0_5", {"num_classes": 4, "unit_split": "release"})
