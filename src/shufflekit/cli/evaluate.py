"""`shufflekit evaluate`: how often a network is right, and how sure that figure is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from shufflekit.cli._output import notice, print_json, progress, stdout
from shufflekit.errors import InputError, UsageError

if TYPE_CHECKING:
    from torch import nn

    from shufflekit.data.sources import Source


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
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Measure a network's accuracy on labelled images.

    Images are prepared as the network's weights expect. The interval holds the true accuracy in 95 of 100 such draws of
    images (Wilson). Images that cannot be read are left out and named on stderr.

    Args:
        model: a registry name, a folder of save_pretrained or train, or package.module:callable.
        data: a folder of class folders, Parquet files or WebDataset shards.
        weights: a tag ("imagenet", "cifar10"), or a file of any layout that load_weights knows.
        split: which part of the data, where it has several.
        image_column: of Parquet files.
        label_column: of Parquet files.
        batch: images at a time.
        workers: processes that decode images which do not fit in memory.
        json: print one object.
    """
    import torch

    from shufflekit.cli._networks import load_network
    from shufflekit.data.loader import Loader
    from shufflekit.data.preprocess import Preprocessing
    from shufflekit.data.sources import open_source
    from shufflekit.train.score import score

    if batch < 1:
        raise UsageError(f"batch: must be 1 or more, found {batch}")
    source = open_source(data, split=split, image_column=image_column, label_column=label_column)
    network: Any = load_network(model, weights)
    cfg = getattr(network, "pretrained_cfg", None) or {}
    preprocessing = Preprocessing.from_config(cfg)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network.to(device, memory_format=torch.channels_last)
    classes = _classes(network, preprocessing.input_size)
    _check_classes(source, classes, cfg.get("classes"), model)
    loader = Loader(
        source,
        indices=None,
        batch_size=batch,
        preprocessing=preprocessing,
        augmentation=None,
        seed=0,
        shuffle=False,
        drop_last=False,
        workers=workers,
    )
    with progress() as bar:
        task = bar.add_task("evaluating", total=len(source))
        found = score(network, loader.epoch(0), classes, device, torch.channels_last, lambda images: bar.advance(task, images))
    for name, reason in sorted(loader.broken.items()):
        notice(f"{name}: {reason}; left out")
    _report(model, data, found.images, [("top1", found.top1_right), (f"top{min(5, classes)}", found.top5_right)], json)


def _classes(network: nn.Module, input_size: tuple[int, int]) -> int:
    """How many scores a network gives."""
    import torch

    reference = next(network.parameters())
    with torch.inference_mode():
        return int(network.eval()(torch.zeros(1, 3, *input_size, device=reference.device)).shape[1])


def _check_classes(source: Source, classes: int, names: str | list[str] | None, model: str) -> None:
    if len(source.classes) > classes:
        raise InputError(f"data: must have at most the {classes} classes of {model}, found {len(source.classes)}")
    if isinstance(names, list) and set(names) == set(source.classes) and names != source.classes:
        raise InputError(f"data: must number its classes as {model} does ({', '.join(names[:3])}, ...), found another order")


def _report(model: str, data: Path, images: int, right: list[tuple[str, int]], json: bool) -> None:
    from shufflekit.train.score import wilson_interval

    if json:
        values: dict[str, Any] = {"model": model, "data": str(data), "images": images}
        for name, count in right:
            values |= {name: 100 * count / images, f"{name}_right": count, f"{name}_interval": wilson_interval(count, images)}
        print_json(values)
        return
    for name, count in right:
        low, high = wilson_interval(count, images)
        line = f"{name}  {100 * count / images:6.2f} %   95 % interval {low:.2f} to {high:.2f} %   {count} of {images}"
        stdout().print(line, markup=False)
