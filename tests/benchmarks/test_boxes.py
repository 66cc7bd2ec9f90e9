"""Boxes of whole detectors, suppression among them, are those of ONNX Runtime."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def boxes() -> Iterator[ModuleType]:
    folder = str(Path(__file__).parents[2] / "benchmarks")
    sys.path.insert(0, folder)
    yield import_module("boxes")
    sys.path.remove(folder)


@pytest.mark.parametrize(
    ("number", "photos"),
    [pytest.param(0, 20, marks=pytest.mark.slow), pytest.param(1, 100, marks=pytest.mark.slow), (2, 20)],
)
def test_boxes_are_those_of_onnx_runtime(number: int, photos: int, boxes: ModuleType, shared_data: Path) -> None:
    paths = sorted((shared_data / "coco_mini" / "images" / "val").glob("*.jpg"))[:photos]
    count, same, apart = boxes.compared(boxes.DETECTORS[number], shared_data / "onnx", paths)
    assert count > 0
    assert same == len(paths)
    assert apart < 0.01
