"""The oracle is the release's wiring, written from its description: odd/even units, hard-swish, squeeze-excite."""

import pytest
import torch
from torch import nn

from shufflekit.models import build_model
from shufflekit.weights.load import load_weights

SIZES = {"small": (36, 104, 208, 416), "medium": (48, 128, 256, 512), "large": (68, 168, 336, 672)}
XCEPTION = 3
CHOICES = (0, 0, 3, 1, 1, 1, 0, 0, 2, 0, 2, 1, 1, 0, 2, 0, 2, 1, 3, 2)  # 0, 1, 2: kernels 3, 5, 7 (train.py)


class Gate(nn.Module):
    def __init__(self, channels):
        super().__init__()
        inner = channels // 4
        self.SE_opr = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            nn.Conv2d(inner, channels, 1, bias=False),
        )

    def forward(self, x):
        return x * ((self.SE_opr(x) + 3).clamp(0, 6) / 6)


class OddEvenUnit(nn.Module):
    def __init__(self, c_in, c_out, choice, stride, act, se):
        super().__init__()
        half, size = c_out // 2, {0: 3, 1: 5, 2: 7, XCEPTION: 3}[choice]
        self.stride = stride
        read = c_in if stride == 2 else half
        written = c_out - read

        def depthwise(c, s):
            return [nn.Conv2d(c, c, size, s, size // 2, groups=c, bias=False), nn.BatchNorm2d(c)]

        def pointwise(a, b):
            return [nn.Conv2d(a, b, 1, bias=False), nn.BatchNorm2d(b), act()]

        if choice == XCEPTION:
            main = [*depthwise(read, stride), *pointwise(read, half), *depthwise(half, stride), *pointwise(half, half)]
            main += [*depthwise(half, stride), *pointwise(half, written)]
        else:
            main = [*pointwise(read, half), *depthwise(half, stride), *pointwise(half, written)]
        self.branch_main = nn.Sequential(*main, *([Gate(written)] if se else []))
        if stride == 2:
            self.branch_proj = nn.Sequential(*depthwise(c_in, 2), *pointwise(c_in, c_in))

    def forward(self, x):
        if self.stride == 2:
            return torch.cat((self.branch_proj(x), self.branch_main(x)), 1)
        return torch.cat((x[:, 0::2], self.branch_main(x[:, 1::2])), 1)


class Release(nn.Module):
    def __init__(self, size, num_classes=10):
        super().__init__()
        self.first_conv = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.Hardswish())
        units, c_in = [], 16
        for stage, (c_out, count) in enumerate(zip(SIZES[size], (4, 4, 8, 4))):
            for place in range(count):
                act = nn.ReLU if stage == 0 else nn.Hardswish
                units.append(OddEvenUnit(c_in, c_out, CHOICES[len(units)], 1 if place else 2, act, se=stage >= 2))
                c_in = c_out
        self.features = nn.Sequential(*units)
        self.conv_last = nn.Sequential(nn.Conv2d(c_in, 1280, 1, bias=False), nn.BatchNorm2d(1280), nn.Hardswish())
        self.LastSE = Gate(1280)
        self.fc = nn.Sequential(nn.Linear(1280, 1280, bias=False), nn.Hardswish())
        self.classifier = nn.Sequential(nn.Linear(1280, num_classes, bias=False))

    def maps(self, x):
        x, found = self.first_conv(x), []
        for place, unit in enumerate(self.features):
            x = unit(x)
            if place in (3, 7, 15, 19):
                found.append(x)
        return found

    def forward(self, x):
        x = self.conv_last(self.maps(x)[-1]).mean((2, 3), keepdim=True)
        return self.classifier(self.fc(self.LastSE(x).flatten(1)))


# In float64: the gates of random weights saturate and make float32's rounding grow to 5e-4 of the maximum.
@pytest.fixture
def photos():
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 255


@pytest.mark.parametrize("size", SIZES)
def test_whole_network(size, randomise, assert_same, photos):
    origin = randomise(Release(size)).double()
    model = build_model(f"shufflenet_v2_plus_{size}", num_classes=10).double().eval()
    report = load_weights(model, origin.state_dict())
    with torch.no_grad():
        assert_same(model(photos), origin(photos), 1e-10)
    assert report.layout == "megvii ShuffleNet V2+"
    assert report.left == report.unused == report.notes == ()


def test_stages_stand_in_the_reported_order(randomise, assert_same, photos):
    origin = randomise(Release("small")).double()
    model = build_model("shufflenet_v2_plus_small", features_only=True, out_indices=(1, 2, 3, 4)).double().eval()
    report = load_weights(model, origin.state_dict())
    with torch.no_grad():
        for order, ours, theirs in zip(report.channel_order.values(), model(photos), origin.maps(photos), strict=True):
            assert_same(ours, theirs[:, order], 1e-10)
            assert order == [*range(0, len(order), 2), *range(1, len(order), 2)]  # the release's next split


def test_our_own_names_are_not_taken_for_the_release_s(randomise):
    model, other = (build_model("shufflenet_v2_plus_small", num_classes=10) for _ in range(2))
    assert load_weights(model, randomise(other).state_dict()).layout == "plain"
