"""Families and features of operators, worked out by hand for a made-up machine with vectors of eight."""

from __future__ import annotations

from dataclasses import fields, replace
from math import log2
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import shufflekit as sk
from shufflekit.cost import count
from shufflekit.cost.works import works_of_layers, works_of_steps
from shufflekit.device import Device
from shufflekit.plan import choose
from shufflekit.plan.kernels import KERNELS, Window
from shufflekit.plan.program import Step

DEVICE = Device.from_json((Path(__file__).parents[1] / "device" / "a_device.json").read_text())


def alone(work, layers):
    """The features of the cache, of the only operator of a network."""
    return log2(work.limit_ms), log2(max(1024, layers[0].mac_bytes))


@pytest.mark.parametrize(
    ("conv", "side", "family", "features"),
    [
        (nn.Conv2d(16, 60, 1), 8, "pointwise convolution", (6, 4, log2(60), 0, log2(64 / 60))),
        (nn.Conv2d(32, 32, 3, 1, 1, groups=32), 8, "depthwise convolution", (6, 5, log2(9), 0, 0)),
        (nn.Conv2d(32, 64, 1, groups=4), 8, "grouped convolution", (6, 3, 4, 2, 0, 0, 0, 0)),
        (nn.Conv2d(16, 32, 3, 2, 1), 8, "convolution", (4, 4, 5, log2(9), 1, 0, 0)),
        (nn.Conv2d(16, 32, 3, 1, 1), 8, "small convolution", (6, 4, 5, log2(9))),
        (nn.Conv2d(16, 32, 3, 1, 1), 64, "convolution", (12, 4, 5, log2(9), 0, 0, 0)),
        (nn.ReLU(), 8, "relu", (10, 10, 0)),
    ],
)
def test_layers(conv, side, family, features):
    channels = getattr(conv, "in_channels", 16)
    layers = count(conv, (1, channels, side, side)).layers
    (work,) = works_of_layers(layers, DEVICE, threads=1)
    assert (work.family, work.features) == (family, pytest.approx((*features, *alone(work, layers))))
    assert work.limit_ms == DEVICE.limit_ms(layers[0].flops, layers[0].mac_bytes, 1)


@pytest.mark.parametrize("bias", [True, False])
def test_products_know_their_depth(bias):
    layers = count(nn.Linear(64, 10, bias), (2, 64)).layers
    (work,) = works_of_layers(layers, DEVICE, 1)
    assert (work.family, work.features) == ("product", pytest.approx((1, 6, log2(10), *alone(work, layers))))


def test_the_network_around_is_a_feature():
    layers = count(nn.Sequential(nn.Conv2d(8, 8, 1), nn.ReLU()), (1, 8, 16, 16)).layers
    conv, relu = works_of_layers(layers, DEVICE, 1)
    assert conv.features[-2] == relu.features[-2] == pytest.approx(log2(conv.limit_ms + relu.limit_ms))
    assert works_of_layers(layers[1:], DEVICE, 1)[0].features[-2] == pytest.approx(log2(relu.limit_ms))


def test_so_is_what_was_touched_since_the_same_operator_ran():
    net = nn.Sequential(nn.Conv2d(8, 8, 1), nn.ReLU(), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 16, 1))
    layers = count(net, (1, 8, 16, 16)).layers
    first, relu, second, wider = (layer.mac_bytes for layer in layers)
    since = [work.features[-1] for work in works_of_layers(layers, DEVICE, 1)]
    passes = first + relu + second + wider
    # The first one's last run is the second one's, in the pass before.
    assert since == pytest.approx([log2(first + wider), log2(passes), log2(relu + second), log2(passes)])


def test_a_batch_norm_that_could_fold_has_work_all_the_same():
    layers = count(nn.Sequential(nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8)), (1, 8, 16, 16)).layers
    work = works_of_layers(layers, DEVICE, 1)[1]
    assert work.limit_ms == DEVICE.limit_ms(0, 4 * 2 * 8 * 256, 1)


class Others(nn.Module):
    """What the network below has not."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)
        self.pointwise, self.depthwise = nn.Conv2d(8, 16, 1), nn.Conv2d(16, 16, 3, 1, 1, groups=16)
        self.layer_norm = nn.GroupNorm(1, 16)

    def forward(self, x):
        x = self.depthwise(self.pointwise(self.norm(self.conv(x).relu()).sigmoid()))
        x = x * x.mean((2, 3), keepdim=True).sigmoid()
        return self.layer_norm(x).amax(1) - torch.ones(62, 62)


class Padded(nn.Module):
    """What neither has."""

    def forward(self, x):
        y = F.pad(x.relu(), (1, 1, 1, 1, 0, 2), value=2.0)
        return torch.matmul(y, y.transpose(2, 3))


class Moments(nn.Module):
    """Recurrent layers, places and cubic resizing."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 4, batch_first=True)

    def forward(self, x):
        x = F.interpolate(x, scale_factor=2, mode="bicubic")
        return self.lstm(x.flatten(2).transpose(1, 2))[0].argmax(2)


class Picked(nn.Module):
    """What goes by computed places."""

    def forward(self, x):
        places = x.sin().permute(0, 2, 3, 1)[..., :2]
        return F.grid_sample(x, places, align_corners=False).topk(3, 3)[0]


OTHERS = {
    "gated_gemm",
    "quantize",
    "dequantize",
    "lookup",
    "suppress",
    "unpack",
    "unpack_float",
}  # and what is called after int8: kernels of no network of PyTorch in float32


def test_every_kernel_of_the_engine_has_a_family():
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1),
        nn.MaxPool2d(3, 2, 1),
        nn.BatchNorm2d(8),
        nn.Conv2d(8, 16, 1),
        nn.Conv2d(16, 16, 3, 1, 1, groups=16),
        nn.AvgPool2d(2),
        nn.LocalResponseNorm(3),
        nn.Upsample(scale_factor=2.0),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 4),
        nn.Softmax(1),
    )
    steps = sk.compile(net, (1, 3, 64, 64)).program.steps
    with patch.object(choose, "_CACHE", 0):  # else only large planes are computed by pointwise_depthwise
        others = sk.compile(Others(), (1, 3, 64, 64)).program.steps
    some = [sk.compile(each, (1, 3, 8, 8)).program.steps for each in (Padded(), Moments(), Picked())]
    by_hand = {kernel for kernel in KERNELS if "int8" in kernel} | OTHERS
    assert {step.kernel for step in (*steps, *others, *sum(some, ()))} == set(KERNELS) - by_hand
    works = works_of_steps([step(kernel, **window_of(kernel)) for kernel in sorted(by_hand)], DEVICE, 1)
    assert all(torch.tensor(work.features).isfinite().all() for work in works)
    works = works_of_steps(sum(some, ()), DEVICE, 1)
    families = {"pad", "constant", "matmul", "recurrent", "position", "resample", "top_k", "pick", "grid_sample", "unary"}
    assert families < {work.family for work in works}
    assert all(torch.tensor(work.features).isfinite().all() for work in works)
    works = works_of_steps(others, DEVICE, 1)
    families = ["convolution", "affine", "pointwise_depthwise", "adaptive pool", "binary of scalars"]
    families += ["normalize", "reduce", "binary_constant", "gather"]
    assert [work.family for work in works] == families
    assert all(torch.tensor(work.features).isfinite().all() for work in works)
    works = works_of_steps(steps, DEVICE, 1)
    families = ["convolution_pool", "gemm", "depthwise", "average pool", "local_response_norm", "resize nearest"]
    assert [work.family for work in works] == [*families, "adaptive pool", "linear", "softmax", "gather"]
    assert all(torch.tensor(work.features).isfinite().all() for work in works)


def window_of(kernel: str) -> dict[str, object]:
    """The argument of a kernel that has one."""
    return {"window": WINDOW} if "window" in {field.name for field in fields(KERNELS[kernel])} else {}


def step(kernel: str, **arguments: object) -> Step:
    """A step with multiply-adds and bytes of its own; what is left out does not change the family or the features."""
    residual = {"residual": 0} if arguments.pop("residual", None) else {}
    kind = KERNELS[kernel]
    made = kind(**{**dict.fromkeys((field.name for field in fields(kind)), 1), **arguments})
    return Step(made, kernel, {"in": 0, **residual}, flops=123_000, bytes=45_000)


# 65x63 to 32x30 by 3x5, strides 2 and 2, padding 0 and 1, dilation 1.
WINDOW = Window(65, 63, 32, 30, 3, 5, 2, 2, 0, 1, 1, 1)
PIXELS, TAPS, WIDTH_WASTE = log2(32 * 30), log2(15), log2(32 / 30)


@pytest.mark.parametrize(
    ("one", "family", "features"),
    [
        (
            step("gemm", groups=4, depth=8, rows=36, pixels=60),
            "gemm",
            (log2(60), 3, log2(36), 2, log2(64 / 60), log2(40 / 36), 0),
        ),
        (step("gemm", groups=1, depth=36, rows=8, pixels=64, residual=True), "gemm", (6, log2(36), 3, 0, 0, 0, 1)),
        (step("gemm", groups=1, depth=64, rows=10, pixels=1), "linear", (0, 6, log2(10), 0, 3, log2(16 / 10), 0)),
        (step("gather", channels=16, pixels=63), "gather", (4, log2(63))),
        (step("resize", channels=16, out_height=7, out_width=9, resizing="nearest"), "resize nearest", (4, log2(63))),
        (step("affine", channels=24, pixels=49), "affine", (log2(24), log2(49))),
        (step("binary", channels=24, height=7, width=7, a_pixels=49, b_pixels=49), "binary", (log2(24), log2(49))),
        (step("binary", channels=24, height=7, width=7, a_pixels=49, b_pixels=1), "binary of scalars", (log2(24), log2(49))),
        (step("binary_constant", channels=24, height=7, width=7), "binary_constant", (log2(24), log2(49))),
        (step("reduce", groups=3, count=8, length=7, inner=7), "reduce", (log2(24), log2(49))),
        (step("softmax", groups=3, count=8, outer=7, length=7), "softmax", (log2(24), log2(49))),
        (step("depthwise", channels=24, window=WINDOW), "depthwise", (PIXELS, log2(24), TAPS, 1, WIDTH_WASTE, 0)),
        (
            step("depthwise", channels=24, window=WINDOW, residual=True),
            "depthwise",
            (PIXELS, log2(24), TAPS, 1, WIDTH_WASTE, 1),
        ),
        (step("pointwise_depthwise", depth=12, rows=40, window=WINDOW), "pointwise_depthwise", (PIXELS, log2(12), log2(40), 1)),
        (
            step("pool", channels=24, window=WINDOW, pooling="maximum"),
            "maximum pool",
            (log2(65 * 63), PIXELS, log2(24), TAPS, WIDTH_WASTE),
        ),
        (
            step("pool", channels=24, window=WINDOW, pooling="adaptive_average"),
            "adaptive pool",
            (log2(65 * 63), PIXELS, log2(24), TAPS, WIDTH_WASTE),
        ),
        (
            step("convolution", groups=2, in_channels=12, rows=40, window=WINDOW),
            "convolution",
            (PIXELS, log2(12), log2(40), 1, TAPS, 1, log2(30), WIDTH_WASTE),
        ),
    ],
)
def test_steps(one, family, features):
    (work,) = works_of_steps([one], DEVICE, threads=1)
    around = (log2(work.limit_ms), log2(45_000))
    assert (work.family, work.features) == (family, pytest.approx((*features, *around)))
    assert work.limit_ms == DEVICE.limit_ms(123_000, 45_000, 1)


def test_a_stride_is_told_from_what_is_beside_it():
    """Of stride 1 with a padding of 2, and of stride 2 with none, the one that skips pixels is the second."""
    skips = Window(65, 63, 32, 30, 3, 3, 2, 2, 0, 0, 1, 1)
    stays = Window(65, 63, 65, 63, 3, 3, 1, 1, 2, 2, 2, 2)
    for kernel, place in (("depthwise", 3), ("pointwise_depthwise", 3), ("convolution", 5)):
        works = works_of_steps([step(kernel, window=window) for window in (skips, stays)], DEVICE, 1)
        assert [work.features[place] for work in works] == [1, 0]


def features_of(conv: nn.Module, *shape: int) -> tuple[str, tuple[float, ...]]:
    """Family and sizes of the only operator, without what lies around it."""
    (work,) = works_of_layers(count(conv, shape).layers, DEVICE, 1)
    return work.family, work.features[:-2]


def test_two_images_are_twice_the_pixels_and_change_nothing_else():
    for conv in (nn.Conv2d(16, 24, 1), nn.Conv2d(16, 32, 3, 1, 1), nn.Conv2d(16, 16, 3, 1, 1, groups=16)):
        (family, one), (same, two) = (features_of(conv, batch, 16, 64, 64) for batch in (1, 2))
        assert (same, two) == (family, pytest.approx((one[0] + 1, *one[1:])))


def test_a_border_that_is_lost_is_no_stride():
    assert features_of(nn.Conv2d(16, 32, 3), 1, 16, 64, 64)[1][4] == 0
    assert features_of(nn.Conv2d(16, 32, 3, 2), 1, 16, 64, 64)[1][4] == 1
    assert features_of(nn.Conv2d(16, 32, 3, (2, 1)), 1, 16, 64, 64)[1][4] == 1


def test_small_is_up_to_20480_elements_as_in_pytorch():
    conv = nn.Conv2d(16, 32, 3, 1, 1)
    assert features_of(conv, 1, 16, 32, 40)[0] == "small convolution"
    assert features_of(conv, 1, 16, 33, 40)[0] == "convolution"


def test_a_line_is_a_map_of_one_row():
    line, plane = nn.Conv1d(16, 32, 3, padding=1), nn.Conv2d(16, 32, (1, 3), padding=(0, 1))
    assert features_of(line, 1, 16, 500) == features_of(plane, 1, 16, 1, 500)


def test_the_engine_takes_eight_rows_at_a_time_whatever_its_vectors():
    wide = replace(DEVICE, peaks=(replace(DEVICE.peak, instruction_set="avx512"),))
    one = step("gemm", groups=1, depth=4, rows=20, pixels=24)
    for device, pixels in ((DEVICE, 24), (wide, 32)):
        (work,) = works_of_steps([one], device, 1)
        assert work.features[4:6] == pytest.approx((log2(pixels / 24), log2(24 / 20)))


@pytest.mark.parametrize("threads", [1, 2])
def test_limits_are_of_the_threads(threads):
    """Of a convolution, a depthwise one, a product and a step, all so large that two threads need half the time."""
    convs = nn.Conv2d(64, 64, 3), nn.Conv2d(64, 64, 15, groups=64)
    net = nn.Sequential(*convs, nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(1024, 512))
    layers = count(net, (64, 64, 32, 32)).layers
    limits = [DEVICE.limit_ms(layer.flops, layer.mac_bytes, threads) for layer in layers]
    assert [work.limit_ms for work in works_of_layers(layers, DEVICE, threads)] == limits
    alone = [DEVICE.limit_ms(layer.flops, layer.mac_bytes, 1) for layer in layers if layer.flops]
    together = [limit for limit, layer in zip(limits, layers) if layer.flops]
    assert len(alone) == 3
    assert together == pytest.approx([limit / threads for limit in alone], rel=0.02)
    large = replace(step("affine", channels=8, pixels=9), flops=10**9)
    assert works_of_steps([large], DEVICE, threads)[0].limit_ms == DEVICE.limit_ms(10**9, 45_000, threads)
