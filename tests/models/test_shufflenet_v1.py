"""ShuffleNet V1: the unit against a plain reading of Figure 2, the shuffle's options, and widths that do not divide."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from shufflekit.errors import UsageError
from shufflekit.models import build_model, list_models, model_entry
from shufflekit.models.shufflenet_v1 import ShuffleNetV1, Unit, bottleneck_channels


def randomise(unit: Unit) -> Unit:
    """Batch norms that do something, so that a misplaced one shows."""
    for module in unit.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor in (module.weight.data, module.running_var):
                tensor.uniform_(0.5, 1.5)
            for tensor in (module.bias.data, module.running_mean):
                tensor.normal_()
    return unit.eval()


def norm(x: Tensor, bn: torch.nn.BatchNorm2d) -> Tensor:
    return F.batch_norm(x, bn.running_mean, bn.running_var, bn.weight, bn.bias)


def dealt(x: Tensor, rows: int) -> Tensor:
    """The channels as a matrix of `rows` rows, read column by column."""
    columns = x.shape[1] // rows
    return x[:, [row * columns + column for column in range(columns) for row in range(rows)]]


@pytest.mark.parametrize("groups", [1, 2, 3])
@pytest.mark.parametrize("order", ["paper", "release", "none"])
@pytest.mark.parametrize("stride", [1, 2])
def test_unit_is_figure_2(groups: int, order: str, stride: int) -> None:
    torch.manual_seed(0)
    c_in, c_out = (48, 48) if stride == 1 else (12, 48)
    options = {"shuffle": False} if order == "none" else {"shuffle_order": order}
    unit = randomise(Unit(c_in, c_out, stride, groups, groups, **options))
    x = torch.rand(2, c_in, 9, 7)
    with torch.inference_mode():
        y = F.relu(norm(F.conv2d(x, unit.conv1.weight, groups=groups), unit.bn1))
        assert y.shape[1] == 12
        y = dealt(y, groups) if order == "paper" else y
        y = norm(F.conv2d(y, unit.conv2.weight, stride=stride, padding=1, groups=12), unit.bn2)
        y = dealt(y, 12 // groups) if order == "release" else y
        y = norm(F.conv2d(y, unit.conv3.weight, groups=groups), unit.bn3)
        y = x + y if stride == 1 else torch.cat((F.avg_pool2d(x, 3, 2, 1), y), dim=1)
        torch.testing.assert_close(unit(x), F.relu(y))


def test_the_shuffle_matters_with_groups_only() -> None:
    x = torch.rand(1, 3, 32, 32)
    for groups, differs in ((1, False), (3, True)):
        outputs = []
        for options in ({}, {"shuffle": False}, {"shuffle_order": "release"}):
            torch.manual_seed(0)
            outputs.append(build_model(f"shufflenet_v1_g{groups}_x0_25", **options).eval()(x))
        assert [torch.equal(outputs[0], other) for other in outputs[1:]] == [not differs, not differs]


def test_all_forms_have_the_same_weights() -> None:
    with torch.device("meta"):
        plain = build_model("shufflenet_v1_g8_x0_25").state_dict()
        for options in ({"shuffle": False}, {"shuffle_order": "release"}, {"small_input": True}):
            assert build_model("shufflenet_v1_g8_x0_25", **options).state_dict().keys() == plain.keys()


def test_names() -> None:
    with torch.device("meta"):
        keys = build_model("shufflenet_v1_g3_x1_0").state_dict()
    unit = [f"conv{i}.weight" for i in (1, 2, 3)] + [f"bn{i}.bias" for i in (1, 2, 3)]
    assert {f"stage{stage}.{index}.{name}" for stage, index in ((2, 3), (3, 7), (4, 0)) for name in unit} <= keys.keys()
    assert {"conv1.0.weight", "conv1.1.running_mean", "fc.weight", "fc.bias"} <= keys.keys()
    assert len(keys) == 6 + 16 * (3 + 3 * 5) + 2


def test_widths_that_do_not_divide_are_rounded_up_and_said() -> None:
    assert [bottleneck_channels(c, g) for c, g in ((36, 1), (50, 2), (136, 4), (204, 4), (384, 8))] == [9, 14, 36, 52, 96]
    stems = {name: build_on_meta(name).feature_info.channels()[0] for name in list_models("shufflenet_v1_g?_x?_*")}
    assert [stems[f"shufflenet_v1_g8_{w}"] for w in ("x0_25", "x0_5", "x0_75", "x1_0", "x1_5", "x2_0")] == [
        16,
        16,
        24,
        24,
        24,
        48,
    ]
    assert stems["shufflenet_v1_g4_x0_75"] == 20
    assert stems["shufflenet_v1_g3_x0_75"] == 18
    assert model_entry("shufflenet_v1_g8_x0_5").note == "rounded to a multiple of 8: stem 16 for 12"
    assert model_entry("shufflenet_v1_g4_x0_5").note == "rounded to a multiple of 4: bottleneck 36 for 34"
    assert model_entry("shufflenet_v1_g3_x0_5").note == ""


def build_on_meta(name: str, **options: object) -> ShuffleNetV1:
    with torch.device("meta"):
        net = build_model(name, **options)
    assert isinstance(net, ShuffleNetV1)
    return net


def test_all_groups_and_widths_are_registered() -> None:
    widths = ("x0_25", "x0_5", "x0_75", "x1_0", "x1_5", "x2_0")
    expected = {f"shufflenet_v1_g{g}_{w}" for g in (1, 2, 3, 4, 8) for w in widths}
    expected |= {f"se_shufflenet_v1_g3_{w}" for w in widths} | {"shufflenet_v1_50", "shufflenet_v1_g3_x0_5_shallow"}
    assert set(list_models("*shufflenet_v1*")) == expected


def test_depth() -> None:
    """V1 Table 5: the network has 50 layers, the shallow one 26 (a unit has three)."""
    for name, depth in (("shufflenet_v1_g3_x1_0", 50), ("shufflenet_v1_g3_x0_5_shallow", 26), ("shufflenet_v1_50", 50)):
        layers = [m for m in build_on_meta(name).modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear))]
        assert len(layers) == depth


def test_squeeze_excite_scales_the_branch() -> None:
    se = build_on_meta("se_shufflenet_v1_g3_x1_0")
    assert [tuple(se.stage2[i].se.fc1.weight.shape[:2]) for i in (0, 1)] == [(13, 216), (15, 240)]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "shufflenet_v1_g8_x0_5",
            {"stem_channels": 12},
            "stage_channels: stage 2 (=192) and what it adds to its input (=180) must be positive multiples of groups (=8)",
        ),
        ("shufflenet_v1_g3_x0_5", {"stem_channels": 0}, "stem_channels: must be 1 or more, found 0"),
        ("shufflenet_v1_g3_x0_5", {"shuffle_order": "random"}, "shuffle_order: must be one of paper, release, found 'random'"),
    ],
)
def test_options_that_are_refused(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as error:
        build_model(name, **options)
    assert str(error.value) == message


def test_a_classifier_without_bias_stays_so() -> None:
    net = build_on_meta("shufflenet_v1_g3_x0_5", classifier_bias=False)
    net.reset_classifier(7)
    assert net.fc.bias is None
