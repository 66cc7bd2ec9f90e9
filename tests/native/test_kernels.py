"""The kernels against their plain twins: native/tests/kernels_test.cpp, on every instruction set that runs here."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

KERNELS = {path.stem for path in (Path(__file__).parents[2] / "native" / "kernels").glob("*/*.cpp")}


def test_every_kernel_equals_its_twin_and_touches_nothing_else(native_folder: Path, run: Callable[..., str]) -> None:
    native = pytest.importorskip("shufflekit._native", reason="the compiled part is not built")
    said = run(native_folder / "kernels_test")
    tested = set(re.findall(r"^(\w+) +(\w+) +[1-9]\d* cases, 0 failed$", said, re.M))
    own_sets = {kernel: sets for kernel, _, sets in native.kernels() if "int8" in kernel}
    own_sets["multiply_add_int8"] = native.int8_sets()
    own_sets |= {f"{kernel}_bfloat16": sets for kernel, variant, sets in native.kernels() if variant == "bfloat16"}
    needed = {(isa, kernel) for isa in native.instruction_sets() for kernel in KERNELS - own_sets.keys() | {"activations"}}
    here = {*native.instruction_sets(), *native.vector_features()}
    needed |= {(isa, kernel) for kernel, sets in own_sets.items() for isa in sets if isa in here}
    assert tested == needed | {("every", "choice")}
    assert said.endswith("\n0 failed\n")
