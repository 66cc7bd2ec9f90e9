"""All that it takes to go from a photo to named classes, but the network; loads no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shufflekit.data.classes import class_names
from shufflekit.data.preprocess import Preprocessing
from shufflekit.errors import InputError
from shufflekit.runtime import Engine, load


@dataclass(frozen=True)
class Prediction:
    """A class by name and index, with its probability."""

    label: str
    index: int
    score: float


class Classifier:
    """Prepares a photo as the network's weights expect it, runs it in a batch of one, and names the classes.

    Args:
        logits: (1, 3, H, W) to (1, classes), by whatever runs the network.
        cfg: its `pretrained_cfg`; what it leaves out is ImageNet's usual preparation.
    """

    def __init__(self, logits: Callable[[NDArray[np.float32]], NDArray[np.float32]], cfg: Mapping[str, Any]) -> None:
        self.logits = logits
        self.prepare = Preprocessing.from_config(cfg)
        self.labels = class_names(cfg.get("classes"))

    def __call__(self, photo: NDArray[np.uint8], topk: int = 5) -> list[Prediction]:
        """The likeliest classes, best first.

        Args:
            photo: (H, W, 3) uint8 RGB.
            topk: how many, at most.
        """
        logits = self.logits(self.prepare(photo)[None])[0]
        scores = np.exp(logits - logits.max())
        scores /= scores.sum()
        best = np.argsort(-scores, kind="stable")[:topk]
        return [Prediction(self._label(index), index, float(scores[index])) for index in best.tolist()]

    def _label(self, index: int) -> str:
        return self.labels[index] if index < len(self.labels) else f"class {index}"


def engine_classifier(engine: Engine) -> Classifier:
    """A classifier that runs on the engine; preprocessing and class names come from the plan.

    Raises:
        InputError: the plan takes no photos, or gives no scores.
    """
    outputs = [output.shape for output in engine.program.outputs]
    if engine.input_shape[0] != 3 or [len(shape) for shape in outputs] != [1]:
        raise InputError(
            f"{engine.program.name or 'plan'}: must take 3 channels and give one vector of scores, found "
            f"{engine.input_shape[0]} channels and {', '.join(map(str, outputs))}"
        )
    return Classifier(engine, {**engine.program.info, "input_size": engine.input_shape})


def plan_classifier(path: Path) -> Classifier:
    """The same, from a plan file.

    Raises:
        InputError: no such file, no sound plan, or one that is no classifier of photos.
    """
    return engine_classifier(load(path))
