"""Reductions, softmax and norms on the engine: what PyTorch computes, where it lies."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.plan.test_lower import Net, compiled, conv, kernels


def tokens(x: Tensor, a: nn.Module) -> Tensor:
    """(N, pixels, channels)."""
    return a(x).flatten(2).transpose(1, 2)


# What is computed where it lies, channels last too: nothing is brought together but the result.
LINES = {
    "mean of channels": (lambda x, a: a(x).mean(1), "reduce"),
    "mean of a row": (lambda x, a: a(x).mean(3), "reduce"),
    "mean of columns": (lambda x, a: a(x).mean(2), "reduce"),
    "mean of all": (lambda x, a: a(x).mean((1, 2, 3)), "reduce"),
    "largest of channels and rows": (lambda x, a: a(x).amax((1, 2), keepdim=True), "reduce"),
    "norm of tokens": (lambda x, a: torch.linalg.vector_norm(tokens(x, a), dim=2), "reduce"),
    "sizes of channels": (lambda x, a: a(x).norm(1, 1), "reduce"),
    "sum of tokens": (lambda x, a: tokens(x, a).sum(1), "reduce"),
    "softmax of channels": (lambda x, a: a(x).softmax(1), "softmax"),
    "softmax of a row": (lambda x, a: a(x).softmax(3), "softmax"),
    "softmax of columns": (lambda x, a: a(x).log_softmax(2), "softmax"),
    "softmax of tokens": (lambda x, a: tokens(x, a).softmax(2), "softmax"),
    "softmax over tokens": (lambda x, a: tokens(x, a).softmax(1), "softmax"),
    "layer norm of a row": (lambda x, a: F.layer_norm(a(x), (5,)), "normalize"),
    "layer norm of tokens": (lambda x, a: F.layer_norm(tokens(x, a), (4,), torch.arange(4.0)), "normalize"),
    "layer norm of channels": (
        lambda x, a: F.layer_norm(a(x).movedim(1, 3), (4,), torch.arange(4.0), torch.ones(4)).movedim(3, 1), "normalize",
    ),
    "group norm": (lambda x, a: F.group_norm(a(x), 2, torch.arange(4.0)), "normalize"),
    "instance norm": (lambda x, a: F.instance_norm(a(x)), "normalize"),
}  # fmt: skip


@pytest.mark.parametrize("name", LINES)
def test_lines_are_computed_where_they_lie(name: str) -> None:
    forward, kernel = LINES[name]
    steps = compiled(Net(forward, conv(3, 4)), (3, 6, 5)).steps
    assert [step.kernel for step in steps] == ["gather", "gemm", kernel, "gather"]


def test_a_scale_of_each_channel_is_kept_once_for_all_heads() -> None:
    forward = lambda x, a: F.layer_norm(a(x).reshape(-1, 2, 4, 30).transpose(2, 3), (4,), torch.arange(4.0), torch.ones(4))  # noqa: E731
    (norm,) = (step.arguments for step in compiled(Net(forward, conv(3, 8)), (3, 6, 5)).steps if step.kernel == "normalize")
    assert (norm.groups, norm.count, norm.scale_planes, norm.scale_length) == (2, 4, 4, 1)


def test_lines_that_are_no_neighbours_are_brought_together() -> None:
    for forward in (lambda x: x.sum((2, 4)), lambda x: F.layer_norm(x.movedim(3, 1), (4, 2, 5)).movedim(1, 3)):
        program = compiled(Net(lambda x, a, f=forward: f(a(x).reshape(-1, 4, 2, 3, 5)), conv(3, 4)), (3, 6, 5))
        assert kernels(program)[1] == "gather"
