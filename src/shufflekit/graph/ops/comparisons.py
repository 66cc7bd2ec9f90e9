"""Comparisons of two tensors, which give 1 or 0, and what these keep; masks are floats as all is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from shufflekit.graph.operator import Array
from shufflekit.graph.ops.arithmetic import Arithmetic


@dataclass(frozen=True)
class Equal(Arithmetic):
    """Whether a is b."""

    name: ClassVar[str] = "equal"

    def reference(self, a: Array, b: Array) -> Array:
        return (a == b).astype(np.result_type(a, b))


@dataclass(frozen=True)
class Less(Arithmetic):
    """Whether a is less than b."""

    name: ClassVar[str] = "less"

    def reference(self, a: Array, b: Array) -> Array:
        return (a < b).astype(np.result_type(a, b))


@dataclass(frozen=True)
class AtMost(Arithmetic):
    """Whether a is b or less."""

    name: ClassVar[str] = "at_most"

    def reference(self, a: Array, b: Array) -> Array:
        return (a <= b).astype(np.result_type(a, b))


@dataclass(frozen=True)
class Keep(Arithmetic):
    """b where a is not 0, else 0, whatever b is there."""

    name: ClassVar[str] = "keep"

    def reference(self, a: Array, b: Array) -> Array:
        return np.where(a != 0, b, np.zeros((), b.dtype))


@dataclass(frozen=True)
class Drop(Arithmetic):
    """b where a is 0, else 0, whatever b is there."""

    name: ClassVar[str] = "drop"

    def reference(self, a: Array, b: Array) -> Array:
        return np.where(a != 0, np.zeros((), b.dtype), b)
