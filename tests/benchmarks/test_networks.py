"""The forms that are raced have the parameters that their papers or releases state."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

torch = pytest.importorskip("torch")

STATED = {  # million parameters
    "resnet18": 11.69,
    "resnet34": 21.80,
    "seresnet18": 11.78,
    "resnext50_32x4d": 25.03,
    "regnetx_200m": 2.68,
    "regnety_400m": 4.34,
    "vgg11": 132.87,
    "repvgg_a0": 8.31,
    "densenet121": 7.98,
    "hrnet_w18_small": 13.19,
    "darknet19": 20.84,
    "inception_v3": 23.83,
    "mobileone_s0": 2.1,
    "mobilenet_v3_small": 2.54,
    "mobilenet_v3_large": 5.48,
    "mobilenet_v4_small": 3.77,
    "efficientnet_b0": 5.29,
    "efficientnet_lite0": 4.65,
    "mnasnet": 4.38,
    "mixnet_s": 4.13,
    "ghostnet": 5.18,
    "mobilefacenet": 0.99,
    "yolov5n": 1.87,
    "yolov8n": 3.16,
    "fast_scnn": 1.14,
}


@pytest.fixture(scope="module")
def networks() -> Iterator[ModuleType]:
    folder = str(Path(__file__).parents[2] / "benchmarks")
    sys.path.insert(0, folder)
    yield import_module("networks")
    sys.path.remove(folder)


@pytest.mark.parametrize("name", STATED)
def test_a_form_has_the_parameters_that_are_stated(name: str, networks: ModuleType) -> None:
    with torch.device("meta"):
        network = networks.NETWORKS[name].make()
    found = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    assert found == pytest.approx(STATED[name], rel=0.01)


def test_there_are_forty(networks: ModuleType) -> None:
    assert len(networks.NETWORKS) >= 40
