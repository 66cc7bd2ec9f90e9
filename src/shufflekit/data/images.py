"""Encoded images to pixels: any file that Pillow opens becomes 8-bit RGB, or is refused by name in one line."""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from shufflekit.data.to_rgb import to_rgb, upright
from shufflekit.errors import InputError, one_line

try:
    import simplejpeg
except ImportError:  # an optional part: Pillow decodes JPEG too, a little slower
    simplejpeg = None

# Pillow warns from this many pixels on (a quarter of a gigabyte as RGB); here it is the limit.
MAX_PIXELS = 89_478_485

# What decoding may take before a photo that is only looked at is decoded smaller. With PyTorch loaded, 264 MB, that leaves
# `predict` below 400 MB; a JPEG of 37 million pixels fits, and a PNG in colour of 16.
_ROOMY = 112 << 20
_ENOUGH = 8 << 20  # pixels that are left of such a photo, at most
_PILLOW_BYTES = {"1": 1, "L": 1, "P": 1}  # of a pixel; I;16 has 2, any other mode 4
_RGB_BYTES = 3

_JPEG_START = b"\xff\xd8\xff"
_EXIF_START = b"Exif\x00\x00"
_PLAIN_JPEG = ("Gray", "YCbCr", "RGB")


class BrokenImageError(InputError):
    """An image that cannot be decoded.

    Attributes:
        name: of the file or sample.
        reason: in a few words.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


def read_image(
    source: Path | bytes, name: str, *, at_least: tuple[int, int] = (0, 0), huge_reduced: bool = False
) -> NDArray[np.uint8]:
    """Decodes an image as it is meant to be seen: EXIF rotation applied, transparency laid over white.

    Grey, palette, 1-bit, 16-bit (the upper 8 bits are kept), 32-bit (see `to_rgb`), CMYK and animated (first frame) images
    all become RGB.

    Args:
        source: a file, or its contents.
        name: what an error calls it.
        at_least: height and width; a plain JPEG of twice that or more is decoded at a half, a quarter or an eighth of its
            size, which is quicker. (0, 0) means full size.
        huge_reduced: an image whose decoding would take more than 112 MB comes at a half, a quarter or an eighth of its size.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        BrokenImageError: no image, truncated, empty, unreadable, of values in no known range, or more than `MAX_PIXELS` pixels.

    Example:
        >>> read_image(b"hello", "note.jpg")
        Traceback (most recent call last):
            ...
        shufflekit.data.images.BrokenImageError: note.jpg: not a known image format
    """
    data = source if isinstance(source, bytes) else _read_bytes(source, name)
    if not data:
        raise BrokenImageError(name, "empty file")
    if simplejpeg is not None and data.startswith(_JPEG_START) and not _is_rotated(data):
        pixels = _decode_plain_jpeg(data, name, at_least, huge_reduced)
        if pixels is not None:
            return pixels
    return _decode(data, name, huge_reduced)


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Height and width of a JPEG that `read_image` can decode at a smaller size, None for every other file."""
    if simplejpeg is None or not data.startswith(_JPEG_START) or _is_rotated(data):
        return None
    try:
        height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return None
    return (height, width) if colorspace in _PLAIN_JPEG else None


def _read_bytes(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BrokenImageError(name, error.strerror or "cannot be read") from error


def _is_rotated(data: bytes) -> bool:
    # Most files have no EXIF block at all, and a search for its mark is far cheaper than a parse. It may stand anywhere before
    # the pixels: profiles and previews of any length go first.
    if _EXIF_START not in data:
        return False
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(BytesIO(data)) as image:
            return image.getexif().get(ExifTags.Base.Orientation, 1) != 1
    except Exception:  # noqa: BLE001  # whatever is wrong, the general decoder says it
        return True


def _decode_plain_jpeg(data: bytes, name: str, at_least: tuple[int, int], huge_reduced: bool) -> NDArray[np.uint8] | None:
    """The quick way; None leaves the file to Pillow, which knows more kinds and has the last word on damage."""
    try:
        height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data)
        _check_pixels(height, width, name)
        if colorspace not in _PLAIN_JPEG:
            return None
        if huge_reduced and (factor := _factor(height * width, _RGB_BYTES)) > 1:
            at_least = (height // factor, width // factor)
        # A half, a quarter and an eighth are quick; the scales between them take longer than full size.
        return simplejpeg.decode_jpeg(data, "RGB", min_height=at_least[0], min_width=at_least[1], min_factor=2)
    except ValueError as error:
        if isinstance(error, BrokenImageError):
            raise
        return None


def _decode(data: bytes, name: str, huge_reduced: bool) -> NDArray[np.uint8]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata; what matters is whether it decodes
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(BytesIO(data)) as image:
                _check_pixels(image.height, image.width, name)
                if huge_reduced and (factor := _factor(image.height * image.width, _bytes_of(image))) > 1:
                    image.draft(None, (image.width // factor, image.height // factor))  # JPEG only
                image.load()
                factor = _factor(image.height * image.width, _bytes_of(image)) if huge_reduced else 1
                return upright(to_rgb(image, factor), image.getexif().get(ExifTags.Base.Orientation, 1))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise BrokenImageError(name, f"more than {MAX_PIXELS} pixels") from error
    except UnidentifiedImageError as error:
        raise BrokenImageError(name, "truncated" if data.startswith(_JPEG_START) else "not a known image format") from error
    except BrokenImageError:
        raise
    except InputError as error:
        raise BrokenImageError(name, str(error)) from error
    except Exception as error:  # each format's reader has its own: struct.error, IndexError, zlib.error, ...
        raise BrokenImageError(name, f"broken image ({one_line(error)})") from error


def _factor(pixels: int, bytes_each: int) -> int:
    """By what both sides are divided: 1 where decoding stays within `_ROOMY`, else the power of two, to 8, that it takes."""
    if pixels * bytes_each <= _ROOMY:
        return 1
    return next((factor for factor in (2, 4) if pixels <= _ENOUGH * factor**2), 8)


def _bytes_of(image: Image.Image) -> int:
    """What a pixel takes while it is decoded: Pillow's own and ours."""
    return _PILLOW_BYTES.get(image.mode, 2 if image.mode.startswith("I;16") else 4) + _RGB_BYTES


def _check_pixels(height: int, width: int, name: str) -> None:
    if height * width > MAX_PIXELS:
        raise BrokenImageError(name, f"{width}x{height} is more than {MAX_PIXELS} pixels")
