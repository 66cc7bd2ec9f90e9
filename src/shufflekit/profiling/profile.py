"""What a network costs: counted, and timed on this machine where asked."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, Literal, overload

import torch
from torch import Tensor, nn

from shufflekit.cost.from_torch import count, inputs_of, plain_module, shapes_of_inputs, weight_of
from shufflekit.device import load_device
from shufflekit.errors import InputError, UsageError, one_line
from shufflekit.modes import evaluation, torch_threads
from shufflekit.profiling.latency import Latency
from shufflekit.profiling.operators import time_operators
from shufflekit.profiling.record import MeasuredProfile, Profile, timed_layers
from shufflekit.shapes import Shapes

SPREAD = 0.1  # of the median: what is farther apart was disturbed
_APART = 0.1  # of the whole: the parts' sum is no farther from it


@overload
def profile(
    model: nn.Module,
    input_shape: Shapes,
    *,
    measure: Literal[True],
    threads: int | None = None,
    min_seconds: float = 1.0,
) -> MeasuredProfile: ...


@overload
def profile(
    model: nn.Module, input_shape: Shapes, *, measure: bool = False, threads: int | None = None, min_seconds: float = 1.0
) -> Profile: ...


def profile(
    model: nn.Module, input_shape: Shapes, *, measure: bool = False, threads: int | None = None, min_seconds: float = 1.0
) -> Profile:
    """Counts a network's cost, and with `measure` times it with PyTorch on the CPU as it stands, operator by operator.

    Args:
        model: any module that takes tensors of the type of its weights; it is left as it was. Of what `torch.compile`
            returned, the module inside.
        input_shape: (N, C, H, W), or whatever the model takes; of several inputs one for each in order, or by name.
        measure: time forward passes on a random input in inference mode.
        threads: of PyTorch while timing; as many as it is set to by default.
        min_seconds: time for at least this long.

    Returns:
        The counts; with `measure` a `MeasuredProfile`, whose layers have times and limits too.

    Raises:
        UsageError: no module, a shape that is none, fewer than 1 thread, or a time that is none.
        InputError: the model cannot take such an input, or is to be timed and not on the CPU.

    Example:
        >>> from shufflekit.models import build_model
        >>> p = profile(build_model("shufflenet_v2_x1_0"), (1, 3, 224, 224))
        >>> p.flops, p.params, p.latency_ms
        (144907992, 2278604, None)
    """
    threads = checked_threads(threads)
    if measure:
        return _measured(plain_module(model), input_shape, threads, _seconds(min_seconds))
    counts = count(model, input_shape)
    first, *more = shapes_of_inputs(inputs_of(lambda shape: torch.empty(shape, device="meta"), input_shape))
    return Profile(
        input_shape=first,
        more_inputs=tuple(more),
        flops=counts.flops,
        params=counts.params,
        mac=counts.mac,
        layers=counts.layers,
        unknown=counts.unknown,
        threads=threads,
    )


def checked_threads(threads: Any) -> int:
    """A number of threads of PyTorch, by default as many as it is set to.

    Raises:
        UsageError: no whole number of 1 or more.

    Example:
        >>> checked_threads(2)
        2
        >>> checked_threads("2")
        Traceback (most recent call last):
        shufflekit.errors.UsageError: threads: must be 1 or more, found '2'
    """
    try:
        number = torch.get_num_threads() if threads is None else operator.index(threads)
    except TypeError:
        number = 0
    if number < 1:
        raise UsageError(f"threads: must be 1 or more, found {threads!r}")
    return number


def _seconds(value: Any) -> float:
    if not (isinstance(value, int | float) and 0 <= value < math.inf):
        raise UsageError(f"min_seconds: must be a number of 0 or more, found {value!r}")
    return value


def random_input(model: nn.Module, shape: tuple[int, ...]) -> Tensor:
    """Random numbers on the CPU, of the type of the model's weights.

    Raises:
        InputError: the model is not on the CPU, or there is no room for them.
    """
    weight = weight_of(model)
    if weight.device.type != "cpu":
        raise InputError(f"model: must be on the CPU to be timed, found {weight.device}")
    try:
        generator = torch.Generator().manual_seed(0)
        return torch.randn(shape, generator=generator, dtype=torch.float32, device="cpu").to(weight.dtype)
    except (RuntimeError, TypeError, OverflowError) as error:
        raise InputError(f"input_shape: no input of {shape} can be made: {one_line(error)}") from None


def _measured(model: nn.Module, input_shape: Shapes, threads: int, min_seconds: float) -> MeasuredProfile:
    x = inputs_of(lambda shape: random_input(model, shape), input_shape)
    first, *more = shapes_of_inputs(x)
    with evaluation(model), torch_threads(threads):
        counts, times, whole = time_operators(model, x, min_seconds)
    device = load_device()
    return MeasuredProfile(
        input_shape=first,
        more_inputs=tuple(more),
        flops=counts.flops,
        params=counts.params,
        mac=counts.mac,
        layers=timed_layers(counts.layers, times, threads, device),
        unknown=counts.unknown,
        threads=threads,
        latency=whole,
        network=getattr(model, "architecture", "") or type(model).__name__,
        device=device,
        warnings=warnings_of(times, whole),
    )


def warnings_of(times: Sequence[Latency], whole: Latency) -> tuple[str, ...]:
    """What speaks against a measurement, one line each: a machine that was busy or throttled shows in the spread.

    Example:
        >>> warnings_of([Latency(4.0, 3.9, 4.1, 50)], Latency(4.9, 3.9, 6.2, 50))
        ('the median of a pass is 4.90 ms, 3.90 to 6.20: the machine was busy or throttled, measure again',
         'the operators take 4.00 ms together and a pass 4.90 ms: they are more than 10 % apart')
    """
    found = []
    if spread(whole) > SPREAD:
        interval = f"{whole.low_ms:.2f} to {whole.high_ms:.2f}"
        found.append(
            f"the median of a pass is {whole.median_ms:.2f} ms, {interval}: the machine was busy or throttled, measure again"
        )
    parts = sum(time.median_ms for time in times)
    if abs(parts - whole.median_ms) > _APART * whole.median_ms:
        found.append(
            f"the operators take {parts:.2f} ms together and a pass {whole.median_ms:.2f} ms: they are more than 10 % apart"
        )
    return tuple(found)


def spread(latency: Latency) -> float:
    """Width of the interval, as a part of the median."""
    return (latency.high_ms - latency.low_ms) / latency.median_ms
