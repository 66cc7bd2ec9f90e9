"""From a photo to a detector's input, and from the input's pixels back to the photo's; loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shufflekit.data.preprocess import Preprocessing, resize
from shufflekit.detect.boxes import Floats
from shufflekit.errors import UsageError

_FITS = ("stretch", "letterbox")


@dataclass(frozen=True)
class Placing:
    """Where a photo lies in the input: input pixel = photo pixel x scale + shift, each for x and y."""

    scale: tuple[float, float]
    shift: tuple[float, float]
    photo_size: tuple[int, int]
    "Height and width."

    def to_photo(self, boxes: Floats) -> Floats:
        """Boxes (N, 4) in pixels of the input as boxes in pixels of the photo, cut off at its border.

        Example:
            >>> Placing((0.5, 0.5), (0.0, 40.0), (160, 200)).to_photo(np.array([[10, 50, 90, 999]], np.float32)).tolist()
            [[20.0, 20.0, 180.0, 160.0]]
        """
        height, width = self.photo_size
        found = (boxes - np.tile(self.shift, 2)) / np.tile(self.scale, 2)
        return np.clip(found, 0, (width, height, width, height)).astype(np.float32)

    def to_input(self, boxes: Floats) -> Floats:
        """The inverse, without a cut."""
        return (boxes * np.tile(self.scale, 2) + np.tile(self.shift, 2)).astype(np.float32)


@dataclass(frozen=True)
class Preparation:
    """How a detector takes its photos: `stretch` to the input's size, or `letterbox`, which keeps the proportions.

    Args:
        preprocessing: size, filter, channel order and normalisation; its crop has no meaning here.
        fit: letterbox centres the photo, and what is left over is black.

    Example:
        >>> prepare = Preparation(Preprocessing((32, 64)), "letterbox")
        >>> x, placing = prepare(np.zeros((100, 100, 3), np.uint8))
        >>> x.shape, placing.scale, placing.shift
        ((3, 32, 64), (0.32, 0.32), (16.0, 0.0))
    """

    preprocessing: Preprocessing
    fit: str

    def __post_init__(self) -> None:
        if self.fit not in _FITS:
            raise UsageError(f"fit: must be one of {', '.join(_FITS)}, found {self.fit!r}")

    @classmethod
    def from_config(cls, cfg: Mapping[str, Any]) -> Preparation:
        """Takes what a detector's `pretrained_cfg` says."""
        return cls(Preprocessing.from_config(cfg), cfg["detection"]["fit"])

    def __call__(self, photo: NDArray[np.uint8]) -> tuple[NDArray[np.float32], Placing]:
        """Prepares one photo.

        Args:
            photo: (H, W, 3) uint8 RGB, any size.

        Returns:
            (3, height, width) float32, and where the photo lies in it.
        """
        pixels, placing = self.place(photo)
        return self.normalise(pixels), placing

    def place(self, photo: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Placing]:
        """Resizes only; pixels stay (height, width, 3) uint8 RGB."""
        (height, width), (tall, wide) = photo.shape[:2], self.preprocessing.input_size
        whole, interpolation = (0, 0, width, height), self.preprocessing.interpolation
        if self.fit == "stretch":
            scale = (wide / width, tall / height)
            return resize(photo, whole, (tall, wide), interpolation), Placing(scale, (0.0, 0.0), (height, width))
        factor = min(wide / width, tall / height)
        size = max(1, round(height * factor)), max(1, round(width * factor))
        top, left = (tall - size[0]) // 2, (wide - size[1]) // 2
        pixels = np.zeros((tall, wide, 3), np.uint8)
        pixels[top : top + size[0], left : left + size[1]] = resize(photo, whole, size, interpolation)
        scale = (size[1] / width, size[0] / height)  # rounding to whole pixels stretches a little
        return pixels, Placing(scale, (float(left), float(top)), (height, width))

    def normalise(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(height, width, 3) uint8 RGB as the input takes it."""
        scale, shift = self.preprocessing.affine()
        planes = pixels.transpose(2, 0, 1)[self.preprocessing.channels()]
        return planes * scale[:, None, None] + shift[:, None, None]
