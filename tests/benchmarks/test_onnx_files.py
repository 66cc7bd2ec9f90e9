"""Real files are what ONNX Runtime computes of them, as the benchmark's table says."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

QUICK = (
    *("mnist_cntk", "mnist_burn", "winml_cifar_classifier", "st_mobilenetv2_035", "st_ssd_mobilenetv1_025", "autoencoder1d"),
    *("ultraface_slim_320_raw", "ultraface_rfb_320", "fastestdet", "paddleocr_cls", "antispoof_minifas", "sci_lowlight"),
)
SLOW = (
    *("squeezenet_fp16", "yunet_2023mar", "road_segmentation", "super_resolution_opsml", "yolox_nano"),
    *("person_reid_0248", "hyperlpr_y5fu_320", "paddleocr_v3_det", "tbefn_lowlight"),
)


@pytest.fixture(scope="module")
def table() -> Iterator[ModuleType]:
    folder = str(Path(__file__).parents[2] / "benchmarks")
    sys.path.insert(0, folder)
    yield import_module("onnx_files")
    sys.path.remove(folder)


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_a_real_file_is_right(name: str, table: ModuleType, shared_data: Path) -> None:
    folder = shared_data / "onnx"
    with (folder / "manifest.csv").open(newline="") as file:
        (row,) = [row for row in csv.DictReader(file) if row["file"] == f"{name}.onnx"]
    found = table.of_file(folder / row["file"], row, table.inputs_of(folder))
    assert found.result.startswith("right"), found
