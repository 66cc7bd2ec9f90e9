"""A program: the steps that the native engine runs, as plain data, and its file.

The file is a safetensors file with two tensors, `tables` (int32) and `weights` (bytes), and the rest as JSON in its
metadata under `plan`, behind a checksum of the whole file. A tensor of the network is a list of planes: a table has the
offset of each, in elements from the start of its buffer: the arena, or an input or output of the network. A step names its
tables and weights by where they start. The engine checks all of it before it runs anything.
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

from shufflekit.errors import InputError, UsageError
from shufflekit.plan.kernels import KERNELS, Kernel, Window
from shufflekit.records import record

FORMAT = 2
BORDER = 64  # bytes: planes and weights start on a cache line's border (native/kernels/plane.h)
_CHECKSUM_OPENS = b'{"__metadata__":{"checksum":"'  # the header; native/program.cpp looks for it
_CHECKSUM_DIGITS = 32

ELEMENTS: Mapping[str, int] = {"float32": 4, "uint8": 1}  # bytes of each type of inputs and outputs


def plane_bytes(pixels: int, element: int = 4) -> int:
    """Bytes that a plane of the arena owns; native/kernels/plane.h says why.

    Args:
        element: bytes of one.

    Example:
        >>> plane_bytes(1), plane_bytes(49), plane_bytes(1024), plane_bytes(49, element=1)
        (4, 256, 4160, 64)
    """
    if pixels == 1:
        return element
    size = -(-pixels * element // BORDER) * BORDER
    return size if size % 2048 else size + BORDER


@dataclass(frozen=True)
class Step:
    """One run of a kernel.

    Args:
        arguments: what it computes.
        variant: how.
        tables: where each table of planes starts, those that it reads by name and `out`.
        weights: where each of its weights starts.
        flops: multiply-adds of one image.
        bytes: read and written, weights included.
        in_buffer: 0 is the arena, 1 + i input i, and behind the inputs the weights, where a constant is read as it lies.
        out_buffer: 0 is the arena, 1 + i output i.
    """

    arguments: Kernel
    name: str
    tables: Mapping[str, int]
    weights: Mapping[str, int] = field(default_factory=dict)
    flops: int = 0
    bytes: int = 0
    in_buffer: int = 0
    out_buffer: int = 0
    variant: str = "any"

    @property
    def kernel(self) -> str:
        """The kernel's name."""
        return self.arguments.kernel

    def to_json(self) -> dict[str, Any]:
        fields = {name: vars(value) if isinstance(value, Window) else value for name, value in vars(self.arguments).items()}
        return {"kernel": self.kernel, **{name: getattr(self, name) for name in _OWN}, **self.tables, **self.weights, **fields}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Step:
        if entry["kernel"] not in KERNELS:
            raise InputError(f"plan: kernel must be one of {', '.join(KERNELS)}, found {entry['kernel']!r}")
        kind = KERNELS[entry["kernel"]]
        tables = (*kind.reads, *(table for table in kind.may_read if table in entry), "out")
        arguments = record(kind, entry, f"plan: step {entry['name']}")
        return cls(
            arguments=arguments,
            tables={table: entry[table] for table in tables},
            weights={name: entry[name] for name in arguments.own_weights},
            **{name: entry[name] for name in _OWN},
        )


_OWN = ("variant", "name", "in_buffer", "out_buffer", "flops", "bytes")


@dataclass(frozen=True)
class Tensor:
    """An input or output.

    Args:
        shape: without the batch.
        type: of its elements.
        batched: by image; in the file its shape opens with "N".
    """

    name: str
    shape: tuple[int, ...]
    type: str = "float32"
    batched: bool = True

    @property
    def element(self) -> int:
        """Bytes of one."""
        return ELEMENTS[self.type]

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "type": self.type, "shape": [*["N"] * self.batched, *self.shape]}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Tensor:
        if entry["type"] not in ELEMENTS:
            raise InputError(f"plan: type must be one of {', '.join(ELEMENTS)}, found {entry['type']!r}")
        batched = entry["shape"][:1] == ["N"]
        return cls(entry["name"], tuple(entry["shape"][batched:]), entry["type"], batched)


@dataclass(frozen=True, eq=False)
class Program:
    """A compiled network.

    Args:
        inputs: in the network's order; any number of images may be run at once.
        arena: bytes of working memory for one image.
        tables: plane offsets, int32.
        weights: packed weights and biases, as bytes.
        info: what a user of the network needs beside it: preprocessing, class names; and what was compiled away.

    Example:
        >>> from shufflekit.plan.kernels import Gather
        >>> gather = Gather.of_planes(channels=1, pixels=4)
        >>> identity = Program(
        ...     name="identity",
        ...     inputs=(Tensor("x", (1, 2, 2)),),
        ...     outputs=(Tensor("y", (1, 2, 2)),),
        ...     arena=0,
        ...     steps=(Step(gather, "y", {"in": 0, "out": 0}, in_buffer=1, out_buffer=1),),
        ...     tables=np.zeros(1, np.int32),
        ...     weights=np.zeros(0, np.uint8),
        ... )
        >>> Program.from_bytes(identity.to_bytes()).steps[0].kernel
        'gather'
    """

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    arena: int
    steps: tuple[Step, ...]
    tables: NDArray[np.int32]
    weights: NDArray[np.uint8]
    info: Mapping[str, Any] = field(default_factory=dict)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of the only input, without the batch.

        Raises:
            UsageError: there are several.
        """
        if len(self.inputs) > 1:
            raise UsageError(f"input_shape: the plan has {len(self.inputs)} inputs; `inputs` has the shape of each")
        return self.inputs[0].shape

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
            "inputs": [tensor.to_json() for tensor in self.inputs],
            "outputs": [tensor.to_json() for tensor in self.outputs],
            "arena": self.arena,
            "steps": [step.to_json() for step in self.steps],
            "info": dict(self.info),
        }
        # Whole lines of tables leave the weights on a border too.
        tables, weights = _whole_lines(self.tables.astype("<i4", copy=False)), _whole_lines(self.weights)
        header = {
            "__metadata__": {"checksum": "0" * _CHECKSUM_DIGITS, "plan": json.dumps(plan)},
            "tables": _entry("I32", tables, 0),
            "weights": _entry("U8", weights, tables.nbytes),
        }
        text = json.dumps(header, separators=(",", ":"))
        text += " " * (-(8 + len(text)) % BORDER)
        head = struct.pack("<Q", len(text)) + text.encode()
        return b"".join([_with_checksum(head, _checksum(head, tables, weights)), tables.data, weights.data])

    @classmethod
    def from_bytes(cls, content: bytes) -> Program:
        """Reads a file's content; the engine checks what it means.

        Raises:
            InputError: it is no plan, one of another format, or one that is not as it was written.
        """
        has_checksum = content[8 : 8 + len(_CHECKSUM_OPENS)] == _CHECKSUM_OPENS
        if has_checksum:
            end = 8 + len(_CHECKSUM_OPENS) + _CHECKSUM_DIGITS
            end += -end % 4
            blank = _with_checksum(content[:end], b"0" * _CHECKSUM_DIGITS)
            if _with_checksum(blank, _checksum(blank, memoryview(content)[end:])) != content[:end]:
                raise InputError("plan: the file is damaged: its checksum is that of another content")
        try:
            (header,) = struct.unpack("<Q", content[:8])
            metadata = json.loads(content[8 : 8 + header])["__metadata__"]
            if not has_checksum and set(metadata) != {"plan"}:  # a bit that flips in a name must not hide the checksum
                raise InputError(f"plan: without a checksum at its start, must have plan alone, found {', '.join(metadata)}")
            plan = json.loads(metadata["plan"])
            if plan["format"] != FORMAT:
                raise InputError(f"plan: format must be {FORMAT}, found {plan['format']}; compile the network again")
            tensors = safetensors.numpy.load(content)
            return cls(
                name=plan["name"],
                inputs=tuple(Tensor.from_json(entry) for entry in plan["inputs"]),
                outputs=tuple(Tensor.from_json(entry) for entry in plan["outputs"]),
                arena=plan["arena"],
                steps=tuple(Step.from_json(entry) for entry in plan["steps"]),
                tables=tensors["tables"],
                weights=tensors["weights"],
                info=plan["info"],
            )
        except (struct.error, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"plan: not a plan of shufflekit ({type(error).__name__}: {error})") from error

    def __str__(self) -> str:
        rows: list[tuple[str, ...]] = [("step", "kernel", "variant", "name", "shape", "kflops", "kB", "reads")]
        for number, step in enumerate(self.steps):
            thousands = (f"{size / 1e3:,.0f}" for size in (step.flops, step.bytes))
            what = (step.kernel, step.variant, step.name, str(step.arguments))
            rows.append((str(number), *what, *thousands, self._view(step)))
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = [
            "  ".join(_justify(cell, width, i) for i, (cell, width) in enumerate(zip(row, widths))).rstrip() for row in rows
        ]
        vanished = ", ".join(f"{count} {op}" for op, count in self.info.get("vanished", {}).items()) or "none"
        lines.append(f"compiled away: {vanished}; steps that only move data: {len(self.moves)}")
        memory = f"arena {self.arena / 1e6:.2f} MB, weights {self.weights.nbytes / 1e6:.2f} MB"
        lines.append(f"{self.flops / 1e6:,.1f} M multiply-adds, {memory}")
        return "\n".join(lines)

    def _view(self, step: Step) -> str:
        """The planes that a step reads: how many, and in how many runs of neighbours."""
        if not step.arguments.reads:
            return "nothing"
        start = step.tables[step.arguments.reads[0]]
        offsets = self.tables[start : start + step.arguments.planes_read].astype(np.int64)
        strides = np.diff(offsets)
        runs = 1 + int(np.count_nonzero(strides[1:] != strides[:-1])) if len(offsets) > 2 else 1
        return f"{len(offsets)} planes" + (f" in {runs} runs" if runs > 1 else "")


def _entry(dtype: str, array: NDArray[Any], start: int) -> dict[str, Any]:
    """Of a tensor in a safetensors header."""
    return {"dtype": dtype, "shape": list(array.shape), "data_offsets": [start, start + array.nbytes]}


def _whole_lines(array: NDArray[Any]) -> NDArray[Any]:
    """With zeros up to the next border."""
    array = np.ascontiguousarray(array)
    missing = -array.nbytes % BORDER // array.itemsize
    return np.concatenate([array, np.zeros(missing, array.dtype)]) if missing else array


_BLOCK = 1 << 16  # words whose sums stay in the cache


def _checksum(*parts: Any) -> bytes:
    """Fletcher's, over 32-bit words, the file's size before them: the sum of all, and the sum of the sums up to each.

    Args:
        parts: of the file, bytes or arrays, all but the last of whole words.
    """
    views = [memoryview(part).cast("B") for part in parts if len(part)]
    total, sums = sum(len(view) for view in views), 0  # modulo 2^64
    for view in views:
        words = np.frombuffer(view if len(view) % 4 == 0 else bytes(view) + bytes(-len(view) % 4), "<u4")
        for first in range(0, len(words), _BLOCK):
            each = np.cumsum(words[first : first + _BLOCK], dtype=np.uint64)
            sums += total * len(each) + int(each.sum())
            total += int(each[-1])
    return f"{total % (1 << 64):016x}{sums % (1 << 64):016x}".encode()


def _with_checksum(content: bytes, digits: bytes) -> bytes:
    start = 8 + len(_CHECKSUM_OPENS)
    return content[:start] + digits + content[start + _CHECKSUM_DIGITS :]


def _justify(cell: str, width: int, column: int) -> str:
    return cell.rjust(width) if column in (0, 5, 6) else cell.ljust(width)
