"""An ONNX file as MODEL: compiled without torch; how photos go in is what flags, a JSON beside it or the file itself say."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shufflekit.errors import InputError, UsageError, one_line

if TYPE_CHECKING:
    from shufflekit.runtime import Engine
    from shufflekit.shapes import Shapes

_KEYS = ("mean", "std", "channel_order", "interpolation", "crop_pct", "classes")  # of `pretrained_cfg`


def compile_onnx(model: str, shape: Shapes | None, threads: int, given: Mapping[str, Any] | None = None, **how: Any) -> Engine:
    """An engine, whose plan has what is known of preparation and classes.

    Args:
        given: of that, what the command line says, which comes before the JSON and the file's own metadata.
        how: tuned, of photos, rounded to bytes, as `shufflekit.compile` has it.
    """
    from shufflekit.compiling import compile as compile_network
    from shufflekit.compiling import load_onnx

    network = load_onnx(model, shape)
    about = {
        **_of_metadata(network.info.get("metadata", {}), model),
        **_beside(Path(model).with_suffix(".json")),
        **(given or {}),
    }
    return compile_network(network, threads=threads, info={**about, "from": "onnx"}, **how)


def given_preparation(mean: str | None, std: str | None, channel_order: str | None, labels: Path | None) -> dict[str, Any]:
    """What flags say.

    Args:
        mean: numbers with commas between.
        std: likewise.
        labels: a text file with the name of a class in each line.
    """
    found = {
        "mean": mean and _floats("mean", mean),
        "std": std and _floats("std", std),
        "channel_order": channel_order,
        "classes": labels and _lines(labels),
    }
    return {key: value for key, value in found.items() if value is not None}


def _floats(name: str, text: str) -> list[float]:
    try:
        found = [float(each) for each in text.split(",")]
    except ValueError:
        found = [math.nan]
    if not all(map(math.isfinite, found)):
        raise UsageError(f"{name}: must be numbers, as in 0.485,0.456,0.406, found {text!r}")
    return found


def _lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {one_line(error)}") from None


def _beside(path: Path) -> dict[str, Any]:
    """The keys of a JSON of the same name, where there is one."""
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {one_line(error)}") from None
    if not isinstance(found, dict):
        raise InputError(f"{path}: must be an object with some of {', '.join(_KEYS)}, found a {type(found).__name__}")
    return {key: found[key] for key in _KEYS if found.get(key) is not None}


def _of_metadata(metadata: Mapping[str, str], model: str) -> dict[str, Any]:
    """The same keys of the file's own, whose values are texts: lists and numbers as JSON."""
    found = {key: metadata[key] for key in _KEYS if key in metadata}
    for key in found.keys() & {"mean", "std", "crop_pct", "classes"}:
        try:
            found[key] = json.loads(found[key])
        except ValueError:
            raise InputError(f"{model}: metadata {key}: must be JSON, found {found[key]!r:.60}") from None
    return found
