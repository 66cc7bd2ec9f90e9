"""ShuffleNet V2+: names and shapes as in the authors' release, and its wiring."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from shufflekit.models import build_model
from shufflekit.models.shufflenet_v2_plus import Unit

# The release's list of unit kinds: 0, 1, 2 are kernel sizes 3, 5, 7; 3 is the branch with three depthwise convolutions.
KINDS = [0, 0, 3, 1, 1, 1, 0, 0, 2, 0, 2, 1, 1, 0, 2, 0, 2, 1, 3, 2]


@pytest.mark.parametrize(
    ("size", "stages", "millions"),
    [
        ("small", (36, 104, 208, 416), 5.1),
        ("medium", (48, 128, 256, 512), 5.6),
        ("large", (68, 168, 336, 672), 6.7),
    ],
)
def test_shapes_of_the_release(size: str, stages: tuple[int, ...], millions: float) -> None:
    with torch.device("meta"):
        net = build_model(f"shufflenet_v2_plus_{size}")
    shapes = {name: tuple(p.shape) for name, p in net.named_parameters()}
    assert shapes["first_conv.0.weight"] == (16, 3, 3, 3)
    widths = [c for c, units in zip(stages, (4, 4, 8, 4), strict=True) for _ in range(units)]
    c_in = 16
    for index, (kind, c_out) in enumerate(zip(KINDS, widths, strict=True)):
        at, half, first = f"features.{index}", c_out // 2, c_in != c_out
        kernel = (3, 5, 7, 3)[kind]
        depthwise = (0, 5, 10) if kind == 3 else (3,)
        assert [shapes[f"{at}.branch_main.{i}.weight"] for i in depthwise] == [(half, 1, kernel, kernel)] * len(depthwise)
        last = 12 if kind == 3 else 5
        assert shapes[f"{at}.branch_main.{last}.weight"] == (c_out - (c_in if first else half), half, 1, 1)
        assert (f"{at}.branch_main.{last + 3}.fc1.weight" in shapes) == (index >= 8)
        if first:
            assert shapes[f"{at}.branch_proj.0.weight"] == (c_in, 1, kernel, kernel)
            assert shapes[f"{at}.branch_proj.2.weight"] == (c_in, c_in, 1, 1)
        assert any(name.startswith(f"{at}.branch_proj.") for name in shapes) == first
        c_in = c_out
    assert shapes["conv_last.0.weight"] == (1280, stages[-1], 1, 1)
    assert shapes["last_se.fc1.weight"] == (320, 1280, 1, 1)
    assert (shapes["fc.0.weight"], shapes["classifier.weight"]) == ((1280, 1280), (1000, 1280))
    assert not [name for name in shapes if name.endswith("bias") and len(shapes[name.replace("bias", "weight")]) > 1]
    # the README cuts its figures: 5,136,804 is printed as 5.1 M, 5,679,824 as 5.6 M, 6,767,680 as 6.7 M
    assert int(sum(p.numel() for p in net.parameters()) / 1e5) == round(millions * 10)


def release_unit(unit: Unit, x: Tensor) -> Tensor:
    """Even channels pass, odd ones are worked on; a unit that widens sees all channels in both branches."""
    if unit.splits:
        return torch.cat((x[:, 0::2], unit.branch_main(x[:, 1::2])), dim=1)
    return torch.cat((unit.branch_proj(x), unit.branch_main(x)), dim=1)


@pytest.mark.parametrize("units", [slice(0, 4), slice(4, 8), slice(8, 16), slice(16, 20)])
def test_a_stage_is_the_release_stage_with_even_channels_first(units: slice) -> None:
    torch.manual_seed(0)
    stage = build_model("shufflenet_v2_plus_small").features[units].eval()
    x = torch.randn(2, stage[0].branch_proj[0].in_channels, 9, 7)
    with torch.inference_mode():
        plain = x
        for unit in stage:
            plain = release_unit(unit, plain)
        assert torch.equal(stage(x), torch.cat((plain[:, 0::2], plain[:, 1::2]), dim=1))


def test_activations() -> None:
    """ReLU in the first stage, hard-swish elsewhere; the gate is hard-sigmoid; the stem already has hard-swish."""
    net = build_model("shufflenet_v2_plus_small")
    assert not [m for m in net.features[:4].modules() if isinstance(m, nn.Hardswish)]
    assert not [m for m in net.features[4:8].modules() if isinstance(m, nn.ReLU)]
    assert isinstance(net.first_conv[2], nn.Hardswish)
    assert isinstance(net.features[8].branch_main[8].gate, nn.Hardsigmoid)
    assert isinstance(net.last_se.gate, nn.Hardsigmoid)


def test_the_head() -> None:
    torch.manual_seed(0)
    net = build_model("shufflenet_v2_plus_small", num_classes=5).eval()
    x = torch.randn(2, 1280, 3, 2)
    with torch.inference_mode():
        pooled = x.mean((2, 3))
        weight = torch.cat([p.flatten(1) for p in (net.last_se.fc1.weight,)])
        inner = torch.relu(pooled @ weight.T / (1 + net.last_se.bn.eps) ** 0.5)
        gate = torch.clamp(inner @ net.last_se.fc2.weight.flatten(1).T + 3, 0, 6) / 6
        hidden = (pooled * gate) @ net.fc[0].weight.T
        hidden = hidden * torch.clamp(hidden + 3, 0, 6) / 6
        torch.testing.assert_close(net.forward_head(x, pre_logits=True), hidden)
        torch.testing.assert_close(net.forward_head(x), hidden @ net.classifier.weight.T)
