"""The papers' baselines against what both papers print, what the networks' origins count, and counts worked out by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from shufflekit.errors import UsageError
from shufflekit.models import Network, build_model, condensenet, list_models, model_entry
from shufflekit.models._cells import Cell, FactorizedReduction, separable_5x5
from shufflekit.models.densenet_like import DenseLayer, dense_stage
from shufflekit.models.igcv2 import interleaved_unit
from shufflekit.models.igcv3 import InterleavedResidual
from shufflekit.models.like_v1 import resnet_unit, resnext_unit, vgg_unit
from shufflekit.models.mobilenet_v1 import separable_unit
from shufflekit.models.mobilenet_v2 import InvertedResidual
from shufflekit.models.nasnet import NORMAL, REDUCTION
from shufflekit.models.pnasnet import CELL
from shufflekit.models.resnet import Bottleneck
from shufflekit.models.squeezenet import Fire
from shufflekit.models.xception_like_v2 import xception_unit

BASELINES = [name for name in list_models() if "shufflenet" not in name]


def on_meta(name: str, **options: object) -> Network:
    with torch.device("meta"):
        return build_model(name, **options).eval()


def flops(module: nn.Module, *shape: int) -> float:
    """Multiply-adds; the counter counts two for each."""
    with FlopCounterMode(display=False) as counter:
        module(torch.empty(1, *shape, device="meta"))
    return counter.get_total_flops() / 2


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def on_meta_module(module: nn.Module) -> nn.Module:
    return module.to("meta").eval()


def test_every_baseline_of_the_papers_is_there() -> None:
    assert len(BASELINES) == len(set(BASELINES)) == 45
    for family, levels in {
        "resnet_like": ("13m", "38m", "140m"),
        "resnext_like": ("13m", "38m", "140m"),
        "xception_like_v1": ("13m", "38m", "140m"),
        "xception_like_v2": ("x0_5", "x1_0", "x1_5", "x2_0"),
        "densenet_like": ("x0_5", "x1_0", "x1_5", "x2_0"),
        "mobilenet_v1": ("x0_25", "x0_5", "x0_75", "x1_0"),
        "mobilenet_v2": ("x0_15", "x0_4", "x0_6", "x0_75", "x1_0", "x1_4"),
        "igcv2": ("x0_25", "x0_5", "x1_0"),
        "igcv3_d": ("x0_7", "x1_0", "x1_4"),
        "condensenet_74": ("g4", "g8"),
    }.items():
        assert list_models(f"{family}_*") == [f"{family}_{level}" for level in levels]
    assert set(BASELINES) >= {"alexnet", "vgg16", "googlenet", "squeezenet1_0", "resnet50", "vgg_like_140m"}
    assert set(BASELINES) >= {"nasnet_a_mobile", "pnasnet_5_mobile", "senet_154"}


@pytest.mark.parametrize("name", [name for name in BASELINES if model_entry(name).mflops is not None])
def test_flops_are_those_printed(name: str) -> None:
    entry = model_entry(name)
    # Table 4 names three levels and no widths; all other values are those of one network.
    tolerance = 0.03 if entry.source == "V1 Table 4" else 0.014
    assert flops(on_meta(name), 3, *entry.input_size) / 1e6 == pytest.approx(entry.mflops, rel=tolerance)


@pytest.mark.parametrize(
    ("name", "options", "count"),
    [
        ("resnet50", {}, 3_857_973_248),
        ("resnet50", {"stride_at": "3x3"}, 4_089_184_256),
        ("googlenet_bvlc", {}, 1_582_671_872),
        ("googlenet", {}, 1_498_376_192),
    ],
)
def test_flops_where_the_printed_value_is_rounded(name: str, options: dict[str, object], count: int) -> None:
    assert flops(on_meta(name, **options), 3, 224, 224) == count


def test_the_paper_of_googlenet_counts_its_first_layer_short() -> None:
    """Its Table 1 sums to 1502 with 34 for the first layer, which is 7*7*3*64 weights at 112x112."""
    printed = 34 + 360 + 128 + 304 + 73 + 88 + 100 + 119 + 170 + 54 + 71 + 1
    assert printed == 1502
    first = 7 * 7 * 3 * 64 * 112**2 / 1e6
    assert flops(on_meta("googlenet_bvlc"), 3, 224, 224) / 1e6 == pytest.approx(printed - 34 + first, rel=0.003)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("alexnet", 60_965_224),
        ("vgg16", 138_357_544),
        ("googlenet", 6_624_904),
        ("googlenet_bvlc", 6_998_552),
        ("squeezenet1_0", 1_248_424),
        ("resnet50", 25_557_032),
        ("mobilenet_v1_x1_0", 4_231_976),
        ("mobilenet_v2_x1_0", 3_504_872),
        # As pytorchcv lists them, which has checked the released weights of each.
        ("igcv3_d_x1_0", 3_491_688),
        ("condensenet_74_g4", 4_773_944),
        ("condensenet_74_g8", 2_935_416),
        ("nasnet_a_mobile", 5_289_978),
        ("senet_154", 115_088_984),
    ],
)
def test_parameters_are_those_of_the_origin(name: str, count: int) -> None:
    assert parameters(on_meta(name)) == count


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("vgg16", {"features.0.weight", "features.28.bias", "classifier.0.weight", "classifier.6.bias"}),
        ("squeezenet1_0", {"features.0.weight", "features.12.expand3x3.bias", "classifier.1.weight"}),
        ("googlenet", {"conv1.conv.weight", "inception3a.branch2.1.bn.running_var", "inception5b.branch4.1.conv.weight"}),
        ("resnet50", {"bn1.weight", "layer1.0.downsample.0.weight", "layer4.2.conv3.weight", "fc.bias"}),
        (
            "mobilenet_v2_x1_0",
            {"features.0.0.weight", "features.1.conv.1.weight", "features.17.conv.3.bias", "classifier.1.bias"},
        ),
    ],
)
def test_children_are_named_as_in_torchvision(name: str, keys: set[str]) -> None:
    assert keys <= on_meta(name).state_dict().keys()


@pytest.mark.parametrize(("name", "side"), [("alexnet", 6), ("vgg16", 7)])
def test_the_pooling_before_the_linear_layers_does_nothing_at_the_published_size(name: str, side: int) -> None:
    net = on_meta(name)
    assert net.body(torch.empty(1, 3, 224, 224, device="meta")).shape[2:] == (side, side)
    assert net.get_submodule("avgpool").output_size == (side, side)


@pytest.mark.parametrize("name", ["alexnet", "squeezenet1_0", "vgg16"])
def test_an_unpadded_network_cannot_go_below_its_least_size(name: str) -> None:
    net = on_meta(name)
    side = net.min_input_size
    net(torch.empty(1, 3, side, side, device="meta"))
    with pytest.raises(RuntimeError, match="too small"):
        net.body(torch.empty(1, 3, side - 1, side - 1, device="meta"))


def test_resnet_refuses_an_unknown_place_of_the_stride() -> None:
    with pytest.raises(UsageError, match=r"^stride_at: must be one of 1x1, 3x3, found '5x5'$"):
        build_model("resnet50", stride_at="5x5")


def test_the_place_of_the_stride_changes_the_unit_and_not_its_weights() -> None:
    # 56x56 in, 28x28 out; 1x1 from 256 to 128, 3x3, 1x1 to 512, projection from 256 to 512
    rest = 28**2 * (9 * 128 * 128 + 128 * 512 + 256 * 512)
    early = on_meta_module(Bottleneck(256, 128, 2, "1x1"))
    late = on_meta_module(Bottleneck(256, 128, 2, "3x3"))
    assert flops(early, 256, 56, 56) == 28**2 * 256 * 128 + rest
    assert flops(late, 256, 56, 56) == 56**2 * 256 * 128 + rest
    assert parameters(early) == parameters(late)


def test_units_of_v1_table4_cost_what_the_paper_says() -> None:
    """Section 3.2: ResNet hw(2cm + 9m^2), ResNeXt hw(2cm + 9m^2/g); two 3x3 convolutions cost hw * 18c^2."""
    hw = 28 * 28
    assert flops(on_meta_module(resnet_unit(48, 48, 1)), 48, 28, 28) == hw * (2 * 48 * 12 + 9 * 12**2)
    assert flops(on_meta_module(resnext_unit(96, 96, 1)), 96, 28, 28) == hw * (2 * 96 * 48 + 9 * 48**2 // 16)
    assert flops(on_meta_module(vgg_unit(25, 25, 1)), 25, 28, 28) == hw * 18 * 25**2
    # stride 2: the first 1x1 convolution works at 28x28, all else and the projection at 14x14
    assert flops(on_meta_module(resnet_unit(48, 96, 2)), 48, 28, 28) == hw * 48 * 24 + 196 * (9 * 24**2 + 24 * 96 + 48 * 96)


@pytest.mark.parametrize(
    ("name", "width"), [("resnet_like_38m", 192), ("resnext_like_38m", 192), ("xception_like_v1_38m", 288)]
)
def test_stage_4_is_as_wide_as_v1_says(name: str, width: int) -> None:
    assert on_meta(name).feature_info.channels()[2:] == [width // 4, width // 2, width]


@pytest.mark.parametrize(("level", "width"), [("140m", "x1_0"), ("38m", "x0_5"), ("13m", "x0_25")])
def test_xception_like_v1_is_shufflenet_of_one_group_without_shuffle(level: str, width: str) -> None:
    ours, other = on_meta(f"xception_like_v1_{level}"), on_meta(f"shufflenet_v1_g1_{width}")
    assert {k: v.shape for k, v in ours.state_dict().items()} == {k: v.shape for k, v in other.state_dict().items()}
    assert model_entry(f"xception_like_v1_{level}").top1_error == model_entry(f"shufflenet_v1_g1_{width}").top1_error


def test_an_xception_unit_is_three_separable_convolutions() -> None:
    unit = on_meta_module(xception_unit(64, 64, 1))
    # 64 -> 16 -> 16 -> 64, each a 3x3 depthwise and a pointwise convolution
    assert flops(unit, 64, 28, 28) == 28**2 * (9 * 64 + 64 * 16 + 9 * 16 + 16 * 16 + 9 * 16 + 16 * 64)
    # weights, and a scale and a shift for each of the 16 + 16 + 64 normalised channels
    assert parameters(unit) == 576 + 1024 + 144 + 256 + 144 + 1024 + 2 * (16 + 16 + 64)


def test_an_xception_unit_sees_seven_pixels() -> None:
    unit = xception_unit(8, 8, 1).eval()
    for conv in unit.modules():
        if isinstance(conv, nn.Conv2d):
            nn.init.constant_(conv.weight, 1.0)
    x = torch.zeros(1, 8, 15, 15)
    x[0, :, 7, 7] = 1.0
    assert torch.nonzero(unit(x)[0, 0].amax(0)).flatten().tolist() == list(range(4, 11))


def test_a_dense_layer_adds_its_growth() -> None:
    layer = on_meta_module(DenseLayer(24, 22))
    assert flops(layer, 24, 28, 28) == 28**2 * (24 * 88 + 9 * 88 * 22)
    assert layer(torch.empty(1, 24, 28, 28, device="meta")).shape == (1, 46, 28, 28)
    x = torch.rand(1, 4, 5, 5)
    assert torch.equal(DenseLayer(4, 2).eval()(x)[:, :4], x)


@pytest.mark.parametrize("name", list_models("densenet_like_*"))
def test_a_transition_halves_the_channels(name: str) -> None:
    net = on_meta(name)
    transitions = [net.get_submodule(f"stage{n}.0") for n in (2, 3, 4)]
    assert transitions[0].out_channels == transitions[0].in_channels
    assert [t.out_channels for t in transitions[1:]] == [t.in_channels // 2 for t in transitions[1:]]


def test_a_dense_stage_halves_the_size() -> None:
    assert dense_stage(6, 3 + 2 * 4, 2, growth=4).eval()(torch.rand(1, 6, 9, 8)).shape == (1, 11, 4, 4)


def test_a_separable_unit() -> None:
    unit = on_meta_module(separable_unit(64, 128, 2))
    assert flops(unit, 64, 112, 112) == 56**2 * (9 * 64 + 64 * 128)


def test_an_inverted_residual_adds_only_where_the_shapes_agree() -> None:
    # 24 -> 144 at 56x56, depthwise, 144 -> 24
    assert flops(on_meta_module(InvertedResidual(24, 24, 1, 6)), 24, 56, 56) == 56**2 * (24 * 144 + 9 * 144 + 144 * 24)
    x = torch.rand(1, 8, 6, 6)
    for out_channels, stride, adds in [(8, 1, True), (8, 2, False), (16, 1, False)]:
        unit = InvertedResidual(8, out_channels, stride, 6).eval()
        nn.init.zeros_(unit.conv[-2].weight)
        assert torch.equal(unit(x), x) if adds else not unit(x).any()


def test_a_fire_module() -> None:
    fire = on_meta_module(Fire(96, 16, 128))
    assert flops(fire, 96, 55, 55) == 55**2 * (96 * 16 + 16 * 64 + 9 * 16 * 64)
    assert parameters(fire) == 96 * 16 + 16 + 16 * 64 + 64 + 9 * 16 * 64 + 64


@pytest.mark.parametrize("name", [n for n in BASELINES if n.startswith("mobilenet")])
def test_a_mobilenet_has_five_levels(name: str) -> None:
    assert on_meta(name).feature_info.reduction() == [2, 4, 8, 16, 32]


def test_alexnet_has_two_towers_and_its_normalisation() -> None:
    net = on_meta("alexnet")
    convs = [m for m in net.features if isinstance(m, nn.Conv2d)]
    assert [(c.out_channels, c.groups) for c in convs] == [(96, 1), (256, 2), (384, 1), (384, 2), (256, 2)]
    assert sum(isinstance(m, nn.LocalResponseNorm) for m in net.features) == 2


def test_an_interleaved_unit_is_depthwise_and_two_products_of_eight_groups() -> None:
    # 64 -> 64 -> 128 channels at 56x56
    unit = on_meta_module(interleaved_unit(64, 128, 2))
    assert flops(unit, 64, 112, 112) == 56**2 * (9 * 64 + 64 * 64 // 8 + 64 * 128 // 8)


def reads(unit: nn.Module, channels: int) -> Tensor:
    """Which input channels each output channel depends on, all weights being 1: (out, in)."""
    for module in unit.eval().modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1.0)
    x = torch.zeros(channels, channels, 3, 3)
    x[range(channels), range(channels), 1, 1] = 1.0
    return unit(x)[:, :, 1, 1].T > 0


def test_every_output_of_an_interleaved_unit_sees_every_input() -> None:
    """The complementary condition: one path from each input to each output needs as many channels a group as groups."""
    assert reads(interleaved_unit(64, 64, 1), 64).all()
    assert not reads(interleaved_unit(16, 16, 1), 16).all()


def test_the_permutations_of_an_interleaved_residual_are_each_others_inverse() -> None:
    unit = InterleavedResidual(8, 16, 1, 6)
    assert reads(unit, 8).all()
    # 24 -> 144 in two groups, depthwise, 144 -> 24 in two groups
    assert flops(on_meta_module(InterleavedResidual(24, 24, 1, 6)), 24, 56, 56) == 56**2 * (12 * 144 + 9 * 144 + 72 * 24)


def test_an_index_layer_hands_each_group_its_inputs() -> None:
    layer = condensenet.Index(16, groups=4, condensation=4)
    groups = layer.index.view(4, 4).tolist()
    assert all(len(set(group)) == 4 for group in groups)
    x = torch.rand(2, 16, 3, 3)
    assert torch.equal(layer(x), x[:, layer.index])


@pytest.mark.parametrize(("groups", "printed"), [(8, 274), (4, 529)])
def test_condensenet_counts_relu_and_pooling_too(groups: int, printed: int) -> None:
    """An element of a ReLU is one, of an average over 2x2 four: so counts the authors' release, which the paper prints."""
    net = on_meta(f"condensenet_74_g{groups}")
    more = 0

    def add(module: nn.Module, _: object, out: Tensor) -> None:
        nonlocal more
        more += out.numel() * (4 if isinstance(module, nn.AvgPool2d) else 1)

    for module in net.modules():
        if isinstance(module, nn.ReLU | nn.AvgPool2d):
            module.register_forward_hook(add)
    products = flops(net, 3, 224, 224)
    assert round((products + more) / 1e6) == printed


def test_a_cell_of_nasnet() -> None:
    # Normal: five separable convolutions, twice each: 25 or 9 weights a channel and 44 x 44, and both inputs fitted.
    cell = on_meta_module(Cell(NORMAL, 264, 264, 44, stride=1, halves=False))
    inputs = torch.empty(1, 264, 28, 28, device="meta")
    out, handed_on = cell((inputs, inputs))
    assert out.shape == (1, 6 * 44, 28, 28)
    assert handed_on is inputs
    separable = 2 * (2 * 25 + 3 * 9) * 44 + 10 * (44 * 44 + 2 * 44)
    assert parameters(cell) == separable + 2 * (264 * 44 + 2 * 44)
    halved, _ = on_meta_module(Cell(REDUCTION, 264, 264, 88, stride=2, halves=False))((inputs, inputs))
    assert halved.shape == (1, 4 * 88, 14, 14)


def test_the_cell_of_pnasnet() -> None:
    # 5, 7, 5, 3, 3 and 3 pixels wide, at stride 2 with a 1x1 convolution in place of the identity
    inputs = torch.empty(1, 270, 28, 28, device="meta")
    convolutions = 2 * (2 * 25 + 49 + 3 * 9) * 54 + 12 * (54 * 54 + 2 * 54)
    for stride, more in ((1, 0), (2, 54 * 54 + 2 * 54)):
        cell = on_meta_module(Cell(CELL, 270, 270, 54, stride, halves=False))
        assert cell((inputs, inputs))[0].shape == (1, 5 * 54, 28 // stride, 28 // stride)
        assert parameters(cell) == convolutions + more + 2 * (270 * 54 + 2 * 54)


def test_a_separable_convolution_has_the_stride_once() -> None:
    # 8 -> 16 at 14x14, then 16 -> 16
    assert flops(on_meta_module(separable_5x5(8, 16, 2)), 8, 28, 28) == 14**2 * (25 * 8 + 8 * 16 + 25 * 16 + 16 * 16)


@pytest.mark.parametrize("size", [6, 7])
def test_a_factorized_reduction_sees_every_pixel_once(size: int) -> None:
    reduction = FactorizedReduction(1, 2).eval()
    for conv in (reduction.even, reduction.odd):
        nn.init.constant_(conv.weight, 1.0)
    x = torch.arange(1.0, 1 + size * size).view(1, 1, size, size)
    reduction.bn.eps = 0.0
    even, odd = reduction(x)[0]
    assert torch.equal(even, x[0, 0, ::2, ::2])
    assert odd.shape == even.shape
    assert torch.equal(odd[: size // 2, : size // 2], x[0, 0, 1::2, 1::2])
    assert not odd[size // 2 :].any()
    assert not odd[:, size // 2 :].any()


def test_senet_gates_and_projects_at_3x3() -> None:
    net = on_meta("senet_154")
    first, second = net.get_submodule("layer1.0"), net.get_submodule("layer2.0")
    assert [first.get_submodule("shortcut.0").kernel_size, second.get_submodule("shortcut.0").kernel_size] == [(1, 1), (3, 3)]
    # 256 -> 128, 3x3 of 64 groups to 256, 256 -> 256, and a gate of 16
    unit = on_meta_module(net.get_submodule("layer1.1"))
    assert flops(unit, 256, 56, 56) == 56**2 * (256 * 128 + 9 * 128 * 256 // 64 + 256 * 256) + 2 * 256 * 16
