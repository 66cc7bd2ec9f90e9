"""Values of a network on images, their histograms, and how inputs of products go together."""

from __future__ import annotations

import numpy as np
import pytest

from shufflekit.graph import interpret
from shufflekit.quantize import observe
from shufflekit.quantize.observe import Histogram, by_plane, histograms, moments, values_of
from shufflekit.quantize.places import is_product, opened
from tests.quantize.networks import images, mixed


@pytest.mark.parametrize("outputs", [1, 3, 1000])
def test_values_are_the_graphs_however_many_there_are(outputs, monkeypatch) -> None:
    monkeypatch.setattr(observe, "_OUTPUTS", outputs)
    graph, x = opened(mixed()), images(6)
    names = [*graph.inputs, *(node.output for node in graph.nodes), graph.outputs[0]]
    found = [np.concatenate(each) for each in zip(*values_of(graph, names, [[x[:5]], [x[5:]]], 1))]
    np.testing.assert_array_equal(found[0], x)
    np.testing.assert_array_equal(found[-1], found[-2])
    np.testing.assert_allclose(found[-1], interpret(graph, x)[0], rtol=1e-4, atol=1e-4)


def test_numbers_stand_by_plane_and_far_ones_are_among_them() -> None:
    x = np.arange(2 * 3 * 10).reshape(2, 3, 10)
    np.testing.assert_array_equal(by_plane(x)[1], [*range(10, 20), *range(40, 50)])
    np.testing.assert_array_equal(by_plane(x, 4)[0], [0, 3, 6, 9, 30, 33, 36, 39])
    assert by_plane(np.arange(4).reshape(2, 2)).tolist() == [[0, 2], [1, 3]]


def test_a_histogram_counts_all_and_zero_apart() -> None:
    x = np.array([[1.0, 2.0, 0.0, 4.0], [-4.0, -4.0, -1.0, -2.0]])
    found = Histogram.of(x.min(1), x.max(1))
    found.add(x)
    assert (found.least.tolist(), found.most.tolist()) == ([0, -4], [4, 0]), "zero lies within"
    np.testing.assert_array_equal(found.counts.sum(1), [4, 4])
    assert (found.counts[0, 0], found.counts[0, -1], found.counts[1, 0]) == (1, 1, 2)
    assert found.zeros.tolist() == [1, 0]
    np.testing.assert_allclose(found.mean_squares, [21 / 4, 37 / 4])


def test_extremes_are_those_of_all_images() -> None:
    graph, x = opened(mixed()), images(6)
    (found,) = histograms(graph, graph.inputs, [[x[:4]], [x[4:]]], 1).values()
    np.testing.assert_array_equal(found.least, x.min((0, 2, 3)))
    np.testing.assert_array_equal(found.most, x.max((0, 2, 3)))


def test_inputs_of_a_product_go_together_as_its_windows_do() -> None:
    """What its weights make of the covariance is the variance of its sums."""
    graph, x = opened(mixed()), images(40)
    products = [node for node in graph.nodes if is_product(node, graph)]
    found = moments(graph, products, [[x]], 1)
    outputs = [np.concatenate(each) for each in zip(*values_of(graph, [node.output for node in products], [[x]], 1))]
    (dense,) = (number for number, node in enumerate(products) if node.module == "dense")
    weights = graph.constants[products[dense].inputs[1]].reshape(1, 8, -1)
    seen = found[products[dense].name]
    variance = np.einsum("grt,gtu,gru->gr", weights, seen.covariance(), weights)[0]
    np.testing.assert_allclose(variance, outputs[dense].var((0, 2, 3)), rtol=0.2)
    np.testing.assert_allclose(weights[0] @ (seen.sums[0] / seen.count), outputs[dense].mean((0, 2, 3)), rtol=0.2, atol=0.2)
    assert found[next(node.name for node in products if node.module == "grouped")].sums.shape == (2, 4)
    assert found[next(node.name for node in products if node.module == "depthwise")].sums.shape == (4, 9)
