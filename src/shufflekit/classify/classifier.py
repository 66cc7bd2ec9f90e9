"""All that it takes to go from a photo to named classes, but the network; loads no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shufflekit.data.classes import class_names
from shufflekit.data.preprocess import Preprocessing, unnormalised
from shufflekit.errors import InputError
from shufflekit.finite import check_finite
from shufflekit.runtime import Engine
from shufflekit.runtime.photos import as_engine_takes, channels_first, photo_size

_NEEDED = ("mean", "std", "channel_order")  # of photos for an ONNX file


@dataclass(frozen=True)
class Prediction:
    """A class by name and index, with its probability."""

    label: str
    index: int
    score: float


class Classifier:
    """Prepares a photo as the network's weights expect it, runs it in a batch of one, and names the classes.

    Args:
        logits: (1, C, H, W) to (1, classes), by whatever runs the network; finite.
        cfg: its `pretrained_cfg`; what it leaves out is ImageNet's usual preparation.

    Raises:
        UsageError: the network takes no photos.
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


def run_images(engine: Engine, images: NDArray[np.float32]) -> Any:
    """What an engine gives for images of (N, C, H, W), in whatever order and type it takes them."""
    return engine(as_engine_takes(engine, images))


def as_network_takes(engine: Engine, photos: NDArray[np.uint8], channels_last: bool) -> NDArray[np.float32]:
    """What a plan of bytes makes of photos for its network, by other means: prepared as the plan says.

    Args:
        photos: as the engine takes them.
        channels_last: whether the network takes (N, H, W, C).
    """
    prepare = Preprocessing.from_config({**engine.program.info, "input_size": photo_size(engine)})
    planes = channels_first(engine, photos)
    scale, shift = (each[:, None, None] for each in prepare.affine())
    x = planes[:, prepare.channels()] * scale + shift
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1) if channels_last else x)


def check_scores(shapes: Sequence[Sequence[int]], images: int, network: str) -> None:
    """Refuses outputs that are not one vector of scores for each image, (N, scores) or (N, scores, 1, 1).

    Args:
        shapes: of the outputs.
        images: how many went in.
        network: what the message calls it.

    Raises:
        InputError: there are others, or so few scores that there is nothing to choose from.
    """
    are_vectors = [tuple(shape[:1]) for shape in shapes] == [(images,)] and len(shapes[0]) >= 2 and set(shapes[0][2:]) <= {1}
    if not are_vectors or shapes[0][1] < 2:
        found = " and ".join("x".join(map(str, shape)) or "a number" for shape in shapes) or "nothing"
        raise InputError(f"{network}: must give a vector of 2 scores or more for each image, found {found} for {images}")


def check_prepared(info: Mapping[str, Any], name: str) -> None:
    """Refuses photos for a network of which nobody says how they go in.

    Raises:
        InputError: what is missing, and how to say it.
    """
    missing = [key for key in _NEEDED if info.get(key) is None] if info.get("from") == "onnx" else []
    if missing:
        flags = " ".join(f"--{key.replace('_', '-')}" for key in _NEEDED)
        raise InputError(
            f"{name}: how photos go in is not known, {', '.join(missing)} missing: give {flags} (and --labels), or the keys in "
            "a JSON beside the ONNX file, or in its metadata"
        )


def _check_names(info: Mapping[str, Any], scores: int, name: str) -> None:
    """Refuses names of classes that are not one for each score.

    Raises:
        InputError: how many there are of both.
    """
    names = class_names(info.get("classes")) if info.get("from") == "onnx" else ()
    if names and len(names) != scores:
        raise InputError(f"{name}: labels: must be {scores} names, one for each score, found {len(names)}")


def engine_classifier(engine: Engine, name: str | None = None) -> Classifier:
    """A classifier that runs on the engine; preprocessing and class names come from the plan.

    Args:
        name: what messages call it; the plan's own by default.

    Raises:
        InputError: the plan takes no photos, gives no scores, or was an ONNX file that does not say how photos go in or names
            other classes than it scores.
    """
    name = name or engine.program.name or "plan"
    check_prepared(engine.program.info, name)
    check_scores([(1, *output.shape) for output in engine.program.outputs], 1, name)
    _check_names(engine.program.info, engine.program.outputs[0].shape[0], name)

    def logits(images: NDArray[np.float32]) -> NDArray[np.float32]:
        found = run_images(engine, images)
        check_finite([found], name)
        return found.reshape(len(found), -1)

    return Classifier(logits, engine_configuration(engine))


def engine_configuration(engine: Engine) -> dict[str, Any]:
    """What a plan says of preprocessing and classes, with the input that it has; one of bytes normalises them itself."""
    cfg = {**engine.program.info, "input_size": photo_size(engine)}
    return unnormalised(cfg) if engine.inputs[0].type == "uint8" else cfg
