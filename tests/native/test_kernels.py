"""The kernels against their plain twins: native/tests/kernels_test.cpp, on every instruction set that runs here."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

KERNELS = {path.stem: path.parent.name for path in (Path(__file__).parents[2] / "native" / "kernels").glob("*/*.cpp")}


def test_every_kernel_equals_its_twin_and_touches_nothing_else(native_folder: Path, run: Callable[..., str]) -> None:
    native = pytest.importorskip("shufflekit._native", reason="the compiled part is not built")
    said = run(native_folder / "kernels_test")
    tested = set(re.findall(r"^(\w+) +(\w+) +[1-9]\d* cases, 0 failed$", said, re.M))
    sets = {kernel: sets for kernel, variant, sets in native.kernels() if variant == "any"}
    sets |= {f"{kernel}_{variant.rstrip('4')}": sets for kernel, variant, sets in native.kernels() if variant != "any"}
    sets["multiply_add_int8"] = native.int8_sets()
    here = {*native.instruction_sets(), *native.vector_features(), *native.int8_sets()}
    of_all = {*native.instruction_sets()}
    needed = {(isa, code) for code, kernel in KERNELS.items() for isa in {*sets.get(code, sets.get(kernel, of_all))} & here}
    needed |= {(isa, "activations") for isa in of_all}
    assert tested == needed | {("every", "choice")}
    assert said.endswith("\n0 failed\n")
