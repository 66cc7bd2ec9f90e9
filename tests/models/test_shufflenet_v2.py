"""ShuffleNet V2: torchvision's names, both published units, and the appendix's variants."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from shufflekit.cost import count
from shufflekit.errors import UsageError
from shufflekit.models import build_model
from shufflekit.models.shufflenet_v2 import ShuffleNetV2, Unit


def batch_norm(prefix: str, channels: int) -> dict[str, tuple[int, ...]]:
    vectors = ("weight", "bias", "running_mean", "running_var")
    return {f"{prefix}.{v}": (channels,) for v in vectors} | {f"{prefix}.num_batches_tracked": ()}


def torchvision_shapes(stages: tuple[int, ...], conv5: int) -> dict[str, tuple[int, ...]]:
    """The names and shapes of torchvision's published ShuffleNet V2 files."""
    shapes: dict[str, tuple[int, ...]] = {"conv1.0.weight": (24, 3, 3, 3)} | batch_norm("conv1.1", 24)
    c_in = 24
    for stage, (c_out, units) in enumerate(zip(stages, (4, 8, 4), strict=True), start=2):
        half = c_out // 2
        for unit in range(units):
            at = f"stage{stage}.{unit}"
            first = unit == 0
            if first:
                shapes |= {f"{at}.branch1.0.weight": (c_in, 1, 3, 3), f"{at}.branch1.2.weight": (half, c_in, 1, 1)}
                shapes |= batch_norm(f"{at}.branch1.1", c_in) | batch_norm(f"{at}.branch1.3", half)
            shapes |= {
                f"{at}.branch2.0.weight": (half, c_in if first else half, 1, 1),
                f"{at}.branch2.3.weight": (half, 1, 3, 3),
                f"{at}.branch2.5.weight": (half, half, 1, 1),
            }
            for index in (1, 4, 6):
                shapes |= batch_norm(f"{at}.branch2.{index}", half)
        c_in = c_out
    shapes |= {"conv5.0.weight": (conv5, c_in, 1, 1)} | batch_norm("conv5.1", conv5)
    return shapes | {"fc.weight": (1000, conv5), "fc.bias": (1000,)}


@pytest.mark.parametrize(
    ("width", "stages", "conv5"),
    [("x0_5", (48, 96, 192), 1024), ("x1_0", (116, 232, 464), 1024), ("x2_0", (244, 488, 976), 2048)],
)
def test_names_and_shapes_are_torchvisions(width: str, stages: tuple[int, ...], conv5: int) -> None:
    with torch.device("meta"):
        net = build_model(f"shufflenet_v2_{width}")
    found = {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}
    assert found == torchvision_shapes(stages, conv5)


def plain_unit(unit: Unit, x: Tensor) -> Tensor:
    """Figure 3, channel by channel: halves in, then the two branches' channels in turn."""
    if unit.splits:
        left, right = x[:, : x.shape[1] // 2], unit.branch2(x[:, x.shape[1] // 2 :])
    else:
        left, right = unit.branch1(x), unit.branch2(x)
    return torch.stack((left, right), dim=2).flatten(1, 2)


def test_the_paper_unit() -> None:
    torch.manual_seed(0)
    net = build_model("shufflenet_v2_x0_5").eval()
    x = torch.rand(2, 24, 9, 7)
    with torch.inference_mode():
        for unit in net.stage2:
            expected = plain_unit(unit, x)
            x = unit(x)
            assert torch.equal(x, expected)


@pytest.mark.parametrize("width", ["x0_5", "x1_0"])
def test_the_release_unit_goes_on_with_even_and_odd_channels(width: str) -> None:
    """The authors' code: a stride-1 unit passes the even channels on and works on the odd ones; concatenation, no shuffle."""
    torch.manual_seed(0)
    net = build_model(f"shufflenet_v2_{width}", unit_split="release").eval()
    x = torch.rand(2, 24, 9, 7)
    with torch.inference_mode():
        plain = torch.cat((net.stage2[0].branch1(x), net.stage2[0].branch2(x)), dim=1)
        assert net.stage2[0].branch1[2].out_channels == 24
        for unit in net.stage2[1:]:
            plain = torch.cat((plain[:, 0::2], unit.branch2(plain[:, 1::2])), dim=1)
        assert torch.equal(net.stage2(x), torch.cat((plain[:, 0::2], plain[:, 1::2]), dim=1))


def test_residual_and_squeeze_excite_units() -> None:
    """Appendix Figure 2: the residual sum comes after squeeze-excite, and its ReLU last."""
    torch.manual_seed(0)
    x = torch.randn(2, 16, 5, 5)
    for se in (False, True):
        unit = Unit(16, 16, 1, se=se, residual=True).eval()
        assert isinstance(unit.branch2[6], nn.BatchNorm2d)
        assert len(unit.branch2) == (8 if se else 7)
        with torch.inference_mode():
            right = torch.relu(x[:, 8:] + unit.branch2(x[:, 8:]))
            assert torch.equal(unit(x), torch.stack((x[:, :8], right), dim=2).flatten(1, 2))
    assert isinstance(Unit(16, 16, 1, se=True).branch2[7], nn.ReLU)
    assert Unit(16, 16, 1, se=True).branch2[8].fc1.out_channels == 8
    assert not Unit(16, 32, 2, residual=True).residual


def test_enlarged_units_look_at_what_they_read_once_more() -> None:
    """V2* of Table 7; the left half of a unit that splits is handed on as before."""
    torch.manual_seed(0)
    x = torch.randn(2, 16, 9, 9)
    for unit in (Unit(16, 16, 1, enlarged=True).eval(), Unit(16, 32, 2, enlarged=True).eval()):
        right = x[:, 8:] if unit.splits else x
        assert unit.enlarge[0].weight.shape == (right.shape[1], 1, 3, 3)
        with torch.inference_mode():
            branch = unit.branch2(unit.enlarge[1](unit.enlarge[0](right)))
            left = x[:, :8] if unit.splits else unit.branch1(x)
            assert torch.equal(unit(x), torch.stack((left, branch), dim=2).flatten(1, 2))
    point = torch.zeros(1, 16, 9, 9)
    point[:, :, 4, 4] = 1
    for enlarged, reach in ((False, 3), (True, 5)):
        unit = Unit(16, 16, 1, enlarged=enlarged).eval()
        with torch.inference_mode():
            seen = (unit(point) != unit(torch.zeros_like(point))).any(1)[0]
        assert seen.any(0).sum() == seen.any(1).sum() == reach


@pytest.mark.parametrize("width", ["x0_5", "x1_0", "x1_5", "x2_0"])
def test_an_enlarged_network_costs_a_few_more_multiply_adds(width: str) -> None:
    """By hand, nine a pixel and channel: first units see all that they read, the others half of the channels."""
    with torch.device("meta"):
        plain, star = (count(build_model(f"shufflenet_v2_{width}{kind}"), (1, 3, 224, 224)).flops for kind in ("", "_star"))
        stages = build_model(f"shufflenet_v2_{width}").feature_info.channels()[-3:]
    read = zip((24, *stages[:2]), (56, 28, 14))
    rest = zip(stages, (3, 7, 3), (28, 14, 7))
    added = 9 * (sum(c * s * s for c, s in read) + sum(c // 2 * n * s * s for c, n, s in rest))
    assert star - plain == added
    assert 0.01 < added / plain < 0.06


def test_layout_of_the_164_layer_network() -> None:
    """Appendix Table 2; 164 = 3 stem convolutions, 53 units of three layers, the last convolution and the classifier."""
    with torch.device("meta"):
        net = build_model("se_shufflenet_v2_164")
    units = [unit for stage in net.stages for unit in net.get_submodule(stage)]
    assert 3 + 3 * len(units) + 2 == 164
    assert net.feature_info.channels() == [128, 128, 340, 680, 1360, 2720]
    assert net.feature_info.reduction() == [2, 4, 4, 8, 16, 32]
    assert all(unit.residual for unit in units if unit.splits)


def test_leaky_backbones() -> None:
    net = build_model("shufflenet_v2_x0_5", act_layer="leaky_relu")
    kinds = [type(module).__name__ for module in net.modules() if "ReLU" in type(module).__name__]
    assert set(kinds) == {"LeakyReLU"}
    plain = build_model("shufflenet_v2_x0_5")
    assert len(kinds) == sum(isinstance(module, nn.ReLU) for module in plain.modules())
    with pytest.raises(UsageError, match=r"act_layer: must be one of relu, leaky_relu, found 'gelu'"):
        build_model("shufflenet_v2_x0_5", act_layer="gelu")


def test_widths_that_are_refused() -> None:
    with pytest.raises(UsageError, match=r"^stage_channels: stage 2 must be even and wider than its input \(=24\), found 49$"):
        ShuffleNetV2((24,), (49,), (1,), 64)
    with pytest.raises(UsageError, match="stage 2 must be even and wider than its input"):
        ShuffleNetV2((24,), (24,), (1,), 64, unit_split="release")
