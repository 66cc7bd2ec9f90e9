"""What a network costs: counted, and timed on this machine where asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from shufflekit.cost.counts import count
from shufflekit.errors import UsageError
from shufflekit.profile.latency import Latency, measure_latency
from shufflekit.profile.record import Profile


def profile(model: nn.Module, input_shape: Sequence[int], *, measure: bool = False, threads: int | None = None) -> Profile:
    """Counts a network's cost, and with `measure` times it with PyTorch on the CPU as it stands.

    Args:
        model: any module that takes one tensor; it is left as it was.
        input_shape: (N, C, H, W).
        measure: time the forward pass on a random input in inference mode, for half a second.
        threads: of PyTorch while timing; as many as it is set to by default.

    Raises:
        UsageError: fewer than 1 thread.
        InputError: the model cannot take such an input.

    Example:
        >>> from shufflekit.models import build_model
        >>> p = profile(build_model("shufflenet_v2_x1_0"), (1, 3, 224, 224))
        >>> p.flops, p.params, p.latency_ms
        (144907992, 2278604, None)
    """
    if threads is not None and threads < 1:
        raise UsageError(f"threads: must be 1 or more, found {threads}")
    counts = count(model, input_shape)
    threads = threads or torch.get_num_threads()
    return Profile(
        input_shape=tuple(input_shape),
        flops=counts.flops,
        params=counts.params,
        mac=counts.mac,
        layers=counts.layers,
        unknown=counts.unknown,
        threads=threads,
        latency=_time(model, tuple(input_shape), threads) if measure else None,
    )


def _time(model: nn.Module, input_shape: tuple[int, ...], threads: int) -> Latency:
    reference = next(model.parameters(), torch.empty(0))
    x = torch.randn(input_shape, dtype=reference.dtype, device=reference.device)
    with _inference(model), torch_threads(threads), torch.inference_mode():
        return measure_latency(lambda: model(x))


@contextmanager
def _inference(model: nn.Module) -> Iterator[None]:
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Inside `with`, PyTorch computes on that many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
