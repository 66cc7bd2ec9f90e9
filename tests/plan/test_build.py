"""Programs of whole networks: what vanished, what is left, and that no step reads what another overwrote."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from shufflekit.errors import InputError, UsageError
from shufflekit.graph import simplify
from shufflekit.graph.from_torch import capture
from shufflekit.models import build_model
from shufflekit.plan.build import build
from shufflekit.plan.kernels import Gather
from shufflekit.plan.program import Program, plane_bytes
from tests.plan.replay import assert_memory_holds, planes


def program_of(model: nn.Module, shape: tuple[int, int, int, int] = (1, 3, 64, 64)) -> Program:
    return build(simplify(capture(model, shape)))


@pytest.mark.parametrize(
    "name", ["shufflenet_v1_g3_x0_25", "shufflenet_v1_g8_x0_25", "shufflenet_v2_x0_5", "res_shufflenet_v2_x0_5"]
)
def test_no_step_of_a_shufflenet_only_moves_data_but_the_one_that_hands_out_the_result(name: str) -> None:
    program = program_of(build_model(name))
    assert [step.out_buffer for step in program.moves] == [1]
    assert program.info["vanished"]["concat"] >= 3
    assert program.info["vanished"]["permute"] >= 16


def test_v2_takes_one_step_for_each_convolution() -> None:
    model = build_model("shufflenet_v2_x0_5")
    convolutions = sum(isinstance(module, nn.Conv2d) for module in model.modules())
    kernels = [step.kernel for step in program_of(model, (1, 3, 224, 224)).steps]
    assert len(kernels) == convolutions + 3  # global pool, classifier, output; the max pool is part of the stem
    assert kernels[0] == "convolution_pool"
    assert "convolution" not in kernels
    assert kernels.count("depthwise") == sum(m.groups > 1 for m in model.modules() if isinstance(m, nn.Conv2d))


def test_flops_are_those_of_the_paper() -> None:
    assert program_of(build_model("shufflenet_v2_x1_0", unit_split="release"), (1, 3, 224, 224)).flops == pytest.approx(
        146e6, rel=0.003
    )


@pytest.mark.parametrize(
    "name", ["shufflenet_v1_g3_x0_25", "shufflenet_v2_x0_5", "se_shufflenet_v2_x0_5", "densenet_like_x0_5"]
)
def test_a_step_reads_only_what_the_last_writer_of_that_place_meant_for_it(name: str) -> None:
    """All planes of all tables: each as one step wrote it. That it is the right step's, parity with PyTorch shows."""
    assert_memory_holds(program_of(build_model(name)))


def test_a_sum_is_written_over_the_residual_that_nobody_reads_any_more() -> None:
    program = program_of(build_model("shufflenet_v1_g3_x0_25"))
    sums = [step for step in program.steps if "residual" in step.tables]
    assert len(sums) == 13  # of 16 units, three have a concat in its place
    for step in sums:
        tables = planes(program, step)
        assert np.array_equal(tables["out"].offsets, tables["residual"].offsets)


@pytest.mark.parametrize(("width", "kernel"), [(64, "convolution_pool"), (60, "convolution")])
def test_a_wide_stem_is_pooled_row_by_row(width: int, kernel: str) -> None:
    stem = nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
    assert program_of(stem, (1, 3, 40, width)).steps[0].kernel == kernel


def test_a_stem_that_others_read_too_is_kept() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 8, 3, 1, 1)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            x = self.stem(x)
            return x, nn.functional.max_pool2d(x, 3, 2, 1)

    assert [step.kernel for step in program_of(Both(), (1, 3, 32, 32)).steps[:2]] == ["convolution", "pool"]


def test_a_program_survives_its_file() -> None:
    program = program_of(build_model("shufflenet_v2_x0_5"))
    content = program.to_bytes()
    again = Program.from_bytes(content)
    assert again.steps == program.steps
    assert again.outputs == program.outputs
    assert np.array_equal(again.tables[: len(program.tables)], program.tables)
    assert np.array_equal(again.weights[: len(program.weights)], program.weights)
    header = int.from_bytes(content[:8], "little")
    assert (8 + header) % 64 == 0
    assert str(again) == str(program)


@pytest.mark.parametrize("length", [0, 1, 15, 16, 17])
def test_weights_lie_on_a_border_after_tables_of_any_length(length: int) -> None:
    program = replace(program_of(nn.Conv2d(3, 4, 1), (1, 3, 4, 4)), tables=np.arange(length, dtype=np.int32))
    content = program.to_bytes()
    header = int.from_bytes(content[:8], "little")
    start = 8 + header + json.loads(content[8 : 8 + header])["weights"]["data_offsets"][0]
    assert start % 64 == 0
    assert np.array_equal(np.frombuffer(content[start:][: program.weights.nbytes], np.uint8), program.weights)
    assert np.array_equal(Program.from_bytes(content).tables[:length], program.tables)


@pytest.mark.parametrize("content", [b"", b"12345678", b"\x10" + b"\0" * 7 + b"{}" * 8, b"\xff" * 64])
def test_a_file_that_is_no_plan_is_refused(content: bytes) -> None:
    with pytest.raises(InputError, match="plan: not a plan of shufflekit"):
        Program.from_bytes(content)


class Of(nn.Module):
    def __init__(self, function: object) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x.reshape(-1, 4, 4), r"dimension 0 must count the images of the batch, found \(3N, 4, 4\)"),
        (
            lambda x: nn.functional.local_response_norm(x, 3, beta=0.3),
            r"\(in .*\): beta must be a multiple of 0.25 from 0.25 to 4",
        ),
        (lambda x: nn.functional.local_response_norm(x, 3, beta=4.25), "beta must be a multiple of 0.25"),
        (lambda x: nn.functional.local_response_norm(x, 3, beta=0.0), "beta must be a multiple of 0.25"),
        (
            lambda x: nn.functional.local_response_norm(x, 3, beta=8) + nn.functional.local_response_norm(x, 3, beta=9),
            r"local_response_norm \(in .*\): beta must be .* found 8.0; .*beta must be .* found 9.0",
        ),
        (lambda x: x.mean((0, 1)), r"mean.* dimension 0 counts the images of the batch"),
        (lambda x: x.softmax(0), r"softmax.* dimension 0 counts the images of the batch"),
        (
            lambda x: nn.functional.max_pool2d(x[:, 0], 2),
            r"aten.max_pool2d \(in .*\): the input must have 4 dimensions, found \(N, 4, 4\)",
        ),
        (
            lambda x: nn.functional.local_response_norm(x.flatten(2), 3),
            r"local_response_norm \(in .*\): the input must be \(N, C, H, W\), found \(N, 3, 16\)",
        ),
    ],
)
def test_what_the_engine_cannot_compute_is_refused(function: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        program_of(Of(function), (1, 3, 4, 4))


def test_the_text_of_a_program() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1),
        nn.MaxPool2d(3, 2, 1),
        nn.Conv2d(8, 8, 1, groups=2),
        nn.ChannelShuffle(2),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 2),
    )
    assert str(program_of(network, (1, 3, 40, 40))).splitlines() == TEXT.strip().splitlines()


TEXT = """
step  kernel            variant  name                 shape                               kflops  kB  reads
   0  convolution_pool  any      conv2d               3x40x40 -> 3x3 8x10x10, pooled 3x3      86  23  3 planes
   1  gemm              any      conv2d_1             8 -> 8, 100 pixels, 2 groups             3   7  8 planes
   2  depthwise         any      conv2d_2             8x10x10 -> 3x3 8x10x10                   7   7  8 planes in 7 runs
   3  pool              any      adaptive_avg_pool2d  8x10x10 -> 8x1x1                         0   3  8 planes
   4  gemm              any      linear               8 -> 2, 1 pixels                         0   0  8 planes
   5  gather            any      linear               2 -> 1, 2 pixels                         0   0  2 planes
compiled away: 3 reshape, 1 permute; steps that only move data: 1
0.1 M multiply-adds, arena 0.01 MB, weights 0.00 MB
"""


def test_a_region_is_cut_by_a_counted_step() -> None:
    program = program_of(nn.Sequential(nn.Conv2d(3, 4, 1), Of(lambda x: x[:, :, 1::2])), (1, 3, 6, 5))
    assert [step.kernel for step in program.steps] == ["gather", "gemm", "gather"]
    cut, gemm = program.moves[1], program.steps[1]
    assert cut.arguments == Gather(4, 1, 60, sizes=(4, 3, 5), steps=(1, 0, 0), strides=(0, 10, 1))
    second_rows = program.tables[gemm.tables["out"] : gemm.tables["out"] + 4] + 5
    assert program.tables[cut.tables["in"] : cut.tables["in"] + 4].tolist() == second_rows.tolist()
    assert cut.bytes == 2 * 4 * 60  # the rows between are not read


class InputPlusConvolution(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x + self.conv(x), x], 1)


def test_the_input_is_brought_into_the_arena_once_for_all_that_cannot_read_it_where_it_lies() -> None:
    program = program_of(InputPlusConvolution(), (1, 3, 4, 4))
    assert [step.kernel for step in program.steps] == ["gather", "convolution", "gather"]
    assert [step.in_buffer for step in program.steps] == [1, 0, 0]
    copied, convolution, out = (step.tables for step in program.steps)
    places = program.tables[copied["out"] : copied["out"] + 3].tolist()
    assert program.tables[convolution["in"] : convolution["in"] + 3].tolist() == places
    assert program.tables[convolution["residual"] : convolution["residual"] + 3].tolist() == places
    assert program.tables[out["in"] + 3 : out["in"] + 6].tolist() == places


def test_flattened_maps_are_read_where_they_lie() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 4 * 4, 5))
    program = program_of(network, (1, 3, 6, 6))
    assert [step.kernel for step in program.steps] == ["convolution", "gemm", "gather"]
    operands = planes(program, program.steps[1])["in"].offsets
    assert operands.reshape(4, 16).tolist() == [[c * plane_bytes(16) // 4 + p for p in range(16)] for c in range(4)]
    assert torch.tensor(operands).unique().numel() == 64
