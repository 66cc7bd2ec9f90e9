"""Published detectors on real photos: as good as their originals, which ONNX Runtime runs, decoded here in another way."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from shufflekit.data.images import read_image
from shufflekit.detect.classes import category_ids
from shufflekit.detect.coco import read_truth
from shufflekit.detect.create import create_detector
from shufflekit.detect.decode import Boxes, keep_best
from shufflekit.detect.evaluate import evaluate
from shufflekit.detect.photo_detector import PhotoDetector
from shufflekit.detect.prepare import Preparation
from tests.detect.test_load import FILES, ORIGINALS

LEAST = 0.01
IDS = category_ids("coco", 80)


def of_scores_and_distances(outputs: list[np.ndarray], side: int) -> Boxes:
    """NanoDet's exported outputs: scores (1, n, 80) and distances (1, n, 4) of three strides."""
    found = []
    for scores, distances, stride in zip(outputs[:3], outputs[3:], (8, 16, 32)):
        across = side // stride
        for place, row in enumerate(scores[0]):
            x, y = (place % across + 0.5) * stride, (place // across + 0.5) * stride
            left, top, right, bottom = distances[0, place] * stride
            found += [((x - left, y - top, x + right, y + bottom), row[label], label) for label in np.flatnonzero(row > LEAST)]
    return listed(found)


def of_grid(output: np.ndarray, side: int) -> Boxes:
    """FastestDet's exported output (1, 85, 22, 22): objectness, box logits, class probabilities."""
    found = []
    _, height, width = output.shape
    for row in range(height):
        for column in range(width):
            cell = output[:, row, column]
            label = int(cell[5:].argmax())
            score = cell[0] ** 0.6 * cell[5 + label] ** 0.4
            if score > LEAST:
                x, y = (np.tanh(cell[1]) + column) / width, (np.tanh(cell[2]) + row) / height
                w, h = (1 / (1 + np.exp(-value)) for value in cell[3:5])
                found.append(((side * (x - w / 2), side * (y - h / 2), side * (x + w / 2), side * (y + h / 2)), score, label))
    return listed(found)


def listed(found) -> Boxes:
    boxes, scores, labels = zip(*found) if found else ((), (), ())
    return Boxes(np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32), np.array(labels, np.int64))


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_average_precision_is_the_originals(name, shared_data):
    for package in ("onnx", "faster_coco_eval"):
        pytest.importorskip(package)
    runtime = pytest.importorskip("onnxruntime")
    truth = read_truth(shared_data / "coco_mini" / "annotations" / "instances_val.json")
    net = create_detector(name, shared_data / "weights" / FILES[name]).eval()
    detector = PhotoDetector(lambda x: [y.numpy() for y in net(torch.from_numpy(x))], net.pretrained_cfg)
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = runtime.InferenceSession(str(shared_data / "weights" / ORIGINALS[name]), options)
    prepare = Preparation.from_config(net.pretrained_cfg)
    side = prepare.preprocessing.input_size[0]
    ours, theirs = [], []
    for image in truth.images:
        photo = read_image(shared_data / "coco_mini" / "images" / "val" / image.file_name, image.file_name)
        with torch.inference_mode():
            ours += [{"image_id": image.id, **found.to_coco()} for found in detector(photo, LEAST)]
        x, placing = prepare(photo)
        outputs = session.run(None, {"input.1": x[None]})
        boxes = of_grid(outputs[0][0], side) if name == "fastestdet" else of_scores_and_distances(outputs, side)
        kept = keep_best(boxes, net.detection["iou"], net.detection["most"])
        for label, score, (left, top, right, bottom) in zip(
            kept.labels.tolist(), kept.scores.tolist(), placing.to_photo(kept.boxes).tolist()
        ):
            bbox = [left, top, right - left, bottom - top]
            theirs.append({"image_id": image.id, "category_id": IDS[label], "bbox": bbox, "score": score})
    found, expected = evaluate(truth, ours), evaluate(truth, theirs)
    print(f"{name}: AP {found.ap:.4f} AP50 {found.ap50:.4f}; original {expected.ap:.4f} {expected.ap50:.4f}")
    assert expected.ap50 > 0.25
    assert found.ap == pytest.approx(expected.ap, abs=0.002)
    assert found.ap50 == pytest.approx(expected.ap50, abs=0.002)
