from __future__ import annotations

import pytest
import torch

from shufflekit.models import build_model
from shufflekit.models.shufflenet_v1 import ShuffleNetV1
from shufflekit.reproduce.reach import reach, wired_reach

UNITS = [f"stage{stage}.{unit}" for stage, count in ((2, 4), (3, 8), (4, 4)) for unit in range(count)][1:]


def network(groups: int, shuffle: bool, width: str = "x0_25") -> ShuffleNetV1:
    built = build_model(f"shufflenet_v1_g{groups}_{width}", shuffle=shuffle, small_input=True, num_classes=10)
    assert isinstance(built, ShuffleNetV1)
    return built


@pytest.mark.parametrize(("groups", "after_stage"), [(8, (1, 2, 4)), (4, (1, 2, 4)), (3, (1, 2, 3))])
def test_without_a_shuffle_only_a_concatenation_crosses(groups: int, after_stage: tuple[int, ...]) -> None:
    """Two neighbours become one group in each stride-2 unit; what is wired is counted from the unit after it on."""
    found = wired_reach(network(groups, shuffle=False))
    assert list(found) == UNITS
    for unit, count in found.items():
        stage, number = unit.split(".")
        assert count == after_stage[int(stage[-1]) - 2 - (number == "0")], unit


def test_a_shuffle_connects_all_within_two_units() -> None:
    found = wired_reach(network(8, shuffle=True, width="x0_5"))  # six inner channels a group
    assert list(found) == UNITS
    assert 6 <= found["stage2.1"] <= 7, "six of the branch's and one of the shortcut's"
    assert all(found[unit] == 8 for unit in UNITS[1:])


def test_what_is_not_wired_is_not_reached() -> None:
    net = network(8, shuffle=False).train()
    before = {name: buffer.clone() for name, buffer in net.named_buffers()}
    found = reach(net, torch.randn(4, 3, 32, 32))
    assert [found[unit] for unit in UNITS[:3]] == [1.0] * 3
    assert all(1 < found[unit] <= 2 for unit in UNITS[4:11])
    assert all(torch.equal(before[name], buffer) for name, buffer in net.named_buffers())
    assert net.training


def test_groups_count_by_what_they_change() -> None:
    """A first convolution that takes group 0 with weight 1 and group 1 with weight 2: shares 1/5 and 4/5 of the squares."""
    net = ShuffleNetV1((16, 32, 64), (2, 1, 1), 2, 4, first_stride=1, num_classes=0, small_input=True).eval()
    unit = net.stage2[1]
    for parameter in unit.parameters():
        torch.nn.init.zeros_(parameter)
    for norm in (unit.bn1, unit.bn2, unit.bn3):
        torch.nn.init.ones_(norm.weight)
    unit.conv1.weight.data[:] = torch.tensor([1.0, 0, 1.0, 0]).reshape(4, 1, 1, 1)  # the even inner ones
    unit.conv1.weight.data[2:] *= 2
    torch.nn.init.zeros_(unit.conv1.weight.data[1])
    net.stage2[0].register_forward_hook(lambda *_: torch.ones(1, 16, 4, 4))  # all that is left is what the unit does
    unit.conv2.weight.data[:, 0, 1, 1] = 1
    unit.conv3.weight.data[:] = 1
    (found, *_) = reach(net, torch.zeros(1, 3, 8, 8)).values()
    # Inner channels 8, 0, 16, 0 (eight inputs of 1 a group); shuffled 8, 16, 0, 0: the first output group draws from both,
    # and from its own shortcut of 1.
    own, other = 8.0 + 1.0, 16.0
    shares = torch.tensor([own**2, other**2]) / (own**2 + other**2)
    assert found == pytest.approx((float(1 / shares.square().sum()) + 1.0) / 2, rel=1e-4)
