"""From any network to an engine: capture, simplify, plan, load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from shufflekit.errors import UsageError
from shufflekit.graph import simplify
from shufflekit.graph.from_torch import capture
from shufflekit.plan.build import build
from shufflekit.runtime import Engine

# What the user of a plan needs of `pretrained_cfg`: how to prepare a photo, what the classes are called, whose weights, and
# how to read a detector's maps.
_KEPT = ("tag", "mean", "std", "channel_order", "interpolation", "crop_pct", "classes", "source", "license", "detection")


def compile(  # noqa: A001  # the word that torch uses too
    model: nn.Module, input_shape: Sequence[int], threads: int = 1, name: str = "", info: Mapping[str, Any] | None = None
) -> Engine:
    """Compiles a network as it is in evaluation; the module is left as it was.

    Args:
        model: takes one float32 tensor and returns one, or several in a list, tuple or dict.
        input_shape: (N, C, H, W); the engine takes any N.
        threads: of one call.
        name: of the plan; the network's architecture, or its class, by default.
        info: plain data to keep in the plan, beside what `pretrained_cfg` says of preprocessing and classes.

    Raises:
        UsageError: the network has operators that the engine does not have, what it computes of an image depends on the number
            of images, or an argument is wrong.

    Example:
        >>> import numpy as np
        >>> engine = compile(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), (1, 3, 9, 9), name="two layers")
        >>> engine(np.zeros((5, 3, 9, 9), np.float32)).shape
        (5, 8, 7, 7)
    """
    if not isinstance(model, nn.Module):
        raise UsageError(f"model: must be a torch.nn.Module, found {type(model).__name__}; create_model builds one by name")
    cfg = getattr(model, "pretrained_cfg", None)
    about = {key: cfg[key] for key in _KEPT if cfg.get(key) is not None} if isinstance(cfg, Mapping) else {}
    name = name or getattr(model, "architecture", "") or type(model).__name__
    if about.get("detection", {}).get("form") == "regions":
        raise UsageError(f"compile: {name} has two stages, and the engine runs detectors in one; PyTorch runs it")
    graph = simplify(capture(model, input_shape))
    return Engine(build(graph, name, {**about, **(info or {})}).to_bytes(), threads)
