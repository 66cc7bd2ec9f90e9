"""The base class: what it refuses, timm's conventions, and the cut to intermediate maps."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from shufflekit.errors import InputError, UsageError
from shufflekit.models import FeatureNet, Network, build_model
from shufflekit.models.shufflenet_v2 import ShuffleNetV2


@pytest.fixture
def net() -> Network:
    torch.manual_seed(0)
    return build_model("shufflenet_v2_x0_5", num_classes=4).eval()


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((3, 64, 64), r"input must be (N, 3, H, W), found (3, 64, 64)"),
        ((1, 4, 64, 64), r"input must be (N, 3, H, W), found (1, 4, 64, 64)"),
        ((1, 3, 64, 31), "input must be at least 32x32, found 64x31"),
    ],
)
def test_inputs_that_are_refused(net: Network, shape: tuple[int, ...], message: str) -> None:
    for module in (net, FeatureNet(net)):
        with pytest.raises(InputError) as error:
            module(torch.zeros(shape))
        assert str(error.value) == f"shufflenet_v2_x0_5: {message}"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": -3}, "num_classes: must be 0 or more, found -3"),
        ({"in_chans": 0}, "in_chans: must be 1 or more, found 0"),
        ({"unit_split": "odd"}, "unit_split: must be one of even, release, uneven, found 'odd'"),
    ],
)
def test_options_that_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as error:
        build_model("shufflenet_v2_x0_5", **options)
    assert str(error.value) == message


def test_reset_classifier_keeps_place_dtype_and_mode(net: Network) -> None:
    net.double().train()
    net.reset_classifier(9)
    assert isinstance(net.fc, nn.Linear)
    assert (net.fc.out_features, net.fc.weight.dtype, net.fc.training) == (9, torch.float64, True)
    assert net.get_classifier() is net.fc
    with pytest.raises(UsageError, match=r"^num_classes: must be 0 or more, found -1$"):
        net.reset_classifier(-1)


def test_reset_classifier_of_a_network_built_by_hand() -> None:
    net = ShuffleNetV2((24,), (48, 96, 192), (1, 1, 1), 64)
    net.reset_classifier(2)
    assert (net.architecture, net.options) == ("ShuffleNetV2", {"num_classes": 2})


def test_the_head_is_pooling_then_the_classifier(net: Network) -> None:
    x = torch.rand(2, 3, 40, 56)
    with torch.inference_mode():
        features = net.forward_features(x)
        pooled = net.forward_head(features, pre_logits=True)
        torch.testing.assert_close(pooled, features.flatten(2).mean(2))
        torch.testing.assert_close(net(x), net.get_classifier()(pooled))
        net.reset_classifier(0)
        assert torch.equal(net(x), pooled)


def test_feature_info_is_a_sequence_of_dicts(net: Network) -> None:
    info = net.feature_info
    assert info[2] == {"num_chs": 48, "reduction": 8, "module": "stage2"}
    assert info[-1] == list(info)[4]
    assert info.channels() == [24, 24, 48, 96, 192]
    assert info.reduction() == [2, 4, 8, 16, 32]
    assert info.module_name() == ["conv1", "maxpool", "stage2", "stage3", "stage4"]


@pytest.mark.parametrize("indices", [(5,), (-6, 0), ()])
def test_out_indices_that_are_refused(net: Network, indices: tuple[int, ...]) -> None:
    with pytest.raises(UsageError) as error:
        FeatureNet(net, indices)
    assert str(error.value) == f"out_indices: shufflenet_v2_x0_5 has the maps 0 to 4, found {indices}"


def test_a_feature_net_keeps_what_is_known_of_its_network(net: Network) -> None:
    net.pretrained_cfg = {"mean": (0.0, 0.0, 0.0)}
    cut = FeatureNet(net, (-1, 2, 2))
    assert cut.pretrained_cfg == net.pretrained_cfg
    assert (cut.architecture, cut.options, cut.in_chans) == ("shufflenet_v2_x0_5", {"num_classes": 4}, 3)
    assert cut.feature_info.module_name() == ["stage2", "stage4"]
    assert cut.stage2 is net.stage2  # layers are shared, so weights loaded into either are in both


def test_a_feature_net_can_be_cut_inside_a_sequential() -> None:
    net = build_model("shufflenet_v2_plus_small")
    cut = FeatureNet(net, (1, 2))
    assert list(dict(cut.features.named_children())) == [str(i) for i in range(8)]
    assert cut.state_dict().keys() <= net.state_dict().keys()
    assert not hasattr(cut, "conv_last")
    assert len(net.features) == 20


@pytest.mark.parametrize("strict", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_export_with_free_sizes(net: Network, strict: bool) -> None:
    batch, height, width = (
        torch.export.Dim("batch"),
        torch.export.Dim("height", min=33, max=512),
        torch.export.Dim("width", min=33),
    )
    free = {0: batch, 2: height, 3: width}
    program = torch.export.export(net, (torch.rand(2, 3, 64, 96),), dynamic_shapes=(free,), strict=strict)
    x = torch.rand(3, 3, 33, 47)
    with torch.inference_mode():
        torch.testing.assert_close(program.module()(x), net(x))


def test_a_feature_net_exports(net: Network) -> None:
    cut, x = FeatureNet(net, (0, 2)).eval(), torch.rand(2, 3, 33, 47)
    maps = torch.export.export(cut, (x,), strict=False).module()(x)
    torch.testing.assert_close(maps, cut(x))
