"""Random small networks: the microbenchmarks of the cost model.

An operator that is timed alone, again and again, finds its operands where a network does not: so the operators are timed inside
networks, and the networks are random, so that no design is favoured. Their blocks are those that convolutional networks are
made of; their widths and sizes are drawn evenly on a logarithmic scale. In every second network blocks come several times, as
in most designs: an operator that ran a moment ago finds its code in the cache.
"""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

# Some networks fit in a cache and some do not.
_MOST_FLOPS = (2e6, 250e6)  # of a convolution, the same for a whole network
_MOST_ELEMENTS = 1.3e6  # of a map: beyond that an operator takes longer than it teaches
_MOST_WEIGHTS = 2e7  # of the classifier
_BLOCKS = (6, 20)
_REPEATED_BLOCKS = (2, 6)
_REPEATS = (2, 10)
_SIDES = (224, 192, 160, 112, 96, 80, 56, 55, 48, 40, 28, 27, 24, 20, 14, 13, 12, 10, 7)


def random_network(seed: int) -> tuple[nn.Module, tuple[int, int, int, int]]:
    """The network of that number, in evaluation, and the shape of its input.

    Example:
        >>> network, shape = random_network(1)
        >>> network(torch.zeros(shape)).shape[0]
        1
    """
    draw = _Draw(random.Random(seed))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = draw.network()
    return network.eval(), (1, draw.first_channels, draw.first_side, draw.first_side)


class _Draw:
    """Adds one block after another to a map of `channels` x `side` x `side`."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.most_flops = math.exp(rng.uniform(*map(math.log, _MOST_FLOPS)))
        self.has_stem = rng.random() < 0.5
        self.side = self.first_side = rng.choice(_SIDES[:3] if self.has_stem else _SIDES)
        self.channels = self.first_channels = 3 if self.has_stem else self._width(_MOST_ELEMENTS / self.side**2)
        self.layers: list[nn.Module] = []

    def network(self) -> nn.Module:
        if self.has_stem:
            self._stem()
        kinds: dict[Callable[[], None], float] = {
            self._pointwise: 5,
            self._depthwise: 3,
            self._pointwise_then_depthwise: 1.5,
            self._grouped: 2.5,
            self._dense: 2,
            self._residual: 1.5,
            self._split_and_shuffle: 1.5,
            self._shuffle: 1,
            self._branches: 1,
            self._squeeze_excite: 0.6,
            self._pool: 0.8,
            self._norm: 0.5,
            self._sum: 0.5,
            self._local_response_norm: 0.2,
        }
        repeats = self.rng.random() < 0.5
        blocks = self.rng.randint(*(_REPEATED_BLOCKS if repeats else _BLOCKS))
        for block in self.rng.choices(list(kinds), list(kinds.values()), k=blocks):
            if repeats and self.rng.random() < 0.75:
                self._several_times(block)
            else:
                block()
        self._classifier()
        return nn.Sequential(*self.layers)

    def _several_times(self, block: Callable[[], None]) -> None:
        """A block that changes the width gets a pointwise convolution that leads back."""
        before, side, channels = self.layers, self.side, self.channels
        self.layers = []
        block()
        times = 1
        if self.side == side:
            times = self.rng.randint(*_REPEATS)
            if self.channels != channels:
                self._add(channels, 1)
        self.layers = [*before, *(layer for _ in range(times) for layer in copy.deepcopy(self.layers))]

    def _classifier(self) -> None:
        """Of the mean or of all pixels, at times with a layer between."""
        flat = self.rng.random() < 0.2
        features = self.channels * self.side**2 if flat else self.channels
        self.layers.append(nn.Flatten() if flat else _Mean())
        for _ in range(self.rng.choice((1, 1, 1, 2))):
            width = self._width(4096, 16)
            if features * width <= _MOST_WEIGHTS:
                self.layers += [nn.Linear(features, width), nn.ReLU(inplace=True)]
                features = width

    def _width(self, most: float, least: float = 4) -> int:
        """Half of them multiples of 8, as most networks have."""
        width = math.exp(self.rng.uniform(math.log(least), math.log(max(least, min(most, 2048)))))
        multiple = self.rng.choice((1, 2, 8, 16))
        return max(1, round(width / multiple)) * multiple

    def _out_channels(self, taps: int, stride: int = 1, groups: int = 1) -> int:
        pixels = math.ceil(self.side / stride) ** 2
        most = min(self.most_flops * groups / (pixels * taps * self.channels), _MOST_ELEMENTS / pixels)
        # Around the width that there is: no network multiplies it by a hundred.
        return self._width(min(most, 8 * self.channels), max(4, min(most, self.channels / 8)))

    def _add(self, out_channels: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        conv = nn.Conv2d(self.channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=self.rng.random() < 0.1)
        self.layers += [conv, *self._after(out_channels)]
        self.channels, self.side = out_channels, math.ceil(self.side / stride)

    def _after(self, channels: int) -> list[nn.Module]:
        after: list[nn.Module] = [nn.BatchNorm2d(channels)] if self.rng.random() < 0.85 else []
        activation = self.rng.choices(
            (None, nn.ReLU(inplace=True), nn.ReLU6(inplace=True), nn.Hardswish(inplace=True)), (3, 6, 2, 0.5)
        )[0]
        return after if activation is None else [*after, activation]

    def _stride(self) -> int:
        return 2 if self.side >= 14 and self.rng.random() < 0.25 else 1

    def _stem(self) -> None:
        kernel, stride = self.rng.choice(((3, 2), (3, 2), (3, 1), (7, 2), (11, 4)))
        self._add(self._width(96, 8), kernel, stride)
        if self.rng.random() < 0.6:
            self.layers.append(nn.MaxPool2d(3, 2, 1))
            self.side = (self.side + 1) // 2
        elif self.side > 64:
            self._pointwise_then_depthwise()

    def _pointwise(self) -> None:
        stride = 2 if self.rng.random() < 0.06 and self.side >= 14 else 1
        self._add(self._out_channels(1, stride), 1, stride)

    def _depthwise(self) -> None:
        self._add(self.channels, self.rng.choices((3, 5, 7), (8, 1, 1))[0], self._stride(), self.channels)

    def _pointwise_then_depthwise(self) -> None:
        self._add(self._out_channels(1), 1)
        self._add(self.channels, 3, self._stride(), self.channels)

    def _grouped(self) -> None:
        groups = self.rng.choice((2, 3, 4, 8))
        self._add(groups * max(2, self._out_channels(1) // groups), 1)
        kernel = self.rng.choices((1, 3), (4, 1))[0]
        self._add(groups * max(1, self._out_channels(kernel**2, 1, groups) // groups), kernel, 1, groups)

    def _dense(self) -> None:
        kernel, stride = self.rng.choices((3, 5), (9, 1))[0], self._stride()
        self._add(self._out_channels(kernel**2, stride), kernel, stride)

    def _residual(self) -> None:
        inner = self._out_channels(2)
        branch = [nn.Conv2d(self.channels, inner, 1, bias=False), *self._after(inner)]
        branch += [nn.Conv2d(inner, self.channels, 1, bias=False), nn.BatchNorm2d(self.channels)]
        self.layers += [_Residual(nn.Sequential(*branch)), nn.ReLU(inplace=True)]

    def _split_and_shuffle(self) -> None:
        half = max(1, self.channels // 2)
        branch = [nn.Conv2d(half, half, 1, bias=False), *self._after(half)]
        self.layers.append(_Split(nn.Sequential(*branch), half))
        self.channels = 2 * half if self.channels > 1 else 2

    def _shuffle(self) -> None:
        divisors = [groups for groups in (2, 3, 4, 8) if self.channels % groups == 0]
        if divisors:
            self.layers.append(_Shuffle(self.rng.choice(divisors)))

    def _branches(self) -> None:
        count = self.rng.choice((2, 3, 4))
        widths = [max(1, self._out_channels(count) // count) for _ in range(count)]
        branches = [nn.Sequential(nn.Conv2d(self.channels, width, 1, bias=False), *self._after(width)) for width in widths]
        self.layers.append(_Branches(branches))
        self.channels = sum(widths)

    def _squeeze_excite(self) -> None:
        inner = max(1, self.channels // self.rng.choice((2, 4, 16)))
        gate = self.rng.choice((nn.Sigmoid(), nn.Hardsigmoid()))
        self.layers.append(_SqueezeExcite(self.channels, inner, gate))

    def _pool(self) -> None:
        if self.side < 10:
            return
        kernel, padding = self.rng.choice(((3, 1), (2, 0), (3, 1)))
        kind = self.rng.choice((nn.MaxPool2d, nn.MaxPool2d, nn.AvgPool2d))
        self.layers.append(kind(kernel, 2, padding))
        self.side = (self.side + 2 * padding - kernel) // 2 + 1

    def _norm(self) -> None:
        self.layers += [nn.BatchNorm2d(self.channels), nn.ReLU(inplace=True)]

    def _sum(self) -> None:
        self.layers.append(_Sum())

    def _local_response_norm(self) -> None:
        self.layers.append(nn.LocalResponseNorm(5))


class _Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


class _Residual(nn.Module):
    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


class _Sum(nn.Module):
    """Adds a map that no convolution made."""

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.relu(x)


class _Split(nn.Module):
    """Works on the last `half` channels, puts the first ones before the result and shuffles both together."""

    def __init__(self, branch: nn.Module, half: int) -> None:
        super().__init__()
        self.branch, self.width = branch, half
        self.shuffle = _Shuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.shuffle(torch.cat((x[:, : self.width], self.branch(x[:, -self.width :])), 1))


class _Shuffle(nn.Module):
    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        return x.view(n, self.groups, c // self.groups, h, w).transpose(1, 2).reshape(n, c, h, w)


class _Branches(nn.Module):
    def __init__(self, branches: Sequence[nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


class _SqueezeExcite(nn.Module):
    def __init__(self, channels: int, inner: int, gate: nn.Module) -> None:
        super().__init__()
        self.gate = nn.Sequential(nn.Conv2d(channels, inner, 1), nn.ReLU(inplace=True), nn.Conv2d(inner, channels, 1), gate)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x.mean((2, 3), keepdim=True))
