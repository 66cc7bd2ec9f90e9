"""Einstein's sums of one or two tensors as products of matrices, permutations and reshapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from shufflekit.graph.operator import BATCH, Array, Operator, RefusedError
from shufflekit.graph.ops.linear import Linear
from shufflekit.graph.ops.matmul import MatMul
from shufflekit.graph.ops.moves import Permute, Reshape
from shufflekit.graph.ops.reductions import Sum

Step = tuple[Operator, tuple[int | Array, ...]]  # an input is an array, a step before, or one of the two tensors: -2 and -1


def terms_of(equation: str, ranks: Sequence[int]) -> tuple[str, ...]:
    """The letters of each tensor and of the result; an ellipsis stands for letters of its own, counted from the last.

    Args:
        ranks: of the tensors.

    Raises:
        RefusedError: it is of another number of tensors, or of more than two, or has a letter twice in one, or no result.

    Example:
        >>> terms_of("nij, njk -> nik", (3, 3)), terms_of("...ij->...ji", (4,))
        (('nij', 'njk', 'nik'), ('BAij', 'BAji'))
    """
    given, arrow, out = equation.replace(" ", "").partition("->")
    terms = given.split(",")
    free = [letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if letter not in equation]
    most = max([rank - len(term) + 3 for term, rank in zip(terms, ranks) if "..." in term], default=0)
    found = [term.replace("...", "".join(free[: max(0, rank - len(term) + 3)][::-1])) for term, rank in zip(terms, ranks)]
    found.append(out.replace("...", "".join(free[: max(0, most)][::-1])))
    fits = len(terms) == len(ranks) <= 2 and [*map(len, found[:-1])] == [*ranks] and ("..." in out or "..." not in given)
    if not arrow or not fits or any(len(set(term)) < len(term) or not term.isalpha() for term in found):
        needed = "an equation of at most two tensors and their result"
        raise RefusedError(f"{needed} is supported, each letter once, found {equation!r}")
    return tuple(found)


def einsum_steps_of_one(a: str, out: str) -> list[tuple[Operator, tuple[int, ...]]]:
    """Of one tensor (-1): sums over letters that are not in the result, and the others in its order; the images' is first.

    Raises:
        RefusedError: a letter of the result is not in the tensor.

    Example:
        >>> [step.name for step, _ in einsum_steps_of_one("nijk", "nki")]
        ['sum', 'permute']
    """
    if alone := set(out) - set(a):
        raise RefusedError(f"{', '.join(sorted(alone))} of the result must be in the tensor")
    dims = tuple(dim for dim, letter in enumerate(a) if letter not in out)
    left = [letter for letter in a if letter in out]
    turned = Permute(tuple(left.index(letter) for letter in out))
    return [(Sum(dims), (-1,)), (turned, (0,))] if dims else [(turned, (-1,))]


@dataclass(frozen=True)
class _Letters:
    """Those of the images and in both, those that are summed over, and those of one tensor."""

    images: str
    both: str
    summed: str
    left: str
    right: str


def einsum_steps(a: str, b: str, out: str, sizes: dict[str, int], images: str, constant: Array | None = None) -> list[Step]:
    """Steps, the last of which has the images first and the other letters of `out` in their order.

    Args:
        a: letters of the first tensor's value, that of the images first.
        b: likewise; those of the constant, if it is one.
        out: letters of the result.
        sizes: of each letter but `images`.
        images: the letter that counts images.
        constant: in the place of the second tensor.

    Raises:
        RefusedError: a letter is in one tensor only and not in the result, or a constant has one that all three have.

    Example:
        >>> [step.name for step, _ in einsum_steps("nij", "njk", "nik", {"i": 2, "j": 3, "k": 4}, "n")]
        ['permute', 'reshape', 'permute', 'reshape', 'matmul', 'reshape', 'permute']
    """
    rest = [letter for letter in dict.fromkeys(a + b) if letter != images]
    has = {letter: (letter in a, letter in b, letter in out) for letter in rest}
    parts = {kind: "".join(letter for letter in rest if has[letter] == which) for kind, which in _KINDS.items()}
    letters = _Letters(images, **parts)
    if alone := [letter for letter in rest if has[letter] not in _KINDS.values()] or set(out) - {images, *rest}:
        raise RefusedError(f"{', '.join(sorted(alone))} must be in both tensors, or in one and the result")
    steps = _of_two(a, b, sizes, letters) if constant is None else _with_constant(a, b, sizes, letters, constant)
    found = images + letters.both + letters.left + letters.right
    steps.append((Reshape((BATCH, *(sizes[letter] for letter in found[1:]))), (len(steps) - 1,)))
    wanted = images + out.replace(images, "")
    return [*steps, (Permute(tuple(found.index(letter) for letter in wanted)), (len(steps) - 1,))]


_KINDS = {
    "both": (True, True, True),
    "summed": (True, True, False),
    "left": (True, False, True),
    "right": (False, True, True),
}


def _matrix(x: str, order: tuple[str, ...], sizes: dict[str, int], images: str, number: int, first: int) -> list[Step]:
    """A tensor with letters in this order, those of each part as one dimension; the first part may be none."""
    flat = [math.prod(sizes[letter] for letter in part) for part in order]
    dims = tuple(x.index(letter) for letter in images + "".join(order))
    return [(Permute(dims), (number,)), (Reshape((BATCH, *flat)), (first,))]


def _of_two(a: str, b: str, sizes: dict[str, int], letters: _Letters) -> list[Step]:
    steps = _matrix(a, (letters.both, letters.left, letters.summed), sizes, letters.images, -2, 0)
    steps += _matrix(b, (letters.both, letters.summed, letters.right), sizes, letters.images, -1, 2)
    return [*steps, (MatMul(), (1, 3))]


def _with_constant(a: str, b: str, sizes: dict[str, int], letters: _Letters, constant: Array) -> list[Step]:
    if letters.both:
        raise RefusedError(f"{letters.both} of a constant must be in the result or in the other tensor, found it in both")
    rows, depth = (math.prod(sizes[letter] for letter in part) for part in (letters.right, letters.summed))
    matrix = constant.transpose([b.index(letter) for letter in letters.right + letters.summed]).reshape(rows, depth)
    return [*_matrix(a, (letters.left, letters.summed), sizes, letters.images, -2, 0), (Linear(), (1, matrix))]
