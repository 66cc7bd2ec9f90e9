"""What both detectors in two stages share: anchors, proposals, a look at each of them, and the losses of both stages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shufflekit.detect.assign import Target
from shufflekit.detect.network import Detector
from shufflekit.detect.regions import anchors, apply, draw, encode, match, propose
from shufflekit.models._network import check_input

ANCHOR_SIZES = (16, 32, 64, 128, 256, 512)  # pixels of the input: for short sides of 300 as well as of 800
ANCHOR_RATIOS = (0.5, 1.0, 2.0)
STRIDE = 16  # of the anchors' map
_SCALE = (0.1, 0.1, 0.2, 0.2)  # of the second stage's differences, whose spread it makes about 1
_ANCHORS_TO_LEARN, _REGIONS_TO_LEARN = (256, 0.5), (64, 0.25)  # of an image, and the share of those with an object
_BEND = 1 / 9  # where the loss of an anchor's differences goes over from square to absolute value


class ProposalHead(nn.Module):
    """A 3x3 convolution, then for each place and anchor one logit, "there is something", and four differences.

    Args:
        in_channels: of the map.
        channels: of the convolution.
        kinds: anchors a place.
    """

    def __init__(self, in_channels: int, channels: int, kinds: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.last = nn.Conv2d(channels, 5 * kinds, 1)
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")  # there is no batch norm to make up for small weights
        nn.init.normal_(self.last.weight, std=0.01)
        for layer in (self.conv, self.last):
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.relu(self.conv(x)))


class RegionDetector(Detector):
    """A detector in two stages; a subclass says what it looks at, in `dense`, `pool` and `look`.

    In training one forward pass gives the losses, for what the second stage sees depends on the first and on what is there.

    Args:
        backbone: a registry name with maps at 1/16 and 1/32.
        num_classes: 80 for COCO.
        proposal_channels: of the first stage's convolution.
        candidates: the first stage's best, which go into its non-maximum suppression.
        proposals: what is left of them at most.
        backbone_options: of the backbone's constructor.
    """

    def __init__(
        self,
        backbone: str,
        num_classes: int,
        proposal_channels: int,
        candidates: int,
        proposals: int,
        backbone_options: dict[str, Any] | None,
    ) -> None:
        super().__init__(backbone, (STRIDE, 2 * STRIDE), num_classes, backbone_options or {})
        self.candidates, self.proposals = candidates, proposals
        in_channels = self.backbone.feature_info.channels()[0]
        self.proposal_head = ProposalHead(in_channels, proposal_channels, len(ANCHOR_SIZES) * len(ANCHOR_RATIOS))
        self.detection = {
            "form": "regions",
            "strides": [STRIDE],
            "classes": num_classes,
            "proposals": proposals,
            "scale": list(_SCALE),
            "iou": 0.5,
            "most": 100,
            "fit": "letterbox",
        }

    def dense(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """All that runs once an image: the first stage's raw map, and the map that the second one looks at."""
        raise AssertionError("a detector writes its first stage")

    def pool(self, seen: Tensor, regions: Tensor, images: Tensor) -> Tensor:
        """What lies in each region of that map: (K, C, h, w)."""
        raise AssertionError("a detector writes its pooling")

    def look(self, pooled: Tensor) -> Tensor:
        """Class logits, the background's last, and four differences: (K, classes + 1 + 4)."""
        raise AssertionError("a detector writes its second stage")

    def forward(  # type: ignore[override]  # its training needs more than the image
        self, x: Tensor, targets: Sequence[Target] | None = None, keys: Sequence[int] = ()
    ) -> list[Tensor] | dict[str, Tensor]:
        """Raw outputs, or with targets the parts of the loss.

        Args:
            x: (N, 3, H, W).
            targets: what is on each image.
            keys: a number for each image, which decides what is drawn to learn from.

        Returns:
            Proposals (N, P, 4) in pixels of the input, those that are missing without area; class logits (N, P, classes + 1),
            the background's last; differences (N, P, 4) between objects and proposals. With targets: losses by name.

        Raises:
            InputError: another rank, number of channels or size.
        """
        check_input(x, self.backbone.in_chans, self.backbone.min_input_size, self.architecture)
        first, seen = self.dense(x)
        found = first.float().permute(0, 2, 3, 1).reshape(len(x), -1, 5)  # (N, anchors, 5)
        size = (x.shape[2], x.shape[3])
        there = anchors(first.shape[2], first.shape[3], STRIDE, ANCHOR_SIZES, ANCHOR_RATIOS, x.device)
        with torch.no_grad():
            regions = [
                propose(one[:, 0], apply(one[:, 1:], there), size, self.candidates, self.proposals, 0.7)
                for one in found.detach()
            ]
        if targets is not None:
            return self._losses(found, there, seen, regions, targets, keys)
        filled = torch.stack([F.pad(one, (0, 0, 0, self.proposals - len(one))) for one in regions])
        logits, steps = self._second_stage(seen, list(filled))
        return [filled, logits.unflatten(0, filled.shape[:2]), steps.unflatten(0, filled.shape[:2])]

    def _second_stage(self, seen: Tensor, regions: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        images = torch.cat([torch.full((len(one),), number, device=seen.device) for number, one in enumerate(regions)])
        found = self.look(self.pool(seen.float(), torch.cat(list(regions)), images)).float()
        return found[:, :-4], found[:, -4:]

    def _losses(
        self,
        found: Tensor,
        there: Tensor,
        seen: Tensor,
        regions: Sequence[Tensor],
        targets: Sequence[Target],
        keys: Sequence[int],
    ) -> dict[str, Tensor]:
        generators = [torch.Generator().manual_seed(key) for key in keys]
        first = [proposal_loss(one, there, target, generator) for one, target, generator in zip(found, targets, generators)]
        chosen, owners = [], []
        for proposed, target, generator in zip(regions, targets, generators):
            boxes = torch.cat((proposed, target.boxes))  # so that there is something to learn from the first step on
            owner = match(boxes, target, 0.5, 0.5, each_finds_one=False)
            which = draw(owner, *_REGIONS_TO_LEARN, generator)
            chosen.append(boxes[which])
            owners.append(owner[which])
        logits, steps = self._second_stage(seen, chosen)
        kind, box = region_loss(logits, steps, chosen, owners, targets)
        objects, differences = (torch.stack(parts).mean() for parts in zip(*first))
        return {"object": objects, "proposal": differences, "class": kind, "box": box}


def proposal_loss(found: Tensor, there: Tensor, target: Target, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The first stage's losses of one image: of logits and of differences, both over the number of anchors that are drawn.

    Args:
        found: (anchors, 5).
        there: the anchors.
        target: what is on the image.
        generator: of the draw.
    """
    with torch.no_grad():
        owner = match(there, target, 0.3, 0.7, each_finds_one=True)
        which = draw(owner, *_ANCHORS_TO_LEARN, generator)
    is_object = owner[which] >= 0
    objects = F.binary_cross_entropy_with_logits(found[which, 0], is_object.float(), reduction="sum")
    own = which[is_object]
    truth = encode(target.boxes[owner[own]], there[own])
    differences = F.smooth_l1_loss(found[own, 1:], truth, beta=_BEND, reduction="sum")
    return objects / max(1, len(which)), differences / max(1, len(which))


def region_loss(
    logits: Tensor, steps: Tensor, regions: Sequence[Tensor], owners: Sequence[Tensor], targets: Sequence[Target]
) -> tuple[Tensor, Tensor]:
    """The second stage's losses: of classes and of differences, both over the number of regions of all images.

    Args:
        logits: (regions, classes + 1), background last.
        steps: (regions, 4).
        regions: of each image.
        owners: the object of each region, below 0 for background.
        targets: of each image.
    """
    labels = torch.full((len(logits),), logits.shape[1] - 1, device=logits.device)
    own = torch.cat(list(owners)) >= 0
    labels[own] = torch.cat([target.labels[owner[owner >= 0]] for owner, target in zip(owners, targets)])
    truth = torch.cat([target.boxes[owner[owner >= 0]] for owner, target in zip(owners, targets)])
    kind = F.cross_entropy(logits, labels, reduction="sum")
    box = F.smooth_l1_loss(steps[own], encode(truth, torch.cat(list(regions))[own], _SCALE), reduction="sum")
    return kind / max(1, len(labels)), box / max(1, len(labels))
