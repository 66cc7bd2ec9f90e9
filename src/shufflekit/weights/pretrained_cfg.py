"""`pretrained_cfg`: what a network's weights expect of their input, and where they come from; timm's keys and ours."""

from __future__ import annotations

from typing import Any

from shufflekit.models import FeatureNet, Network, list_models, model_entry

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def default_cfg(model: Network | FeatureNet) -> dict[str, Any]:
    """What a network takes while nothing else is known: ImageNet's usual input, at the size of its paper.

    `mean` and `std` are for pixels scaled to 0..1. `classes` is the name of a list of classes, or such a list;
    `top1_error` is in %; `hash` is of the kind `hash_kind`, as the origin publishes it.

    Example:
        >>> from shufflekit.models import build_model
        >>> cfg = default_cfg(build_model("shufflenet_v2_x0_5"))
        >>> cfg["input_size"], cfg["channel_order"], cfg["num_classes"]
        ((3, 224, 224), 'rgb', 1000)
    """
    small = model.options.get("small_input", False)
    published = model_entry(model.architecture).input_size if model.architecture in list_models() else (224, 224)
    return {
        "architecture": model.architecture,
        "tag": None,
        "input_size": (model.in_chans, *((32, 32) if small else published)),
        "mean": IMAGENET_MEAN,
        "std": IMAGENET_STD,
        "channel_order": "rgb",
        "interpolation": "bilinear",
        "crop_pct": 1.0 if small else 0.875,
        "num_classes": model.options.get("num_classes", 1000),
        "classes": None,
        "top1_error": None,
        "source": None,
        "license": None,
        "url": None,
        "hash": None,
        "hash_kind": None,
        "options": {},
    }
