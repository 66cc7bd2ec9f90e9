"""Name -> constructor: the only registry of networks."""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from shufflekit.errors import UsageError, one_line


@dataclass(frozen=True)
class ModelEntry:
    """One registered network, with what was published about it.

    `top1_error` is in % on ImageNet (single centre crop), `mflops` in millions of multiply-adds; None where nothing was
    published. `source` names the paper and table of both, `note` says what is ours.
    """

    name: str
    constructor: Callable[..., Any]
    input_size: tuple[int, int]
    top1_error: float | None
    mflops: float | None
    source: str
    note: str


_ENTRIES: dict[str, ModelEntry] = {}


def register(
    name: str,
    constructor: Callable[..., Any],
    *,
    input_size: tuple[int, int] = (224, 224),
    top1_error: float | None = None,
    mflops: float | None = None,
    source: str = "",
    note: str = "",
) -> None:
    """Adds a constructor under `name`; `input_size` is the (height, width) at which its numbers were published."""
    assert name not in _ENTRIES, f"{name} is registered twice"
    _ENTRIES[name] = ModelEntry(name, constructor, input_size, top1_error, mflops, source, note)


def list_models(pattern: str = "*") -> list[str]:
    """Registered names that match a shell pattern, in natural order (g2 before g10, x0_25 before x0_5).

    Args:
        pattern: as in a shell: `*`, `?`, `[...]`.

    Example:
        >>> list_models("shufflenet_v2_x?_?")
        ['shufflenet_v2_x0_5', 'shufflenet_v2_x1_0', 'shufflenet_v2_x1_5', 'shufflenet_v2_x2_0']
    """
    return sorted(fnmatch.filter(_ENTRIES, pattern), key=_natural)


def model_entry(name: str) -> ModelEntry:
    """What is registered under `name`.

    Raises:
        UsageError: nothing is; the message offers the nearest names.
    """
    if name not in _ENTRIES:
        near = difflib.get_close_matches(name, _ENTRIES, n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(near)}?" if near else "`shufflekit models` lists them"
        raise UsageError(f"model: no network is named {name!r}; {hint}")
    return _ENTRIES[name]


def construct(name: str, **options: Any) -> Any:
    """A registered network with random weights.

    Raises:
        UsageError: an unknown name, or an option or value that the network does not take.
    """
    entry = model_entry(name)
    try:
        network = entry.constructor(**options)
    except TypeError as error:
        refused = re.search(r"(?:unexpected keyword argument|multiple values for argument) '(\w+)'", str(error))
        if refused is None or refused.group(1) not in options:
            raise
        raise UsageError(f"{name}: takes no option {refused.group(1)!r}") from None
    except (ArithmeticError, RuntimeError, MemoryError) as error:  # of a size that there is no memory for
        given = ", ".join(f"{key}={value!r}" for key, value in options.items())
        raise UsageError(f"{name}: cannot be built with {given}: {one_line(error)}") from None
    network.architecture = name
    network.options = dict(options)
    return network


def _natural(name: str) -> list[tuple[float, str]]:
    """A sort key: numbers by value, and x0_25 as the width 0.25."""
    parts = re.split(r"((?<=x)\d+_\d+|\d+)", name)
    return [(float(part.replace("_", ".")), "") if part[:1].isdigit() else (-1.0, part) for part in parts]
