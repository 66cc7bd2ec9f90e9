from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from shufflekit.data.augment import Augmentation
from shufflekit.data.preprocess import Preprocessing
from shufflekit.errors import UsageError, WeightsError
from shufflekit.models import Network
from shufflekit.train.recipe import Recipe
from shufflekit.train.run import Settings, run
from shufflekit.train.teacher import Teacher, open_teacher, soft_loss
from shufflekit.weights import create_model

MakeImages = Callable[..., Path]

GIVEN = Preprocessing((32, 32), crop_pct=1.0)


def network(**cfg: Any) -> Network:
    torch.manual_seed(0)
    model = create_model("shufflenet_v2_x0_5", num_classes=5, small_input=True)
    assert isinstance(model, Network)
    model.pretrained_cfg = {**(model.pretrained_cfg or {}), **cfg}
    with torch.no_grad():  # with statistics of something, answers differ from image to image
        for _ in range(20):
            model(torch.randn(8, 3, 32, 32))
    return model.eval()


@pytest.mark.parametrize("side", [32, 64])
@pytest.mark.parametrize("given_order", ["rgb", "bgr"])
def test_sees_the_image_as_its_own_preprocessing_leaves_it(side: int, given_order: str) -> None:
    wanted = Preprocessing((side, side), 1.0, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6), channel_order="bgr")
    given = replace(GIVEN, channel_order=given_order)
    teacher = network(input_size=(3, side, side), mean=wanted.mean, std=wanted.std, channel_order="bgr", crop_pct=1.0)
    smooth = np.add.outer(np.arange(32), 3 * np.arange(32))[..., None] + np.array([0, 40, 80])
    image = smooth.astype(np.uint8)
    seen = Teacher(teacher, given)(torch.from_numpy(given(image))[None])
    with torch.no_grad():
        expected = teacher(torch.from_numpy(wanted(image))[None])
        other = teacher(torch.from_numpy(wanted(image[::-1]))[None])
    # Pillow rounds the enlarged image to whole pixels.
    allowed = 1e-3 if side == 32 else 0.15
    assert (seen - expected).abs().max() <= allowed * (other - expected).abs().max()


def test_soft_loss_by_hand() -> None:
    # At temperature 2: teachers (4/5, 1/5) and (1/2, 1/2), on average (13/20, 7/20); student (1/2, 1/2). KL, times 4.
    answers = [torch.tensor([[4 * math.log(2), 0.0]]).expand(3, 2), torch.zeros(3, 2)]
    loss = soft_loss(torch.zeros(3, 2), answers, 2.0)
    assert loss.item() == pytest.approx(4 * (0.65 * math.log(1.3) + 0.35 * math.log(0.7)))


def test_its_answers_win_over_false_labels(make_images: MakeImages, tmp_path: Path, recipe: Recipe) -> None:
    data = make_images(64)
    recipe = replace(recipe, epochs=10, ema_decay=0.8, augmentation=Augmentation(flip=False))
    settings = Settings(
        data=data, model="shufflenet_v2_x0_5", out=tmp_path / "teacher", val=data, layout="nchw", compile="no", log_every=1
    )
    assert run(settings, recipe) == 0

    table = pq.read_table(data)
    false = pa.array([(label + 1) % 4 for label in table["label"].to_pylist()], pa.int64())
    pq.write_table(table.set_column(1, "label", false), tmp_path / "false.parquet")
    settings = replace(settings, data=tmp_path / "false.parquet", out=tmp_path / "out", teacher=(str(tmp_path / "teacher"),))
    assert run(settings, replace(recipe, teacher_share=1.0)) == 0
    before, after = (Network.from_pretrained(tmp_path / name) for name in ("teacher", "out"))
    assert not torch.equal(before.state_dict()["conv1.0.weight"], after.state_dict()["conv1.0.weight"])
    images = np.stack([_pixels(row["bytes"]) for row in table["image"].to_pylist()])
    ready = torch.from_numpy(np.stack([recipe.preprocessing(image) for image in images]))
    with torch.no_grad():
        assert (after(ready).argmax(1) == torch.tensor(table["label"].to_pylist())).float().mean() >= 0.9


def _pixels(content: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def test_a_folder_that_is_missing_is_not_looked_for_on_the_hub() -> None:
    with pytest.raises(WeightsError, match=r"^nowhere: no saved network: config\.json is missing$"):
        open_teacher("nowhere", GIVEN, list("abcd"))


def test_of_other_classes_is_refused(tmp_path: Path) -> None:
    network(classes=list("abcde"), num_classes=5).save_pretrained(tmp_path)
    with pytest.raises(UsageError, match=r"teacher: .* must have the 4 classes of the data, found 5 others"):
        open_teacher(str(tmp_path), GIVEN, list("abcd"))
    with pytest.raises(UsageError, match=r"teacher: .* must have the 5 classes of the data, found 5 others"):
        open_teacher(str(tmp_path), GIVEN, list("abcdx"))
    network(classes="five", num_classes=5).save_pretrained(tmp_path)
    assert open_teacher(str(tmp_path), GIVEN, list("abcdx")).network.num_classes == 5


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"teacher_share": 0.0}, "teacher_share: must be more than 0 and at most 1, found 0.0"),
        ({"teacher_share": 1.5}, "teacher_share: must be more than 0 and at most 1, found 1.5"),
        ({"temperature": 0.0}, "temperature: must be more than 0, found 0.0"),
    ],
)
def test_wrong_numbers(recipe: Recipe, numbers: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(recipe, **numbers)  # type: ignore[arg-type]


def test_what_the_engine_lacks_pytorch_runs_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise UsageError("compile: operator aten.fft is not supported")

    teacher = Teacher(network(), GIVEN)
    images = torch.randn(2, 3, 32, 32)
    before = teacher(images)
    with monkeypatch.context() as patch:
        patch.setattr("shufflekit.train.teacher.capture", refuse)
        assert teacher.compile_for_cpu() == "compile: operator aten.fft is not supported"
    assert teacher.engine is None
    assert teacher.compile_for_cpu() == ""
    assert teacher.engine is not None
    torch.testing.assert_close(teacher(images), before, atol=1e-4, rtol=1e-4)
