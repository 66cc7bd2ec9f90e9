from __future__ import annotations

import re
from dataclasses import replace

import pytest
from PIL import Image

pytest.importorskip("altair")

from shufflekit.report import runs_of
from shufflekit.report.charts import categories, inline_svg, roofline, save_charts
from tests.profiling.test_record import DEVICE, a_profile
from tests.report.subjects import a_subject


def values(chart, layer: int):
    return chart.to_dict()["layer"][layer]["data"]["values"]


def test_a_point_for_each_operator_worked_out_by_hand():
    points = {point["says"].split(" · ")[0]: point for point in values(roofline(a_profile(), "net"), 2)}
    assert list(points) == ["a (clone)", "a.conv (convolution)", "b (convolution)"]  # the largest below the others
    conv = points["a.conv (convolution)"]
    assert conv["says"] == "a.conv (convolution) · 1x2x3x3 to 1x4x3x3 · 1.000 ms · 25.0%"
    assert conv["x"] == pytest.approx(72 / 248)
    assert conv["y"] == pytest.approx(72e3 / 1e9)  # 72 in a ms
    # 288 bytes in 2 ms, at the left edge of 0.1 multiply-adds a byte.
    assert (points["a (clone)"]["x"], points["a (clone)"]["y"]) == (pytest.approx(0.1), pytest.approx(14.4e3 / 1e9))


def test_the_roof_is_the_devices():
    roofs = values(roofline(a_profile(), "net"), 0)
    peak, memory = DEVICE.peak.one_core.best, DEVICE.memory.one_core.best
    assert max(point["y"] for point in roofs) == peak / 1e9
    first = next(point for point in roofs if point["roof"].startswith("memory"))
    assert first["y"] == pytest.approx(first["x"] * memory / 1e9)
    both = values(roofline(replace(a_profile(), threads=2), "net"), 0)
    assert max(point["y"] for point in both) == DEVICE.peak.all_cores.best / 1e9


def test_charts_side_by_side_have_the_same_axes():
    runs = runs_of([a_subject()])
    scales = [
        (layer["encoding"]["x"]["scale"]["domain"], layer["encoding"]["y"]["scale"]["domain"])
        for profile in runs.values()
        for layer in roofline(profile, "", runs.values()).to_dict()["layer"]
    ]
    assert all(scale == scales[0] for scale in scales)


def test_an_operator_without_time_or_bytes_is_left_out():
    profile = a_profile()
    layers = (replace(profile.layers[0], ms=0.0), profile.layers[1], replace(profile.layers[2], mac_bytes=0))
    assert len(values(roofline(replace(profile, layers=layers), "net"), 2)) == 1


def test_categories_are_a_bar_for_each_run():
    chart = categories(runs_of([a_subject()])).to_dict()
    shown = [(value["run"], value["category"], value["ms"]) for value in chart["data"]["values"]]
    assert shown == [("PyTorch", "convolution", 2.0), ("PyTorch", "data movement", 2.0), ("engine", "convolution", 0.8)]


def test_an_inline_chart_takes_the_colour_of_its_page():
    svg = inline_svg(roofline(a_profile(), "net"))
    assert svg.startswith("<svg")
    assert len(re.findall(r'aria-label="[^"]+ · [^"]+ · [^"]+ · [^"]+%"', svg)) == 3
    assert "currentColor" in svg
    assert not re.findall(r'(?:fill|stroke)="(?:#000|black|white|#fff|#444444)', svg)
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", svg)


def test_files_for_all_runs(tmp_path):
    files = save_charts(runs_of([a_subject("a/b"), a_subject("c")]), tmp_path / "plots")
    names = ["categories", *(f"roofline_{name}_{engine}" for name in ("a_b", "c") for engine in ("pytorch", "engine"))]
    assert [file.name for file in files] == [f"{name}.{suffix}" for name in names for suffix in ("svg", "png")]
    for file in files[::2]:
        assert "white" in file.read_text(encoding="utf-8")
    for file in files[1::2]:
        with Image.open(file) as image:
            assert image.width > 600
