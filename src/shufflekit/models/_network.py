"""What every network has in common: timm's conventions, and the form that returns intermediate maps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from shufflekit.errors import InputError, UsageError
from shufflekit.models._saved import SavedNetwork
from shufflekit.modes import take_modes


class FeatureInfo(Sequence[dict[str, Any]]):
    """The intermediate maps of a network, shallow to deep: dicts with `num_chs`, `reduction` and `module`.

    `reduction` is the input's side over the map's side; `module` names the child whose output it is.
    """

    def __init__(self, maps: Sequence[dict[str, Any]]) -> None:
        self._maps = tuple(maps)

    def __getitem__(self, index: Any) -> Any:
        return self._maps[index]

    def __len__(self) -> int:
        return len(self._maps)

    def channels(self) -> list[int]:
        return [entry["num_chs"] for entry in self._maps]

    def reduction(self) -> list[int]:
        return [entry["reduction"] for entry in self._maps]

    def module_name(self) -> list[str]:
        return [entry["module"] for entry in self._maps]


class Network(SavedNetwork, nn.Module):
    """A classifier: a chain of children in the order of their names, then a head.

    A family assigns its children in the order in which they run, sets `feature_info`, and writes `body` and
    `forward_head`. A child that hands on more than its map returns a tuple with the map in front. `build_model` notes the
    registry's name in `architecture` and the caller's options in `options`: both together rebuild the network.

    Args:
        num_classes: 0 leaves the pooled features as the output.
        in_chans: channels of the input.
        num_features: channels of the map before pooling.
        min_input_size: least height and width of the input, pixels.

    Raises:
        UsageError: num_classes below 0, or in_chans below 1.
    """

    num_classes: int
    in_chans: int
    num_features: int
    min_input_size: int
    feature_info: FeatureInfo
    classifier_name: str = "fc"
    pretrained_cfg: dict[str, Any] | None = None

    def __init__(self, num_classes: int, in_chans: int, *, num_features: int, min_input_size: int) -> None:
        super().__init__()
        check_at_least("num_classes", num_classes, 0)
        check_at_least("in_chans", in_chans, 1)
        self.num_classes, self.in_chans = num_classes, in_chans
        self.num_features, self.min_input_size = num_features, min_input_size
        self.architecture = type(self).__name__
        self.options: dict[str, Any] = {}

    def body(self, x: Tensor) -> Tensor:
        """The layers before pooling: (N, in_chans, H, W) to (N, num_features, h, w)."""
        raise AssertionError("a family writes its body")

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Pools and classifies: (N, num_features, h, w) to (N, num_classes); `pre_logits` stops before the classifier."""
        raise AssertionError("a family writes its head")

    def forward_features(self, x: Tensor) -> Tensor:
        """The map before pooling.

        Args:
            x: (N, in_chans, H, W), H and W at least `min_input_size`.

        Raises:
            InputError: another rank, number of channels, or a side that is too small.
        """
        check_input(x, self.in_chans, self.min_input_size, self.architecture)
        return self.body(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))

    def get_classifier(self) -> nn.Module:
        return self.get_submodule(self.classifier_name)

    def reset_classifier(self, num_classes: int) -> None:
        """Puts a new classifier with random weights in place; 0 classes leave the pooled features as the output."""
        check_at_least("num_classes", num_classes, 0)
        old = self.get_classifier()
        parent_name, _, child_name = self.classifier_name.rpartition(".")
        new = self.make_classifier(num_classes)
        reference = next(self.parameters())
        take_modes(new, old)
        self.get_submodule(parent_name)._modules[child_name] = new.to(reference.device, reference.dtype)
        self.num_classes = num_classes
        self.options = {**self.options, "num_classes": num_classes}

    def make_classifier(self, num_classes: int) -> nn.Module:
        """The last layer for `num_classes` classes."""
        return nn.Linear(self.num_features, num_classes) if num_classes else nn.Identity()


class FeatureNet(nn.Module):
    """A network cut to its intermediate maps; children keep their names, so its weights fit by name.

    Args:
        network: the network to cut; it shares its layers with the result.
        out_indices: which entries of its `feature_info` to return, negative ones from the end; all by default.

    Raises:
        UsageError: `out_indices` is empty or names a map that the network does not have.

    Example:
        >>> from shufflekit.models import build_model
        >>> net = build_model("shufflenet_v2_x0_5", features_only=True)
        >>> [tuple(m.shape[1:]) for m in net(torch.zeros(1, 3, 64, 64))]
        [(24, 32, 32), (24, 16, 16), (48, 8, 8), (96, 4, 4), (192, 2, 2)]
    """

    def __init__(self, network: Network, out_indices: Sequence[int] | None = None) -> None:
        super().__init__()
        depth = len(network.feature_info)
        indices = tuple(range(depth) if out_indices is None else out_indices)
        if not indices or not all(-depth <= i < depth for i in indices):
            raise UsageError(f"out_indices: {network.architecture} has the maps 0 to {depth - 1}, found {indices}")
        self.feature_info = FeatureInfo([network.feature_info[i] for i in sorted({i % depth for i in indices})])
        self.architecture, self.options = network.architecture, network.options
        self.in_chans, self.min_input_size = network.in_chans, network.min_input_size
        self.pretrained_cfg = network.pretrained_cfg
        self._taps = self.feature_info.module_name()
        self._opened = {tap.split(".")[0] for tap in self._taps if "." in tap}  # children with taps inside
        last, _, inner = self._taps[-1].partition(".")
        for name, child in network.named_children():
            if name == last and inner:
                child = _cut_after(child, inner)
            self.add_module(name, child)
            if name == last:
                break

    def forward(self, x: Tensor) -> list[Tensor]:
        check_input(x, self.in_chans, self.min_input_size, self.architecture)
        maps = []
        out: Any = x
        for name, step in self._steps():
            out = step(out)
            if name in self._taps:
                maps.append(out[0] if isinstance(out, tuple) else out)
        return maps

    def between(self, x: Tensor, after: int | None, until: int) -> Tensor:
        """Goes on from one of its maps to another one; both by their place in `feature_info`, None for the input.

        Example:
            >>> from shufflekit.models import build_model
            >>> net = build_model("shufflenet_v2_x0_5", features_only=True, out_indices=(3, 4))
            >>> tuple(net.between(torch.zeros(5, 96, 14, 14), after=0, until=1).shape)
            (5, 192, 7, 7)
        """
        runs = after is None
        for name, step in self._steps():
            if runs:
                x = step(x)
            if name == self._taps[until]:
                break
            runs = runs or (after is not None and name == self._taps[after])
        return x

    def _steps(self) -> Iterator[tuple[str, nn.Module]]:
        for name, child in self.named_children():
            if name in self._opened:
                yield from ((f"{name}.{inner}", step) for inner, step in child.named_children())
            else:
                yield name, child


def _cut_after(chain: nn.Module, last: str) -> nn.Module:
    """The children of a Sequential up to and including `last`."""
    assert isinstance(chain, nn.Sequential), "only a Sequential can have taps inside"
    names = [name for name, _ in chain.named_children()]
    return chain[: names.index(last) + 1]  # a slice keeps the names


def check_input(x: Tensor, in_chans: int, min_input_size: int, name: str) -> None:
    """Refuses, in one line, an input that the network cannot take."""
    if x.dim() != 4 or x.shape[1] != in_chans:
        raise InputError(f"{name}: input must be (N, {in_chans}, H, W), found {tuple(x.shape)}")
    if x.shape[2] < min_input_size or x.shape[3] < min_input_size:
        raise InputError(f"{name}: input must be at least {min_input_size}x{min_input_size}, found {x.shape[2]}x{x.shape[3]}")


def check_at_least(name: str, value: int, least: int) -> None:
    """Refuses a number that is too small."""
    if value < least:
        raise UsageError(f"{name}: must be {least} or more, found {value}")


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Refuses an option that is not one of its choices."""
    if value not in choices:
        raise UsageError(f"{name}: must be one of {', '.join(choices)}, found {value!r}")


def global_pool(x: Tensor) -> Tensor:
    """Mean over space: (N, C, H, W) to (N, C)."""
    return torch.mean(x, dim=(2, 3))
