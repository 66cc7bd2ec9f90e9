"""The time of each operator of PyTorch, taken inside whole forward passes.

A dispatch mode reads the clock before and after each operator, so that caches, allocator and operands are those of the real
run; an operator that is called again and again by itself finds its weights in the cache and comes out too fast. What the mode
itself takes lies outside of these times, but so does what Python does between two operators; passes without the mode, in turn
with the others, show how far the sum is from the whole.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from shufflekit.cost.counts import Counts
from shufflekit.cost.from_torch import Inputs, call, count_call, operator_by_operator
from shufflekit.errors import InputError
from shufflekit.profiling.allocator import settle_allocator
from shufflekit.profiling.latency import Latency, summarize

_WARM_UP = 3
_LEAST_PASSES = 12
_SCRIPT_SETTLES = 3  # calls after which the optimiser of scripted modules has done what it does


def time_operators(model: nn.Module, x: Inputs, min_seconds: float) -> tuple[Counts, tuple[Latency, ...], Latency]:
    """Counts a network as it runs, and times each operator and the whole, without a compiler and fused transformer layers.

    A view has no entry of its own: its time, a few us, is that of the operator after it.

    Args:
        model: in evaluation.
        x: its input, or several, on the CPU.
        min_seconds: go on for at least this long.

    Returns:
        Counts, the time of each of their layers, and that of a pass without looking inside.

    Raises:
        InputError: the network cannot take such an input, or runs other operators from call to call.
    """
    counts, places = count_call(model, x)
    if any(isinstance(module, torch.jit.ScriptModule) for module in model.modules()):
        for _ in range(_SCRIPT_SETTLES):
            counts, places = count_call(model, x)
    owners = _owners(places)
    if not owners:
        raise InputError(f"model: {type(model).__name__} runs no operator")
    with operator_by_operator():
        parts, whole = _passes(model, x, owners, len(counts.layers), min_seconds)
    return counts, tuple(summarize(of_layer[_WARM_UP:]) for of_layer in parts), summarize(whole[_WARM_UP:])


def _passes(
    model: nn.Module, x: Inputs, owners: list[int], layers: int, min_seconds: float
) -> tuple[list[list[float]], list[float]]:
    """ms of each layer and of the whole, a number for each pass."""
    parts: list[list[float]] = [[] for _ in range(layers)]
    whole: list[float] = []
    settle_allocator()
    end = time.perf_counter_ns() + int(min_seconds * 1e9)
    while len(whole) < _WARM_UP + _LEAST_PASSES or time.perf_counter_ns() < end:
        with torch.inference_mode():
            start = time.perf_counter_ns()
            call(model, x)
            whole.append((time.perf_counter_ns() - start) / 1e6)
        with torch.no_grad(), _Clock() as clock:  # inference mode would hand over convolutions of another name
            call(model, x)
        if len(clock.times) != len(owners):
            raise InputError(f"model: ran {len(owners)} operators in one call and {len(clock.times)} in another")
        for of_layer, ms in zip(parts, _by_layer(clock.times, owners, layers)):
            of_layer.append(ms)
    return parts, whole


def _owners(places: tuple[int | None, ...]) -> list[int]:
    """The layer that each operator's time goes to: a view's to the next one, the last views' to the last one."""
    owners: list[int] = []
    following = max((place for place in places if place is not None), default=None)
    for place in reversed(places):
        following = following if place is None else place
        if following is not None:
            owners.append(following)
    return owners[::-1]


def _by_layer(times_ns: list[int], owners: list[int], layers: int) -> list[float]:
    sums = [0] * layers
    for owner, ns in zip(owners, times_ns):
        sums[owner] += ns
    return [ns / 1e6 for ns in sums]


class _Clock(TorchDispatchMode):
    """Takes the time of every operator that runs inside `with`, in ns."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[int] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        start = time.perf_counter_ns()
        out = func(*args, **kwargs) if kwargs else func(*args)
        self.times.append(time.perf_counter_ns() - start)
        return out
