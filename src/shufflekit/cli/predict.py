"""`shufflekit predict`: what is on a photo."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from shufflekit.cli._model import NETWORK, read_model
from shufflekit.cli._onnx import given_preparation
from shufflekit.cli._output import notice, print_json, printable, stdout
from shufflekit.cli._photos import Photos
from shufflekit.cli._shapes import word_of_shape
from shufflekit.errors import UsageError

if TYPE_CHECKING:
    from shufflekit.classify.classifier import Classifier, Prediction


def predict(
    *photos: Annotated[str, Parameter(allow_leading_hyphen=True)],
    model: str | None = None,
    weights: str | None = None,
    engine: Literal["torch", "native"] | None = None,
    topk: int = 5,
    mean: str | None = None,
    std: str | None = None,
    channel_order: Literal["rgb", "bgr", "grey"] | None = None,
    labels: Path | None = None,
    shape: str | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Classify photos.

    Without --model and --weights the network that comes with the package tells the ten classes of CIFAR-10 apart, and says so;
    it needs neither PyTorch nor a download. A network of the registry gets its ImageNet weights, which are downloaded once,
    where --weights says nothing else; a saved model has its own. A photo that cannot be read is a line on stderr, the others
    still run, and the exit code is 1.

    Args:
        photos: files, folders (the images directly inside, in natural order), or - for standard input.
        model: a registry name (shufflenet_v2_x1_0 with --weights imagenet), a folder of save_pretrained or train,
            hf-hub:owner/name, package.module:callable, or what needs no PyTorch: a plan that `shufflekit compile` wrote, or an
            ONNX file. It gives one vector of scores for a photo, and takes 3 channels, or 1: then photos are made grey.
        weights: a tag ("imagenet", "cifar10"), a file of any layout that load_weights knows, or "random".
        engine: what runs the network: torch, or native, which compiles it first; a plan is native.
        topk: how many classes to give for each photo.
        mean: of each channel for pixels in 0..1, as in 0.485,0.456,0.406, where an ONNX file does not say how photos go in.
        std: likewise.
        channel_order: in which it takes the channels, likewise.
        labels: a text file with the name of a class in each line, likewise.
        shape: 1x3x224x224 of the input, in its own order, where an ONNX file leaves sizes open.
        json: print one list of objects with file and predictions.
    """
    if topk < 1:
        raise UsageError(f"topk: must be 1 or more, found {topk}")
    images = Photos(photos, huge_reduced=True)
    given = given_preparation(mean, std, channel_order, labels)
    classify = _classifier(model, weights, engine, given, word_of_shape(shape))
    found = []
    for name, image in images:
        predictions = classify(image, topk)
        found.append({"file": name, "predictions": [asdict(prediction) for prediction in predictions]})
        if not json:
            stdout().print(_lines(name, predictions), markup=False, soft_wrap=True)
    if json:
        print_json(found)
    return 1 if images.failed else 0


def _classifier(
    model: str | None, weights: str | None, engine: str | None, given: dict[str, Any], shape: tuple[int, ...] | None
) -> Classifier:
    from shufflekit.classify.bundled import BUNDLED_PLAN, BUNDLED_TAG
    from shufflekit.data.classes import class_names

    is_bundled = model is None and weights is None
    if is_bundled:
        text, tag = (None, BUNDLED_TAG) if engine == "torch" else (str(BUNDLED_PLAN), None)
    else:
        text, tag = model, weights
    source = read_model(text, "predict", (*NETWORK, "plan", "onnx"), tag, engine)
    if shape is not None and source.kind != "onnx":
        raise UsageError(f"shape: is for an ONNX file, others have their own, found {model or 'no model'}")
    if given and source.kind != "onnx":
        raise UsageError(f"{next(iter(given))}: is for an ONNX file, others say how photos go in, found {model or 'no model'}")
    if is_bundled:
        knows = ", ".join(class_names(BUNDLED_TAG))
        notice(f"model: {BUNDLED_PLAN.stem} of the package, which knows {knows}; --weights imagenet or --model takes another")
    if not source.is_network:
        from shufflekit.classify.classifier import engine_classifier

        return engine_classifier(source.engine(1, shape, given), model if source.kind == "onnx" else None)
    from shufflekit.classify.from_torch import native_classifier, torch_classifier
    from shufflekit.cli._networks import DEFAULT_MODEL

    network = source.network()
    return native_classifier(network) if engine == "native" else torch_classifier(network, model or DEFAULT_MODEL)


def _lines(name: str, predictions: list[Prediction]) -> str:
    return "\n".join([printable(name), *(f"{100 * prediction.score:6.1f} %  {prediction.label}" for prediction in predictions)])
