import pytest

from shufflekit.errors import UsageError, WeightsError
from shufflekit.models import build_model
from shufflekit.weights.checkpoints import BUNDLED, find_checkpoint, list_checkpoints
from shufflekit.weights.download import file_hash

# Parameters of pytorchcv's networks, model_metainfos.csv.
PYTORCHCV = {
    "shufflenet_g1_wd4": 209_746,
    "shufflenet_g3_wd4": 305_902,
    "shufflenet_g1_w1": 1_531_936,
    "shufflenet_g8_w1": 2_434_768,
    "shufflenetv2_wd2": 1_366_792,
    "shufflenetv2_w3d2": 4_406_098,
    "shufflenetv2_w2": 7_601_686,
    "shufflenetv2b_w1": 2_279_760,
    "shufflenetv2b_w3d2": 4_410_194,
}


def test_every_entry_is_whole():
    published = [checkpoint for checkpoint in list_checkpoints() if checkpoint.url is not None]
    assert len(published) == 4 + 19
    assert len({(c.architecture, c.tag) for c in list_checkpoints()}) == len(list_checkpoints())
    for checkpoint in published:
        digits = {"sha1": 40, "sha256": 64, "sha256-prefix": len(checkpoint.hash)}[checkpoint.hash_kind]
        assert len(checkpoint.hash) == digits >= 8
        int(checkpoint.hash, 16)
        assert checkpoint.file_name.removesuffix(".zip") in checkpoint.url
        assert 20 < checkpoint.top1_error < 65
        assert {"input_size", "mean", "std", "channel_order", "interpolation", "crop_pct"} <= checkpoint.cfg().keys()


@pytest.mark.parametrize("checkpoint", list_checkpoints(), ids=lambda c: f"{c.architecture}-{c.tag}")
def test_the_network_takes_the_options(checkpoint):
    if checkpoint.architecture.endswith(("x0_25", "x0_5")) or "conv5_channels" in checkpoint.options:
        build_model(checkpoint.architecture, **checkpoint.options)


@pytest.mark.parametrize("name", PYTORCHCV)
def test_parameters_are_the_origin_s(name):
    (checkpoint,) = (c for c in list_checkpoints() if c.source.endswith(f" {name}"))
    model = build_model(checkpoint.architecture, **checkpoint.options)
    assert sum(parameter.numel() for parameter in model.parameters()) == PYTORCHCV[name]


def test_tags():
    assert find_checkpoint("shufflenet_v2_x1_5").tag == "imagenet.torchvision"
    assert find_checkpoint("shufflenet_v2_x1_5", "imagenet").top1_error == 27.004
    assert 224 / find_checkpoint("shufflenet_v2_x1_5").input["crop_pct"] == pytest.approx(232, abs=0.01)
    assert find_checkpoint("shufflenet_v2_x1_5", "imagenet.pytorchcv").options["conv5_channels"] == 1553
    assert find_checkpoint("shufflenet_v1_g3_x1_0", "imagenet").hash.startswith("ce54f64e")


def test_unknown_tags():
    with pytest.raises(UsageError, match=r"shufflenet_v2_x1_0 has imagenet.torchvision, .*, found 'coco'"):
        find_checkpoint("shufflenet_v2_x1_0", "coco")
    with pytest.raises(UsageError, match="shufflenet_v2_plus_small has no published weights"):
        find_checkpoint("shufflenet_v2_plus_small")


def test_the_bundled_file_is_the_registered_one():
    (checkpoint,) = (c for c in list_checkpoints() if c.url is None)
    path = BUNDLED / checkpoint.file_name
    if not path.exists():
        with pytest.raises(WeightsError, match=r"cifar10: .*cifar10.safetensors is missing from this installation"):
            find_checkpoint("shufflenet_v2_x0_5", "cifar10")
        pytest.skip("no bundled weights in this checkout")
    assert checkpoint.hash == file_hash(path, "sha256")
    assert find_checkpoint("shufflenet_v2_x0_5", "cifar10").num_classes == 10
