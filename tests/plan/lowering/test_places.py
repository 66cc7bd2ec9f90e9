"""The largest elements, and those at computed places: what PyTorch gives, in any dimension."""

from __future__ import annotations

import pytest
from torch import Tensor, nn

from tests.plan.test_lower import Net, compiled, conv, kernels


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_what_is_at_computed_places(dim: int) -> None:
    def forward(x: Tensor, a: nn.Module) -> Tensor:
        x = a(x)
        return x.gather(dim, x.topk(2, dim).indices)

    assert "pick" in kernels(compiled(Net(forward, conv(3, 4)), (3, 6, 5)))


@pytest.mark.parametrize("dim", [1, 2])
def test_one_place_for_all_behind_it(dim: int) -> None:
    def forward(x: Tensor, a: nn.Module) -> Tensor:
        x = a(x)
        best = x.amax(tuple(range(dim + 1, 4)), keepdim=True).topk(3, dim).indices
        return x.gather(dim, best.expand([-1] * (dim + 1) + list(x.shape[dim + 1 :])))

    assert "pick" in kernels(compiled(Net(forward, conv(3, 4)), (3, 6, 5)))
