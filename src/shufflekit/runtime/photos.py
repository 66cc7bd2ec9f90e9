"""Photos for an engine, in whatever order and type it takes them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shufflekit.runtime.engine import Engine
from shufflekit.shapes import is_channels_last


def photo_size(engine: Engine) -> tuple[int, int, int]:
    """(C, H, W) of the photo that it takes.

    Raises:
        UsageError: it takes something else.
    """
    shape = engine.input_shape
    return (shape[2], *shape[:2]) if is_channels_last(shape) else shape


def as_engine_takes(engine: Engine, images: NDArray[np.float32]) -> NDArray[Any]:
    """Images of (N, C, H, W), prepared, in the engine's order and type; for one of bytes they are numbers from 0 to 255."""
    ordered = images.transpose(0, 2, 3, 1) if is_channels_last(engine.input_shape) else images
    return np.ascontiguousarray(ordered, engine.inputs[0].type)


def channels_first(engine: Engine, photos: NDArray[Any]) -> NDArray[Any]:
    """Images in the engine's order as (N, C, H, W)."""
    return photos.transpose(0, 3, 1, 2) if is_channels_last(engine.input_shape) else photos
