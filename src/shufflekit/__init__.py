"""Small convolutional networks that are fast by the stopwatch."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from shufflekit.errors import missing_extra

if TYPE_CHECKING:
    from shufflekit.compiling import compile as compile  # noqa: A004
    from shufflekit.compiling import load_onnx as load_onnx
    from shufflekit.fitting.fit import fit as fit
    from shufflekit.guidelines.audit import audit as audit
    from shufflekit.models import list_models as list_models
    from shufflekit.profiling.profile import profile as profile
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
    "profile": "shufflekit.profiling.profile",
    "audit": "shufflekit.guidelines.audit",
    "fit": "shufflekit.fitting.fit",
    "compile": "shufflekit.compiling",
    "load": "shufflekit.runtime",
    "load_onnx": "shufflekit.compiling",
}

# Path of a module in earlier versions -> where to find what it had.
_MOVED = {
    "shufflekit.compile": "shufflekit.compiling",
    "shufflekit.profile": "shufflekit.profiling",
    "shufflekit.export.outputs": "shufflekit.outputs",
    "shufflekit.graph.capture": "shufflekit.graph.from_torch.capture",
    "shufflekit.graph.operators": "shufflekit.graph.ops",
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


class _Moved:
    """Finds none of the old modules, and says in a line where they went."""

    @staticmethod
    def find_spec(name: str, _path: Any = None, _target: Any = None) -> None:
        if name in _MOVED:
            raise ImportError(f"{name} is now {_MOVED[name]}", name=name)


sys.meta_path.insert(0, _Moved())  # before those that would find a folder left behind
