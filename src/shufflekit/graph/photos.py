"""Graphs that take photos as bytes, as decoders give them, in place of prepared floats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from shufflekit.graph.builder import Builder
from shufflekit.graph.graph import Graph, Node
from shufflekit.graph.operator import Array
from shufflekit.graph.ops.moves import Move, Permute, Take
from shufflekit.graph.ops.norms import Affine

_FIRST, _LAST = (0, 3, 1, 2), (0, 2, 3, 1)  # channels, of the other order


def taking_photos(
    graph: Graph, scale: Array, shift: Array, channels: Sequence[int], photo_is_last: bool, input_is_last: bool
) -> Graph:
    """The same network, whose only input is bytes that an affine node normalises.

    Args:
        scale: (C,) of each channel that the network takes, for bytes of 0 to 255.
        shift: likewise.
        channels: which of the photo's each of them is.
        photo_is_last: whether a photo is (H, W, C), and not (C, H, W).
        input_is_last: likewise of what the network takes.
    """
    (name,) = graph.inputs
    batch, *sizes = graph.values[name].shape
    planes = sizes if not input_is_last else [sizes[2], *sizes[:2]]
    builder, read = Builder(), f"{name}.normalised"
    builder.constants, builder.grids = dict(graph.constants), dict(graph.grids)
    builder.fixed, builder.takes_one = dict(graph.fixed), graph.takes_one
    x = builder.input(name, (batch, *([*planes[1:], planes[0]] if photo_is_last else planes)), "uint8")
    if photo_is_last:
        x = builder.add(Node(Permute(_FIRST), f"{name}.planes", "", (x,), f"{name}.planes"))
    if list(channels) != sorted(channels):
        x = builder.add(Node(Take(1, tuple(channels)), f"{name}.order", "", (x,), f"{name}.order"))
    constants = [builder.constant(f"{name}.{word}", array) for word, array in (("scale", scale), ("shift", shift))]
    affine = f"{name}.floats" if input_is_last else read
    x = builder.add(Node(Affine(), affine, "", (x, *constants), affine))
    if input_is_last:
        builder.add(Node(Permute(_LAST), read, "", (x,), read))
    for node in graph.nodes:
        inputs = tuple(read if each == name else each for each in node.inputs)
        builder.add(replace(node, inputs=inputs, residual=read if node.residual == name else node.residual))
    return builder.graph(read if each == name else each for each in graph.outputs)


def normalised(graph: Graph) -> dict[str, Node]:
    """The values that are a photo's bytes, normalised, with the nodes that write them."""
    moved, found = {name for name in graph.inputs if graph.values[name].type == "uint8"}, {}
    for node in graph.nodes if moved else ():
        if node.inputs[0] in moved and isinstance(node.operator, Move):
            moved.add(node.output)
        elif node.inputs[0] in moved and isinstance(node.operator, Affine):
            found[node.output] = node
    return found


def grids_of_photos(graph: Graph) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """What a byte of each of those is worth, by channel, and which one is zero, which may lie between two.

    Without those whose zero is beyond the bytes: a border of zeros could not be one of them.
    """
    found = {}
    for name, node in normalised(graph).items():
        scale, shift = (graph.constants[each] for each in node.inputs[1:])
        zero = -shift / scale
        if (scale > 0).all() and (zero >= 0).all() and (zero <= 255).all():
            found[name] = scale, zero
    return found
