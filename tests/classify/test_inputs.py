from __future__ import annotations

import pytest
from torch import nn

from shufflekit.classify.inputs import input_shape, preparation
from shufflekit.detect.create import create_detector
from shufflekit.models import build_model


@pytest.mark.parametrize(
    ("network", "shape"),
    [
        (nn.Conv2d(1, 8, 3), (1, 1, 224, 224)),
        (nn.Sequential(nn.Conv2d(4, 8, 3), nn.Conv2d(8, 9, 3)), (1, 4, 224, 224)),
        (nn.Sequential(nn.Conv2d(64, 8, 3)), (1, 3, 224, 224)),
        (nn.LazyConv2d(8, 3), (1, 3, 224, 224)),
        (nn.Flatten(), (1, 3, 224, 224)),
        (build_model("shufflenet_v2_x0_5", in_chans=2), (1, 2, 224, 224)),
        (create_detector("nanodet_m_shufflenet_v2_x0_5"), (1, 3, 320, 320)),
    ],
)
@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_the_input_has_the_networks_own_channels(network: nn.Module, shape: tuple[int, ...]) -> None:
    assert input_shape(network) == shape


def test_the_configuration_counts_where_the_network_does_not_tell() -> None:
    network = nn.Flatten()
    network.pretrained_cfg = {"input_size": (1, 40, 50), "mean": (0.1, 0.2, 0.3)}  # type: ignore[assignment]
    assert input_shape(network) == (1, 1, 40, 50)
    assert preparation(network).mean == pytest.approx((0.2,))
    network.pretrained_cfg = "none"  # type: ignore[assignment]
    assert input_shape(network) == (1, 3, 224, 224)
