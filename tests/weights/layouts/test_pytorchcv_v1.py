"""The oracle is pytorchcv's wiring, written from its description: the branch before the pooled input; and itself."""

import pytest
import torch
from torch import nn

from shufflekit.models import build_model
from shufflekit.weights.load import load_weights

STAGE2 = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}
CASES = [(1, "wd4"), (3, "wd4"), (1, "wd2"), (3, "wd2"), (1, "w3d4"), (3, "w3d4"), *((g, "w1") for g in STAGE2)]
OURS = {"wd4": "x0_25", "wd2": "x0_5", "w3d4": "x0_75", "w1": "x1_0"}
FACTOR = {"wd4": 0.25, "wd2": 0.5, "w3d4": 0.75, "w1": 1}


class BranchFirstUnit(nn.Module):
    def __init__(self, c_in, c_out, groups, first_groups):
        super().__init__()
        inner, self.groups, self.widens = c_out // 4, groups, c_in != c_out
        written, stride = (c_out - c_in, 2) if self.widens else (c_out, 1)
        self.compress_conv1 = nn.Conv2d(c_in, inner, 1, groups=first_groups, bias=False)
        self.compress_bn1 = nn.BatchNorm2d(inner)
        self.dw_conv2 = nn.Conv2d(inner, inner, 3, stride, 1, groups=inner, bias=False)
        self.dw_bn2 = nn.BatchNorm2d(inner)
        self.expand_conv3 = nn.Conv2d(inner, written, 1, groups=groups, bias=False)
        self.expand_bn3 = nn.BatchNorm2d(written)

    def forward(self, x):
        y = self.compress_bn1(self.compress_conv1(x)).relu()
        n, c, h, w = y.shape
        y = y.view(n, self.groups, c // self.groups, h, w).transpose(1, 2).reshape(n, c, h, w)
        y = self.expand_bn3(self.expand_conv3(self.dw_bn2(self.dw_conv2(y))))
        return (torch.cat((y, nn.functional.avg_pool2d(x, 3, 2, 1)), 1) if self.widens else x + y).relu()


def branch_first_network(groups, width, num_classes=10):
    c_in = int(24 * FACTOR[width])
    features = nn.Sequential()
    features.init_block = nn.Sequential()
    features.init_block.conv = nn.Conv2d(3, c_in, 3, 2, 1, bias=False)
    features.init_block.bn = nn.BatchNorm2d(c_in)
    features.init_block.activ = nn.ReLU()
    features.init_block.pool = nn.MaxPool2d(3, 2, 1)
    for stage, count in enumerate((4, 8, 4)):
        c_out = int(STAGE2[groups] * 2**stage * FACTOR[width])
        units = nn.Sequential()
        for place in range(count):
            unit = BranchFirstUnit(c_in, c_out, groups, 1 if stage == place == 0 else groups)
            units.add_module(f"unit{place + 1}", unit)
            c_in = c_out
        features.add_module(f"stage{stage + 1}", units)
    network = nn.Sequential()
    network.features = features
    network.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network.output = nn.Linear(c_in, num_classes)
    return network


@pytest.fixture
def photos():
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("groups", "width"), CASES)
def test_whole_network(groups, width, randomise, assert_same, photos):
    origin = randomise(branch_first_network(groups, width))
    model = build_model(f"shufflenet_v1_g{groups}_{OURS[width]}", num_classes=10).eval()
    report = load_weights(model, origin.state_dict())
    with torch.no_grad():
        assert_same(model(photos), origin(photos))
    assert report.layout == "pytorchcv ShuffleNet V1"
    assert report.options == ({"stem_channels": 6} if width == "wd4" else {})


def test_stages_are_reversed(randomise, assert_same, photos):
    origin = randomise(branch_first_network(3, "wd2"))
    model = build_model("shufflenet_v1_g3_x0_5", features_only=True).eval()
    report = load_weights(model, origin.state_dict())
    with torch.no_grad():
        x = photos
        maps = []
        for name, child in origin.features.named_children():
            x = child(x)
            maps += [x] if name != "init_block" else [origin.features.init_block[:3](photos), x]
        for order, ours, theirs in zip(report.channel_order.values(), model(photos), maps, strict=True):
            assert order == list(range(ours.shape[1]))[::-1]
            assert_same(ours, theirs[:, order], 1e-5)


@pytest.mark.parametrize(("groups", "width"), [(1, "wd4"), (3, "wd2"), (8, "w1")])
def test_pytorchcv_itself(groups, width, randomise, assert_same):
    family = pytest.importorskip("pytorchcv.models.shufflenet", reason="pytorchcv is not installed", exc_type=ImportError)
    origin = randomise(getattr(family, f"shufflenet_g{groups}_{width}")(num_classes=10))
    model = build_model(f"shufflenet_v1_g{groups}_{OURS[width]}", num_classes=10).eval()
    load_weights(model, origin.state_dict())
    x = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert_same(model(x), origin(x))
