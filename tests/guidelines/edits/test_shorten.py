from __future__ import annotations

from torch import nn

from tests.graph.edits.test_widths import check
from tests.guidelines.edits.making import assert_as_many, convs, edits_of


def row(count: int) -> nn.Module:
    """Thin convolutions behind each other, between two others."""
    thin = [layer for _ in range(count) for layer in (nn.Conv2d(16, 16, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())]
    return nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), *thin, nn.Conv2d(16, 8, 3, padding=1))


def test_g3_puts_one_wide_convolution_in_the_place_of_eight_in_a_row() -> None:
    graph, (edit,) = edits_of(row(8), (1, 3, 56, 56), "G3")
    assert edit.text == "one wide convolution in place of several in a row at the network itself"
    found = edit.apply(graph)
    (_, stem, _), one, (last, _, _) = convs(found)
    assert one == (stem, stem, 1)
    assert last == stem > 16
    assert [node.op for node in found.nodes] == ["conv", "conv", "batch_norm", "relu", "conv"]
    assert_as_many(graph, found, 0.2)  # 29 channels would be as many; widths are whole vectors
    check(found)


def test_each_of_two_rows_and_both_are_answered() -> None:
    graph, found = edits_of(nn.Sequential(row(8), nn.AvgPool2d(2), nn.Conv2d(8, 3, 1), row(6)), (1, 3, 56, 56), "G3")
    assert [len(convs(edit.apply(graph))) for edit in found] == [7, 12, 14]


def test_a_row_that_ends_the_network_keeps_the_name_of_what_it_gives() -> None:
    net = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), *(nn.Conv2d(16, 16, 1) for _ in range(8)))
    graph, (edit,) = edits_of(net, (1, 3, 32, 32), "G3")
    found = edit.apply(graph)
    assert (len(found.nodes), found.outputs) == (2, graph.outputs)
    check(found)


def test_what_reads_the_photo_stays_before_the_row() -> None:
    """It has three channels on one side, and could multiply as often as all with very many on the other alone."""
    net = nn.Sequential(*(nn.Conv2d(3 if not i else 45, 45, 1, bias=False) for i in range(9)), nn.Conv2d(45, 8, 3))
    graph, (edit,) = edits_of(net, (1, 3, 56, 56), "G3")
    found = edit.apply(graph)
    (_, stem, _), one, (last, _, _) = convs(found)
    assert one == (stem, stem, 1)
    assert last == stem > 45
    assert_as_many(graph, found, 0.2)
    check(found)
