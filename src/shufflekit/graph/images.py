"""Where the images of a batch lie in a tensor of torch, so that they are seen to stay apart.

Every value of a graph has its batch in dimension 0, alone. In torch a reshape may fold it with others, as (N * C / 2, 2, H * W)
has it, and a permutation may move it; `Images` follows it by the sizes around it, and says what each image has meanwhile.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from shufflekit.graph.operator import BATCH, RefusedError, Shape


@dataclass(frozen=True)
class Images:
    """A tensor whose dimension `axis` counts `outer` x N x inner.

    Args:
        sizes: of all dimensions, N taken as 1.
        axis: the dimension that counts images.
        outer: what stands before the images in it.

    Example:
        >>> x = Images((1, 8, 6, 5), 0)
        >>> pairs = x.reshaped((4, 2, 30), 0).permuted((1, 0, 2)).reshaped((2, 1, 4, 6, 5), 1)
        >>> pairs, pairs.stored
        (Images(sizes=(2, 1, 4, 6, 5), axis=1, outer=1), (N, 2, 4, 6, 5))
    """

    sizes: tuple[int, ...]
    axis: int
    outer: int = 1

    @property
    def inner(self) -> int:
        return self.sizes[self.axis] // self.outer

    @property
    def is_first(self) -> bool:
        """Whether dimension 0 counts images and nothing else."""
        return self.axis == 0 and self.sizes[0] == 1

    @property
    def is_folded(self) -> bool:
        """Whether dimension 0 is 1, and another one counts images with something else."""
        return self.axis > 0 and self.sizes[0] == 1 and self.sizes[self.axis] > 1

    @property
    def stored(self) -> Shape:
        """The shape of the graph's value: the batch first, then what each image has."""
        return (BATCH, *(size for d, size in enumerate(self.sizes) if d != self.axis or size != 1))

    def stored_dim(self, dim: int) -> int:
        """The value's dimension that is dimension `dim` of the tensor.

        Raises:
            RefusedError: it is the one that counts images.
        """
        if dim == self.axis:
            raise RefusedError(f"dimension {dim} counts the images of the batch, which must stay apart")
        return 1 + dim - (dim > self.axis and self.sizes[self.axis] == 1)

    def reshaped(self, sizes: Sequence[int], axis: int) -> Images:
        """The same elements in other dimensions, `axis` of them the one that counts images.

        Raises:
            RefusedError: no dimension can count images so.
        """
        before = math.prod(self.sizes[: self.axis]) * self.outer
        ahead = math.prod(sizes[:axis])
        if 0 in sizes or before % ahead or sizes[axis] % (before // ahead):
            raise RefusedError(
                f"{self} is taken for {Images(tuple(sizes), axis)}, and the images of the batch do not stay apart"
            )
        return Images(tuple(sizes), axis, before // ahead)

    def squeezed(self, dim: int) -> Images:
        """Without dimension `dim`, whose size is 1."""
        return Images((*self.sizes[:dim], *self.sizes[dim + 1 :]), self.axis - (dim < self.axis), self.outer)

    def unsqueezed(self, dim: int) -> Images:
        """With one more dimension of size 1, number `dim`."""
        return Images((*self.sizes[:dim], 1, *self.sizes[dim:]), self.axis + (dim <= self.axis), self.outer)

    def permuted(self, dims: Sequence[int]) -> Images:
        return Images(tuple(self.sizes[d] for d in dims), dims.index(self.axis), self.outer)

    def stored_order(self, dims: Sequence[int]) -> tuple[int, ...]:
        """The permutation of the value that `dims` means for the tensor."""
        folded = self.sizes[self.axis] != 1
        where = {d: 1 + d - (d > self.axis and not folded) for d in range(len(self.sizes)) if d != self.axis or folded}
        return (0, *(where[d] for d in dims if d in where))

    def __str__(self) -> str:
        count = "N" if self.sizes[self.axis] == 1 else f"{self.sizes[self.axis]}N"
        return f"({', '.join(count if d == self.axis else str(size) for d, size in enumerate(self.sizes))})"
