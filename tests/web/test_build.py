"""What scripts/build_web.sh builds is small enough to be fetched by a page."""

from __future__ import annotations

import re

from tests.web.conftest import ROOT, run_build


def test_each_file_is_at_most_200_kilobytes_by_brotli(engine: None, node: str) -> None:
    sizes = re.findall(r"^([\w-]+)\.wasm: (\d+) bytes, (\d+) by brotli$", run_build(), re.M)
    assert {name for name, *_ in sizes} == {"simd128", "simd128-threads", "relaxed", "relaxed-threads"}
    for name, whole, compressed in sizes:
        assert int(whole) == (ROOT / "web" / "wasm" / f"{name}.wasm").stat().st_size
        assert 50_000 < int(compressed) <= 200_000
