"""The compiled part of shufflekit."""

from collections.abc import Sequence
from typing import Annotated

import numpy
from numpy.typing import NDArray


def instruction_sets() -> list[str]:
    """
    Instruction sets that all kernels are compiled for and that run here, best first; the last is 'scalar'.
    """

def engine_sets() -> list[str]:
    """
    Those that an engine may be asked for: with them those that only some kernels have code for.
    """

def vector_features() -> list[str]:
    """Vector instructions that the processor offers, used or not."""

def multiply_add_rates(instruction_set: str, threads: int, window_ms: float, repeats: int) -> list[float]:
    """
    float32 multiply-adds a second of all threads together, one number a repeat.
    """

def int8_sets() -> list[str]:
    """
    Instruction sets with code for bytes that run here, best first; the last is 'scalar'.
    """

def multiply_add_int8_rates(instruction_set: str, threads: int, window_ms: float, repeats: int) -> list[float]:
    """Likewise of bytes, for one of int8_sets."""

def copy_rates(instruction_set: str, threads: int, working_set_bytes: int, window_ms: float, repeats: int) -> list[float]:
    """
    Bytes read plus bytes written a second of all threads together, each copying half of its own working set.
    """

def words() -> dict[str, list[str]]:
    """The words of a plan, by what they say."""

def limits() -> dict[str, int]:
    """
    The format of plans, the border of planes in bytes, rows of a panel, the most threads.
    """

def plane_bytes(pixels: int, element: int) -> int:
    """Bytes that a plane of the arena owns."""

def kernels() -> list[tuple[str, str, list[str]]]:
    """
    Kernel, variant and the instruction sets that have code for it, best first.
    """

class Tensor:
    """An input or output of a plan."""

    @property
    def name(self) -> str: ...

    @property
    def type(self) -> str: ...

    @property
    def batched(self) -> bool:
        """By image: its first dimension is the number of images."""

    @property
    def shape(self) -> list[int]:
        """Without the batch."""

class Engine:
    """Runs a plan; several threads may use one at the same time."""

    @staticmethod
    def load(path: str, threads: int, instruction_set: str) -> Engine:
        """
        From a file; ValueError where it is no sound plan. No instruction set: the best.
        """

    @staticmethod
    def parse(content: bytes, threads: int, instruction_set: str) -> Engine:
        """From a file's content."""

    def run(self, inputs: Sequence[Annotated[NDArray, dict(order='C', device='cpu', writable=False)]]) -> list[NDArray[numpy.float32]]:
        """Each input with its N images in, each output with its N out."""

    def profile(self, inputs: Sequence[Annotated[NDArray, dict(order='C', device='cpu', writable=False)]], repeats: int) -> list[list[float]]:
        """Seconds of each step, for each repeat, of one image."""

    @property
    def content(self) -> bytes:
        """The plan's file."""

    @property
    def inputs(self) -> list[Tensor]: ...

    @property
    def threads(self) -> int: ...

    @property
    def instruction_set(self) -> str: ...

def copy_planes(to: Sequence[int], from_: Sequence[int], floats: int) -> None:
    """Copies planes of so many floats from address to address."""

class TrainingLayer:
    """
    The training step of a convolution and its batch norm on maps with the images innermost, native/training/conv_norm.h; it is given addresses, which it does not check.
    """

    def __init__(self, shape: Sequence[int], order: Sequence[int], instruction_set: str) -> None:
        """
        shape: images, channels in and out, groups, then height and width of the map and the kernel, stride, padding, dilation of each, then floats from a channel to the next in and out. order: a permutation of the input's channels. No instruction set: the best.
        """

    def mean(self, in_: int, out: int, is_back: bool, threads: int) -> None:
        """
        Average pooling of a depthwise layer's window, zeros beyond the border included; or back.
        """

    @property
    def out_size(self) -> list[int]:
        """(H, W)"""

    def forward(self, x: int, weights: int, gamma: int, beta: int, residual: int, z: int, moments: int, y: int, mean: int, inverse: int, running_mean: int, running_var: int, epsilon: float, momentum: float, low: float, high: float, threads: int) -> None:
        """
        0: residual, one of z and moments, or the running statistics are not there.
        """

    def backward(self, x: int, weights: int, gamma: int, beta: int, mean: int, inverse: int, z: int, moments: int, y: int, dy: int, added: int, dx: int, dweights: int, dgamma: int, dbeta: int, dresidual: int, low: float, high: float, x_low: float, x_high: float, is_masked: bool, masks_x: bool, threads: int) -> None:
        """
        0: one of z and moments, y, added, dx, dweights or dresidual are not there.
        """
