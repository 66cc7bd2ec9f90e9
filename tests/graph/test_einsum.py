"""Einstein's sums: the steps compute what numpy does, at drawn equations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shufflekit.graph.einsum import einsum_steps, einsum_steps_of_one, terms_of
from shufflekit.graph.operator import BATCH, RefusedError

KINDS = st.sampled_from(["both", "summed", "left", "right"])


@settings(max_examples=60, derandomize=True, database=None)
@given(st.lists(KINDS, min_size=1, max_size=5), st.data(), st.integers(0, 2**32 - 1))
def test_they_compute_what_numpy_does(kinds, data, seed):
    letters = dict(zip("abcde", kinds))
    sizes = {letter: data.draw(st.integers(1, 4)) for letter in letters}
    has = {"both": "xyo", "summed": "xy", "left": "xo", "right": "yo"}
    terms = ["n" + "".join(letter for letter, kind in letters.items() if side in has[kind]) for side in "xyo"]
    a, b, out = ("".join(data.draw(st.permutations(term))) for term in terms)
    by_images = ["n" + term.replace("n", "") for term in (a, b)]
    random = np.random.default_rng(seed)
    x, y = (random.uniform(-1, 1, [2 if letter == "n" else sizes[letter] for letter in term]) for term in by_images)
    done = {-2: x, -1: y}
    shapes = {number: (BATCH, *each.shape[1:]) for number, each in done.items()}
    for number, (step, inputs) in enumerate(einsum_steps(*by_images, out, sizes, "n")):
        shapes[number] = step.shape(*(shapes[each] for each in inputs))
        done[number] = step.reference(*(done[each] for each in inputs))
    expected = np.einsum(f"{by_images[0]},{by_images[1]}->n{out.replace('n', '')}", x, y)
    np.testing.assert_allclose(done[number], expected, atol=1e-12)
    assert shapes[number] == (BATCH, *expected.shape[1:])


@pytest.mark.parametrize(
    "equation", ["nij,njk", "nij->nii", "nii,nij->nj", "nij,njk,nkl->nil", "nij,nj->ni", "n...ijk,nij->nj"]
)
def test_other_equations_are_refused(equation):
    with pytest.raises(RefusedError, match="at most two tensors and their result is supported, each letter once, found"):
        terms_of(equation, [3] * (1 + equation.count(",")))


@pytest.mark.parametrize(
    ("equation", "ranks"),
    [("n...i,n...ij->n...j", (4, 5)), ("...ij,...kj->...ik", (3, 4)), ("n...->...n", (4,)), ("n...i->ni...", (2,))],
)
def test_an_ellipsis_is_letters_as_numpy_counts_them(equation, ranks):
    arrays = [np.random.default_rng(0).standard_normal((2,) * rank) for rank in ranks]
    *terms, out = terms_of(equation, ranks)
    assert np.array_equal(np.einsum(f"{','.join(terms)}->{out}", *arrays), np.einsum(equation, *arrays))


@settings(max_examples=40, derandomize=True, database=None)
@given(st.permutations("ijk"), st.integers(0, 3), st.data())
def test_of_one_tensor_they_sum_and_turn(letters, count, data):
    out = "n" + "".join(data.draw(st.permutations(letters))[:count])
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5))
    done = {-1: x}
    for number, (step, reads) in enumerate(einsum_steps_of_one("nijk", out)):
        done[number] = step.reference(*(done[each] for each in reads))
    np.testing.assert_allclose(done[number], np.einsum(f"nijk->{out}", x))


def test_a_letter_from_nowhere_is_refused():
    with pytest.raises(RefusedError, match="l of the result must be in the tensor"):
        einsum_steps_of_one("nijk", "nil")


@pytest.mark.parametrize(
    ("terms", "constant", "message"),
    [
        (("nij", "njk", "nk"), None, "i must be in both tensors, or in one and the result"),
        (("nij", "njk", "nikl"), None, "l must be in both tensors, or in one and the result"),
        (("nij", "ji", "ni"), np.ones((2, 2)), "i of a constant must be in the result or in the other tensor"),
    ],
)
def test_letters_that_are_no_product_are_refused(terms, constant, message):
    with pytest.raises(RefusedError, match=message):
        einsum_steps(*terms, dict.fromkeys("ijkl", 2), "n", constant)
