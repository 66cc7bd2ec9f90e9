"""CondenseNet (Huang et al., CVPR 2018, arXiv 1711.09224): Table 2, in the form that it has after training.

Training finds which inputs each group of a pointwise convolution keeps. Then the convolution is a grouped one behind an
index layer, which hands each group its inputs; one input can go to several groups. Without weights the index is drawn at
random. Both networks keep as many inputs as there are (C = G), half of them in the classifier.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from shufflekit.models._blocks import channel_shuffle
from shufflekit.models._network import FeatureInfo, Network, global_pool
from shufflekit.models._registry import register

_STEM_CHANNELS = 16
# Dense layers of each block, and the channels that each adds.
_BLOCKS = ((4, 8), (6, 16), (8, 32), (10, 64), (8, 128))


class Index(nn.Module):
    """Takes channels by number, for each group those that it keeps.

    Args:
        channels: of the input.
        groups: each keeps 1 / condensation of the channels.
        condensation: C in the paper.

    Example:
        >>> layer = Index(4, groups=2, condensation=2)
        >>> layer.index = torch.tensor([3, 0, 3, 1])
        >>> layer(torch.arange(4.0).view(1, 4, 1, 1)).flatten().tolist()
        [3.0, 0.0, 3.0, 1.0]
    """

    index: Tensor

    def __init__(self, channels: int, groups: int, condensation: int) -> None:
        super().__init__()
        kept = channels // condensation
        self.register_buffer("index", torch.cat([torch.randperm(channels)[:kept] for _ in range(groups)]))

    def forward(self, x: Tensor) -> Tensor:
        return torch.index_select(x, 1, self.index)


class DenseLayer(nn.Module):
    """Puts `growth` new channels after its input's; the learned group convolution before is four times as wide."""

    def __init__(self, in_channels: int, growth: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.conv1 = nn.Sequential(
            Index(in_channels, groups, condensation=groups),
            nn.BatchNorm2d(in_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(in_channels, 4 * growth, 1, groups=groups, bias=False),
        )
        self.conv2 = nn.Sequential(
            nn.BatchNorm2d(4 * growth),
            nn.ReLU(inplace=True),
            nn.Conv2d(4 * growth, growth, 3, padding=1, groups=groups, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        branch = channel_shuffle(self.conv1(x), self.groups)
        return torch.cat((x, self.conv2(branch)), dim=1)


class CondenseNet(Network):
    """CondenseNet of 74 layers, condensed.

    Args:
        groups: G, of all convolutions but the first; the condensation C is the same.

    Example:
        >>> CondenseNet(4).feature_info.channels()
        [48, 144, 400, 1040, 2064]
    """

    def __init__(self, groups: int, *, num_classes: int = 1000, in_chans: int = 3) -> None:
        channels = _STEM_CHANNELS + sum(layers * growth for layers, growth in _BLOCKS)
        super().__init__(num_classes, in_chans, num_features=channels, min_input_size=32)

        self.conv1 = nn.Conv2d(in_chans, _STEM_CHANNELS, 3, stride=2, padding=1, bias=False)
        c_in = _STEM_CHANNELS
        maps = []
        for number, (layers, growth) in enumerate(_BLOCKS, start=1):
            block = nn.Sequential() if number == 1 else nn.Sequential(nn.AvgPool2d(2))
            for _ in range(layers):
                block.append(DenseLayer(c_in, growth, groups))
                c_in += growth
            self.add_module(f"block{number}", block)
            maps.append({"num_chs": c_in, "reduction": 2**number, "module": f"block{number}"})
        self.norm = nn.BatchNorm2d(c_in)
        self.relu = nn.ReLU(inplace=True)
        self.index = Index(c_in, groups=1, condensation=2)
        self.fc = self.make_classifier(num_classes)
        self.feature_info = FeatureInfo(maps)

    def body(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        for entry in self.feature_info:
            x = self.get_submodule(entry["module"])(x)
        return self.relu(self.norm(x))

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = self.index(global_pool(x))
        return x if pre_logits else self.fc(x)

    def make_classifier(self, num_classes: int) -> nn.Module:
        return nn.Linear(self.num_features // 2, num_classes) if num_classes else nn.Identity()


# Groups; error, and MFLOPs counted and printed.
for _groups, _error, _counted, _printed in [(8, 29.0, 262, 274), (4, 26.2, 517, 529)]:
    register(
        f"condensenet_74_g{_groups}",
        partial(CondenseNet, _groups),
        top1_error=_error,
        source="V2 Table 8",
        note=f"inference form, index drawn at random; {_counted} MFLOPs; the {_printed} printed count ReLU and pooling too",
    )
