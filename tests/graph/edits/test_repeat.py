from __future__ import annotations

import pytest
from torch import nn

from shufflekit.compiling import capture
from shufflekit.graph import Graph
from shufflekit.graph.edits.repeat import repeated
from shufflekit.graph.operator import RefusedError
from tests.graph.edits.test_widths import check


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)

    def forward(self, x):
        return x + self.norm(self.conv(x)).relu()


def net(units: int) -> Graph:
    layers = [nn.Conv2d(3, 8, 1), *(Residual() for _ in range(units)), nn.Conv2d(8, 4, 1)]
    return capture(nn.Sequential(*layers).eval(), (1, 3, 6, 6))


@pytest.mark.parametrize("times", [0, 1, 2, 4])
def test_a_unit_stands_so_many_times_in_a_row(times: int) -> None:
    found, built = repeated(net(1), lambda node: node.module.split(".")[0] == "1", times), net(times)
    assert [(node.op, found.values[node.output].shape) for node in found.nodes] == [
        (node.op, built.values[node.output].shape) for node in built.nodes
    ]
    assert sum(array.size for array in found.constants.values()) == sum(array.size for array in built.constants.values())
    check(found)


def test_the_last_unit_can_be_the_output() -> None:
    graph = capture(nn.Sequential(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)).eval(), (1, 3, 4, 4))
    assert repeated(graph, lambda node: node.module == "1", 3).outputs == ("conv2d_1~3",)
    assert repeated(graph, lambda node: node.module == "1", 0).outputs == ("conv2d",)


def test_what_is_no_unit_is_refused() -> None:
    with pytest.raises(RefusedError, match=r"a unit must keep its shape"):
        repeated(net(1), lambda node: node.module == "2", 2)
    with pytest.raises(RefusedError, match=r"a unit reads one value and writes one, found \[\] and \[\]"):
        repeated(net(1), lambda node: node.module == "none", 2)
    with pytest.raises(RefusedError, match=r"a unit reads one value and writes one"):
        repeated(net(2), lambda node: node.op == "relu", 2)
