"""Small convolutional networks that are fast by the stopwatch."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from shufflekit.errors import missing_extra

if TYPE_CHECKING:
    from shufflekit.compile import compile as compile  # noqa: A004
    from shufflekit.graph.from_onnx import load_onnx as load_onnx
    from shufflekit.guidelines.audit import audit as audit
    from shufflekit.models import list_models as list_models
    from shufflekit.profile.profile import profile as profile
    from shufflekit.runtime import load as load
    from shufflekit.weights import create_model as create_model
    from shufflekit.weights import from_pretrained as from_pretrained
    from shufflekit.weights import load_weights as load_weights
    from shufflekit.weights import save_pretrained as save_pretrained

__version__ = "0.1.0"

# Public name -> the module that has it, imported at first use: `import shufflekit` loads no torch.
_HOME = {
    "list_models": "shufflekit.models",
    "create_model": "shufflekit.weights",
    "load_weights": "shufflekit.weights",
    "save_pretrained": "shufflekit.weights",
    "from_pretrained": "shufflekit.weights",
    "profile": "shufflekit.profile.profile",
    "audit": "shufflekit.guidelines.audit",
    "compile": "shufflekit.compile",
    "load": "shufflekit.runtime",
    "load_onnx": "shufflekit.graph.from_onnx",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'shufflekit' has no attribute {name!r}")
    try:
        return getattr(import_module(_HOME[name]), name)
    except ImportError as error:
        raise (missing_extra(error) or error) from None


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """Keeps `sk.profile` the function: importing the folder of the same name would put the module in its place."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
