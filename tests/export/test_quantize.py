"""Int8 files of the ten-class network, scored on real images that it was not trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shufflekit.data.loader import Loader
from shufflekit.data.preprocess import Preprocessing
from shufflekit.data.sources import open_source
from shufflekit.errors import InputError, UsageError
from shufflekit.export import FORMATS, export
from shufflekit.export.quantize import batches, calibration_images, count_right, quantize
from shufflekit.export.random_weights import spread_weights
from shufflekit.models import build_model
from shufflekit.weights import create_model
from tests.export.test_export import installed


def loader(path: Path, shuffle: bool, indices: range | None = None) -> Loader:
    preprocessing = Preprocessing.from_config(create_model("shufflenet_v2_x0_5", "cifar10").pretrained_cfg)
    return Loader(
        open_source(path),
        indices=indices,
        batch_size=1,
        preprocessing=preprocessing,
        augmentation=None,
        seed=0,
        shuffle=shuffle,
        drop_last=True,
        workers=0,
    )


@pytest.mark.parametrize("form", ["onnx", "openvino"])
def test_int8_is_smaller_and_nearly_as_often_right(form: str, shared_data: Path, tmp_path: Path) -> None:
    if form == "openvino":
        pytest.importorskip("nncf", reason="nncf is not installed: pip install 'shufflekit[bench]'")
    net = create_model("shufflenet_v2_x0_5", "cifar10").eval()
    export(net, (1, 3, 32, 32), installed(form), tmp_path, name="net")
    images = calibration_images(loader(shared_data / "cifar10" / "test.parquet", True, range(1000, 2000)).epoch(0), 100)
    assert images.shape == (100, 3, 32, 32)
    small = quantize(form, tmp_path, "net", images, net)
    assert small == "net.int8"
    before, after = (sum(f.stat().st_size for f in FORMATS[form].files(tmp_path / name)) for name in ("net", small))
    assert after < 0.7 * before  # weights a quarter; the rest is the graph
    right = []
    for name in ("net", small):
        data = loader(shared_data / "cifar10" / "test.parquet", False, range(500)).epoch(0)
        found, count = count_right(FORMATS[form].load(tmp_path / name, 1), data)
        assert count == 500
        right.append(found)
    assert right[0] > 425  # 88.9 % on all of them
    assert abs(right[0] - right[1]) < 15
    assert right[0] != right[1] or FORMATS[form].files(tmp_path / "net") != FORMATS[form].files(tmp_path / small)


def test_an_int8_file_of_another_network_does_not_stay(tmp_path: Path) -> None:
    first, other = (spread_weights(build_model("shufflenet_v2_x0_5"), (1, 3, 64, 64), seed) for seed in (0, 1))
    export(first, (1, 3, 64, 64), installed("onnx"), tmp_path, name="net")
    images = np.random.default_rng(0).standard_normal((4, 3, 64, 64), np.float32)
    (tmp_path / "net.int8.onnx").write_bytes(b"old")
    with pytest.raises(
        InputError, match="^ONNX int8: the outputs are further from PyTorch's than zeros would be; not written$"
    ):
        quantize("onnx", tmp_path, "net", images, other)
    assert (tmp_path / "net.int8.onnx").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.int8.onnx", "net.onnx"]


def test_only_formats_with_a_quantiser(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="^int8: must be a format of onnx, openvino, found 'ncnn'$"):
        quantize("ncnn", tmp_path, "net", np.zeros((1, 3, 32, 32), np.float32))


def test_batches_are_whole() -> None:
    assert [len(batch) for batch in batches(np.zeros((7, 1, 1, 1), np.float32), 3)] == [3, 3]
