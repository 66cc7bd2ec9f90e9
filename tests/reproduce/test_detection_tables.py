from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from shufflekit.cost import count
from shufflekit.detect.create import CHECKPOINTS
from shufflekit.detect.faster_rcnn import FasterRCNN
from shufflekit.detect.light_head_rcnn import LightHeadRCNN
from shufflekit.errors import InputError
from shufflekit.models import list_models, model_entry
from shufflekit.reproduce import detection_tables
from shufflekit.reproduce.detection_tables import V1_SIZES, V1_TABLE_7, V2_LEVELS, V2_TABLE_7, Look, on_engine, pooled_shape
from shufflekit.reproduce.papers import paper_table
from shufflekit.reproduce.speed import Built
from tests.bench.test_results import DEVICE

pytest.importorskip("kornia.geometry.bbox")


def test_every_printed_row_and_column_has_a_network() -> None:
    first, second = paper_table("v1.table7"), paper_table("v2.table7")
    assert list(V1_TABLE_7) == [row[0] for row in first.rows]
    assert list(V1_SIZES) == list(first.columns[1:])
    assert list(V2_TABLE_7) == [row[0] for row in second.rows]
    assert [f"mmAP {level}" for level in V2_LEVELS] == list(second.columns[1:5])
    built = [*V1_TABLE_7.values(), *(one for row in V2_TABLE_7.values() for one in row)]
    assert {one.network for one in built} <= set(list_models())


def test_backbones_have_the_flops_of_their_level() -> None:
    """The caption's levels are those of Table 8, whose rows have 38 to 591."""
    for label, networks in V2_TABLE_7.items():
        for level, built in zip(V2_LEVELS, networks, strict=True):
            found = built.counts()[1]
            assert float(level[:-1]) * 0.93 < found < float(level[:-1]) * 1.21, built.network
            plain = model_entry(built.network.removesuffix("_star")).mflops
            assert plain is not None
            assert found == pytest.approx(plain, rel=0.06 if label.endswith("*") else 0.03)


def test_the_second_stages_flops_by_hand() -> None:
    net = LightHeadRCNN("shufflenet_v2_x0_5")
    assert count(Look(net), (300, *pooled_shape(net))).flops == 300 * (490 * 2048 + 2048 * 85)
    net = FasterRCNN("shufflenet_v1_g3_x0_5")
    last = count(Look(net), (300, *pooled_shape(net))).flops
    # a unit of 480: a first one of stride 2 from 14x14, and three at 7x7; 1x1 convolutions in three groups, 3x3 depthwise ones
    first = 240 * 120 // 3 * 196 + 9 * 120 * 49 + 120 * 240 // 3 * 49
    rest = 480 * 120 // 3 * 49 + 9 * 120 * 49 + 120 * 480 // 3 * 49
    assert last == 300 * (first + 3 * rest + 49 * 480 * 85)


@pytest.mark.parametrize("form", [FasterRCNN, LightHeadRCNN])
def test_the_engine_says_what_pytorch_says(form: type) -> None:
    torch.manual_seed(0)
    net = form("shufflenet_v2_x0_5", num_classes=2, candidates=50, proposals=20)
    engine, x = on_engine(net, (64, 96)), torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        for found, expected in zip(engine(x), net(x), strict=True):
            assert torch.allclose(found, expected, atol=1e-3 * float(expected.abs().max()))


def test_the_tables_have_the_papers_numbers_beside_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(detection_tables, "V1_TABLE_7", {"ShuffleNet 1x g=3": Built("shufflenet_v1_g3_x0_25")})
    monkeypatch.setattr(detection_tables, "V1_SIZES", {"300x image": (64, 96)})
    monkeypatch.setattr(detection_tables, "_ROUNDS", 1)
    columns, rows, notes = detection_tables.v1_table_7(paper_table("v1.table7"), DEVICE, lambda _: None, None)
    (found,) = (dict(zip(columns, row, strict=True)) for row in rows)
    assert (found["input"], found["paper: mAP, %"]) == ("64x96", 14.5)
    assert found["PyTorch, ms"] > 0
    assert found["engine, ms"] > 0
    assert any(note.startswith("no weights of these detectors are published") for note in notes)

    monkeypatch.setenv("SHUFFLEKIT_CACHE", str(tmp_path))
    monkeypatch.setenv("SHUFFLEKIT_OFFLINE", "1")
    monkeypatch.setattr(detection_tables, "V2_TABLE_7", {"ShuffleNet v2*": [Built("shufflenet_v2_x0_5_star")]})
    monkeypatch.setattr(detection_tables, "V2_LEVELS", ("40M",))
    monkeypatch.setattr(detection_tables, "V2_SIZE", (64, 96))
    columns, rows, notes = detection_tables.v2_table_7(paper_table("v2.table7"), DEVICE, lambda _: None, None)
    (found,) = (dict(zip(columns, row, strict=True)) for row in rows)
    assert (found["paper: mmAP, %"], found["paper: GPU, images/s"]) == (23.7, 183)
    assert found["AP on coco_mini, %"] is None
    assert sum("cannot fetch" in note for note in notes) == len(CHECKPOINTS)
    assert "no AP on coco_mini: --coco names no folder" in notes


@pytest.mark.slow
def test_detectors_with_weights_get_their_precision(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shared_data: Path) -> None:
    """On the first ten images; all 100 are in `tests/detect/test_published.py`."""
    pytest.importorskip("faster_coco_eval")
    checkpoint = CHECKPOINTS[-1]
    monkeypatch.setenv("SHUFFLEKIT_CACHE", str(tmp_path))
    monkeypatch.setenv("SHUFFLEKIT_OFFLINE", "1")
    (tmp_path / checkpoint.url.rpartition("/")[2]).symlink_to(shared_data / "weights" / checkpoint.file_name)
    monkeypatch.setattr(detection_tables, "CHECKPOINTS", (checkpoint,))
    monkeypatch.setattr(detection_tables, "V2_TABLE_7", {})
    content = json.loads((shared_data / "coco_mini" / "annotations" / "instances_val.json").read_text())
    content["images"] = content["images"][:10]
    kept = {image["id"] for image in content["images"]}
    content["annotations"] = [one for one in content["annotations"] if one["image_id"] in kept]
    coco = tmp_path / "coco"
    (coco / "annotations").mkdir(parents=True)
    (coco / "images").mkdir()
    (coco / "images" / "val").symlink_to(shared_data / "coco_mini" / "images" / "val")
    (coco / "annotations" / "instances_val.json").write_text(json.dumps(content))
    columns, rows, _ = detection_tables.v2_table_7(paper_table("v2.table7"), DEVICE, lambda _: None, coco)
    (found,) = (dict(zip(columns, row, strict=True)) for row in rows)
    assert found["registry name"] == "fastestdet"
    assert 5 < found["AP on coco_mini, %"] < 60


def test_a_wrong_folder_of_images_is_told_before_anything_is_timed(tmp_path: Path) -> None:
    told: list[str] = []
    with pytest.raises(InputError, match=r"instances_val\.json: cannot be read"):
        detection_tables.v2_table_7(paper_table("v2.table7"), DEVICE, told.append, tmp_path)
    assert not told
