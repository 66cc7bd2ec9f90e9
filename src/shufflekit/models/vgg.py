"""VGG-16 (Simonyan and Zisserman, ICLR 2015): Table 1, column D."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from shufflekit.models._network import FeatureInfo, Network
from shufflekit.models._registry import register


class VGG(Network):
    """VGG without batch norm; children are named as in torchvision's.

    Args:
        stages: output channels of the 3x3 convolutions of each stage; a max pool ends it.
        dropout: after each of the first two linear layers.
    """

    classifier_name = "classifier.6"

    def __init__(
        self, stages: tuple[tuple[int, ...], ...], *, dropout: float = 0.5, num_classes: int = 1000, in_chans: int = 3
    ) -> None:
        super().__init__(num_classes, in_chans, num_features=stages[-1][-1], min_input_size=2 ** len(stages))

        layers: list[nn.Module] = []
        maps = []
        c_in = in_chans
        for number, channels in enumerate(stages):
            for c_out in channels:
                layers += [nn.Conv2d(c_in, c_out, 3, padding=1), nn.ReLU(inplace=True)]
                c_in = c_out
            if number > 0:  # the first stage works at the input's size
                maps.append({"num_chs": c_in, "reduction": 2**number, "module": f"features.{len(layers) - 1}"})
            layers.append(nn.MaxPool2d(2))
        maps.append({"num_chs": c_in, "reduction": 2 ** len(stages), "module": f"features.{len(layers) - 1}"})
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))  # does nothing at 224x224
        self.classifier = nn.Sequential(
            nn.Linear(self.num_features * 7 * 7, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            self.make_classifier(num_classes),
        )
        self.feature_info = FeatureInfo(maps)

    def make_classifier(self, num_classes: int) -> nn.Module:
        return nn.Linear(4096, num_classes) if num_classes else nn.Identity()

    def body(self, x: Tensor) -> Tensor:
        return self.features(x)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = self.avgpool(x).flatten(1)
        return self.classifier[:-1](x) if pre_logits else self.classifier(x)


_VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))

register("vgg16", partial(VGG, _VGG16), top1_error=28.5, mflops=15300, source="V1 Table 6")
