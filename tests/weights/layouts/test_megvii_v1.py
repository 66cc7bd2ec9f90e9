"""The oracle is the release's wiring, written from its description: the shuffle stands after the depthwise convolution."""

import pytest
import torch
from torch import nn

from shufflekit.models import build_model
from shufflekit.weights.load import load_weights

STAGE2 = {3: 240, 8: 384}
STEM = {(3, "x0_5"): 12, (8, "x0_5"): 16, "x1_0": 24, "x1_5": 24, "x2_0": 48}
FACTOR = {"x0_5": 0.5, "x1_0": 1, "x1_5": 1.5, "x2_0": 2}


class LateShuffleUnit(nn.Module):
    def __init__(self, c_in, c_out, groups, first_groups):
        super().__init__()
        inner, self.groups, self.widens = c_out // 4, groups, c_in != c_out
        written, stride = (c_out - c_in, 2) if self.widens else (c_out, 1)
        self.branch_main_1 = nn.Sequential(
            nn.Conv2d(c_in, inner, 1, groups=first_groups, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            nn.Conv2d(inner, inner, 3, stride, 1, groups=inner, bias=False),
            nn.BatchNorm2d(inner),
        )
        self.branch_main_2 = nn.Sequential(nn.Conv2d(inner, written, 1, groups=groups, bias=False), nn.BatchNorm2d(written))

    def forward(self, x):
        y = self.branch_main_1(x)
        n, c, h, w = y.shape
        y = y.view(n, c // self.groups, self.groups, h, w).transpose(1, 2).reshape(n, c, h, w)
        y = self.branch_main_2(y)
        if self.widens:
            return torch.cat((nn.functional.avg_pool2d(x, 3, 2, 1), y.relu()), 1)
        return (x + y).relu()


class Release(nn.Module):
    def __init__(self, groups, width, num_classes=10):
        super().__init__()
        c_in = STEM.get((groups, width)) or STEM[width]
        self.first_conv = nn.Sequential(nn.Conv2d(3, c_in, 3, 2, 1, bias=False), nn.BatchNorm2d(c_in), nn.ReLU())
        units = []
        for stage, count in enumerate((4, 8, 4)):
            c_out = int(STAGE2[groups] * FACTOR[width]) * 2**stage
            for place in range(count):
                units.append(LateShuffleUnit(c_in, c_out, groups, 1 if stage == place == 0 else groups))
                c_in = c_out
        self.features = nn.Sequential(*units)
        self.classifier = nn.Sequential(nn.Linear(c_in, num_classes, bias=False))

    def maps(self, x):
        x = nn.functional.max_pool2d(self.first_conv(x), 3, 2, 1)
        found = []
        for place, unit in enumerate(self.features):
            x = unit(x)
            if place in (3, 11, 15):
                found.append(x)
        return found

    def forward(self, x):
        return self.classifier(self.maps(x)[-1].mean((2, 3)))


@pytest.fixture
def photos():
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 255


@pytest.mark.parametrize("width", FACTOR)
@pytest.mark.parametrize("groups", STAGE2)
def test_whole_network(groups, width, randomise, assert_same, photos):
    origin = randomise(Release(groups, width))
    model = build_model(f"shufflenet_v1_g{groups}_{width}", num_classes=10).eval()
    report = load_weights(model, origin.state_dict())
    with torch.no_grad():
        assert_same(model(photos), origin(photos))
    assert report.layout == "megvii ShuffleNet V1"
    # 8 groups of a bottleneck that is no multiple of 64 channels: no order of channels makes both shuffles one.
    needs_release = groups == 8 and width != "x2_0"
    assert report.options == ({"shuffle_order": "release"} if needs_release else {})
    assert model.options.get("shuffle_order") == report.options.get("shuffle_order")
    if needs_release:
        assert any("shuffle_order: set to 'release'" in note for note in report.notes)


@pytest.mark.parametrize("order", ["paper", "release"])
def test_stages_stand_in_the_same_order(order, randomise, assert_same, photos):
    origin = randomise(Release(3, "x0_5"))
    model = build_model("shufflenet_v1_g3_x0_5", features_only=True, out_indices=(2, 3, 4), shuffle_order=order).eval()
    report = load_weights(model, origin.state_dict())
    assert report.channel_order == {}
    with torch.no_grad():
        for ours, theirs in zip(model(photos), origin.maps(photos)):
            assert_same(ours, theirs, 1e-5)


def test_a_classifier_without_bias_stays_without(randomise, assert_same, photos):
    origin = randomise(Release(3, "x0_5"))
    model = build_model("shufflenet_v1_g3_x0_5", num_classes=10, classifier_bias=False).eval()
    assert load_weights(model, origin.state_dict()).notes == ()
    with torch.no_grad():
        assert_same(model(photos), origin(photos))


def test_a_network_without_shuffle_gets_one(randomise, assert_same, photos):
    origin = randomise(Release(3, "x0_5"))
    model = build_model("shufflenet_v1_g3_x0_5", num_classes=10, shuffle=False).eval()
    assert load_weights(model, origin.state_dict()).options == {"shuffle": True}
    with torch.no_grad():
        assert_same(model(photos), origin(photos))
