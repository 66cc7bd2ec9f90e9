from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from shufflekit.graph.operator import RefusedError
from tests.graph.edits.test_widths import check
from tests.guidelines.edits.making import assert_as_many, convs, edits_of


class Branches(nn.Module):
    """Convolutions side by side, added or put together, between two others."""

    def __init__(self, branch: Callable[[], nn.Module], count: int, add: bool) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.branches = nn.ModuleList(branch() for _ in range(count))
        self.last = nn.Conv2d(16 if add else 16 * count, 8, 1)
        self.add = add

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        found = [branch(x) for branch in self.branches]
        return self.last(sum(found[1:], found[0]) if self.add else torch.cat(found, 1))


@pytest.mark.parametrize("add", [True, False])
def test_g3_puts_one_wide_branch_in_the_place_of_four(add: bool) -> None:
    net = Branches(lambda: nn.Sequential(nn.Conv2d(16, 16, 1), nn.ReLU(), nn.Conv2d(16, 16, 1), nn.ReLU()), 4, add)
    graph, (edit,) = edits_of(net, (1, 3, 28, 28), "G3")
    found = edit.apply(graph)
    assert len(convs(found)) == 4
    assert convs(found)[-1] == convs(graph)[-1]
    assert_as_many(graph, found)
    check(found)


def test_a_branch_of_one_convolution_grows_on_both_sides() -> None:
    net = Branches(lambda: nn.Conv2d(16, 16, 1), 4, True)
    graph, (edit,) = edits_of(net, (1, 3, 28, 28), "G3")
    (_, stem, _), branch, (last, _, _) = convs(found := edit.apply(graph))
    assert branch == (stem, stem, 1)
    assert last == stem > 16
    assert_as_many(graph, found, near=0.2)
    check(found)


def test_branches_that_read_the_sum_of_others_are_merged_too() -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.branches = nn.ModuleList(nn.Conv2d(32, 32, 1, bias=False) for _ in range(4))

        def forward(self, x: Tensor) -> Tensor:
            found = [branch(x) for branch in self.branches]
            return sum(found[1:], found[0])

    net = nn.Sequential(nn.Conv2d(3, 32, 1), Sum(), Sum(), Sum(), nn.Conv2d(32, 8, 1))
    graph, edits = edits_of(net, (1, 3, 56, 56), "G3")
    assert [len(convs(edit.apply(graph))) for edit in edits] == [5, 11, 11, 11]
    found = edits[0].apply(graph)
    assert_as_many(graph, found, near=0.2)
    check(found)


def test_g3_takes_nothing_that_no_convolution_computes() -> None:
    graph, (edit,) = edits_of(Branches(lambda: nn.AvgPool2d(3, 1, 1), 4, False), (1, 3, 28, 28), "G3")
    with pytest.raises(RefusedError, match="concat in .* joins nothing that convolutions compute"):
        edit.apply(graph)
