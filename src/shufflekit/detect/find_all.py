"""What a PyTorch detector finds on the images of an annotation file; `detect/evaluate.py` scores it, without torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from shufflekit.data.images import BrokenImageError, read_image
from shufflekit.detect.coco import Truth
from shufflekit.detect.photo_detector import PhotoDetector
from shufflekit.modes import evaluation

_LEAST = 0.01  # score of a box that counts


def find_all(
    network: nn.Module,
    cfg: Mapping[str, Any],
    truth: Truth,
    folder: Path,
    broken: dict[str, str] | None = None,
    advance: Callable[[int], object] = lambda _: None,
) -> list[dict[str, Any]]:
    """What a detector finds on the images of an annotation file, as `evaluate` takes it.

    Args:
        network: runs where its weights are, in evaluation for as long as this takes.
        cfg: its `pretrained_cfg`.
        truth: its annotations are not looked at.
        folder: of the images.
        broken: gets the images that cannot be used, by file name with the reason; they are left out.
        advance: called with the number of images done.

    Raises:
        InputError: the network's outputs are not finite; or an image cannot be used, and there is no `broken`.
    """
    device = next(network.parameters()).device

    @torch.inference_mode()
    def run(images: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        return [values.float().cpu().numpy() for values in network(torch.from_numpy(images).to(device))]

    detector = PhotoDetector(run, cfg, getattr(network, "architecture", type(network).__name__))
    results = []
    with evaluation(network):
        for image in truth.images:
            try:
                photo = read_image(folder / image.file_name, image.file_name)
                image.check_size(photo)
            except BrokenImageError as error:
                if broken is None:
                    raise
                broken[error.name] = error.reason
                continue
            results += [{"image_id": image.id, **found.to_coco()} for found in detector(photo, _LEAST)]
            advance(1)
    return results
