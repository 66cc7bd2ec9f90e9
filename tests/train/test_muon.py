from __future__ import annotations

import pytest
import torch

from shufflekit.train.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 24, 24), (2, 96, 24), (2, 24, 96), (1, 1, 5)])
def test_orthogonal_keeps_the_singular_vectors_and_levels_the_values(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    matrices = torch.randn(shape)
    result = orthogonal(matrices)
    u, values, vt = torch.linalg.svd(matrices, full_matrices=False)
    levelled = torch.diagonal(u.mT @ result @ vt.mT, dim1=1, dim2=2)
    found = torch.linalg.svdvals(result)
    assert torch.allclose(levelled.sort(descending=True).values, found, atol=1e-3), "the same vectors"
    large = values / values.norm(dim=1, keepdim=True) > 0.02  # five iterations do not lift the smallest
    assert ((levelled > 0.3) & (levelled < 1.3))[large].all()


def test_other_groups_take_pytorchs_nesterov_steps() -> None:
    torch.manual_seed(0)
    ours, theirs = torch.randn(5, requires_grad=True), None
    theirs = ours.detach().clone().requires_grad_()
    muon = Muon([{"params": [ours], "lr": 0.1, "momentum": 0.8, "weight_decay": 0.01}])
    sgd = torch.optim.SGD([theirs], lr=0.1, momentum=0.8, weight_decay=0.01, nesterov=True)
    for _ in range(5):
        ours.grad = torch.randn(5)
        theirs.grad = ours.grad.clone()
        muon.step()
        sgd.step()
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_orthogonal_groups_step_as_pytorchs_muon() -> None:
    torch.manual_seed(0)
    start = torch.randn(12, 6)
    ours, theirs = start.clone().view(12, 6, 1, 1).requires_grad_(), start.clone().requires_grad_()
    muon = Muon([{"params": [ours], "lr": 0.02, "momentum": 0.95, "weight_decay": 0.1, "orthogonal": True}])
    reference = torch.optim.Muon([theirs], lr=0.02, momentum=0.95, weight_decay=0.1, nesterov=True, adjust_lr_fn="original")
    for _ in range(3):
        gradient = torch.randn(12, 6)
        ours.grad, theirs.grad = gradient.view(12, 6, 1, 1), gradient
        muon.step()
        reference.step()
    moved = (theirs - start).norm()
    # PyTorch iterates in bfloat16: near, not equal.
    assert (ours.detach().view(12, 6) - theirs.detach()).norm() < 0.1 * moved
