"""Arithmetic on the engine: what PyTorch computes, in one step, however the operands are spread."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import shufflekit as sk
from shufflekit.errors import UsageError
from tests.plan.test_lower import Net, compiled, conv

# Arithmetic of two tensors, spread in each way, of computed ones and constants: one step beside those that make the operands.
OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "subtract": torch.sub,
    "divide": lambda a, b: a / (b + 3.0),
    "minimum": torch.minimum,
    "maximum": torch.maximum,
    "power": lambda a, b: (a + 3.0) ** b,
}
PARTS = {
    "all": lambda x: x.sigmoid(),
    "a channel": lambda x: x.mean((2, 3), keepdim=True),
    "a map": lambda x: x.mean(1, keepdim=True),
    "rows": lambda x: x.mean(3, keepdim=True),
    "columns": lambda x: x.mean(2, keepdim=True),
    "one row": lambda x: x.mean((1, 2), keepdim=True),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_arithmetic_of_two_tensors_is_one_step(operation: str) -> None:
    function = OPERATIONS[operation]
    for part, of in PARTS.items():
        for swap in (False, True):

            def forward(x: Tensor, a: nn.Module, of=of, swap=swap) -> Tensor:
                y = torch.tanh(a(x))
                return function(of(y), y) if swap else function(y, of(y))

            steps = compiled(Net(forward, conv(3, 4)), (3, 6, 5)).steps
            (binary,) = (step.arguments for step in steps if step.kernel == "binary")
            assert (binary.operation, binary.channels, binary.pixels_written) == (operation, 4, 30), part


@pytest.mark.parametrize("shape", [(4, 6, 5), (1, 6, 5), (6, 5), (5,), (6, 1), (4, 1, 5), (1, 4, 6, 5), (1, 1, 6, 1)])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_arithmetic_with_a_constant_is_one_step_that_reads_it_in_the_plan(operation: str, shape: tuple[int, ...]) -> None:
    constant, function = torch.rand(shape, generator=torch.Generator().manual_seed(0)), OPERATIONS[operation]
    for forward in (lambda x, a: function(constant, a(x).tanh()), lambda x, a: function(a(x).tanh(), constant)):
        steps = compiled(Net(forward, conv(3, 4)), (3, 6, 5)).steps
        (binary,) = (step.arguments for step in steps if step.kernel == "binary_constant")
        assert binary.values == constant.numel()
        assert [step.kernel for step in steps if step.kernel not in ("gather", "affine")] == ["gemm", "binary_constant"]


@pytest.mark.parametrize("second", [lambda y: y.mean(1, keepdim=True), lambda y: torch.arange(30.0).reshape(6, 5)])
def test_a_result_that_lies_as_neither_operand_is_planes_of_channels(second: Callable[[Tensor], Tensor]) -> None:
    network = Net(lambda x, a: (y := a(x)).mean((2, 3), keepdim=True) * second(y), conv(3, 4))
    (step,) = (step for step in compiled(network, (3, 6, 5)).steps if step.kernel.startswith("binary"))
    assert step.arguments.out_shape == (4, 30)


def test_tokens_are_scaled_where_they_lie() -> None:
    network = Net(lambda x, a: (y := a(x).flatten(2).transpose(1, 2)).relu() + y * 0.5, conv(3, 4))
    assert [step.kernel for step in compiled(network, (3, 6, 5)).steps] == [
        "gather",
        "gemm",
        "affine",
        "affine",
        "binary",
        "gather",
    ]


def test_rows_that_are_spread_in_four_ways_are_refused() -> None:
    network = Net(lambda x, a: a(x).reshape(-1, 4, 2, 3, 4, 5) * torch.ones(2, 1, 4, 1), conv(3, 4))
    of_two = Net(lambda x, a: (y := a(x).reshape(-1, 4, 2, 3, 4, 5)) * y.mean((2, 4), keepdim=True), conv(3, 4))
    for each in (network, of_two):
        with pytest.raises(UsageError, match="rows that are spread in more than three ways are not supported"):
            sk.compile(each.eval(), (1, 3, 6, 20))
