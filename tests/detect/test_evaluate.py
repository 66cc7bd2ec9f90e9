from __future__ import annotations

import contextlib
import copy
import io
import json

import numpy as np
import pytest

from shufflekit.detect.coco import read_truth
from shufflekit.detect.evaluate import evaluate
from shufflekit.errors import InputError

pytest.importorskip("faster_coco_eval")


@pytest.fixture(scope="module")
def truth(shared_data):
    return read_truth(shared_data / "coco_mini" / "annotations" / "instances_val.json")


def shaken(truth, seed: int = 0) -> list[dict]:
    """The truth with shifted boxes, some lost, some doubled, some of a wrong class, and random scores."""
    generator = np.random.default_rng(seed)
    results = []
    for annotation in truth.content["annotations"]:
        for _ in range(generator.integers(0, 3)):
            left, top, width, height = annotation["bbox"]
            shift = generator.normal(0, 0.1, 4) * (width, height, width, height)
            bbox = [left + shift[0], top + shift[1], max(1, width + shift[2]), max(1, height + shift[3])]
            category = annotation["category_id"] if generator.random() < 0.8 else int(generator.choice(truth.category_ids))
            results.append(
                {
                    "image_id": annotation["image_id"],
                    "category_id": category,
                    "bbox": [float(v) for v in bbox],
                    "score": float(generator.random()),
                }
            )
    return results


@pytest.mark.parametrize(("seed", "digits"), [(0, 9), (1, 1)])  # of one digit, many scores are equal: then the order counts
def test_the_twelve_numbers_are_those_of_pycocotools(truth, seed, digits):
    results = [result | {"score": round(result["score"], digits)} for result in shaken(truth, seed)]
    found, (values, text) = evaluate(truth, results), pycocotools(truth.content, results)
    assert 0.1 < found.ap < 0.9
    assert list(found.values.values()) == pytest.approx(values, abs=1e-9)
    assert found.text.splitlines() == text


def pycocotools(content, results, images=None):
    """Its twelve numbers and their lines, over all images or some."""
    coco, cocoeval = pytest.importorskip("pycocotools.coco"), pytest.importorskip("pycocotools.cocoeval")
    with contextlib.redirect_stdout(io.StringIO()) as lines:
        theirs = coco.COCO()
        theirs.dataset = copy.deepcopy(dict(content))
        theirs.createIndex()
        scorer = cocoeval.COCOeval(theirs, theirs.loadRes(results), "bbox")
        if images is not None:
            scorer.params.imgIds = list(images)
        scorer.evaluate()
        scorer.accumulate()
        scorer.summarize()
    return scorer.stats.tolist(), [line for line in lines.getvalue().splitlines() if line.startswith(" Average")]


def test_images_that_were_not_looked_at_do_not_count(truth):
    images = [image.id for image in truth.images[3:40]]
    results = [result for result in shaken(truth) if result["image_id"] in images]
    found = evaluate(truth, results, images)
    assert list(found.values.values()) == pytest.approx(pycocotools(truth.content, results, images)[0], abs=1e-9)
    assert found.ap > evaluate(truth, results).ap + 0.05
    with pytest.raises(InputError, match=f"has no image {truth.images[0].id}, of which there are results"):
        evaluate(truth, [{"image_id": truth.images[0].id, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 1.0}], images)


@pytest.mark.parametrize("kind", [str, float, lambda number: f"image-{number:012d}"])
def test_scores_do_not_depend_on_how_ids_are_written(truth, kind, tmp_path):
    content, results = copy.deepcopy(dict(truth.content)), shaken(truth)
    expected = evaluate(truth, results).values
    for entry in content["images"]:
        entry["id"] = kind(entry["id"])
    for entry in content["annotations"]:
        entry["image_id"], entry["category_id"] = kind(entry["image_id"]), str(entry["category_id"])
    (tmp_path / "a.json").write_text(json.dumps(content))
    other = read_truth(tmp_path / "a.json")
    renamed = [result | {"image_id": kind(result["image_id"])} for result in results]
    assert evaluate(other, renamed, [image.id for image in other.images]).values == expected
    if kind is not str and kind is not float:
        return
    assert evaluate(other, results).values == expected


def test_annotations_of_one_id_are_all_there(truth, tmp_path):
    content = copy.deepcopy(dict(truth.content))
    for entry in content["annotations"]:
        entry["id"] = 0
    (tmp_path / "a.json").write_text(json.dumps(content))
    results = shaken(truth)
    assert evaluate(read_truth(tmp_path / "a.json"), results).values == evaluate(truth, results).values


def test_the_truth_itself_is_perfect_and_stays_as_it_was(truth):
    before = copy.deepcopy(truth.content)
    results = [
        {"image_id": a["image_id"], "category_id": a["category_id"], "bbox": a["bbox"], "score": 1.0}
        for a in truth.content["annotations"]
        if not a["iscrowd"]
    ]
    assert evaluate(truth, results).ap == pytest.approx(1)
    assert truth.content == before


def test_nothing_found_is_zero_and_an_unknown_image_is_refused(truth):
    assert evaluate(truth, []).ap50 == 0
    with pytest.raises(InputError, match="has no image 1, of which there are results"):
        evaluate(truth, [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 1.0}])


def test_annotations_without_area_and_id_are_enough(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(
        '{"categories": [{"id": 1, "name": "a"}], "images": [{"id": 5, "file_name": "b", "width": 9, "height": 9}],'
        '"annotations": [{"image_id": 5, "category_id": 1, "bbox": [1, 1, 4, 4]}]}'
    )
    found = evaluate(read_truth(path), [{"image_id": 5, "category_id": 1, "bbox": [1, 1, 4, 4], "score": 0.5}])
    assert found.ap == pytest.approx(1)
