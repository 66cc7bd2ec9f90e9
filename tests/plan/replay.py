"""Runs a plan on memory that remembers which step wrote each float, as which pixel of which plane, in place of numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shufflekit.plan.program import Program, Step, plane_bytes

PADDING, SINGLE = -1, -2  # in place of a pixel's number: nobody's, and that of an element written by itself


@dataclass(frozen=True)
class Planes:
    """One table of a step: where its planes start, in floats, and how many pixels each has."""

    offsets: NDArray[np.int64]
    pixels: int

    @property
    def floats(self) -> NDArray[np.int64]:
        """(planes, pixels)."""
        return self.offsets[:, None] + np.arange(self.pixels)


def planes(program: Program, step: Step) -> dict[str, Planes]:
    """The tables of a step that it has."""
    a = step.arguments
    sizes = {table: (a.planes_of(table), a.pixels_read(table)) for table in (*a.reads, *a.may_read)}
    sizes["out"] = a.out_shape[0], a.pixels_written
    return {
        table: Planes(program.tables[start : start + sizes[table][0]].astype(np.int64), sizes[table][1])
        for table, start in step.tables.items()
    }


def assert_memory_holds(program: Program) -> None:
    """Every plane that a step reads is whole, as one step wrote it, and nothing is written over what the step still reads."""
    writer, pixel = np.full(program.arena // 4, -1), np.zeros(program.arena // 4, int)
    outputs = [np.zeros(math.prod(output.shape), bool) for output in program.outputs]
    sources = [*(math.prod(each.shape) for each in program.inputs), program.weights.nbytes // 4]
    for number, step in enumerate(program.steps):
        tables = planes(program, step)
        out = tables.pop("out")
        where = f"step {number} ({step.kernel} {step.name})"
        for table, read in tables.items():
            floats = read.floats
            assert floats.min() >= 0, where
            if step.in_buffer:
                assert floats.max() < sources[step.in_buffer - 1], where
                continue
            assert floats.max() < len(writer), where
            assert (pixel[floats] != PADDING).all(), f"{where} reads in {table} beyond the end of a plane"
            assert (writer[floats] >= 0).all(), f"{where} reads in {table} what no step has written"
            assert (writer[floats] == writer[floats[:, :1]]).all(), f"{where} reads in {table} what two steps have written"
            in_order = pixel[floats] - pixel[floats[:, :1]] == np.arange(read.pixels)
            assert (in_order | (pixel[floats] == SINGLE)).all(), f"{where}, {table}: a torn plane"
        if step.out_buffer:
            done = outputs[step.out_buffer - 1]
            assert not done[out.floats].any(), f"{where} writes an output twice"
            done[out.floats] = True
            continue
        _write(number, step, tables, out, writer, pixel, where)
    assert all(done.all() for done in outputs), "a part of an output is never written"


def _write(
    number: int,
    step: Step,
    tables: dict[str, Planes],
    out: Planes,
    writer: NDArray[np.int64],
    pixel: NDArray[np.int64],
    where: str,
) -> None:
    owned = out.offsets[:, None] + np.arange(plane_bytes(out.pixels) // 4)
    assert len(np.unique(owned)) == owned.size, f"{where} writes a place twice"
    assert owned.min() >= 0, where
    assert owned.max() < len(writer), where
    for table, read in tables.items():
        if step.in_buffer:
            continue
        rows = np.isin(read.floats, owned).any(axis=1)
        in_place = table == "residual" and np.array_equal(read.offsets[rows], out.offsets[rows])
        assert in_place or not rows.any(), f"{where} writes over what it reads in {table}"
    writer[owned], pixel[owned] = number, PADDING
    pixel[out.floats] = np.arange(out.pixels) if out.pixels > 1 else SINGLE
