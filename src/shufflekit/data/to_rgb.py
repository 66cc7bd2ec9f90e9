"""Pillow's images, of whatever mode, to 8-bit RGB; a block at a time, so that no second copy of a large one is made."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from shufflekit.errors import InputError

_BLOCK = 1024  # pixels, the side of a block
_TOLERANCE = 1e-5  # of the range: what rounding in float32 adds to white and takes from black
_DIMMEST = 1 / 16  # of the range; below, an image would be all but black, and is likelier one of another range
_INVERTED, _SIGNED = 0, 2  # values of TIFF's photometric interpretation (white is 0) and of its sample format


def to_rgb(image: Image.Image, factor: int = 1) -> NDArray[np.uint8]:
    """The pixels as they are meant to be seen: transparency over white, wide values scaled to 8 bits.

    Values of 16 bits keep their upper 8. Those of 32 bits and floats have no range of their own: it is the smallest of 0..1
    (floats), 0..255 and 0..65535 that holds the largest value.

    Args:
        image: loaded; it is not rotated.
        factor: the average of squares of so many pixels a side becomes one.

    Returns:
        (ceil(H / factor), ceil(W / factor), 3) uint8.

    Raises:
        InputError: values that are negative, not finite, or of no known range.

    Example:
        >>> to_rgb(Image.new("F", (2, 1), 0.5)).tolist()
        [[[128, 128, 128], [128, 128, 128]]]
    """
    largest = _range_of(image) if image.mode.startswith(("I", "F")) else None
    pixels = np.empty((-(-image.height // factor), -(-image.width // factor), 3), np.uint8)
    for block, left, top in _blocks(image, factor):
        rgb = _opaque(block) if largest is None else _grey(block, largest, _is_inverted(image))
        rgb = rgb.reduce(factor) if factor > 1 else rgb
        row, column = top // factor, left // factor
        pixels[row : row + rgb.height, column : column + rgb.width] = np.asarray(rgb)
    return pixels


def upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undoes the rotation that EXIF's orientation, 1 to 8, names; any other number changes nothing."""
    turned = {
        2: lambda: pixels[:, ::-1],
        3: lambda: pixels[::-1, ::-1],
        4: lambda: pixels[::-1],
        5: lambda: pixels.transpose(1, 0, 2),
        6: lambda: np.rot90(pixels, -1),
        7: lambda: pixels[::-1, ::-1].transpose(1, 0, 2),
        8: lambda: np.rot90(pixels),
    }
    return np.ascontiguousarray(turned[orientation]()) if orientation in turned else pixels


def _blocks(image: Image.Image, factor: int = 1) -> Iterator[tuple[Image.Image, int, int]]:
    side = -(-_BLOCK // factor) * factor
    for top in range(0, image.height, side):
        for left in range(0, image.width, side):
            yield image.crop((left, top, min(left + side, image.width), min(top + side, image.height))), left, top


def _opaque(image: Image.Image) -> Image.Image:
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _grey(block: Image.Image, largest: float, inverted: bool) -> Image.Image:
    values = np.asarray(block)
    clear = values == block.info["transparency"] if isinstance(block.info.get("transparency"), int) else None
    if largest == 65535 and values.dtype.kind != "f":
        grey = (values >> 8).astype(np.uint8)
    else:
        grey = np.rint(np.clip(values / largest, 0, 1) * 255).astype(np.uint8)
    grey = 255 - grey if inverted else grey
    return Image.fromarray(grey if clear is None else np.where(clear, np.uint8(255), grey)).convert("RGB")


def _range_of(image: Image.Image) -> float:
    """What white is: 1, 255, or the largest value of so many bits."""
    extremes = [(float(values.min()), float(values.max())) for values in (np.asarray(block) for block, *_ in _blocks(image))]
    low, high = (float(found) for found in (np.min(extremes), np.max(extremes)))  # NaN, where there is one
    if not np.isfinite([low, high]).all():
        raise InputError("grey values must be finite, found NaN or infinity")
    ranges = _ranges(image)
    if low < -_TOLERANCE * max(1.0, high):
        raise InputError(f"grey values must be 0 or more, found {low:g}")
    for largest in ranges:
        if high <= largest * (1 + _TOLERANCE):
            if 0 < high <= largest * _DIMMEST:
                break
            return largest
    allowed = " or ".join(f"{largest * _DIMMEST:g} to {largest:g}" for largest in ranges)
    raise InputError(f"the brightest grey value must be 0, or {allowed} for its range to be known, found {high:g}")


def _ranges(image: Image.Image) -> tuple[float, ...]:
    """The ranges that the values may have, smallest first."""
    tags = getattr(image, "tag_v2", {})
    bits = _first(tags.get(ExifTags.Base.BitsPerSample, 16))
    if image.mode.startswith("I;16"):
        return (float(2**bits - 1),)
    if image.mode == "F":
        return (1.0, 255.0, 65535.0)
    if image.format == "PPM":
        return (65535.0,)  # the file says its range, and Pillow has scaled it to this one
    if bits == 16 and _first(tags.get(ExifTags.Base.SampleFormat, 1)) == _SIGNED:
        return (255.0, 32767.0)
    return (255.0, 65535.0)


def _is_inverted(image: Image.Image) -> bool:
    # Pillow inverts such TIFFs itself where they have 8 bits, and not where they have more.
    return getattr(image, "tag_v2", {}).get(ExifTags.Base.PhotometricInterpretation) == _INVERTED


def _first(value: int | tuple[int, ...]) -> int:
    return value[0] if isinstance(value, tuple) else value
