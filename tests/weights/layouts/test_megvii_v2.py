"""The oracle is the release's wiring, written from its description: odd/even split at the start of a unit."""

import pytest
import torch
from torch import nn

from shufflekit.models import build_model
from shufflekit.weights.load import load_weights

WIDTHS = {
    "x0_5": (48, 96, 192, 1024),
    "x1_0": (116, 232, 464, 1024),
    "x1_5": (176, 352, 704, 1024),
    "x2_0": (244, 488, 976, 2048),
}


def step(c_in, c_out, size=1, stride=1, groups=1, relu=True):
    layers = [nn.Conv2d(c_in, c_out, size, stride, size // 2, groups=groups, bias=False), nn.BatchNorm2d(c_out)]
    return [*layers, nn.ReLU()] if relu else layers


class OddEvenUnit(nn.Module):
    def __init__(self, c_in, c_out, stride):
        super().__init__()
        half = c_out // 2
        self.stride = stride
        read = c_in if stride == 2 else half
        written = c_out - read
        self.branch_main = nn.Sequential(
            *step(read, half), *step(half, half, 3, stride, half, relu=False), *step(half, written)
        )
        if stride == 2:
            self.branch_proj = nn.Sequential(*step(c_in, c_in, 3, 2, c_in, relu=False), *step(c_in, c_in))

    def forward(self, x):
        if self.stride == 2:
            return torch.cat((self.branch_proj(x), self.branch_main(x)), 1)
        return torch.cat((x[:, 0::2], self.branch_main(x[:, 1::2])), 1)


class Release(nn.Module):
    def __init__(self, width, num_classes=10):
        super().__init__()
        *stages, last = WIDTHS[width]
        self.first_conv = nn.Sequential(*step(3, 24, 3, 2))
        units, c_in = [], 24
        for c_out, count in zip(stages, (4, 8, 4)):
            units += [OddEvenUnit(c_in, c_out, 2), *(OddEvenUnit(c_out, c_out, 1) for _ in range(count - 1))]
            c_in = c_out
        self.features = nn.Sequential(*units)
        self.conv_last = nn.Sequential(*step(c_in, last))
        self.classifier = nn.Sequential(nn.Linear(last, num_classes, bias=False))

    def maps(self, x):
        x = nn.functional.max_pool2d(self.first_conv(x), 3, 2, 1)
        found = []
        for place, unit in enumerate(self.features):
            x = unit(x)
            if place in (3, 11, 15):
                found.append(x)
        return found

    def forward(self, x):
        return self.classifier(self.conv_last(self.maps(x)[-1]).mean((2, 3)))


@pytest.fixture
def photos():
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 255


@pytest.mark.parametrize("width", WIDTHS)
def test_whole_network(width, randomise, assert_same, photos):
    origin = randomise(Release(width))
    model = build_model(f"shufflenet_v2_{width}", num_classes=10).eval()
    report = load_weights(model, {"state_dict": {f"module.{k}": v for k, v in origin.state_dict().items()}})
    with torch.no_grad():
        assert_same(model(photos), origin(photos))
    assert report.layout == "megvii ShuffleNet V2"
    assert report.left == report.unused == ()
    assert model.pretrained_cfg["channel_order"] == "bgr"
    assert model.pretrained_cfg["std"] == (1 / 255,) * 3
    # Only the half-width network has the same widths in both splits.
    assert report.options == ({} if width == "x0_5" else {"unit_split": "release"})
    assert model.options.get("unit_split") == report.options.get("unit_split")
    assert any("fc.bias" in note for note in report.notes)


@pytest.mark.parametrize("split", ["even", "release", "uneven"])
def test_stages_stand_in_the_reported_order(split, randomise, assert_same, photos):
    origin = randomise(Release("x0_5"))
    model = build_model("shufflenet_v2_x0_5", features_only=True, out_indices=(2, 3, 4), unit_split=split).eval()
    if split == "uneven":  # at half width both stages' branches are equal, and so is the shuffle
        assert model.stage2[0].shuffle_groups == 2
    report = load_weights(model, origin.state_dict())
    with torch.no_grad():
        for (name, order), ours, theirs in zip(report.channel_order.items(), model(photos), origin.maps(photos)):
            assert sorted(order) == list(range(ours.shape[1]))
            assert_same(ours, theirs[:, order], 1e-5)
            assert name in model.feature_info.module_name()
    assert {name.split(".")[0] for name in report.unused} == {"conv5", "fc"}


def test_pooling_and_split_are_set_to_the_release_s(randomise, assert_same, photos):
    origin = randomise(Release("x1_0"))
    model = build_model("shufflenet_v2_x1_0", num_classes=10, pool_ceil_mode=True, unit_split="even").eval()
    report = load_weights(model, origin.state_dict())
    assert report.options == {"pool_ceil_mode": False, "unit_split": "release"}
    assert model.options == {"num_classes": 10, "pool_ceil_mode": False, "unit_split": "release"}
    with torch.no_grad():
        assert_same(model(photos), origin(photos))
