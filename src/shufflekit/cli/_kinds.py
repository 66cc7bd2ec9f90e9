"""The kinds of a MODEL, told apart by their form."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from shufflekit.files import has_drive

Kind = Literal["named", "callable", "plan", "onnx"]


def kind_of(text: str) -> Kind:
    """Tells the kinds apart by their form; a file that is no ONNX file can only be a plan.

    Example:
        >>> [kind_of(text) for text in ("net.onnx", "net.plan", "hf-hub:me/net", "my.nets:small", "runs/net")]
        ['onnx', 'plan', 'named', 'callable', 'named']
    """
    if text.endswith(".onnx"):
        return "onnx"
    if text.endswith(".plan") or Path(text).is_file():
        return "plan"
    return "callable" if is_callable(text) else "named"


def is_callable(text: str) -> bool:
    """Whether MODEL is package.module:callable."""
    return ":" in text and not text.startswith("hf-hub:") and not has_drive(text) and not Path(text).exists()
