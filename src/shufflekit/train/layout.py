"""Memory layout and compilation: measured on a throw-away copy, because no rule foretells which is fastest."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shufflekit.errors import one_line
from shufflekit.train.batch_last import IMAGES, Map

_WARM_UP, _TIMED = 3, 6
_SLOW_ENOUGH_TO_COMPILE = 600.0  # seconds of eager training; below, compilation (half a minute) is not earned back


@dataclass(frozen=True)
class Layout:
    """How the training step runs; it changes the speed, and the result by rounding only."""

    channels_last: bool = False
    compiled: bool = False
    batch_last: bool = False
    "The images innermost, in our own training step: float32 on the CPU, batches of a multiple of 16."

    def given(self, images: Tensor) -> Any:
        """What the network is called with."""
        return Map.of(images) if self.batch_last and len(images) % IMAGES == 0 else images

    @property
    def memory_format(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format

    @property
    def name(self) -> str:
        """As `--layout` calls it."""
        return "batch_last" if self.batch_last else "channels_last" if self.channels_last else "nchw"

    def __str__(self) -> str:
        return self.name if self.batch_last else f"{self.name} {'compiled' if self.compiled else 'eager'}"


def candidates(layout: str, compiled: str, batch_last: bool = False) -> list[Layout]:
    """What `--layout auto|nchw|channels_last|batch_last` and `--compile auto|no|yes` leave to choose from, eager first.

    Args:
        batch_last: whether our own step can train this network here.

    Example:
        >>> [str(layout) for layout in candidates("auto", "no")]
        ['nchw eager', 'channels_last eager']
    """
    ours = [Layout(batch_last=True)] if batch_last and layout in ("auto", "batch_last") and compiled != "yes" else []
    formats = {"auto": (False, True), "nchw": (False,), "channels_last": (True,), "batch_last": ()}[layout]
    modes = {"auto": (False, True), "no": (False,), "yes": (True,)}[compiled]
    return ours + [Layout(channels_last, mode) for mode in modes for channels_last in formats]


class TrainingStep:
    """A whole training step on a copy of a network and random images; each call does one and gives its seconds.

    Args:
        model: copied; neither it nor the random numbers of the process change.
        input_shape: (N, C, H, W).
        classes: of the labels.
        autocast: the context of the forward pass.
    """

    def __init__(
        self,
        model: nn.Module,
        layout: Layout,
        input_shape: tuple[int, ...],
        classes: int,
        device: torch.device,
        autocast: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        network: Any = copy.deepcopy(model).train()
        network.to(device, memory_format=layout.memory_format)
        generator = torch.Generator().manual_seed(0)
        images = torch.randn(input_shape, generator=generator).to(device)
        self._images = images.to(memory_format=layout.memory_format)
        self._labels = torch.randint(classes, input_shape[:1], generator=generator).to(device)
        self._optimizer = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9, foreach=True)
        self._forward = torch.compile(network) if layout.compiled else network
        self._given = layout.given
        self._autocast, self._device = autocast, device

    def __call__(self) -> float:
        start = time.perf_counter()
        with torch.random.fork_rng():  # a network may have dropout
            with self._autocast():
                loss = F.cross_entropy(self._forward(self._given(self._images)).float(), self._labels)
            loss.backward()
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter() - start


def measure_layout(step: TrainingStep, images: int) -> float:
    """Images a second of a step, the median of a few.

    Args:
        images: of a step.
    """
    seconds = [step() for _ in range(_WARM_UP + _TIMED)]
    return images / median(seconds[_WARM_UP:])


def choose_layout(
    choices: list[Layout],
    measure: Callable[[Layout], float],
    images: int,
    note: Callable[[str], None],
    left_out: str = "",
) -> Layout:
    """Measures and takes the fastest; compilation is tried only where a long run can earn it back.

    Args:
        choices: from `candidates`.
        measure: images a second of a layout.
        images: of the whole run, to estimate its length.
        note: told the figures, in one line.
        left_out: what could not be a choice and why, for that line.
    """
    if len(choices) == 1:
        return choices[0]
    speeds: dict[Layout, float] = {}
    for choice in choices:
        if choice.compiled and speeds and images / max(speeds.values()) < _SLOW_ENOUGH_TO_COMPILE:
            left_out += "; compiled not tried in a run this short"
            continue
        try:
            speeds[choice] = measure(choice)
        except RuntimeError as error:  # the compiler's errors; it may have no C++ compiler to call
            if not choice.compiled or not speeds:
                raise
            left_out += f"; {choice} failed ({one_line(error)})"
    best = max(speeds, key=lambda choice: speeds[choice])
    note("; ".join(f"{choice} {speed:.0f} images/s" for choice, speed in speeds.items()) + f"{left_out}: taking {best}")
    return best
