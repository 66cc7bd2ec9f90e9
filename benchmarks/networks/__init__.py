"""Forms of 40 networks of many families, written from their papers, for the race of `benchmarks/families.py`.

Each is a name, a shape of input and a function that makes it; those that the package has itself come from its registry. Weights
are random and calibrated. `shufflekit bench networks:resnet18` runs one where `benchmarks` is on PYTHONPATH.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from networks import dense, mobile, vision
from shufflekit.export.random_weights import spread_weights
from shufflekit.models import build_model


@dataclass(frozen=True)
class Form:
    """A network; `shape` is (N, C, H, W) of its input."""

    make: Callable[[], nn.Module]
    shape: tuple[int, int, int, int] = (1, 3, 224, 224)

    def __call__(self) -> nn.Module:
        """With calibrated random weights, the same in every run."""
        torch.manual_seed(0)
        return spread_weights(self.make(), self.shape)


def _registered(name: str) -> Form:
    return Form(partial(build_model, name))


NETWORKS: Mapping[str, Form] = {
    "resnet18": Form(partial(dense.resnet, (2, 2, 2, 2))),
    "resnet34": Form(partial(dense.resnet, (3, 4, 6, 3))),
    "resnet50": _registered("resnet50"),
    "seresnet18": Form(partial(dense.resnet, (2, 2, 2, 2), gate=True)),
    "wide_resnet_16_4": Form(dense.wide_resnet_16_4, (1, 3, 32, 32)),
    "resnext50_32x4d": Form(dense.resnext50),
    "regnetx_200m": Form(partial(dense.regnet, (24, 56, 152, 368), (1, 1, 4, 7), 8)),
    "regnety_400m": Form(partial(dense.regnet, (48, 104, 208, 440), (1, 3, 6, 6), 8, gate=True)),
    "vgg11": Form(dense.vgg11),
    "vgg16": _registered("vgg16"),
    "repvgg_a0": Form(dense.repvgg_a0),
    "densenet121": Form(dense.densenet121),
    "vovnet27_slim": Form(dense.vovnet27_slim),
    "hrnet_w18_small": Form(dense.HRNet),
    "darknet19": Form(dense.darknet19),
    "inception_v3": Form(dense.inception_v3, (1, 3, 299, 299)),
    "googlenet": _registered("googlenet"),
    "squeezenet": _registered("squeezenet1_0"),
    "mobileone_s0": Form(mobile.mobileone_s0),
    "mobilenet_v3_small": Form(partial(mobile.mobilenet_v3, mobile.V3_SMALL, 576, 1024)),
    "mobilenet_v3_large": Form(partial(mobile.mobilenet_v3, mobile.V3_LARGE, 960, 1280)),
    "mobilenet_v4_small": Form(mobile.mobilenet_v4_small),
    "efficientnet_b0": Form(mobile.efficientnet_b0),
    "efficientnet_lite0": Form(partial(mobile.efficientnet_b0, lite=True)),
    "mnasnet": Form(mobile.mnasnet),
    "mixnet_s": Form(mobile.mixnet_s),
    "ghostnet": Form(mobile.ghostnet),
    "lcnet": Form(mobile.lcnet),
    "menet_108": Form(mobile.menet_108),
    "igcv3": _registered("igcv3_d_x1_0"),
    "mixed_bands": Form(mobile.parts_of_mixed),
    "mobilefacenet": Form(mobile.mobilefacenet, (1, 3, 112, 112)),
    "yolov5n": Form(partial(vision.Yolo, v8=False), (1, 3, 320, 320)),
    "yolov8n": Form(partial(vision.Yolo, v8=True), (1, 3, 320, 320)),
    "blazeface": Form(vision.BlazeFace, (1, 3, 128, 128)),
    "unet": Form(vision.UNet, (1, 3, 128, 128)),
    "deeplab_v3_mobilenet_v2": Form(vision.deeplab_v3_mobilenet_v2),
    "fast_scnn": Form(vision.FastSCNN, (1, 3, 256, 256)),
    "text_map": Form(vision.TextMap, (1, 3, 160, 160)),
    "crnn": Form(vision.crnn, (1, 1, 32, 100)),
    "dncnn": Form(vision.dncnn, (1, 1, 96, 96)),
    "espcn": Form(vision.espcn, (1, 1, 96, 96)),
    "keywords": Form(vision.keywords, (1, 1, 49, 10)),
}
