from __future__ import annotations

import pytest
from PIL import Image

from shufflekit.profiling.latency import Latency
from shufflekit.reproduce.guidelines.measure import Column, Row, Run, Table

pytest.importorskip("altair")


def test_a_picture_has_a_point_for_each_network(tmp_path):
    from shufflekit.reproduce.guidelines.plots import save_plots

    def row(label: str, amount: int, ms: float, gpu: float | None) -> Row:
        return Row(label, amount, "8", 10**9, gpu, None, (Run("native", Latency(ms, ms, ms, 6)),))

    columns = (
        Column("c=8", 56, (row("g=1", 1, 1.0, 10.0), row("g=2", 2, 1.5, 5.0))),
        Column("c=16", 56, (row("g=1", 1, 1.0, None), row("g=2", 2, 1.25, None))),
    )
    svg, png = save_plots(Table(2, "G2", "number of groups", "groups", "", 1, columns), tmp_path / "new")
    assert [svg.name, png.name] == ["guideline_g2.svg", "guideline_g2.png"]
    text = svg.read_text(encoding="utf-8")
    for said in ("G2: number of groups (Table 2 of ShuffleNet V2)", "engine, here", "paper, GPU", "c=8", "c=16", "g=2"):
        assert said in text
    assert "paper, phone" not in text  # it was not timed
    assert text.count('role="graphics-symbol" aria-roledescription="point"') == 6
    with Image.open(png) as image:
        assert image.width > 400
