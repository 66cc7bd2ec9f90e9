"""What was found as files that go on from there."""

from __future__ import annotations

from pathlib import Path

from shufflekit.errors import InputError
from shufflekit.files import write_atomic
from shufflekit.fitting.record import Fit
from shufflekit.graph.to_onnx import to_onnx
from shufflekit.models import Network, build_model


def save(found: Fit, out: Path) -> None:
    """Of a constructor a folder with an untrained network, which `train` takes; of another network an ONNX file.

    Raises:
        InputError: it cannot be written.
    """
    if found.architecture:
        made = build_model(found.architecture, **found.options)
        assert isinstance(made, Network)
        made.save_pretrained(out)
        return
    try:
        write_atomic(out, to_onnx(found.graph, found.network))
    except OSError as error:
        raise InputError(f"{out}: cannot be written: {error.strerror or error}") from None
