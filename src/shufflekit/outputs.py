"""Outputs of networks and runtimes in one form, and how far two of them differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shufflekit.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

Array = NDArray[np.float32]


def outputs_of(model: nn.Module, *inputs: Array) -> list[Array]:
    """What PyTorch computes in evaluation: every output, in the network's order; the module is left as it was.

    Args:
        inputs: (N, C, H, W), or what else it takes.
    """
    import torch

    from shufflekit.modes import evaluation

    device = next((tensor.device for tensor in (*model.parameters(), *model.buffers())), None)
    with evaluation(model), torch.inference_mode():
        return [y.cpu().numpy() for y in tensors_of(model(*(torch.from_numpy(x).to(device) for x in inputs)))]


def tensors_of(found: Any) -> list[Tensor]:
    """The tensors that a network returned: one, or several in a list, tuple or dict.

    Raises:
        UsageError: it returned something else.
    """
    import torch

    several = list(found.values() if isinstance(found, dict) else found if isinstance(found, list | tuple) else [found])
    if not several:
        raise UsageError(
            f"model: must return one tensor, or several in a list, tuple or dict, found an empty {type(found).__name__}"
        )
    for one in several:
        if not isinstance(one, torch.Tensor):
            raise UsageError(
                f"model: must return one tensor, or several in a list, tuple or dict, found a {type(one).__name__}"
            )
    return several


def rows_that_count(outputs: Mapping[str, Array], rows: Mapping[str, Mapping[str, Any]]) -> list[Array]:
    """Outputs without rows that mean nothing and without their numbers, the rows of all images in one line.

    Args:
        outputs: of an engine, by name.
        rows: `program.info["rows"]`: of some, the output that counts and the dimension that has them.

    Example:
        >>> y = np.array([[[3.0], [-1.0]], [[4.0], [5.0]]], np.float32)
        >>> rows_that_count({"y": y, "n": np.array([1, 2])}, {"y": {"count": "n", "dim": 1}})
        [array([3., 4., 5.], dtype=float32)]
    """
    counts = {each["count"] for each in rows.values()}
    found = []
    for name, y in outputs.items():
        if name in rows:
            lengths, dim = outputs[rows[name]["count"]].astype(int), rows[name]["dim"] - 1
            y = np.concatenate([image.take(range(length), dim).reshape(-1) for image, length in zip(y, lengths)])
        if name not in counts:
            found.append(y)
    return found


def largest_difference(found: Sequence[Array], expected: Sequence[Array]) -> float:
    """Over all outputs, the largest difference as a share of the output's largest expected value.

    Infinite where the numbers of outputs or their shapes differ, or something is not a number. Axes of one element do not
    count: ncnn, which has no batches, puts some where it likes.

    Example:
        >>> largest_difference([np.array([1.0, -3.0], np.float32)], [np.array([1.0, -4.0], np.float32)])
        0.25
    """
    # As floating point: small whole numbers would wrap round, and truth values have no difference.
    ours, theirs = ([np.squeeze(y).astype(np.float64) for y in outputs] for outputs in (found, expected))
    if len(ours) != len(theirs) or any(y.shape != right.shape for y, right in zip(ours, theirs)):
        return float("inf")
    smallest = np.finfo(np.float32).tiny
    worst = max(
        float(np.abs(y - right).max(initial=0) / max(np.abs(right).max(initial=0), smallest)) for y, right in zip(ours, theirs)
    )
    return worst if np.isfinite(worst) else float("inf")
