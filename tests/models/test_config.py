"""config.json of a saved network by somebody else: one line for each lie, and no memory for it."""

import json

import pytest
import torch

from shufflekit.errors import ShufflekitError, WeightsError
from shufflekit.models import build_model, list_models
from shufflekit.models._config import read_config
from shufflekit.weights import create_model, from_pretrained, save_pretrained

TEXTS = {
    "nothing": "",
    "a list": "[]",
    "a number": "3",
    "deep": "[" * 100_000,
    "deep names": '{"architecture": ' * 50_000,
    "a long number": '{"architecture": ' + "9" * 5000 + "}",
    "no architecture": '{"options": {}}',
}
VALUES = {
    "architecture": [["shufflenet_v2_x0_5"], None, 3, {}, "", "shufflenet_v9", "../../etc/passwd", "a\nb"],
    "options": [
        *([], "a", 3, [["num_classes", 3]]),
        *({"num_classes": value} for value in (-1, 10**9, 10**30, 1e9, "ten", None, [10], {"a": 1}, float("inf"))),
        *(
            {"colour": 1},
            {"": 1},
            {"self": 1},
            {"stage_units": [10**6, 1, 1]},
            {"name": "a"},
            {"in_chans": 0},
            {"unit_split": 3},
        ),
        *({"features_only": True}, {"out_indices": [1]}, {"conv5_channels": 10**7}, {"dropout": "a"}, {"dropout": 7}),
    ],
    "pretrained_cfg": [
        *([], "a", 3, {"mean": "abc"}, {"mean": [1, "a"]}, {"std": [0, 0, 0]}, {"std": 3}, {"input_size": [3, 0, 0]}),
        *({"input_size": [3, 224]}, {"input_size": "224"}, {"input_size": [3, 10**9, 10**9]}, {"channel_order": "xyz"}),
        *(
            {"interpolation": 3},
            {"crop_pct": 0},
            {"crop_pct": "a"},
            {"classes": 3},
            {"classes": [1, 2]},
            {"num_classes": "ten"},
        ),
        *({"top1_error": "low"}, {"detection": 3}),
    ],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved")
    save_pretrained(build_model("shufflenet_v2_x0_5", num_classes=10, small_input=True), path)
    return path


def configs(folder):
    good = json.loads((folder / "config.json").read_text())
    yield from TEXTS.items()
    for key, values in VALUES.items():
        for value in values:
            yield f"{key}: {value}", json.dumps({**good, key: value})


def test_every_lie_gets_one_line(folder):
    good = (folder / "config.json").read_bytes()
    for name, text in configs(folder):
        (folder / "config.json").write_text(text)
        for load in (from_pretrained, create_model):
            with pytest.raises(ShufflekitError) as caught:
                load(folder)
            message = str(caught.value)
            assert message.isprintable(), f"{name}: {message}"
            assert len(message) < 500, f"{name}: {message}"
            assert str(folder) in message, f"{name}: {message}"
    (folder / "config.json").write_bytes(good)
    assert from_pretrained(folder).num_classes == 10


def test_layers_without_end_are_not_built(tmp_path):
    save_pretrained(build_model("mobilenet_v2_x0_15", num_classes=3), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    for stages in ([[1, 10**9, 1]], [[1, 1, 1]] * 4000, [[1, 1e400, 1]]):
        (tmp_path / "config.json").write_text(json.dumps({**config, "options": {"stages": stages}}))
        with pytest.raises(WeightsError, match="options: 'stages' must add up to at most 10000, found "):
            from_pretrained(tmp_path)


@pytest.mark.parametrize("content", [b"\xff\xfe{}", b'{"a": 1', bytes(100)])
def test_no_text(content, tmp_path):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(WeightsError, match="config.json: not the configuration of a saved network: "):
        read_config(tmp_path / "config.json")


def test_a_huge_file_is_not_read(tmp_path):
    with (tmp_path / "config.json").open("wb") as file:
        file.truncate(1 << 33)
    with pytest.raises(WeightsError, match="it has 8589934592 bytes, needed at most 16777216"):
        read_config(tmp_path / "config.json")


@pytest.mark.parametrize("name", list_models())
def test_every_network_can_be_checked_without_memory(name):
    with torch.device("meta"):
        model = build_model(name)
    assert all(tensor.is_meta for tensor in model.state_dict().values())
