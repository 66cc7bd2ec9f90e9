"""What the formats have in common whose own converters start from an ONNX file."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from shufflekit.export.format import Format, Settings, Shape

if TYPE_CHECKING:
    from torch import nn


class FromOnnx(Format):
    """A format whose own converter starts from an ONNX file."""

    def write(self, model: nn.Module, shape: Shape, stem: Path, settings: Settings) -> None:
        from shufflekit.export.write_onnx import write_onnx  # loads torch, which a file is run without

        with TemporaryDirectory() as folder:
            source = Path(folder, "net.onnx")
            write_onnx(model, shape, source, settings)
            self.convert(source, shape, stem)

    @abstractmethod
    def convert(self, source: Path, shape: Sequence[int], stem: Path) -> None:
        """Converts an ONNX file.

        Args:
            source: the ONNX file.
            shape: that its input has.
            stem: as in `write`.

        Raises:
            InputError: the converter refuses the file.
        """
