"""AlexNet (Krizhevsky et al., NIPS 2012) with the two towers as grouped convolutions, as Caffe's BVLC AlexNet has them."""

from __future__ import annotations

from torch import Tensor, nn

from shufflekit.models._network import FeatureInfo, Network
from shufflekit.models._registry import register


class AlexNet(Network):
    """AlexNet; the padding of 2 gives a 224x224 input the 55x55 map that the original had of 227x227.

    Args:
        dropout: before each of the first two linear layers.
    """

    classifier_name = "classifier.6"

    def __init__(self, *, dropout: float = 0.5, num_classes: int = 1000, in_chans: int = 3) -> None:
        super().__init__(num_classes, in_chans, num_features=256, min_input_size=63)  # leaves the last pooling 3x3
        self.features = nn.Sequential(
            nn.Conv2d(in_chans, 96, 11, stride=4, padding=2),
            nn.ReLU(inplace=True),
            nn.LocalResponseNorm(5),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(96, 256, 5, padding=2, groups=2),
            nn.ReLU(inplace=True),
            nn.LocalResponseNorm(5),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(256, 384, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 384, 3, padding=1, groups=2),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, 3, padding=1, groups=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))  # does nothing at 224x224
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            self.make_classifier(num_classes),
        )
        self.feature_info = FeatureInfo(
            [
                {"num_chs": 96, "reduction": 4, "module": "features.1"},
                {"num_chs": 256, "reduction": 8, "module": "features.5"},
                {"num_chs": 256, "reduction": 16, "module": "features.13"},
                {"num_chs": 256, "reduction": 32, "module": "features.14"},
            ]
        )

    def make_classifier(self, num_classes: int) -> nn.Module:
        return nn.Linear(4096, num_classes) if num_classes else nn.Identity()

    def body(self, x: Tensor) -> Tensor:
        return self.features(x)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = self.avgpool(x).flatten(1)
        return self.classifier[:-1](x) if pre_logits else self.classifier(x)


register("alexnet", AlexNet, top1_error=42.8, mflops=720, source="V1 Table 6")
