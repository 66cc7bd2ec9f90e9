"""What every format is: the packages it needs, how a network becomes its files, and how its own runtime runs them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from shufflekit.errors import MissingExtraError
from shufflekit.outputs import Array

if TYPE_CHECKING:  # a file is loaded and run without PyTorch
    from torch import nn

Run = Callable[[Array], list[Array]]  # images (N, C, H, W) to every output
Shape = tuple[int, int, int, int]  # N, C, H, W


@dataclass(frozen=True)
class Settings:
    """How to export.

    Args:
        opset: version of ONNX's operators, for ONNX and the formats that are converted from it.
        dynamic_batch: let the file take any number of images; the formats that cannot have no `dynamic_batch`.
    """

    opset: int = 18
    dynamic_batch: bool = False


class Format(ABC):
    """One format; a file of it is read by the runtime of the same makers.

    Attributes:
        name: as its makers write it.
        packages: modules that converting and running need, the runtime's own first.
        writers: those of them that converting needs; all by default.
        extra: of this package, that brings them.
        suffixes: of the files that a network becomes, the one to load first.
        dynamic_batch: whether a file can take any number of images.
    """

    name: str
    packages: tuple[str, ...]
    writers: tuple[str, ...] = ()
    extra = "bench"
    suffixes: tuple[str, ...]
    dynamic_batch = True

    @property
    def version(self) -> str:
        """Of the installed runtime; empty where it is missing."""
        return version(self.packages[0]) if self.runs_here else ""

    @property
    def runs_here(self) -> bool:
        """Whether the runtime is installed."""
        return find_spec(self.packages[0]) is not None

    def require(self) -> None:
        """Raises MissingExtraError where a package is missing."""
        self._require(self.packages)

    def require_writers(self) -> None:
        """Raises MissingExtraError where a package is missing that converting needs."""
        self._require(self.writers or self.packages)

    def _require(self, packages: tuple[str, ...]) -> None:
        for package in packages:
            if find_spec(package) is None:
                raise MissingExtraError(package, self.extra)

    def files(self, stem: Path) -> list[Path]:
        """The paths that `write` writes: `stem` with each suffix after it."""
        return [stem.with_name(stem.name + suffix) for suffix in self.suffixes]

    @abstractmethod
    def write(self, model: nn.Module, shape: Shape, stem: Path, settings: Settings) -> None:
        """Converts a network in evaluation; the module is left as it was.

        Args:
            model: takes one float32 tensor and returns one, or several in a list, tuple or dict.
            shape: of the input.
            stem: folder and first part of the names of the files; the folder exists.
            settings: how.

        Raises:
            InputError: the converter refuses the network; the first line of its reason.
        """

    @abstractmethod
    def load(self, stem: Path, threads: int) -> Run:
        """The files of `stem` in their own runtime, set up for latency on that many threads, in float32 throughout."""
