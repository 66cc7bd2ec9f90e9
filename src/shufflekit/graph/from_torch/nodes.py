"""What a translator returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import fx

from shufflekit.graph.images import Images
from shufflekit.graph.operator import Array, Operator

Step = tuple[Operator, tuple[str | int | Array, ...]]


@dataclass(frozen=True)
class Nodes:
    """What an operator becomes.

    Args:
        steps: operator and inputs of each node; an input is a name, an array, or the number of a step before.
        images: where the last one's images lie; by default dimension 0 counts them.
    """

    steps: Sequence[Step]
    images: Images | None = None


@dataclass(frozen=True)
class Same:
    """The value of another node of torch's graph.

    Args:
        images: where its images lie now, if not as before.
    """

    node: fx.Node
    images: Images | None = None
