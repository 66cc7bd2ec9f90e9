"""Muon for the matrices of a network, SGD for the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic that pushes all singular values towards 1 (Jordan, 2024)
_ITERATIONS = 5


class Muon(Optimizer):
    """Momentum whose step on a matrix is made nearly orthogonal; groups without `orthogonal` take Nesterov SGD steps.

    torch's own Muon takes 2-D parameters only; the pointwise convolutions that matter here are (out, in, 1, 1). Matrices
    of one shape are worked on together, since most of them are small.

    Args:
        groups: parameter groups with `lr`, `momentum`, `weight_decay`, and `orthogonal`, whose parameters are
            (out, in, 1, 1) or (out, in). Weight decay is decoupled (lr x weight_decay x weight) in these and added to the
            gradient in the others.

    Source:
        K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024.
    """

    def __init__(self, groups: Iterable[dict[str, Any]]) -> None:
        super().__init__(groups, {"lr": 0.0, "momentum": 0.9, "weight_decay": 0.0, "orthogonal": False})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        assert closure is None, "our loop computes its gradients before the step"
        for group in self.param_groups:
            moved = [p for p in group["params"] if p.grad is not None]
            gradients = [p.grad for p in group["params"] if p.grad is not None]
            if moved and group["orthogonal"]:
                self._orthogonal_step(moved, gradients, group)
            elif moved:
                self._sgd_step(moved, gradients, group)

    def _sgd_step(self, parameters: list[Tensor], gradients: list[Tensor], group: dict[str, Any]) -> None:
        gradients = list(torch._foreach_add(gradients, parameters, alpha=group["weight_decay"]))
        momenta = self._momenta(parameters)
        torch._foreach_mul_(momenta, group["momentum"])
        torch._foreach_add_(momenta, gradients)
        torch._foreach_add_(gradients, momenta, alpha=group["momentum"])
        torch._foreach_add_(parameters, gradients, alpha=-group["lr"])

    def _orthogonal_step(self, parameters: list[Tensor], gradients: list[Tensor], group: dict[str, Any]) -> None:
        momenta = self._momenta(parameters)
        torch._foreach_mul_(momenta, group["momentum"])
        torch._foreach_add_(momenta, gradients)
        steps = torch._foreach_add(gradients, momenta, alpha=group["momentum"])
        torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        order = sorted(range(len(parameters)), key=lambda i: tuple(parameters[i].shape))
        for shape, alike in groupby(order, key=lambda i: tuple(parameters[i].shape)):
            members = list(alike)
            rows, columns = shape[:2]
            directions = orthogonal(torch.stack([steps[i].reshape(rows, columns) for i in members]))
            scale = max(1.0, rows / columns) ** 0.5  # tall matrices: the same change of the output, as in the source
            for i, direction in zip(members, directions, strict=True):
                parameters[i].add_(direction.view(shape), alpha=-group["lr"] * scale)

    def _momenta(self, parameters: list[Tensor]) -> list[Tensor]:
        for p in parameters:
            if "momentum" not in self.state[p]:
                self.state[p]["momentum"] = torch.zeros_like(p)
        return [self.state[p]["momentum"] for p in parameters]


def orthogonal(matrices: Tensor) -> Tensor:
    """The nearly orthogonal matrices nearest to the given ones, by five Newton-Schulz iterations.

    Args:
        matrices: (N, rows, columns).

    Returns:
        (N, rows, columns), singular values between about 0.7 and 1.2.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> values = torch.linalg.svdvals(orthogonal(torch.randn(1, 8, 24)))
        >>> bool((values > 0.6).all() and (values < 1.3).all())
        True
    """
    a, b, c = _COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.mT  # (N, rows, rows)
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x
