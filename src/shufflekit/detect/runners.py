"""What runs a detector: PyTorch, or the engine; torch is loaded only where it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from shufflekit.data.preprocess import unnormalised
from shufflekit.detect.photo_detector import PhotoDetector
from shufflekit.errors import InputError
from shufflekit.runtime import Engine
from shufflekit.runtime.photos import as_engine_takes, photo_size

if TYPE_CHECKING:
    from shufflekit.detect.network import Detector


def torch_detector(network: Detector) -> PhotoDetector:
    """A detector that runs in PyTorch; the module is left as it was."""
    import torch

    from shufflekit.modes import evaluation, torch_threads

    def maps(images: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        # One thread, as for `predict`: a second one gains little on one photo.
        with torch_threads(1), evaluation(network), torch.inference_mode():
            return [values.numpy() for values in network(torch.from_numpy(images))]

    return PhotoDetector(maps, network.pretrained_cfg or {}, network.architecture)


def native_detector(network: Detector) -> PhotoDetector:
    """The same, compiled first."""
    from shufflekit.compiling import compile as compile_network

    assert network.pretrained_cfg is not None, "every detector says how it takes its photos"
    return engine_detector(compile_network(network, (1, *network.pretrained_cfg["input_size"])), network.architecture)


def engine_detector(engine: Engine, name: str) -> PhotoDetector:
    """A detector that runs on the engine; how photos go in and boxes come out stands in the plan.

    Args:
        name: what messages call it.

    Raises:
        InputError: the plan is not that of a detector.
    """
    info = engine.program.info
    if "detection" not in info or photo_size(engine)[0] != 3:
        raise InputError(f"{name}: must be the plan of a detector, found that of {engine.program.name or 'another network'}")

    def maps(images: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        found = engine(as_engine_takes(engine, images))
        return found if isinstance(found, list) else [found]

    cfg = {**info, "input_size": photo_size(engine)}
    return PhotoDetector(maps, unnormalised(cfg) if engine.inputs[0].type == "uint8" else cfg, name)
