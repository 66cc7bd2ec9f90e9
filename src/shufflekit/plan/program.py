"""A program: the steps that the native engine runs, as plain data, and its file.

The file is a safetensors file with two tensors, `tables` (int32) and `weights` (float32), and the rest as JSON in its
metadata under `plan`, behind a checksum of the whole file. A tensor of the network is a list of planes: a table has the
offset of each, in floats from the start of the arena. A step names its tables and weights by where they start. The engine
checks all of it before it runs anything.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from shufflekit.errors import InputError

FORMAT = 1
_BORDER = 64  # bytes: weights are read in place, a cache line at a time
_CHECKSUM_OPENS = b'{"__metadata__":{"checksum":"'  # the header; native/program.cpp looks for it
_CHECKSUM_DIGITS = 32
ALIGNMENT = 16  # floats; the planes of native/kernels/plane.h

# Fields of each kernel's steps beside `kernel`, `name`, `in_buffer`, `out_buffer`, `flops` and `bytes`.
KERNELS: Mapping[str, tuple[str, ...]] = {
    "gemm": (
        *("in", "out", "residual", "weights", "bias"),
        *("groups", "rows", "depth", "pixels", "activation", "slope"),
    ),
    "convolution": (
        *("in", "out", "residual", "weights", "bias"),
        *("groups", "rows", "in_channels", "window", "activation", "slope"),
    ),
    "convolution_pool": (
        *("in", "out", "weights", "bias"),
        *("groups", "rows", "in_channels", "window", "pool_window", "activation", "slope"),
    ),
    "depthwise": ("in", "out", "residual", "weights", "bias", "channels", "window", "activation", "slope"),
    "pointwise_depthwise": (
        *("in", "out", "weights", "bias", "depthwise_weights", "depthwise_bias"),
        *("groups", "rows", "depth", "window", "activation", "slope", "depthwise_activation"),
    ),
    "pool": ("in", "out", "channels", "window", "pooling", "count_padding", "activation", "slope"),
    "affine": ("in", "out", "scale", "shift", "channels", "pixels", "activation", "slope"),
    "binary": ("a", "b", "out", "operation", "b_is_scalar", "channels", "pixels", "activation", "slope"),
    "local_response_norm": ("in", "out", "channels", "pixels", "size", "quarters", "scale", "bias"),
    "softmax": ("in", "out", "channels", "pixels"),
    "resize": (
        *("in", "out", "channels", "in_height", "in_width", "out_height", "out_width"),
        *("resizing", "scale_y", "scale_x"),
    ),
    "gather": (
        *("in", "out", "channels", "in_height", "in_width", "out_height", "out_width"),
        *("first_y", "first_x", "step_y", "step_x"),
    ),
}


def plane_floats(pixels: int) -> int:
    """Floats that a plane of the arena owns; native/kernels/plane.h says why.

    Example:
        >>> plane_floats(1), plane_floats(49), plane_floats(1024)
        (1, 64, 1040)
    """
    if pixels == 1:
        return 1
    floats = -(-pixels // ALIGNMENT) * ALIGNMENT
    return floats if floats % 512 else floats + ALIGNMENT


@dataclass(frozen=True)
class Step:
    """One run of a kernel; `arguments` has the fields that `KERNELS` lists.

    `flops` counts multiply-adds of one image, `bytes` what is read and written, weights included. Buffer 0 is the arena; as
    input, 1 is the network's input; as output, 1 + i is output i.
    """

    kernel: str
    name: str
    arguments: Mapping[str, Any]
    flops: int = 0
    bytes: int = 0
    in_buffer: int = 0
    out_buffer: int = 0

    def to_json(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("kernel", "name", "in_buffer", "out_buffer", "flops", "bytes")}
        return {**own, **self.arguments}


@dataclass(frozen=True)
class Output:
    """A tensor that the program hands out; `shape` is without the batch."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Program:
    """A compiled network.

    Args:
        input_shape: (C, H, W) of an image; any number of images may be run at once.
        arena: floats of working memory for one image.
        tables: plane offsets, int32.
        weights: packed weights and biases, float32.
        info: what a user of the network needs beside it: preprocessing, class names; and what was compiled away.

    Example:
        >>> gather = dict.fromkeys(KERNELS["gather"], 0) | {"channels": 1, "step_y": 1, "step_x": 1}
        >>> gather |= {"in_height": 2, "in_width": 2, "out_height": 2, "out_width": 2}
        >>> identity = Program(
        ...     name="identity",
        ...     input_shape=(1, 2, 2),
        ...     outputs=(Output("y", (1, 2, 2)),),
        ...     arena=0,
        ...     steps=(Step("gather", "y", gather, in_buffer=1, out_buffer=1),),
        ...     tables=np.zeros(1, np.int32),
        ...     weights=np.zeros(0, np.float32),
        ... )
        >>> Program.from_bytes(identity.to_bytes()).steps[0].kernel
        'gather'
    """

    name: str
    input_shape: tuple[int, int, int]
    outputs: tuple[Output, ...]
    arena: int
    steps: tuple[Step, ...]
    tables: NDArray[np.int32]
    weights: NDArray[np.float32]
    info: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def flops(self) -> int:
        """Multiply-adds of one image."""
        return sum(step.flops for step in self.steps)

    @cached_property
    def moves(self) -> tuple[Step, ...]:
        """The steps that only move data."""
        return tuple(step for step in self.steps if step.kernel == "gather")

    def to_bytes(self) -> bytes:
        """The file's content."""
        plan = {
            "format": FORMAT,
            "name": self.name,
            "input": {"shape": list(self.input_shape)},
            "outputs": [{"name": output.name, "shape": list(output.shape)} for output in self.outputs],
            "arena": self.arena,
            "steps": [step.to_json() for step in self.steps],
            "info": dict(self.info),
        }
        # Whole lines of tables leave the weights on a border too.
        tables = np.pad(self.tables.astype("<i4"), (0, -len(self.tables) % (_BORDER // 4)))
        weights = self.weights.astype("<f4")
        header = {
            "__metadata__": {"checksum": "0" * _CHECKSUM_DIGITS, "plan": json.dumps(plan)},
            "tables": _entry("I32", tables, 0),
            "weights": _entry("F32", weights, tables.nbytes),
        }
        text = json.dumps(header, separators=(",", ":"))
        text += " " * (-(8 + len(text)) % _BORDER)
        content = struct.pack("<Q", len(text)) + text.encode() + tables.tobytes() + weights.tobytes()
        return _with_checksum(content, _checksum(content))

    @classmethod
    def from_bytes(cls, content: bytes) -> Program:
        """Reads a file's content; the engine checks what it means.

        Raises:
            InputError: it is no plan, one of another format, or one that is not as it was written.
        """
        has_checksum = content[8 : 8 + len(_CHECKSUM_OPENS)] == _CHECKSUM_OPENS
        if has_checksum:
            blank = _with_checksum(content, b"0" * _CHECKSUM_DIGITS)
            if _with_checksum(content, _checksum(blank)) != content:
                raise InputError("plan: the file is damaged: its checksum is that of another content")
        try:
            (header,) = struct.unpack("<Q", content[:8])
            metadata = json.loads(content[8 : 8 + header])["__metadata__"]
            if not has_checksum and set(metadata) != {"plan"}:  # a bit that flips in a name must not hide the checksum
                raise InputError(f"plan: without a checksum at its start, must have plan alone, found {', '.join(metadata)}")
            plan = json.loads(metadata["plan"])
            tensors = safetensors.numpy.load(content)
            if plan["format"] != FORMAT:
                raise InputError(f"plan: format must be {FORMAT}, found {plan['format']}; compile the network again")
            return cls(
                name=plan["name"],
                input_shape=tuple(plan["input"]["shape"]),
                outputs=tuple(Output(output["name"], tuple(output["shape"])) for output in plan["outputs"]),
                arena=plan["arena"],
                steps=tuple(_step(entry) for entry in plan["steps"]),
                tables=tensors["tables"],
                weights=tensors["weights"],
                info=plan["info"],
            )
        except (struct.error, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"plan: not a plan of shufflekit ({type(error).__name__}: {error})") from error

    def __str__(self) -> str:
        rows = [("step", "kernel", "name", "shape", "kflops", "kB", "reads")]
        rows += [(str(i), s.kernel, s.name, _shape(s), f"{s.flops / 1e3:,.0f}", f"{s.bytes / 1e3:,.0f}", self._view(s))
                 for i, s in enumerate(self.steps)]  # fmt: skip
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = [
            "  ".join(_justify(cell, width, i) for i, (cell, width) in enumerate(zip(row, widths))).rstrip() for row in rows
        ]
        vanished = ", ".join(f"{count} {op}" for op, count in self.info.get("vanished", {}).items()) or "none"
        lines.append(f"compiled away: {vanished}; steps that only move data: {len(self.moves)}")
        memory = f"arena {self.arena * 4 / 1e6:.2f} MB, weights {self.weights.nbytes / 1e6:.2f} MB"
        lines.append(f"{self.flops / 1e6:,.1f} M multiply-adds, {memory}")
        return "\n".join(lines)

    def _view(self, step: Step) -> str:
        """The planes that a step reads: how many, and in how many runs of neighbours."""
        table = step.arguments.get("in", step.arguments.get("a"))
        offsets = self.tables[table : table + _planes_read(step)].astype(np.int64)
        strides = np.diff(offsets)
        runs = 1 + int(np.count_nonzero(strides[1:] != strides[:-1])) if len(offsets) > 2 else 1
        return f"{len(offsets)} planes" + (f" in {runs} runs" if runs > 1 else "")


def _entry(dtype: str, array: NDArray[Any], start: int) -> dict[str, Any]:
    """Of a tensor in a safetensors header."""
    return {"dtype": dtype, "shape": list(array.shape), "data_offsets": [start, start + array.nbytes]}


def _checksum(content: bytes) -> bytes:
    """Fletcher's, over 32-bit words, the file's size before them: the sum of all, and the sum of the sums up to each."""
    words = np.frombuffer(content + bytes(-len(content) % 4), "<u4")
    sums = np.cumsum(words, dtype=np.uint64) + np.uint64(len(content))  # modulo 2^64
    return f"{int(sums[-1]):016x}{int(sums.sum()):016x}".encode()


def _with_checksum(content: bytes, digits: bytes) -> bytes:
    start = 8 + len(_CHECKSUM_OPENS)
    return content[:start] + digits + content[start + _CHECKSUM_DIGITS :]


def _step(entry: Mapping[str, Any]) -> Step:
    kernel = entry["kernel"]
    if kernel not in KERNELS:
        raise InputError(f"plan: kernel must be one of {', '.join(KERNELS)}, found {kernel!r}")
    own = {name: entry[name] for name in ("name", "in_buffer", "out_buffer", "flops", "bytes")}
    return Step(kernel=kernel, arguments={name: entry[name] for name in KERNELS[kernel]}, **own)


def _planes_read(step: Step) -> int:
    a = step.arguments
    return int(a["channels"] if "channels" in a else a["groups"] * a.get("depth", a.get("in_channels")))


def _shape(step: Step) -> str:
    a = step.arguments
    channels = a["channels"] if "channels" in a else a["groups"] * a["rows"]
    groups = f", {a['groups']} groups" if a.get("groups", 1) > 1 else ""
    if "window" in a:
        in_height, in_width, out_height, out_width, kernel_y, kernel_x = a["window"][:6]
        if "depthwise_weights" in a:
            groups = ", pointwise first"
        if "pool_window" in a:
            out_height, out_width = a["pool_window"][2:4]
            groups = ", pooled 3x3"
        window = "" if step.kernel == "pool" and a["pooling"].startswith("adaptive") else f" {kernel_y}x{kernel_x}"
        return f"{_planes_read(step)}x{in_height}x{in_width} ->{window} {channels}x{out_height}x{out_width}{groups}"
    if "out_height" in a:
        return f"{channels}x{a['in_height']}x{a['in_width']} -> {channels}x{a['out_height']}x{a['out_width']}"
    return f"{_planes_read(step)} -> {channels}, {a['pixels']} pixels{groups}"


def _justify(cell: str, width: int, column: int) -> str:
    return cell.rjust(width) if column in (0, 4, 5) else cell.ljust(width)
