"""The oracle is pytorchcv's wiring, written from its description: its V2 and its V2b; and itself."""

import pytest
import torch
from torch import nn

from shufflekit.models import build_model
from shufflekit.weights.load import load_weights

# Stages and last convolution; at 1.5x and 2x the last one is wider than the paper's.
WIDTHS = {
    "wd2": ("x0_5", 48, 96, 192, 1024),
    "w1": ("x1_0", 116, 232, 464, 1024),
    "w3d2": ("x1_5", 176, 352, 704, 1553),
    "w2": ("x2_0", 244, 488, 976, 2153),
}


def shuffled(left, right):
    x = torch.cat((left, right), 1)
    n, c, h, w = x.shape
    return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


def conv(c_in, c_out, size=1, stride=1, groups=1):
    return nn.Conv2d(c_in, c_out, size, stride, size // 2, groups=groups, bias=False)


class EvenUnit(nn.Module):
    """V2: both branches of a stride-2 unit give half of the channels."""

    def __init__(self, c_in, c_out, stride):
        super().__init__()
        half, self.stride = c_out // 2, stride
        read = c_in if stride == 2 else half
        self.compress_conv1, self.compress_bn1 = conv(read, half), nn.BatchNorm2d(half)
        self.dw_conv2, self.dw_bn2 = conv(half, half, 3, stride, half), nn.BatchNorm2d(half)
        self.expand_conv3, self.expand_bn3 = conv(half, half), nn.BatchNorm2d(half)
        if stride == 2:
            self.dw_conv4, self.dw_bn4 = conv(c_in, c_in, 3, 2, c_in), nn.BatchNorm2d(c_in)
            self.expand_conv5, self.expand_bn5 = conv(c_in, half), nn.BatchNorm2d(half)

    def forward(self, x):
        left, right = (x, x) if self.stride == 2 else x.chunk(2, 1)
        if self.stride == 2:
            left = self.expand_bn5(self.expand_conv5(self.dw_bn4(self.dw_conv4(left)))).relu()
        right = self.compress_bn1(self.compress_conv1(right)).relu()
        return shuffled(left, self.expand_bn3(self.expand_conv3(self.dw_bn2(self.dw_conv2(right)))).relu())


class UnevenUnit(nn.Module):
    """V2b: the left branch of a stride-2 unit keeps its input's width."""

    def __init__(self, c_in, c_out, stride):
        super().__init__()
        half, self.stride = c_out // 2, stride
        read = c_in if stride == 2 else half
        self.conv1 = self.block(read, half)
        self.dconv = self.block(half, half, 3, stride, half)
        self.conv2 = self.block(half, c_out - read)
        if stride == 2:
            self.shortcut_dconv = self.block(c_in, c_in, 3, 2, c_in)
            self.shortcut_conv = self.block(c_in, c_in)

    @staticmethod
    def block(c_in, c_out, *kind):
        block = nn.Sequential()
        block.conv, block.bn = conv(c_in, c_out, *kind), nn.BatchNorm2d(c_out)
        return block

    def forward(self, x):
        left, right = (x, x) if self.stride == 2 else x.chunk(2, 1)
        left = self.shortcut_conv(self.shortcut_dconv(left)).relu() if self.stride == 2 else left
        return shuffled(left, self.conv2(self.dconv(self.conv1(right).relu())).relu())


def network(kind, width, num_classes=10):
    unit = {"v2": EvenUnit, "v2b": UnevenUnit}[kind]
    *_, last = _, *stages, last = WIDTHS[width]
    features = nn.Sequential()
    features.init_block = nn.Sequential()
    features.init_block.conv = UnevenUnit.block(3, 24, 3, 2)
    features.init_block.activ = nn.ReLU()
    features.init_block.pool = nn.MaxPool2d(3, 2, padding=0, ceil_mode=True) if kind == "v2" else nn.MaxPool2d(3, 2, 1)
    c_in = 24
    for stage, (c_out, count) in enumerate(zip(stages, (4, 8, 4)), start=1):
        units = nn.Sequential()
        for place in range(1, count + 1):
            units.add_module(f"unit{place}", unit(c_in, c_out, 1 if place > 1 else 2))
            c_in = c_out
        features.add_module(f"stage{stage}", units)
    features.final_block = UnevenUnit.block(c_in, last)
    whole = nn.Sequential()
    whole.features = features
    whole.pool = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    whole.output = nn.Linear(last, num_classes)
    return whole


@pytest.fixture
def photos():
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", ["v2", "v2b"])
@pytest.mark.parametrize("width", WIDTHS)
def test_whole_network(kind, width, randomise, assert_same, photos):
    origin = randomise(network(kind, width))
    model = build_model(f"shufflenet_v2_{WIDTHS[width][0]}", num_classes=10).eval()
    report = load_weights(model, origin.state_dict())
    with torch.no_grad():
        assert_same(model(photos), origin(photos))
    expected = {"pool_ceil_mode": True} if kind == "v2" else {"unit_split": "uneven"}
    if width in ("w3d2", "w2"):
        expected["conv5_channels"] = WIDTHS[width][-1]
    assert report.layout == "pytorchcv ShuffleNet V2"
    assert report.options == expected
    assert report.channel_order == {}


@pytest.mark.parametrize("name", ["shufflenetv2_wd2", "shufflenetv2_w3d2", "shufflenetv2b_wd2", "shufflenetv2b_w1"])
def test_pytorchcv_itself(name, randomise, assert_same):
    module = f"pytorchcv.models.{name.split('_')[0]}"
    family = pytest.importorskip(module, reason="pytorchcv is not installed", exc_type=ImportError)
    origin = randomise(getattr(family, name)(num_classes=10))
    model = build_model(f"shufflenet_v2_{WIDTHS[name.split('_')[1]][0]}", num_classes=10).eval()
    load_weights(model, origin.state_dict())
    x = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert_same(model(x), origin(x))
