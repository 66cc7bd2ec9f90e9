"""The compiled part of shufflekit."""

from typing import Annotated

import numpy
from numpy.typing import NDArray


def instruction_sets() -> list[str]:
    """
    Instruction sets that kernels are compiled for and that run here, best first; the last is 'scalar'.
    """

def vector_features() -> list[str]:
    """Vector instructions that the processor offers, used or not."""

def multiply_add_rates(instruction_set: str, threads: int, window_ms: float, repeats: int) -> list[float]:
    """
    float32 multiply-adds a second of all threads together, one number a repeat.
    """

def copy_rates(instruction_set: str, threads: int, working_set_bytes: int, window_ms: float, repeats: int) -> list[float]:
    """
    Bytes read plus bytes written a second of all threads together, each copying half of its own working set.
    """

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

    def run(self, images: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None, None), order='C', device='cpu', writable=False)]) -> list[NDArray[numpy.float32]]:
        """(N, C, H, W) in, each output with its N out."""

    def profile(self, image: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None, None), order='C', device='cpu', writable=False)], repeats: int) -> list[list[float]]:
        """Seconds of each step, for each repeat."""

    @property
    def content(self) -> bytes:
        """The plan's file."""

    @property
    def input_shape(self) -> list[int]:
        """(C, H, W)"""

    @property
    def threads(self) -> int: ...

    @property
    def instruction_set(self) -> str: ...
