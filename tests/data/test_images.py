"""Every kind of file that a folder of photos may hold: read right, or refused by name."""

from __future__ import annotations

import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from shufflekit.data import images
from shufflekit.data.images import BrokenImageError, jpeg_size, read_image
from shufflekit.errors import InputError


def encode(image: Image.Image, format: str = "PNG", **options: object) -> bytes:  # noqa: A002
    file = BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def photo(height: int = 40, width: int = 60) -> Image.Image:
    """Smooth, different in every corner and channel: survives JPEG, and shows any mirroring."""
    rows, columns = np.mgrid[0:height, 0:width]
    pixels = np.stack([255 * rows / height, 255 * columns / width, 128 + 0 * rows], axis=2)
    return Image.fromarray(pixels.astype(np.uint8))


RGB = np.asarray(photo())
GREY = np.asarray(photo().convert("L"))


@pytest.mark.parametrize("format", ["PNG", "BMP", "WEBP", "TIFF", "GIF", "PPM"])
def test_formats(format: str):  # noqa: A002
    options = {"lossless": True} if format == "WEBP" else {}
    pixels = read_image(encode(photo(), format, **options), "a")
    assert pixels.shape == (40, 60, 3)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - RGB).max() <= (40 if format == "GIF" else 0)  # GIF has 256 colours


def test_a_file_and_its_contents_read_the_same(tmp_path: Path):
    (tmp_path / "a.png").write_bytes(encode(photo()))
    assert (read_image(tmp_path / "a.png", "a") == RGB).all()


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "YCbCr"])
def test_modes_become_the_rgb_that_pillow_makes_of_them(mode: str):
    image = photo().convert(mode)
    data = encode(image, "TIFF" if mode in ("CMYK", "YCbCr") else "PNG")
    assert (read_image(data, "a") == np.asarray(image.convert("RGB"))).all()


@pytest.mark.parametrize("mode", ["I;16", "I"])
def test_sixteen_bits_keep_the_upper_eight(mode: str):
    values = GREY.astype(np.uint16) * 256 + 77
    image = Image.fromarray(values if mode == "I;16" else values.astype(np.int32))
    pixels = read_image(encode(image, "TIFF"), "a")
    assert (pixels == GREY[:, :, None]).all()
    if mode == "I;16":
        assert (read_image(encode(image, "PNG"), "a") == pixels).all()


def test_transparency_lies_over_white():
    for mode in ("RGBA", "LA", "PA"):
        image = photo().convert("L").convert(mode)
        alpha = np.zeros((40, 60), np.uint8)
        alpha[:, 30:] = 255
        image.putalpha(Image.fromarray(alpha))
        pixels = read_image(encode(image, "TIFF" if mode == "PA" else "PNG"), "a")
        assert (pixels[:, :30] == 255).all()
        assert (pixels[:, 30:] == GREY[:, 30:, None]).all()


def test_a_transparent_palette_colour_is_white():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    assert read_image(encode(image, "PNG", transparency=1), "a").tolist() == [[[10, 20, 30], [255, 255, 255]]]


def test_an_animation_gives_its_first_frame():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert (read_image(data, "a") == [255, 0, 0]).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_exif_rotation(orientation: int, format: str):  # noqa: A002
    # How a camera stores what should be seen as `photo()`: the inverse of what EXIF asks a viewer to do.
    stored = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    image = photo().transpose(stored[orientation]) if orientation > 1 else photo()
    options = {"quality": 100, "subsampling": 0} if format == "JPEG" else {}
    pixels = read_image(encode(image, format, exif=exif, **options), "a")
    assert np.abs(pixels.astype(int) - RGB).max() <= (5 if format == "JPEG" else 0)


@pytest.mark.parametrize("before", [b"", b"profile" * 9000, b"preview" * 30_000])
def test_exif_rotation_is_found_behind_whatever_stands_before_it(before: bytes):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 3
    data = encode(photo().transpose(Image.Transpose.ROTATE_180), "JPEG", exif=exif, quality=100, subsampling=0)
    parts = [before[start : start + 60_000] for start in range(0, len(before), 60_000)]
    segments = b"".join(b"\xff\xed" + (len(part) + 2).to_bytes(2, "big") + part for part in parts)
    data = data[:2] + segments + data[2:]
    assert np.abs(read_image(data, "a").astype(int) - RGB).max() <= 5
    assert jpeg_size(data) is None


@pytest.mark.parametrize("format", ["JPEG", "PNG", "rotated"])
def test_only_huge_photos_are_reduced(monkeypatch: pytest.MonkeyPatch, format: str):  # noqa: A002
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    options = {"exif": exif} if format == "rotated" else {}
    data = encode(photo(160, 240), "JPEG" if format == "rotated" else format, **options)
    sides = (240, 160) if format == "rotated" else (160, 240)
    pixel = 3 if format == "JPEG" else 7  # bytes
    monkeypatch.setattr(images, "_ENOUGH", 100 * 150)
    for room, factor in ((pixel * 160 * 240, 1), (pixel * 160 * 240 - 1, 2)):
        monkeypatch.setattr(images, "_ROOMY", room)
        reduced, whole = read_image(data, "a", huge_reduced=True), read_image(data, "a")
        assert (whole.shape[:2], reduced.shape[:2]) == (sides, (sides[0] // factor, sides[1] // factor))
    mean = whole.reshape(sides[0] // 2, 2, sides[1] // 2, 2, 3).mean((1, 3))
    assert np.abs(mean - reduced).max() <= 3
    monkeypatch.setattr(images, "_ENOUGH", 20 * 30)
    assert read_image(data, "a", huge_reduced=True).shape[:2] == (sides[0] // 8, sides[1] // 8)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "format", "side", "most"),
    [
        ("1", "PNG", 9400, 150),
        ("L", "TIFF", 9400, 150),
        ("RGB", "JPEG", 9400, 150),
        ("RGB", "PNG", 4000, 150),
        ("RGB", "PNG", 9400, 420),
    ],
)
def test_memory_of_a_huge_photo(tmp_path: Path, mode: str, format: str, side: int, most: int):  # noqa: A002
    """In MB above what importing takes; of a PNG in colour Pillow keeps all, 4 bytes a pixel."""
    Image.new(mode, (side, side), 1).save(tmp_path / "a", format, **({"compression": "tiff_lzw"} if format == "TIFF" else {}))
    program = (
        "import resource, sys; from pathlib import Path\n"
        "from shufflekit.data.images import read_image; from shufflekit.data.preprocess import Preprocessing\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak(); Preprocessing()(read_image(Path(sys.argv[1]), 'a', huge_reduced=True)); print(peak() - before)"
    )
    run = subprocess.run([sys.executable, "-c", program, str(tmp_path / "a")], capture_output=True, text=True, check=True)
    assert int(run.stdout) / 1024 < most


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_jpeg_decodes_as_pillow_does(mode: str):
    data = encode(photo().convert(mode), "JPEG", quality=90)
    with Image.open(BytesIO(data)) as image:
        expected = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(read_image(data, "a") - expected).max() <= 2


def test_without_simplejpeg_pillow_reads_jpeg(monkeypatch: pytest.MonkeyPatch):
    data = encode(photo(), "JPEG", quality=90)
    quick = read_image(data, "a")
    monkeypatch.setattr(images, "simplejpeg", None)
    assert np.abs(read_image(data, "a") - quick.astype(int)).max() <= 2
    assert jpeg_size(data) is None


def test_real_photos_decode_as_pillow_does(shared_data: Path):
    for path in sorted((shared_data / "photos").glob("*.jpg"))[:6]:
        with Image.open(path) as image:
            expected = np.asarray(image.convert("RGB")).astype(int)
        assert np.abs(read_image(path, path.name) - expected).max() <= 2


def test_a_large_jpeg_is_decoded_no_larger_than_needed():
    pytest.importorskip("simplejpeg")
    data = encode(photo(400, 640), "JPEG", quality=95)
    assert jpeg_size(data) == (400, 640)
    sizes = {least: read_image(data, "a", at_least=(least, least)).shape[:2] for least in (0, 400, 201, 200, 100, 51, 50)}
    assert sizes == {
        0: (400, 640), 400: (400, 640), 201: (400, 640), 200: (200, 320), 100: (100, 160), 51: (100, 160), 50: (50, 80),
    }  # fmt: skip
    half = np.asarray(photo(400, 640).resize((320, 200), Image.Resampling.BOX)).astype(int)
    assert np.abs(read_image(data, "a", at_least=(200, 200)) - half).max() <= 4


def test_size_is_only_told_of_plain_jpegs():
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    assert jpeg_size(encode(photo(), "PNG")) is None
    assert jpeg_size(encode(photo(), "JPEG", exif=exif)) is None
    assert jpeg_size(encode(photo().convert("CMYK"), "JPEG")) is None
    assert jpeg_size(b"\xff\xd8\xff nothing") is None


def bomb() -> bytes:
    """A PNG of 20,000 x 20,000 one-bit pixels: 50 KB."""
    return encode(Image.new("1", (20_000, 20_000)), "PNG")


def huge_jpeg(side: int = 60_000) -> bytes:
    """A JPEG whose header claims so many pixels a side."""
    data = bytearray(encode(photo(), "JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = side.to_bytes(2, "big") * 2
    return bytes(data)


BROKEN = {
    "empty": (lambda: b"", "empty file"),
    "text": (lambda: b"once upon a time", "not a known image format"),
    "web_page": (lambda: b"<!doctype html><html></html>", "not a known image format"),
    "jpeg_start_only": (lambda: b"\xff\xd8\xff\xe0", "truncated"),
    "half_jpeg": (lambda: encode(photo(200, 300), "JPEG", quality=95)[:2000], "truncated"),
    "half_png": (lambda: encode(Image.effect_noise((99, 99), 50), "PNG")[:4000], "broken image"),
    "bad_png_chunk": (lambda: encode(photo(), "PNG").replace(b"IDAT", b"IDAX"), "broken image|not a known"),
    "half_gif": (lambda: encode(photo(), "GIF")[:100], "broken image|not a known"),
    "bomb": (bomb, "more than"),
    "huge_jpeg": (huge_jpeg, "60000x60000 is more than"),
    "just_too_large_jpeg": (lambda: huge_jpeg(9460), "9460x9460 is more than 89478485 pixels"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_files_are_refused_in_one_line_that_names_them(kind: str):
    make, reason = BROKEN[kind]
    with pytest.raises(BrokenImageError, match=reason) as caught:
        read_image(make(), "album/one.jpg")
    assert isinstance(caught.value, InputError)
    assert caught.value.name == "album/one.jpg"
    assert str(caught.value) == f"album/one.jpg: {caught.value.reason}"
    assert "\n" not in str(caught.value)


def test_a_jpeg_cut_anywhere_is_an_image_or_a_broken_image():
    data = encode(photo(), "JPEG", exif=Image.Exif())
    for length in range(0, len(data), 7):
        try:
            assert read_image(data[:length], "a").shape == (40, 60, 3)
        except BrokenImageError as error:
            assert error.name == "a"  # noqa: PT017  # a cut near the end leaves an image, which is as good


def test_a_missing_file_is_a_broken_image(tmp_path: Path):
    with pytest.raises(BrokenImageError, match="a: No such file"):
        read_image(tmp_path / "none.jpg", "a")


def test_a_png_named_jpg_is_read(tmp_path: Path):
    (tmp_path / "a.jpg").write_bytes(encode(photo(), "PNG"))
    assert (read_image(tmp_path / "a.jpg", "a.jpg") == RGB).all()


def test_odd_metadata_is_no_reason_to_refuse():
    """Pillow warns of it, and warnings are errors where the tests run."""
    cut = b"Exif\0\0II*\0\x08\0\0\0\xff\xff"
    with pytest.warns(UserWarning, match="Corrupt EXIF"), Image.open(BytesIO(encode(photo(), exif=cut))) as image:
        image.getexif()
    assert (read_image(encode(photo(), exif=cut), "a") == RGB).all()
