"""`shufflekit evaluate`: how often a network is right, and how sure that figure is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from shufflekit.cli._model import NETWORK, read_model
from shufflekit.cli._output import notice, print_json, progress, stdout
from shufflekit.cli._shapes import word_of_shape
from shufflekit.errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from shufflekit.data.preprocess import Preprocessing


def evaluate(
    model: str,
    /,
    *,
    data: Path,
    weights: str | None = None,
    split: str | None = None,
    image_column: str = "image",
    label_column: str = "label",
    batch: int = 128,
    workers: int = 0,
    shape: str | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Measure a network's accuracy on labelled images.

    Images are prepared as the network's weights expect. The interval holds the true accuracy in 95 of 100 such draws of
    images (Wilson). Images that cannot be read are left out and named on stderr, and the exit code is 1.

    The classes of the data are found among the network's by name where both have names, also where the data has some of them
    only; a class that the network does not have is refused. Without names they are taken by number or in their order, and
    a line on stderr says so.

    Args:
        model: a registry name, a folder of save_pretrained or train, hf-hub:owner/name, package.module:callable, a plan, or
            an ONNX file with its preparation in a JSON beside it or in its metadata.
        data: a folder of class folders, Parquet files or WebDataset shards.
        weights: a tag ("imagenet", "cifar10"), a file of any layout that load_weights knows, or "random".
        split: which part of the data, where it has several.
        image_column: of Parquet files.
        label_column: of Parquet files.
        batch: images at a time.
        workers: processes that decode images which do not fit in memory.
        shape: 1x3x224x224 of the input, in its own order, where an ONNX file leaves sizes open.
        json: print one object.
    """
    import torch

    from shufflekit.classify.from_torch import Scores
    from shufflekit.data.classes import match_classes
    from shufflekit.data.loader import evaluation_loader
    from shufflekit.data.sources import open_source
    from shufflekit.train.score import score

    if batch < 1:
        raise UsageError(f"batch: must be 1 or more, found {batch}")
    source = open_source(data, split=split, image_column=image_column, label_column=label_column)
    network, preparation, names = _network(model, weights, word_of_shape(shape))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    scores: Any = Scores(network, model)
    scores.to(device, memory_format=torch.channels_last)
    classes = _classes(scores, preparation, device)
    matched = match_classes(source.classes, names, classes, model)
    if matched.note:
        notice(matched.note)
    loader = evaluation_loader(source, preparation, batch, workers=workers)
    labels = torch.tensor(matched.labels)
    batches = (one._replace(labels=labels[one.labels]) for one in loader.epoch(0))
    with progress() as bar:
        task = bar.add_task("evaluating", total=len(source))
        found = score(scores, batches, classes, device, torch.channels_last, lambda images: bar.advance(task, images))
    for name, reason in sorted(loader.broken.items()):
        notice(f"{name}: {reason}; left out")
    top = [("top1", found.top1_right), (f"top{min(5, classes)}", found.top5_right)]
    _report(model, data, found.images, len(loader.broken), top, json)
    return 1 if loader.broken else 0


def _network(model: str, weights: str | None, shape: tuple[int, ...] | None) -> tuple[nn.Module, Preprocessing, Any]:
    """What gives scores, how its images are prepared, and what it says of its classes."""
    from shufflekit.classify.from_torch import EngineScores
    from shufflekit.classify.inputs import configuration, preparation

    source = read_model(model, "evaluate", (*NETWORK, "plan", "onnx"), weights)
    if shape is not None and source.kind != "onnx":
        raise UsageError(f"shape: is for an ONNX file, others have their own, found {model}")
    if not source.is_network:
        from shufflekit.classify.classifier import engine_classifier

        engine = source.engine(1, shape)
        return EngineScores(engine), engine_classifier(engine, model).prepare, engine.program.info.get("classes")
    network = source.network()
    return network, preparation(network), configuration(network).get("classes")


def _classes(scores: nn.Module, preparation: Preprocessing, device: torch.device) -> int:
    """How many scores a network gives."""
    import torch

    from shufflekit.modes import evaluation

    with evaluation(scores), torch.inference_mode():
        return int(scores(torch.zeros(1, preparation.in_chans, *preparation.input_size, device=device)).shape[1])


def _report(model: str, data: Path, images: int, unreadable: int, right: list[tuple[str, int]], json: bool) -> None:
    from shufflekit.train.score import wilson_interval

    if json:
        values: dict[str, Any] = {"model": model, "data": str(data), "images": images, "unreadable": unreadable}
        for name, count in right:
            values |= {name: 100 * count / images, f"{name}_right": count, f"{name}_interval": wilson_interval(count, images)}
        print_json(values)
        return
    for name, count in right:
        low, high = wilson_interval(count, images)
        line = f"{name}  {100 * count / images:6.2f} %   95 % interval {low:.2f} to {high:.2f} %   {count} of {images}"
        stdout().print(line, markup=False)
