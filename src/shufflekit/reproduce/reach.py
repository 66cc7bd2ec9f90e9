"""What a channel shuffle does, without training luck: from how many groups of channels an output channel draws.

A ShuffleNet V1's first unit is left as it is, and one group of the channels that it puts out is set to zero. What that
changes in a channel of a later unit, as a share of what all groups change there, is how much it takes from that group.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from shufflekit.models.shufflenet_v1 import ShuffleNetV1, Unit
from shufflekit.modes import evaluation


def reach(network: ShuffleNetV1, images: Tensor) -> dict[str, float]:
    """Of each unit after the first, from how many groups of the first one's channels its output channels draw, on average.

    Groups count by what they change: a channel that takes all from one has 1, one that takes the same from each has all, and
    one that takes p_i from group i has 1 / sum(p_i^2). A channel that no group changes is left out.

    Args:
        network: trained; its statistics stay as they are.
        images: (N, in_chans, H, W).

    Returns:
        By the unit's name, stage2.1 first; 1 to `groups`.

    Example:
        >>> from shufflekit.models import build_model
        >>> net = build_model("shufflenet_v1_g8_x0_25", shuffle=False, small_input=True)
        >>> reach(net, torch.randn(2, 3, 32, 32))["stage2.3"]  # nothing has crossed yet
        1.0
    """
    return {name: _mean_of_effective(changed) for name, changed in _changes(network, images)}


def wired_reach(network: ShuffleNetV1) -> dict[str, float]:
    """Of each unit after the first, to how many groups of the first one's channels an output channel is connected, on average.

    Example:
        >>> from shufflekit.models import build_model
        >>> net = build_model("shufflenet_v1_g8_x0_25", shuffle=False, small_input=True)
        >>> [wired_reach(net)[unit] for unit in ("stage2.3", "stage3.1", "stage4.1")]  # a concatenation doubles it
        [1.0, 2.0, 4.0]
    """
    positive = copy.deepcopy(network)
    for module in positive.modules():
        if isinstance(module, nn.Conv2d):  # sums of positive numbers: nothing cancels, nothing is cut off
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
    side = positive.min_input_size * 2
    changes = _changes(positive, torch.ones(1, network.in_chans, side, side))
    return {name: float((changed > 0).sum(0).double().mean()) for name, changed in changes}


@torch.inference_mode()
def _changes(network: ShuffleNetV1, images: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Name, and (groups, channels) sums of squared changes, of each unit after the first."""
    (_, first), *later = [(f"{stage}.{name}", unit) for stage in network.stages for name, unit in _units(network, stage)]
    groups = first.conv3.groups
    with evaluation(network):
        whole = first(network.maxpool(network.conv1(images)))
        without = []
        for group in range(groups):
            cut = whole.clone()
            cut.unflatten(1, (groups, -1))[:, group] = 0
            without.append(cut)
        for name, unit in later:
            whole, without = unit(whole), [unit(cut) for cut in without]
            yield name, torch.stack([(cut - whole).double().square().sum((0, 2, 3)) for cut in without])


def _units(network: ShuffleNetV1, stage: str) -> Iterator[tuple[str, Unit]]:
    for name, unit in network.get_submodule(stage).named_children():
        assert isinstance(unit, Unit)
        yield name, unit


def _mean_of_effective(changed: Tensor) -> float:
    """The mean over channels of 1 / sum(p^2), of (groups, channels) sums."""
    total = changed.sum(0)
    shares = changed[:, total > 0] / total[total > 0]
    return float((1 / shares.square().sum(0)).mean())
