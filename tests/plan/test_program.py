"""A plan's file: what its checksum finds, files from before there was one, and plans that ask for more memory than they use."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

import shufflekit as sk
from shufflekit.errors import InputError, UsageError
from shufflekit.plan.kernels import Depthwise
from shufflekit.plan.program import Program, Tensor
from shufflekit.runtime import Engine

pytest.importorskip("shufflekit._native", reason="the compiled part is not built")


@pytest.fixture(scope="module")
def program() -> Program:
    network = nn.Sequential(nn.Conv2d(2, 4, 3, 1, 1), nn.Conv2d(4, 4, 5, 1, 2, groups=4))
    return sk.compile(network, (1, 2, 8, 8), name="two layers").program


def test_the_shape_is_that_of_the_only_input(program: Program) -> None:
    assert program.input_shape == (2, 8, 8)
    with pytest.raises(UsageError, match="input_shape: the plan has 2 inputs"):
        _ = replace(program, inputs=(*program.inputs, Tensor("other", (1,)))).input_shape


def readers() -> list[Callable[[bytes], object]]:
    return [Program.from_bytes, Engine]


def rewritten(content: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    """With another header, as another writer would lay it out."""
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    change(header)
    text = json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % 64)
    return struct.pack("<Q", len(text)) + text + content[8 + size :]


def test_a_bit_that_flips_anywhere_is_refused_in_one_line(program: Program) -> None:
    content = program.to_bytes()
    places = np.random.default_rng(0).integers(0, 8 * len(content), 100).tolist()
    places += range(8 * 8, 8 * 80, 3)  # the header's first bytes, among them the checksum's name and digits
    for place in places:
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << place % 8
        for read in readers():
            with pytest.raises(InputError) as error:
                read(bytes(flipped))
            assert "\n" not in str(error.value)


@pytest.mark.parametrize("read", readers())
def test_damage_that_leaves_a_sound_plan_is_seen(program: Program, read: Callable[[bytes], object]) -> None:
    content = program.to_bytes()
    weights = len(content) - program.weights.nbytes
    before, first, second, after = np.split(np.frombuffer(content, np.uint8), [weights, weights + 4, weights + 8])
    swapped = np.concatenate([before, second, first, after]).tobytes()
    lost = np.concatenate([before, 0 * first, second, after]).tobytes()
    assert len({content, swapped, lost}) == 3
    others = [content[:-1], content[:-2], content + bytes(1), content + bytes(4)]
    for damaged in (swapped, lost, *others, content.replace(b"two layers", b"too layers")):
        with pytest.raises(InputError, match="plan: the file is damaged: its checksum"):
            read(damaged)


def test_a_plan_from_before_there_were_checksums_is_read(program: Program) -> None:
    old = rewritten(program.to_bytes(), lambda header: header["__metadata__"].pop("checksum"))
    assert Program.from_bytes(old).steps == program.steps
    x = np.ones((1, 2, 8, 8), np.float32)
    np.testing.assert_array_equal(Engine(old)(x), Engine(program.to_bytes())(x))


def test_a_checksum_that_cannot_be_checked_is_refused(program: Program) -> None:
    moved = rewritten(program.to_bytes(), lambda header: None)  # blanks behind colons: its place is another
    with pytest.raises(InputError, match="plan: checksum must come first in the file"):
        Engine(moved)
    hidden = program.to_bytes().replace(b"checksum", b"checksun")
    with pytest.raises(InputError, match="plan: __metadata__: checksun must be left out"):
        Engine(hidden)


def test_a_refusal_is_one_line_whatever_the_names_are(program: Program) -> None:
    steps = (replace(program.steps[0], name="two\nlines", out_buffer=1), *program.steps[1:])
    with pytest.raises(InputError, match=r"^plan: step 0 \(two lines\): out_buffer must be 0 for this kernel, found 1$"):
        Engine(replace(program, steps=steps).to_bytes())


def run_in_little_memory(content: bytes, path: Path) -> str:
    """What a process of at most 1 GB says after it ran the plan."""
    path.write_bytes(content)
    code = f"""
import resource, numpy as np, shufflekit as sk
resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
engine = sk.load({str(path)!r})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
engine(np.ones((1, *engine.input_shape), np.float32))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    return done.stdout or done.stderr


def test_an_arena_is_no_larger_than_what_the_steps_use(program: Program, tmp_path: Path) -> None:
    asks = replace(program, arena=2**32).to_bytes()
    assert len(asks) < 9000
    assert int(run_in_little_memory(asks, tmp_path / "net.plan")) < 16


def test_a_plane_far_behind_the_others_is_refused(program: Program) -> None:
    tables = program.tables.copy()
    convolution, depthwise = program.steps[:2]
    for table in (convolution.tables["out"], depthwise.tables["in"]):
        tables[table] = 2**30 - 1024
    with pytest.raises(InputError, match=r"plan: arena must be laid out without gaps: its planes reach up to byte \d+, and"):
        Engine(replace(program, arena=2**32, tables=tables).to_bytes())


@pytest.mark.parametrize(
    "change",
    [
        {"kernel_y": 1024, "dilation_y": 4000},  # taps far from each other
        {"stride_y": 1024, "stride_x": 1024},  # windows far from each other
    ],
)
def test_scratch_is_in_proportion_to_what_a_step_reads_and_writes(program: Program, change: dict[str, int]) -> None:
    depthwise = program.steps[1]
    assert isinstance(depthwise.arguments, Depthwise)
    larger = replace(depthwise.arguments, window=replace(depthwise.arguments.window, **change))
    steps = (program.steps[0], replace(depthwise, arguments=larger), program.steps[2])
    weights = np.zeros(1 << 18, np.uint8)  # as many as the larger kernel takes
    with pytest.raises(InputError, match=r"plan: step 1 .*: window must be smaller"):
        Engine(replace(program, steps=steps, weights=weights).to_bytes())


@pytest.mark.parametrize("read", readers())
def test_a_plan_of_another_format_says_what_to_do(program: Program, read: Callable[[bytes], object]) -> None:
    def to_format_1(header: dict[str, Any]) -> None:
        plan = json.loads(header["__metadata__"]["plan"])
        header["__metadata__"] = {"plan": json.dumps({**plan, "format": 1})}

    with pytest.raises(InputError, match=r"^plan: format must be 2, found 1; compile the network again$"):
        read(rewritten(program.to_bytes(), to_format_1))


@pytest.mark.parametrize(
    ("place", "field", "message"),
    [
        ("steps", "kernel", "kernel must be one .*, found '?other"),
        ("inputs", "type", "type must be one of float32.*, found '?other"),
        ("outputs", "type", "type must be one of float32.*, found '?other"),
    ],
)
@pytest.mark.parametrize("read", readers())
def test_a_word_that_is_none_is_refused(
    program: Program, read: Callable[[bytes], object], place: str, field: str, message: str
) -> None:
    def change(header: dict[str, Any]) -> None:
        plan = json.loads(header["__metadata__"]["plan"])
        plan[place][0][field] = "other"
        header["__metadata__"] = {"plan": json.dumps(plan)}

    with pytest.raises(InputError, match=message):
        read(rewritten(program.to_bytes(), change))


@pytest.mark.parametrize(
    "change", [{"inputs": 3}, {"steps": [7]}, {"outputs": [{"name": "y", "type": "float32"}]}, {"arena": None}]
)
def test_a_plan_whose_fields_are_of_other_types_is_one_line(program: Program, change: dict[str, Any]) -> None:
    def to_other_types(header: dict[str, Any]) -> None:
        plan = json.loads(header["__metadata__"]["plan"]) | change
        header["__metadata__"] = {"plan": json.dumps({name: each for name, each in plan.items() if each is not None})}

    for read in readers():
        with pytest.raises(InputError, match="^plan: [^\\n]+$"):
            read(rewritten(program.to_bytes(), to_other_types))


@pytest.mark.parametrize("place", ["plan", "step", "window", "input"])
def test_a_field_that_the_engine_does_not_know_is_refused(program: Program, place: str) -> None:
    """It may change what a step should do."""

    def add(header: dict[str, Any]) -> None:
        plan = json.loads(header["__metadata__"]["plan"])
        places = {"plan": plan, "step": plan["steps"][0], "window": plan["steps"][0]["window"], "input": plan["inputs"][0]}
        places[place]["zero_point"] = 3
        header["__metadata__"] = {"plan": json.dumps(plan)}

    Engine(rewritten(program.to_bytes(), lambda header: header.update(__metadata__={"plan": header["__metadata__"]["plan"]})))
    with pytest.raises(InputError, match=r"zero_point must be left out: this engine does not know it"):
        Engine(rewritten(program.to_bytes(), add))
