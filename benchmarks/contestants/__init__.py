"""Who runs a network in which precision: this package and its peers, from the same calibration images.

All start from one ONNX file, and a peer's int8 files are written by its own quantiser. Not in the list: int8 of ncnn, whose
quantiser (`ncnn2table`, `ncnn2int8`) is in no wheel; bfloat16 of MNN, whose build for x86 gives the same bits whatever
precision it is asked for; that of ONNX Runtime, which has it on Arm alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from torch import nn

import shufflekit as sk
from shufflekit.bench.runtimes import RUNTIMES
from shufflekit.errors import InputError
from shufflekit.export import Format, Settings
from shufflekit.export.format import Run, Shape
from shufflekit.export.from_onnx import FromOnnx
from shufflekit.export.quantize import SUFFIX, quantize
from shufflekit.export.to_ncnn import Ncnn
from shufflekit.export.to_openvino import OpenVino
from shufflekit.outputs import Array

STEM = "net"
_PATIENCE = 10  # minutes, with a quantiser that takes seconds for small networks


@dataclass(frozen=True)
class Source:
    """What a contestant's files are made of: a network and its ONNX file, images of calibration, and where the files go."""

    network: nn.Module
    images: Array
    folder: Path

    @property
    def shape(self) -> Shape:
        _, *sizes = self.images.shape
        return (1, sizes[0], sizes[1], sizes[2])

    @property
    def onnx(self) -> Path:
        return self.folder / f"{STEM}.onnx"


Write = Callable[[Source], object]


class _OpenVinoBfloat16(OpenVino):
    precision = "bf16"


class _NcnnBfloat16(Ncnn):
    narrow = ("bf16_packed", "bf16_storage")


@dataclass(frozen=True)
class Contestant:
    """A runtime in a precision.

    Args:
        runtime: that loads the files.
        precision: float32, bfloat16 or int8, and with what else.
        write: writes the files; None where they are another one's, or the ONNX file that all start from.
        suffix: of the names of its files, after `STEM`.
        timed: False for one that is only scored.
    """

    runtime: Format
    precision: str
    write: Write | None = None
    suffix: str = ""
    timed: bool = True

    @property
    def name(self) -> str:
        """As the tables call it."""
        return f"{self.runtime.name} {self.precision}"

    @property
    def is_exact(self) -> bool:
        return self.precision == "float32"

    def files(self, folder: Path) -> list[Path]:
        return self.runtime.files(folder / f"{STEM}{self.suffix}")

    def load(self, folder: Path, threads: int) -> Run:
        return self.runtime.load(folder / f"{STEM}{self.suffix}", threads)


def _plan(weight_bits: int | None, precision: str = "float32", suffix: str = "") -> Write:
    def write(source: Source) -> None:
        if weight_bits is None:
            sk.compile(source.onnx, precision=precision).save(source.folder / f"{STEM}{suffix}.plan")
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of noise in random weights, which no one deploys
            engine = sk.compile(source.onnx, int8=source.images, weight_bits=weight_bits)
        engine.save(source.folder / f"{STEM}{SUFFIX if weight_bits == 8 else '.int7'}.plan")

    return write


def _converted(runtime: Format) -> Write:
    def write(source: Source) -> None:
        if isinstance(runtime, FromOnnx):
            runtime.convert(source.onnx, source.shape, source.folder / STEM)
        else:
            runtime.write(source.network, source.shape, source.folder / STEM, Settings())

    return write


def _quantized(form: str) -> Write:
    return lambda source: quantize(form, source.folder, STEM, source.images)


def _quantized_mnn(source: Source) -> None:
    """https://github.com/alibaba/MNN/blob/master/docs/tools/quant.md; of its methods, KL and ADMM crash on these networks."""
    images, folder = source.images, source.folder
    least, most = images.min((0, 2, 3)), images.max((0, 2, 3))
    step = np.maximum(most - least, 1e-6) / 255  # its calibration images are pictures
    with TemporaryDirectory(dir=folder) as work:
        pictures = Path(work, "pictures")
        pictures.mkdir()
        for number, image in enumerate(images):
            _write_picture(pictures / f"{number}.png", (image - least[:, None, None]) / step[:, None, None])
        settings = {
            "format": "RGB",
            "mean": (-least / step).tolist(),
            "normal": step.tolist(),
            "width": images.shape[3],
            "height": images.shape[2],
            "path": f"{pictures}/",
            "used_image_num": len(images),
            "batch_size": 1,
            "feature_quantize_method": "EMA",
            "weight_quantize_method": "MAX_ABS",
        }
        config = Path(work, "settings.json")
        config.write_text(json.dumps(settings), encoding="utf-8")
        exact, target = (folder / f"{STEM}{suffix}.mnn" for suffix in ("", SUFFIX))
        # In a process of its own, which it takes along when it crashes.
        command = "import _tools, sys; _tools.mnnquant(['mnnquant', *sys.argv[1:]])"
        command_line = [sys.executable, "-c", command, exact, target, config]
        try:
            done = subprocess.run(command_line, capture_output=True, check=False, timeout=60 * _PATIENCE)
        except subprocess.TimeoutExpired:
            raise InputError(f"MNN: its quantiser took more than {_PATIENCE} minutes for {len(images)} images") from None
    if done.returncode or not target.exists():
        raise InputError(f"MNN: its quantiser ended with exit code {done.returncode}")


def _write_picture(path: Path, pixels: Array) -> None:
    from PIL import Image

    Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8).transpose(1, 2, 0)).save(path)


_ONNX, _OPENVINO, _MNN = (RUNTIMES[name] for name in ("onnxruntime", "openvino", "mnn"))
_CONTESTANTS = (
    Contestant(RUNTIMES["engine"], "float32", _plan(None)),
    Contestant(RUNTIMES["engine"], "bfloat16", _plan(None, "bfloat16", ".bfloat16"), ".bfloat16"),
    Contestant(RUNTIMES["engine"], "int8", _plan(8), SUFFIX),
    Contestant(RUNTIMES["engine"], "int8, weights of 7 bits", _plan(7), ".int7", timed=False),
    Contestant(_ONNX, "float32"),
    Contestant(_ONNX, "int8", _quantized("onnx"), SUFFIX),
    Contestant(_OPENVINO, "float32", _converted(_OPENVINO)),
    Contestant(_OpenVinoBfloat16(), "bfloat16"),
    Contestant(_OPENVINO, "int8", _quantized("openvino"), SUFFIX),
    Contestant(_OpenVinoBfloat16(), "int8 and bfloat16", None, SUFFIX),
    Contestant(_MNN, "float32", _converted(_MNN)),
    Contestant(_MNN, "int8", _quantized_mnn, SUFFIX),
    Contestant(RUNTIMES["ncnn"], "float32", _converted(RUNTIMES["ncnn"])),
    Contestant(_NcnnBfloat16(), "bfloat16"),
    Contestant(RUNTIMES["litert"], "float32", _converted(RUNTIMES["litert"])),
    Contestant(RUNTIMES["executorch"], "float32", _converted(RUNTIMES["executorch"])),
)
CONTESTANTS: Mapping[str, Contestant] = {one.name: one for one in _CONTESTANTS}
OURS = ("shufflekit float32", "shufflekit bfloat16", "shufflekit int8")
