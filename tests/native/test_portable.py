"""What a plan in memory needs on one thread, built without exceptions and threads, as WebAssembly would."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from torch import nn

import shufflekit as sk

pytest.importorskip("shufflekit._native", reason="the compiled part is not built")

ROOT = Path(__file__).parents[2]


def portable_sources() -> list[Path]:
    (listed,) = re.findall(r"^set\(portable ([^)]*)\)", (ROOT / "CMakeLists.txt").read_text(), re.M)
    return [ROOT / name for name in listed.split()]


def test_the_engine_runs_without_exceptions_and_threads(native_folder: Path, run: Callable[..., str], tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.Conv2d(8, 5, 1))
    engine = sk.compile(network, (1, 3, 40, 48))
    engine.save(tmp_path / "net.plan")
    x = ((np.arange(3 * 40 * 48) % 17).astype(np.float32) / np.float32(17) - np.float32(0.5)).reshape(1, 3, 40, 48)
    found, refused = run(native_folder / "portable_test", tmp_path / "net.plan").splitlines()
    assert float(found) == pytest.approx(engine(x).sum(), rel=1e-4)
    assert refused.startswith("plan: the file is damaged")


def test_no_portable_source_throws_or_opens_files_or_threads() -> None:
    """The build that the test above runs has no exceptions; it could have the others."""
    sources = portable_sources()
    assert len(sources) > 5
    for path in (*sources, *(header for source in sources if (header := source.with_suffix(".h")).exists())):
        text = path.read_text()
        assert not re.search(r"\bthrow\b|\bcatch\b|<thread>|<mutex>|<fstream>|fopen|getpid", text), path


def test_types_of_less_alignment_are_declared_as_clang_reads_them() -> None:
    """`using T = U __attribute__((aligned(1)))` keeps U's alignment there, so int8 plans crashed; one of T itself is read."""
    sources = [file for file in (ROOT / "native").rglob("*") if file.suffix in (".h", ".cpp")]
    assert len(sources) > 100
    assert [file.name for file in sources if re.search(r"\busing\b[^;=]*=[^;]*\baligned\b", file.read_text())] == []
