"""Einstein's sums: the steps compute what numpy does, at drawn equations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shufflekit.graph.einsum import einsum_steps, terms_of
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


@pytest.mark.parametrize("equation", ["nij,njk", "nij->nji", "nii,nij->nj", "n...i,nij->nj", "nij,njk,nkl->nil"])
def test_other_equations_are_refused(equation):
    with pytest.raises(RefusedError, match="an equation of two tensors and their result is supported, each letter once, found"):
        terms_of(equation)


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
