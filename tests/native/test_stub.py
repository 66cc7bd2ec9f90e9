"""The stored type stub is what nanobind writes for the compiled module."""

from __future__ import annotations

from pathlib import Path

import pytest

import shufflekit

native = pytest.importorskip("shufflekit._native", reason="the compiled part is not built")


def test_the_stored_stub_is_up_to_date() -> None:
    stubgen = pytest.importorskip("nanobind.stubgen")
    generator = stubgen.StubGen(native)
    generator.put(native)
    stored = Path(shufflekit.__file__).with_name("_native.pyi").read_text()
    assert stored == generator.get(), "python -m nanobind.stubgen -m shufflekit._native -o src/shufflekit/_native.pyi"
