"""Name -> network, whole or as its intermediate maps."""

from __future__ import annotations

from typing import Any

from shufflekit.errors import UsageError
from shufflekit.models._network import FeatureNet, Network
from shufflekit.models._registry import construct


def build_model(
    name: str, *, features_only: bool = False, out_indices: tuple[int, ...] | None = None, **options: Any
) -> Network | FeatureNet:
    """Builds a registered network with random weights.

    Args:
        name: a registry name.
        features_only: return the intermediate maps in place of class scores.
        out_indices: which entries of `feature_info` to return, with `features_only`; all by default.
        options: handed to the constructor (`num_classes`, `in_chans`, `small_input`, ...).

    Raises:
        UsageError: an unknown name, or an option or value that the network does not take.

    Example:
        >>> net = build_model("shufflenet_v2_x0_5", features_only=True, out_indices=(2, 3, 4))
        >>> net.feature_info.channels()
        [48, 96, 192]
    """
    if out_indices is not None and not features_only:
        raise UsageError("out_indices: only has a meaning with features_only=True")
    network: Network = construct(name, **options)
    return FeatureNet(network, out_indices) if features_only else network
