"""Boxes that three detectors find on real photos, ours and ONNX Runtime's: `python benchmarks/boxes.py FOLDER PHOTOS`.

The files give maps and offsets; what makes boxes of them, a suppression and what takes its rows are added to each as nodes,
so that both run the same file to its end. The table says how many boxes there are, how many photos have the same ones of
the same classes in the same order, and how far they lie apart at most, in pixels of the input. The exit code is 1 where some
differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cyclopts
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from PIL import Image

import shufflekit as sk
from shufflekit.export.to_onnx import load_onnx

Array = NDArray[np.float32]
_SCORE, _SHARE, _MOST = 0.3, 0.45, 50


@dataclass(frozen=True)
class Detector:
    """A file, and how its outputs become `boxes` (1, B, 4) and `scores` (1, C, B).

    Args:
        size: pixels of a side of the input.
        end: nodes, and constants by name.
        centred: boxes are (x, y, width, height), not two corners.
        prepare: of pixels from 0 to 255, RGB.
        scale: pixels of 1 of a box.
    """

    file: str
    size: int
    end: Callable[[], tuple[Sequence[Any], Mapping[str, NDArray[Any]]]]
    centred: bool
    prepare: Callable[[Array], Array]
    scale: float = 1


def main(folder: Path, images: Path, most: int = 100) -> int:
    """Compare boxes.

    Args:
        folder: with the ONNX files.
        images: photos.
        most: photos at most.
    """
    photos = sorted(images.glob("*.jpg"))[:most]
    print("| file | photos | boxes | photos with the same | farthest apart, pixels |\n|---|--:|--:|--:|--:|")
    all_same = True
    for detector in DETECTORS:
        count, same, apart = compared(detector, folder, photos)
        all_same &= same == len(photos) and count > 0
        print(f"| {detector.file} | {len(photos)} | {count} | {same} | {apart:.1e} |", flush=True)
    return int(not all_same)


def compared(detector: Detector, folder: Path, photos: Sequence[Path]) -> tuple[int, int, float]:
    """Boxes by ONNX Runtime, photos whose boxes are the same, and how far those lie apart."""
    with TemporaryDirectory() as scratch:
        path = Path(scratch, "whole.onnx")
        onnx.save(whole(detector, folder), path)
        engine, run = sk.compile(path), load_onnx(path, 1)
        count, same, apart = 0, 0, 0.0
        for photo in photos:
            pixels = np.asarray(Image.open(photo).convert("RGB").resize((detector.size, detector.size)), np.float32)
            x = np.ascontiguousarray(detector.prepare(pixels).transpose(2, 0, 1)[np.newaxis])
            expected = run(x)[0]
            rows, found = engine(x)
            rows = rows[0, : int(found[0])]
            is_same = rows.shape == expected.shape and bool((rows[:, 4] == expected[:, 4]).all())
            distance = float(np.abs(rows - expected)[:, :4].max(initial=0)) * detector.scale if is_same else np.inf
            count, same = count + len(expected), same + (distance < 0.5)
            apart = max(apart, distance if distance < 0.5 else 0.0)
    return count, same, apart


def whole(detector: Detector, folder: Path) -> Any:
    """The file to its end: rows of a box, its class and its score."""
    content = onnx.load(folder / detector.file)
    nodes, constants = detector.end()
    numbers = {"most": np.array([_MOST]), "share": np.array([_SHARE], np.float32), "least": np.array([_SCORE], np.float32)}
    numbers |= {"number_of_box": np.array([2]), "number_of_class": np.array([1])}
    numbers |= {"flat": np.array([-1]), "flat_boxes": np.array([-1, 4])}
    end = [
        *nodes,
        node("NonMaxSuppression", "boxes", "scores", "most", "share", "least", "rows", center_point_box=int(detector.centred)),
        node("Gather", "rows", "number_of_box", "column", axis=1),
        node("Reshape", "column", "flat", "of_box"),
        node("Reshape", "boxes", "flat_boxes", "all_boxes"),
        node("Gather", "all_boxes", "of_box", "taken"),
        node("Gather", "rows", "number_of_class", "class", axis=1),
        node("Cast", "class", "class_as_float", to=onnx.TensorProto.FLOAT),
        node("Concat", "taken", "class_as_float", "found", axis=1),
    ]
    content.graph.node.extend(end)
    content.graph.initializer.extend(numpy_helper.from_array(each, name) for name, each in {**constants, **numbers}.items())
    del content.graph.output[:]
    content.graph.output.append(helper.make_tensor_value_info("found", onnx.TensorProto.FLOAT, None))
    return content


def node(operator: str, *names: str, **attributes: Any) -> Any:
    *inputs, output = names
    return helper.make_node(operator, inputs, [output], **attributes)


def _parts(source: str, **ends: tuple[int, int]) -> tuple[list[Any], dict[str, NDArray[Any]]]:
    """Parts of the last dimension by name."""
    constants = {f"{name}_{place}": np.array([at]) for name, each in ends.items() for place, at in zip(("from", "to"), each)}
    constants["last"] = np.array([2])
    return [node("Slice", source, f"{name}_from", f"{name}_to", "last", name) for name in ends], constants


def _yolox() -> tuple[Sequence[Any], Mapping[str, NDArray[Any]]]:
    """Places in cells of three grids, sizes as logarithms, one score and one for each class."""
    strides = (8, 16, 32)
    sides = [416 // stride for stride in strides]
    cells = [np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2) for side in sides]
    steps = np.repeat(np.array(strides, np.float32), [side**2 for side in sides]).reshape(1, -1, 1)
    nodes, constants = _parts("output", at=(0, 2), size=(2, 4), object=(4, 5), classes=(5, 85))
    constants |= {"cells": np.concatenate(cells)[np.newaxis].astype(np.float32), "steps": steps}
    nodes += [node("Add", "at", "cells", "in_cells"), node("Mul", "in_cells", "steps", "middle"), node("Exp", "size", "sizes")]
    nodes += [node("Mul", "sizes", "steps", "sides"), node("Concat", "middle", "sides", "boxes", axis=2)]
    nodes += [node("Mul", "classes", "object", "each"), node("Transpose", "each", "scores", perm=[0, 2, 1])]
    return nodes, constants


def _plates() -> tuple[Sequence[Any], Mapping[str, NDArray[Any]]]:
    """Boxes as they are, a score, four corners that are not used, two classes."""
    nodes, constants = _parts("output", boxes=(0, 4), object=(4, 5), classes=(13, 15))
    return [*nodes, node("Mul", "classes", "object", "each"), node("Transpose", "each", "scores", perm=[0, 2, 1])], constants


def _ssd() -> tuple[Sequence[Any], Mapping[str, NDArray[Any]]]:
    """Corners as shares of an anchor's sides beyond its own corners; the first class is that of nothing."""
    nodes, constants = _parts("anchors_concat", low=(0, 2), high=(2, 4))
    more, others = _parts("classes_softmax", classes=(1, 2))
    nodes += [*more, node("Sub", "high", "low", "side"), node("Concat", "side", "side", "sides", axis=2)]
    nodes += [node("Mul", "bboxes_concat", "sides", "moved"), node("Add", "moved", "anchors_concat", "boxes")]
    return [*nodes, node("Transpose", "classes", "scores", perm=[0, 2, 1])], {**constants, **others}


DETECTORS = (
    Detector("yolox_nano.onnx", 416, _yolox, True, lambda pixels: pixels[..., ::-1]),
    Detector("hyperlpr_y5fu_320.onnx", 320, _plates, True, lambda pixels: pixels / 255),
    Detector("st_ssd_mobilenetv1_025.onnx", 256, _ssd, False, lambda pixels: pixels / 127.5 - 1, 256),
)

if __name__ == "__main__":
    cyclopts.run(main)
