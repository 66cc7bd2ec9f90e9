"""From an image to a network's input: resize, centre crop, normalise, as the network's weights expect them."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shufflekit.errors import UsageError, one_line

RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
# Above, resizing goes in bands; by rounding it is another result than Pillow's, which may go down before it goes across.
_WHOLE_PIXELS = 16 << 20
_BAND_ROWS = 256
_KEYS = ("input_size", "crop_pct", "interpolation", "mean", "std", "channel_order")
_CHANNELS = {"rgb": 3, "bgr": 3, "grey": 1}
_LUMA = (19595, 38470, 7471)  # of 65536: the weights of red, green and blue in Pillow's mode L


@dataclass(frozen=True)
class Preprocessing:
    """The evaluation transform: short side to `input_size / crop_pct`, centre crop, normalisation.

    Args:
        input_size: height and width of the input, pixels.
        crop_pct: share of the resized short side that the crop keeps, above 0, at most 1.
        interpolation: nearest, bilinear, bicubic or lanczos.
        mean: of each channel for pixels in 0..1, in the order in which the network takes the channels.
        std: like `mean`.
        channel_order: rgb or bgr, the order in which the network takes the channels, or grey for its only one.

    Source:
        timm's evaluation transform (`crop_mode="center"`).

    Example:
        >>> prepare = Preprocessing(input_size=(32, 32), crop_pct=1.0)
        >>> prepare(np.zeros((50, 40, 3), np.uint8)).shape
        (3, 32, 32)
    """

    input_size: tuple[int, int] = (224, 224)
    crop_pct: float = 0.875
    interpolation: str = "bilinear"
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    channel_order: str = "rgb"

    def __post_init__(self) -> None:
        if len(self.input_size) != 2 or min(self.input_size) < 1:
            raise UsageError(f"input_size: must be a height and a width of 1 or more, found {self.input_size}")
        if not 0 < self.crop_pct <= 1:
            raise UsageError(f"crop_pct: must be above 0 and at most 1, found {self.crop_pct}")
        if self.interpolation not in RESAMPLING:
            raise UsageError(f"interpolation: must be one of {', '.join(RESAMPLING)}, found {self.interpolation!r}")
        if self.channel_order not in _CHANNELS:
            raise UsageError(f"channel_order: must be one of {', '.join(_CHANNELS)}, found {self.channel_order!r}")
        if {len(self.mean), len(self.std)} != {self.in_chans} or min(self.std) <= 0:
            numbers = f"{self.in_chans} number{'s' * (self.in_chans > 1)}"
            raise UsageError(f"mean, std: must be {numbers} each, std above 0, found {self.mean} and {self.std}")

    @property
    def in_chans(self) -> int:
        """How many channels the network takes."""
        return _CHANNELS[self.channel_order]

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Preprocessing:
        """Takes what a network's `pretrained_cfg` says; what it leaves out, or has as None, keeps its default.

        A network of one channel gets grey pixels, and the average of a `mean` and `std` of three.

        Args:
            config: timm's keys (`input_size` is (C, H, W)), and `channel_order`.

        Raises:
            UsageError: a network that takes no photos: of other than 1 or 3 channels; or a value of a wrong kind.
        """
        values = {key: config[key] for key in _KEYS if config.get(key) is not None}
        try:
            size = tuple(map(operator.index, values.get("input_size", ())))
            mean, std = (tuple(map(float, values.get(key, getattr(cls, key)))) for key in ("mean", "std"))
            grey = size[:-2] == (1,) or (not size and values.get("channel_order") == "grey")
            if len(size) == 3 and size[0] not in _CHANNELS.values():
                raise UsageError(f"input_size: photos have 3 channels, or 1 where they are grey, found {size[0]}")
            values |= {"channel_order": "grey"} if grey else {}
            values |= {"input_size": size[-2:]} if size else {}
            return cls(**values | {"mean": _for_channels(mean, grey), "std": _for_channels(std, grey)})
        except (TypeError, ValueError) as error:
            if isinstance(error, UsageError):
                raise
            raise UsageError(f"pretrained_cfg: {one_line(error)}, found {values}") from None

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Prepares one image.

        Args:
            image: (H, W, 3) uint8 RGB, any size.

        Returns:
            (in_chans, height, width) float32, `input_size`.
        """
        scale, shift = self.affine()
        planes = self.planes(self.crop(image).transpose(2, 0, 1))
        return planes * scale[:, None, None] + shift[:, None, None]

    def crop(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resizes and crops, pixels stay uint8 RGB: (H, W, 3) to (height, width, 3)."""
        height, width = image.shape[:2]
        # Rounded down, as the public evaluation scripts do: 224 / 0.875 is 256 and 33 / 0.875 is 37.
        target = [math.floor(side / self.crop_pct) for side in self.input_size]
        if target[0] * width >= target[1] * height:
            resized = (target[0], max(target[1], int(target[0] * width / height)))
        else:
            resized = (max(target[0], int(target[1] * height / width)), target[1])
        top, left = (round((side - kept) / 2) for side, kept in zip(resized, self.input_size, strict=True))
        bottom, right = top + self.input_size[0], left + self.input_size[1]
        if resized == (height, width):
            return image[top:bottom, left:right]
        # One step instead of two: the margins, which may be very long, are never computed.
        across, down = width / resized[1], height / resized[0]
        return resize(image, (left * across, top * down, right * across, bottom * down), self.input_size, self.interpolation)

    def affine(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Normalisation as `pixel * scale + shift`, for pixels in 0..255: two arrays of shape (in_chans,)."""
        mean, std = np.array(self.mean), np.array(self.std)
        return (1 / (255 * std)).astype(np.float32), (-mean / std).astype(np.float32)

    def planes(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The channels that the network takes, out of RGB: (..., 3, H, W) to (..., in_chans, H, W).

        Source:
            Pillow's conversion to mode L, for grey.
        """
        if self.channel_order != "grey":
            return images if self.channel_order == "rgb" else images[..., self.channels(), :, :]
        red, green, blue = (images[..., i : i + 1, :, :].astype(np.uint32) for i in range(3))
        return (red * _LUMA[0] + green * _LUMA[1] + blue * _LUMA[2] + 0x8000 >> 16).astype(np.uint8)

    def channels(self) -> list[int]:
        """Which channel of an RGB image, or of a grey one, the network takes first, second and third."""
        return {"rgb": [0, 1, 2], "bgr": [2, 1, 0], "grey": [0]}[self.channel_order]


def unnormalised(config: Mapping[str, Any]) -> dict[str, Any]:
    """A `pretrained_cfg` for who takes pixels as they are, 0 to 255, RGB or grey.

    Example:
        >>> prepare = Preprocessing.from_config(unnormalised({"input_size": (3, 2, 2), "mean": (0.5,) * 3, "std": (0.5,) * 3}))
        >>> float(prepare(np.full((2, 2, 3), 200, np.uint8)).max())
        200.0
    """
    return {**config, "mean": (0.0,) * 3, "std": (1 / 255,) * 3, "channel_order": "rgb"}


def _for_channels(values: tuple[float, ...], grey: bool) -> tuple[float, ...]:
    """A mean or std as that of a network with other channels."""
    if len(values) == (3 if grey else 1):
        return (sum(values) / 3,) if grey else values * 3
    return values


def resize(
    image: NDArray[np.uint8], box: tuple[float, float, float, float], size: tuple[int, int], interpolation: str
) -> NDArray[np.uint8]:
    """Resizes a region of an image, with the filter widened by the scale when it shrinks.

    Args:
        image: (H, W, 3) uint8.
        box: left, top, right, bottom of the region, pixels.
        size: height and width of the result.
        interpolation: a key of `RESAMPLING`.
    """
    left, top, right, bottom = box
    inside = (max(0.0, left), max(0.0, top), min(right, image.shape[1]), min(bottom, image.shape[0]))  # rounding may leave it
    if image.shape[0] * image.shape[1] > _WHOLE_PIXELS and interpolation != "nearest":
        image, inside = _narrow(image, inside, size[1], interpolation)
    return np.asarray(Image.fromarray(image).resize((size[1], size[0]), RESAMPLING[interpolation], box=inside))


def _narrow(
    image: NDArray[np.uint8], box: tuple[float, float, float, float], width: int, interpolation: str
) -> tuple[NDArray[np.uint8], tuple[float, float, float, float]]:
    """The first half of resizing a huge image, across, in bands of rows: Pillow's copy of the whole would take 4 bytes a pixel.

    Returns:
        (H, width, 3), and the box in it.
    """
    left, top, right, bottom = box
    narrow = np.empty((len(image), width, 3), np.uint8)
    for start in range(0, len(image), _BAND_ROWS):
        band = Image.fromarray(image[start : start + _BAND_ROWS])
        across = (left, 0, right, band.height)
        resized = band.resize((width, band.height), RESAMPLING[interpolation], box=across)
        narrow[start : start + band.height] = np.asarray(resized)
    return narrow, (0, top, width, bottom)
