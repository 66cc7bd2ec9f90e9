"""A network in float32 and images: the same network in bytes, and what each step lost by it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from shufflekit.errors import UsageError
from shufflekit.graph import Graph, Node
from shufflekit.graph.ops.quantize import FakeQuantize
from shufflekit.quantization import Quantization, StepLoss
from shufflekit.quantize.balance import balanced
from shufflekit.quantize.losses import Losses, losses, steps_of
from shufflekit.quantize.observe import Array
from shufflekit.quantize.rounding import Batches, Rounded, Study, corrected_biases, quantized_graph, round_weights, study

KEPT_DB = 12.0  # a product that alone loses more stays in float32
_TOO_MUCH = f"loses more than {KEPT_DB:.0f} dB allow"


def quantize(
    graph: Graph,
    images: Any,
    weight_bits: int = 8,
    keep: Sequence[str] = (),
    only: Sequence[str] = (),
    threads: int = 1,
) -> tuple[Graph, Quantization]:
    """Rounds a simplified graph to bytes: activations by plane, weights by output channel.

    Args:
        images: from which ranges are learnt: an array (N, C, H, W) float32, or whatever the graph takes, or batches of
            such; of several inputs a batch is a tuple with an array for each.
        weight_bits: 8, or 7 for processors whose sums of 8 would not fit in 16 bits.
        keep: names of steps, or of modules with all that is in them, that stay in float32.
        only: likewise, that alone are rounded; all by default.
        threads: on which the images are computed.

    Raises:
        UsageError: images of another form, an unknown name, or nothing that could be rounded.
    """
    if weight_bits not in (7, 8):
        raise UsageError(f"weight_bits: must be 7 or 8, found {weight_bits!r}")
    if any(isinstance(node.operator, FakeQuantize) for node in graph.nodes):
        raise UsageError("int8: must be a network in float32, found one that is quantised already")
    batches = batches_of(images, graph)
    found = study(graph, batches, threads)
    chosen = _chosen(found, keep, only)
    found = balanced(found, weight_bits)
    rounded = {node.name: round_weights(found, node, weight_bits) for node in found.products if not chosen[node.name]}
    result, first = _measured(found, rounded)
    worst = {name for name in rounded if first.alone[name] < KEPT_DB} if not only else set()
    lost = first
    if worst:
        chosen |= dict.fromkeys(worst, _TOO_MUCH)
        rounded = {name: each for name, each in rounded.items() if name not in worst}
        result, lost = _measured(found, rounded)
    steps = _report(found, rounded, chosen, first, lost)
    return result, Quantization(steps, lost.outputs, weight_bits, sum(len(batch[0]) for batch in batches))


def _measured(found: Study, rounded: Mapping[str, Rounded]) -> tuple[Graph, Losses]:
    """The graph with these products in bytes, and what is lost in it."""
    biases = corrected_biases(found, rounded)
    graph = quantized_graph(found, rounded, biases)
    return graph, losses(found, rounded, biases, graph)


def _report(
    found: Study, rounded: Mapping[str, Rounded], chosen: Mapping[str, str], first: Losses, lost: Losses
) -> tuple[StepLoss, ...]:
    """All products, and the other steps of bytes, in order."""
    in_bytes = {node.name for node in steps_of(found, rounded)}
    named = [node for node in found.graph.nodes if node.name in in_bytes or node.name in chosen]
    modules = Counter(node.module for node in found.products)
    return tuple(
        StepLoss(
            node.module if node.module and node.name in chosen and modules[node.module] == 1 else node.name,
            node.op,
            lost.alone.get(node.name, first.alone.get(node.name, 200.0)),
            lost.whole.get(node.name, 200.0),
            chosen.get(node.name, ""),
        )
        for node in named
    )


def _chosen(found: Study, keep: Sequence[str], only: Sequence[str]) -> dict[str, str]:
    """For each product why it stays in float32, empty where it does not."""
    products = found.products
    for name in (*keep, *only):
        if not any(_is_in(node, name) for node in products):
            known = ", ".join(node.name for node in products[:8]) + (", ..." if len(products) > 8 else "")
            raise UsageError(f"keep, only: must name steps of convolutions or linear layers ({known}), found {name!r}")
    if not products:
        raise UsageError("int8: must have a convolution or linear layer whose weights are constants, found none")
    kept = {}
    for node in products:
        left_out = bool(only) and not any(_is_in(node, name) for name in only)
        asked = any(_is_in(node, name) for name in keep)
        kept[node.name] = "asked to be kept" if asked else "not among --only" if left_out else ""
    if all(kept.values()):
        raise UsageError("keep: must leave a step that is rounded, found none")
    return kept


def _is_in(node: Node, name: str) -> bool:
    return name in (node.name, node.module) or f"{node.module}.".startswith(f"{name}.")


def batches_of(images: Any, graph: Graph) -> Batches:
    """Images as batches with an array for each input, checked.

    Raises:
        UsageError: another type or shape, none at all, or values that are no numbers.
    """
    if hasattr(images, "shape"):
        images = [images]
    if not isinstance(images, Iterable) or isinstance(images, str | bytes | Mapping):
        raise UsageError(f"int8: must be an array of images, or batches of such, found {type(images).__name__}")
    found = [_batch(each, graph) for each in images]
    if not found:
        raise UsageError("int8: must have images to learn ranges from, found none")
    return found


def _batch(given: Any, graph: Graph) -> list[Array]:
    arrays = list(given) if isinstance(given, tuple | list) and not hasattr(given, "shape") else [given]
    if len(arrays) != len(graph.inputs):
        raise UsageError(f"int8: a batch must have {len(graph.inputs)} inputs, found {len(arrays)}")
    found = [_array(each) for each in arrays]
    for name, x in zip(graph.inputs, found):
        sizes = graph.values[name].sizes
        shown = ", ".join(map(str, ("N", *sizes)))
        kind = graph.values[name].type
        if x.dtype != kind or x.shape[1:] != sizes or not len(x):
            raise UsageError(f"int8: images must be ({shown}) {kind} with N of 1 or more, found {x.shape} {x.dtype}")
        if not np.isfinite(x).all():
            raise UsageError("int8: images must be of numbers, found NaN or infinities")
    if len({len(x) for x in found}) != 1:
        raise UsageError(f"int8: the inputs of a batch must have as many images, found {[len(x) for x in found]}")
    return found


def _array(x: Any) -> Array:
    return x if isinstance(x, np.ndarray) else np.asarray(x.numpy(force=True) if hasattr(x, "numpy") else x)
