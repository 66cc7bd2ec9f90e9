"""What a forward pass costs, operator by operator, as plain data.

- `flops`: multiply-adds of convolutions, linear layers and matrix products, nothing else (the papers' convention);
  half of what `torch.utils.flop_counter` says, from the same formulas.
- `mac`: memory access cost in elements: what an operator reads, weights and bias included, plus what it writes. For a
  1x1 convolution this is the paper's hw(c1 + c2) + c1 c2 / g. Element-wise operators, pools and copies (concatenation, reshape
  of a transposed map) are priced like any other; a view (slice, transpose, view) moves nothing and costs nothing. A cache
  that keeps a map between two operators is not modelled.
- Batch norm of inference folds into the convolution or linear layer right before it and is free there; anywhere else
  it is an element-wise operator.
- `mac_bytes`: the same in bytes.
- `params`: elements of all parameters, each counted once, in the first operator that reads it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from shufflekit.cost.categories import Category, category_of


@dataclass(frozen=True)
class LayerCount:
    """One operator that ran, with the module that called it.

    `reads` has the places, in the list of all layers, of those whose results it reads, through views too.
    """

    name: str
    operator: str
    input_shapes: tuple[tuple[int, ...], ...]
    output_shapes: tuple[tuple[int, ...], ...]
    flops: int
    params: int
    mac: int
    mac_bytes: int = 0
    reads: tuple[int, ...] = ()

    @property
    def category(self) -> Category:
        """Convolution, data movement, element-wise or other."""
        return category_of(self.operator)

    @property
    def is_convolution(self) -> bool:
        """Of any number of dimensions, and not transposed: that one computes its multiply-adds for each input pixel."""
        if self.operator != "convolution":
            return False
        weights, out = self.input_shapes[1], self.output_shapes[0]
        return weights[0] == out[1] and self.flops == math.prod(out) * math.prod(weights[1:])

    @property
    def intensity(self) -> float:
        """Multiply-adds a byte of memory access."""
        return self.flops / self.mac_bytes if self.mac_bytes else 0.0


@dataclass(frozen=True)
class Counts:
    """What one forward pass costs.

    `layers` lists the operators in the order in which they ran, views left out. `unknown` says how often each operator ran
    of which we do not know whether it multiplies: its reads and writes are in `mac`, but it adds nothing to `flops`.
    """

    flops: int
    params: int
    mac: int
    layers: tuple[LayerCount, ...]
    unknown: Mapping[str, int]
