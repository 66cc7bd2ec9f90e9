from __future__ import annotations

import os

import numpy as np
import pytest

from shufflekit.export.outputs import first_line, largest_difference, stdout_to_stderr


def test_a_difference_is_of_the_largest_value_of_its_output() -> None:
    expected = [np.array([[1.0, -4.0]], np.float32), np.array([100.0], np.float32)]
    near = [np.array([[1.0, -3.0]], np.float32), np.array([90.0], np.float32)]
    assert largest_difference(near, expected) == 0.25
    assert largest_difference(expected, expected) == 0
    assert largest_difference([np.zeros(2)], [np.zeros(2)]) == 0


@pytest.mark.parametrize("found", [[], [np.ones((2, 2))], [np.array([1.0, np.nan])], [np.ones(2), np.ones(2)]])
def test_what_cannot_be_compared_is_infinitely_far(found: list[np.ndarray]) -> None:
    assert largest_difference(found, [np.ones(2)]) == float("inf")


def test_an_error_is_one_line() -> None:
    assert first_line(RuntimeError("no such operator\nand a page of text")) == "RuntimeError: no such operator"
    assert first_line(RuntimeError()) == "RuntimeError"
    assert len(first_line(ValueError("x" * 1000))) == 200


def test_what_compiled_code_prints_goes_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    with stdout_to_stderr():
        os.write(1, b"from C\n")
    os.write(1, b"a result\n")
    assert capfd.readouterr() == ("a result\n", "from C\n")
