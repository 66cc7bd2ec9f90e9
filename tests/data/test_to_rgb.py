"""Grey values of every width, and transparency of every kind: the right photo, or a reason why not."""

from __future__ import annotations

import struct
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from shufflekit.data import to_rgb as module
from shufflekit.data.images import BrokenImageError, read_image
from shufflekit.data.to_rgb import to_rgb
from shufflekit.errors import InputError

GREY = np.arange(0, 256, dtype=np.uint8).reshape(16, 16)


def tiff(values: np.ndarray, bits: int, kind: int = 1, *, white_is_zero: bool = False, order: str = "<") -> bytes:
    """A TIFF of one strip; `kind` is its sample format: 1 unsigned, 2 signed, 3 float."""
    height, width = GREY.shape
    content = values.tobytes()
    fields = [
        (256, 3, width), (257, 3, height), (258, 3, bits), (259, 3, 1), (262, 3, 0 if white_is_zero else 1),
        (273, 4, 8), (277, 3, 1), (278, 3, height), (279, 4, len(content)), (339, 3, kind),
    ]  # fmt: skip
    entries = b"".join(
        struct.pack(f"{order}HHI", tag, type_, 1)
        + struct.pack(f"{order}HH" if type_ == 3 else f"{order}I", *(value, 0)[: 5 - type_])
        for tag, type_, value in fields
    )
    header = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8 + len(content))
    return header + content + struct.pack(f"{order}H", len(fields)) + entries + bytes(4)


def pgm(values: np.ndarray, largest: int) -> bytes:
    return f"P5 {GREY.shape[1]} {GREY.shape[0]} {largest}\n".encode() + values.astype(">u2").tobytes()


def pfm(values: np.ndarray) -> bytes:
    return f"Pf\n{GREY.shape[1]} {GREY.shape[0]}\n-1.0\n".encode() + values[::-1].astype("<f4").tobytes()


def png(values: np.ndarray, **options: object) -> bytes:
    file = BytesIO()
    Image.fromarray(values).save(file, "PNG", **options)
    return file.getvalue()


WIDE = {
    "float 0..1": tiff((GREY / 255).astype("<f4"), 32, 3),
    "float 0..1, rounded": tiff((GREY / 255).astype("<f4") * np.float32(1.000002), 32, 3),
    "float 0..1, big-endian": tiff((GREY / 255).astype(">f4"), 32, 3, order=">"),
    "float 0..255": tiff(GREY.astype("<f4"), 32, 3),
    "float 0..65535": tiff(GREY.astype("<f4") * 257, 32, 3),
    "float, white is 0": tiff((1 - GREY / 255).astype("<f4"), 32, 3, white_is_zero=True),
    "int32 0..255": tiff(GREY.astype("<i4"), 32, 2),
    "int32 0..65535": tiff(GREY.astype("<i4") * 257, 32, 2),
    "uint32 0..255": tiff(GREY.astype("<u4"), 32, 1),
    "int16 0..255": tiff(GREY.astype("<i2"), 16, 2),
    "int16 0..32767": tiff(np.rint(GREY / 255 * 32767).astype("<i2"), 16, 2),
    "uint16": tiff(GREY.astype("<u2") * 257, 16),
    "uint16, big-endian": tiff(GREY.astype(">u2") * 257, 16, order=">"),
    "uint16, white is 0": tiff(65535 - GREY.astype("<u2") * 257, 16, white_is_zero=True),
    "16-bit PNG": png(GREY.astype(np.uint16) * 257),
    "PGM to 65535": pgm(GREY.astype(int) * 257, 65535),
    "PGM to 1020": pgm(GREY.astype(int) * 4, 1020),
    "PFM": pfm(GREY / 255),
}


@pytest.mark.parametrize("kind", WIDE)
def test_wide_grey_values_are_scaled_to_eight_bits(kind: str) -> None:
    assert (read_image(WIDE[kind], "a") == GREY[:, :, None]).all()


def test_twelve_bits_have_a_range_of_their_own() -> None:
    values = np.rint(GREY.astype(float) / 255 * 4095).astype(int)
    pairs = values.reshape(-1, 2)
    packed = np.stack([pairs[:, 0] >> 4, (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8, pairs[:, 1] & 255], 1).astype(np.uint8)
    assert (read_image(tiff(packed, 12), "a") == GREY[:, :, None]).all()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (tiff(np.where(GREY == 7, np.nan, GREY / 255).astype("<f4"), 32, 3), "must be finite, found NaN or infinity"),
        (tiff(np.where(GREY == 7, np.inf, GREY / 255).astype("<f4"), 32, 3), "must be finite, found NaN or infinity"),
        (tiff((GREY / 255 - 0.5).astype("<f4"), 32, 3), "must be 0 or more, found -0.5"),
        (tiff((GREY / 255 * 1.005 - 0.005).astype("<f4"), 32, 3), "must be 0 or more, found -0.005"),
        (tiff((GREY / 255 / 16).astype("<f4"), 32, 3), "for its range to be known, found 0.0625"),
        (tiff(GREY.astype("<i4") - 128, 32, 2), "must be 0 or more, found -128"),
        (tiff((GREY / 255 * 7).astype("<f4"), 32, 3), "0.0625 to 1 or 15.9375 to 255 or 4095.94 to 65535 for .* found 7"),
        (tiff((GREY / 255 * 1.5).astype("<f4"), 32, 3), "for its range to be known, found 1.5"),
        (tiff((GREY / 2550).astype("<f4") / 2, 32, 3), "for its range to be known, found 0.05"),
        (tiff(GREY.astype("<i4") * 1000, 32, 2), "found 255000"),
        (tiff(GREY.astype("<i4") // 255, 32, 2), "found 1$"),
        (tiff(GREY.astype("<u2"), 16), "must be 0, or 4095.94 to 65535 for its range to be known, found 255"),
        (png(GREY.astype(np.uint16) * 16), "found 4080"),
    ],
)  # fmt: skip
def test_values_that_can_mean_two_things_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(BrokenImageError, match=reason) as caught:
        read_image(data, "scan.tif")
    assert str(caught.value).startswith("scan.tif: ")
    assert "broken image" not in str(caught.value)


@pytest.mark.parametrize("values", [np.zeros_like(GREY, "<u2"), np.zeros_like(GREY, "<f4")])
def test_black_is_black(values: np.ndarray) -> None:
    assert not read_image(tiff(values, 8 * values.itemsize, 1 if values.itemsize == 2 else 3), "a").any()


def test_a_transparent_grey_of_sixteen_bits_is_white() -> None:
    pixels = read_image(png(GREY.astype(np.uint16) * 257, transparency=5 * 257), "a")
    assert (pixels[GREY == 5] == 255).all()
    assert (pixels[GREY != 5] == GREY[GREY != 5][:, None]).all()


@pytest.mark.parametrize("mode", ["LA", "La", "PA", "RGBA", "RGBa"])
def test_half_transparent_pixels_lie_over_white(mode: str) -> None:
    image = Image.new("LA", (3, 2), (100, 51))  # a fifth of 100, and four of 255
    if mode != "LA":
        image = image.convert("La") if mode == "La" else image.convert("RGBA").convert(mode)
    assert np.abs(to_rgb(image).astype(int) - 224).max() <= 2


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1", "RGBA", "CMYK", "I;16", "F"])
@pytest.mark.parametrize("factor", [1, 2, 4])
def test_blocks_make_no_difference(monkeypatch: pytest.MonkeyPatch, mode: str, factor: int) -> None:
    values = np.random.default_rng(1).integers(0, 256, (37, 50, 3), dtype=np.uint8)
    if mode in ("I;16", "F"):
        image = Image.fromarray(
            values[:, :, 0].astype(np.uint16) * 257 if mode == "I;16" else (values[:, :, 0] / 255).astype("f4")
        )
    else:
        image = Image.fromarray(values).convert(mode)
    whole = to_rgb(image, factor)
    assert whole.shape == (-(-37 // factor), -(-50 // factor), 3)
    monkeypatch.setattr(module, "_BLOCK", 7)
    assert np.array_equal(to_rgb(image, factor), whole)
    mean = to_rgb(image).astype(float)[:36, :48].reshape(36 // factor, factor, 48 // factor, factor, 3).mean((1, 3))
    assert np.abs(mean - whole[: 36 // factor, : 48 // factor]).max() <= 1


def test_a_refusal_is_our_own_error() -> None:
    with pytest.raises(InputError, match="grey values must be 0 or more, found -1"):
        to_rgb(Image.new("F", (2, 2), -1.0))
