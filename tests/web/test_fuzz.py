"""Hostile plans on the engine that browsers get: a short run of web/test/fuzz.js; `scripts/fuzz_web.sh` is the long one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.web.conftest import ROOT

pytest.importorskip("shufflekit._native", reason="the compiled part is not built")

RUNS = 400


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("seeds")
    subprocess.run([sys.executable, ROOT / "native" / "fuzz" / "make_seeds.py", folder], check=True)
    return sorted(folder.glob("*.plan"))


@pytest.mark.parametrize("instruction_set", ["simd128", "relaxed"])
def test_hostile_plans_are_refused_or_run(
    engine: None, node: str, seeds: list[Path], tmp_path: Path, instruction_set: str
) -> None:
    program = [node, ROOT / "web" / "test" / "fuzz.js", "--runs", str(RUNS), "--set", instruction_set]
    done = subprocess.run([*program, *seeds], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert counts["inputs"] == RUNS + len(seeds)
    assert counts["run"] >= len(seeds)
    assert counts["refused"] > RUNS / 4
    assert counts["distinct refusals"] > 50
