"""The pretrained files that can be had, as data: where each lies, its origin's hash, what it takes, what it scores."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shufflekit.errors import UsageError, WeightsError, one_line
from shufflekit.weights.pretrained_cfg import IMAGENET_MEAN, IMAGENET_STD

BUNDLED = Path(__file__).parent / "files"


@dataclass(frozen=True)
class Checkpoint:
    """One pretrained file.

    `url` is None for a file inside this package. `hash` is what the origin publishes, of the kind `hash_kind`: "sha1",
    "sha256", or "sha256-prefix", the first digits. Where the URL ends in .zip, it is the hash of the file inside.
    `input` has the keys of `pretrained_cfg` on the input, `options` the constructor's options; `top1_error` is in %.
    """

    architecture: str
    tag: str
    file_name: str
    url: str | None
    hash: str | None
    hash_kind: str
    source: str
    license: str
    top1_error: float | None = None
    num_classes: int = 1000
    classes: str | tuple[str, ...] | None = "imagenet"
    options: Mapping[str, Any] = field(default_factory=dict)
    input: Mapping[str, Any] = field(default_factory=dict)

    def cfg(self) -> dict[str, Any]:
        """The `pretrained_cfg` of a network that has these weights."""
        about = ("architecture", "tag", "num_classes", "classes", "top1_error", "source", "license", "url", "hash", "hash_kind")
        return {key: getattr(self, key) for key in about} | {"options": dict(self.options)} | dict(self.input)


def list_checkpoints(architecture: str | None = None) -> list[Checkpoint]:
    """All pretrained files, or those of one network, the best first.

    Example:
        >>> [checkpoint.tag for checkpoint in list_checkpoints("shufflenet_v2_x1_0")]
        ['imagenet.torchvision', 'imagenet.pytorchcv', 'imagenet.pytorchcv_v2b']
    """
    return [checkpoint for checkpoint in _CHECKPOINTS if architecture in (None, checkpoint.architecture)]


def find_checkpoint(architecture: str, tag: str | bool = True) -> Checkpoint:
    """The pretrained file of a network with a tag; "imagenet" takes the first of "imagenet.*", True the first of all.

    Raises:
        UsageError: there is none; the message lists the tags that there are.

    Example:
        >>> find_checkpoint("shufflenet_v1_g3_x1_0", "imagenet").source
        'pytorchcv 0.0.74, shufflenet_g3_w1'
    """
    there = list_checkpoints(architecture)
    for checkpoint in there:
        if tag is True or checkpoint.tag == tag or checkpoint.tag.startswith(f"{tag}."):
            return _with_saved_config(checkpoint) if checkpoint.url is None else checkpoint
    if not there:
        raise UsageError(f"pretrained: {architecture} has no published weights; load_weights and --weights take a file")
    raise UsageError(f"pretrained: {architecture} has {', '.join(c.tag for c in there)}, found {tag!r}")


def bundled_path(checkpoint: Checkpoint) -> Path:
    """The file inside this package.

    Raises:
        WeightsError: this installation does not have it.
    """
    path = BUNDLED / checkpoint.file_name
    if not path.is_file():
        raise WeightsError(f"{checkpoint.architecture} {checkpoint.tag}: {path} is missing from this installation")
    return path


def _with_saved_config(checkpoint: Checkpoint) -> Checkpoint:
    """A bundled file's entry, with what its own config.json says of the input, the classes and the error."""
    path = bundled_path(checkpoint).with_suffix(".json")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        cfg, options = dict(config["pretrained_cfg"]), dict(config["options"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{path}: not the configuration of a saved network: {one_line(error)}") from None
    values = {key: getattr(checkpoint, key) for key in Checkpoint.__dataclass_fields__}
    values["input"] = {key: tuple(v) if isinstance(v, list) else v for key, v in cfg.items() if key in _INPUT_KEYS}
    values |= {key: cfg[key] for key in ("num_classes", "classes", "top1_error") if cfg.get(key) is not None}
    return Checkpoint(**values | {"options": options})


_INPUT_KEYS = ("input_size", "mean", "std", "channel_order", "interpolation", "crop_pct")


def _imagenet_input(crop_pct: float = 0.875) -> dict[str, Any]:
    """Resize of the short side (224 / crop_pct), crop of 224, ImageNet's mean and deviation: both origins' evaluation."""
    values = ((3, 224, 224), IMAGENET_MEAN, IMAGENET_STD, "rgb", "bilinear", crop_pct)
    return dict(zip(_INPUT_KEYS, values))


# torchvision/models/shufflenetv2.py: file, top-1 accuracy, side of the resize. The name ends in the SHA-256's first digits.
_TORCHVISION = {
    "shufflenet_v2_x0_5": ("shufflenetv2_x0.5-f707e7126e.pth", 60.552, 256),
    "shufflenet_v2_x1_0": ("shufflenetv2_x1-5666bf0f80.pth", 69.362, 256),
    "shufflenet_v2_x1_5": ("shufflenetv2_x1_5-3c479a10.pth", 72.996, 232),
    "shufflenet_v2_x2_0": ("shufflenetv2_x2_0-8be3c8ee.pth", 76.230, 232),
}

# pytorchcv 0.0.74, models/common/model_metainfos.csv: its name, ours, top-5 error (part of the file's name), SHA-1,
# release; top-1 error from its README.
_PYTORCHCV = (
    ("shufflenet_g1_wd4", "shufflenet_v1_g1_x0_25", "3729", "47dbd0f279da6d3056079bb79ad39cabbb3b9415", "v0.0.134", 62.44),
    ("shufflenet_g3_wd4", "shufflenet_v1_g3_x0_25", "3653", "6abdd65e087e71f80345415cdf7ada6ed2762d60", "v0.0.135", 61.74),
    ("shufflenet_g1_wd2", "shufflenet_v1_g1_x0_5", "2261", "dae4bdadd7d48bee791dff2a08cd697cff0e9320", "v0.0.174", 46.59),
    ("shufflenet_g3_wd2", "shufflenet_v1_g3_x0_5", "2080", "ccaacfc8d9ac112c6143269df6e258fd55b662a7", "v0.0.167", 44.16),
    ("shufflenet_g1_w3d4", "shufflenet_v1_g1_x0_75", "1711", "161cd24aa0b2e2afadafa69b44a28af222f2ec7a", "v0.0.218", 39.58),
    ("shufflenet_g3_w3d4", "shufflenet_v1_g3_x0_75", "1650", "3f3b0aef0ce3174c78ff42cf6910c6e34540fc41", "v0.0.219", 38.20),
    ("shufflenet_g1_w1", "shufflenet_v1_g1_x1_0", "1389", "4cfb65a30761fe548e0b5afbb5d89793ec41e4e9", "v0.0.223", 34.93),
    ("shufflenet_g2_w1", "shufflenet_v1_g2_x1_0", "1363", "07256203e217a7b31f1c69a5bd38a6674bce75bc", "v0.0.241", 34.25),
    ("shufflenet_g3_w1", "shufflenet_v1_g3_x1_0", "1348", "ce54f64ecff87556a4303380f46abaaf649eb308", "v0.0.244", 34.39),
    ("shufflenet_g4_w1", "shufflenet_v1_g4_x1_0", "1335", "e2415f8270a4b6cbfe7dc97044d497edbc898577", "v0.0.245", 34.19),
    ("shufflenet_g8_w1", "shufflenet_v1_g8_x1_0", "1342", "9a979b365424addba75c559a61a77ac7154b26eb", "v0.0.250", 34.06),
    ("shufflenetv2_wd2", "shufflenet_v2_x0_5", "1865", "9c22238b5fa9c09541564e8ed7f357a5f7e8cd7c", "v0.0.90", 40.99),
    ("shufflenetv2_w1", "shufflenet_v2_x1_0", "1163", "c71dfb7a814c8d8ef704bdbd80995e9ea49ff4ff", "v0.0.133", 31.44),
    ("shufflenetv2_w3d2", "shufflenet_v2_x1_5", "0942", "26a9230405d956643dcd563a5a383844c49b5907", "v0.0.288", 27.47),
    ("shufflenetv2_w2", "shufflenet_v2_x2_0", "0845", "337255f6ad40a93c2f23fc593bad4b2755a327fa", "v0.0.301", 25.94),
    ("shufflenetv2b_wd2", "shufflenet_v2_x0_5", "1822", "01d18d6fa1a6136f605a4277f47c9a757f9ede3b", "v0.0.157", 40.29),
    ("shufflenetv2b_w1", "shufflenet_v2_x1_0", "1125", "6a5d3dc446e6a00cf60fe8aa2f4139d74d766305", "v0.0.161", 30.62),
    ("shufflenetv2b_w3d2", "shufflenet_v2_x1_5", "0911", "f2106fee0748d7f0d40db16b228782b6d7636737", "v0.0.203", 27.31),
    ("shufflenetv2b_w2", "shufflenet_v2_x2_0", "0834", "cb36b92ca4ca3bee470b739021d01177e0601c5f", "v0.0.242", 25.58),
)

# What makes our network equal to its: V1 at 0.25x has another stem, V2 at 1.5x and 2x another last convolution.
_PYTORCHCV_FAMILY: dict[str, dict[str, Any]] = {
    "shufflenet": {},
    "shufflenetv2": {"pool_ceil_mode": True},
    "shufflenetv2b": {"unit_split": "uneven"},
}
_PYTORCHCV_WIDTH = {"wd4": {"stem_channels": 6}, "w3d2": {"conv5_channels": 1553}, "w2": {"conv5_channels": 2153}}


def _torchvision(architecture: str, file_name: str, accuracy: float, resize: int) -> Checkpoint:
    return Checkpoint(
        architecture,
        "imagenet.torchvision",
        file_name,
        url=f"https://download.pytorch.org/models/{file_name}",
        hash=Path(file_name).stem.rpartition("-")[2],
        hash_kind="sha256-prefix",
        source="torchvision, IMAGENET1K_V1",
        license="BSD-3-Clause",
        top1_error=round(100 - accuracy, 3),
        input=_imagenet_input(round(224 / resize, 4)),
    )


def _pytorchcv(name: str, architecture: str, top5: str, sha1: str, release: str, top1_error: float) -> Checkpoint:
    parts = name.split("_")
    file_name = f"{name}-{top5}-{sha1[:8]}.pth"
    return Checkpoint(
        architecture,
        "imagenet.pytorchcv_v2b" if parts[0] == "shufflenetv2b" else "imagenet.pytorchcv",
        file_name,
        url=f"https://github.com/osmr/imgclsmob/releases/download/{release}/{file_name}.zip",
        hash=sha1,
        hash_kind="sha1",
        source=f"pytorchcv 0.0.74, {name}",
        license="MIT",
        top1_error=top1_error,
        options=_PYTORCHCV_FAMILY[parts[0]] | _PYTORCHCV_WIDTH.get(parts[-1], {}),
        input=_imagenet_input(),
    )


_CIFAR10 = Checkpoint(
    "shufflenet_v2_x0_5",
    "cifar10",
    "shufflenet_v2_x0_5.cifar10.safetensors",
    url=None,
    hash="58a0271b4459b9c2810f7b5ba196ba6da3a6417154a075c54ff8becfefd35120",
    hash_kind="sha256",
    source="trained with shufflekit, docs/cifar10.md",
    license="Apache-2.0",
    num_classes=10,
    classes="cifar10",
    top1_error=10.92,
    options={"small_input": True, "num_classes": 10},
)

_CHECKPOINTS = (
    *(_torchvision(architecture, *row) for architecture, row in _TORCHVISION.items()),
    *(_pytorchcv(*row) for row in _PYTORCHCV),
    _CIFAR10,
)
