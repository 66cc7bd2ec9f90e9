"""Hostile plan files: a short run of native/fuzz under sanitizers; `scripts/fuzz.sh` is the long one."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

RUNS = 4000


@pytest.fixture(scope="module")
def plan_fuzz(build_native: Callable[..., Path]) -> Path:
    folder = build_native("sanitized", "-DSHUFFLEKIT_FUZZ=ON")
    if re.search(r'CMAKE_CXX_COMPILER_ID "Clang"', next(folder.glob("CMakeFiles/*/CMakeCXXCompiler.cmake")).read_text()):
        pytest.skip("the default compiler is Clang, whose build is libFuzzer's: scripts/fuzz.sh runs it")
    return folder / "plan_fuzz"


@pytest.mark.slow
def test_hostile_plans_are_refused_or_run(plan_fuzz: Path, run: Callable[..., str], tmp_path: Path) -> None:
    make_seeds = Path(__file__).parents[2] / "native" / "fuzz" / "make_seeds.py"
    run(sys.executable, make_seeds, tmp_path)
    said = run(plan_fuzz, "--runs", str(RUNS), *sorted(tmp_path.glob("*.plan")))
    counts = {name: int(count) for name, count in re.findall(r"(?:^|, )([a-z -]+) (\d+)(?=,|$)", said, re.M)}
    assert counts["inputs"] == RUNS + len(list(tmp_path.glob("*.plan")))
    assert counts["of them with a changed field"] >= RUNS / 2
    assert counts["accepted"] > RUNS / 10
    assert counts["run"] > 0.9 * counts["accepted"]
    assert counts["distinct refusals"] > 200
