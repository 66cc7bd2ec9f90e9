"""A whole training run: opens the data, builds or resumes, trains, and leaves a folder that `evaluate` can read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs  # type: ignore[import-untyped]
from accelerate.state import AcceleratorState  # type: ignore[import-untyped]
from accelerate.utils import broadcast_object_list, set_seed  # type: ignore[import-untyped]

from shufflekit.data.loader import Loader
from shufflekit.data.sources import Source, open_source
from shufflekit.errors import InputError, UsageError
from shufflekit.files import remove_partial, write_atomic
from shufflekit.models import Network
from shufflekit.train.checkpoint import load_checkpoint
from shufflekit.train.holdout import hold_out
from shufflekit.train.layout import Layout, TrainingStep, candidates, choose_layout, measure_layout
from shufflekit.train.log import Silent, Watcher
from shufflekit.train.loop import Trainer
from shufflekit.train.memory import keep_freed_memory
from shufflekit.train.recipe import Recipe
from shufflekit.train.teacher import TaughtTrainer, open_teacher
from shufflekit.train.toml import to_toml
from shufflekit.train.unfold import unfold_before_training
from shufflekit.weights import create_model, save_pretrained
from shufflekit.weights.pretrained_cfg import default_cfg


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a run needs besides its recipe: what to train on what, where to, and how to use the machine."""

    task: Literal["classify", "detect"] = "classify"
    data: Path
    "Training images: a folder of class folders, Parquet files or WebDataset shards; to detect, a COCO annotation file."
    images: Path | None = None
    "To detect: the folder of the annotated images."
    model: str
    "A registry name; to detect, nanodet_m_, fastestdet_, faster_rcnn_ or light_head_rcnn_ and a backbone's name."
    options: dict[str, int | bool | str] = field(default_factory=dict)
    "Of the network's constructor, such as --options.shuffle no; a detector has none."
    weights: str | None = None
    "Start from these: a tag, or a file of any layout that `load_weights` knows."
    teacher: tuple[str, ...] = ()
    "Learn from what these saved networks (folders, or hf-hub:owner/name) say of each image, on average."
    out: Path
    "The run's folder."
    val: Path | None = None
    "Images to validate on after each epoch; to detect, their annotation file."
    val_images: Path | None = None
    "To detect: the folder of those; that of the training images by default."
    holdout: int = 0
    "Or: how many training images to hold out for that, each class in proportion."
    split: str | None = None
    val_split: str | None = None
    image_column: str = "image"
    label_column: str = "label"
    resume: Literal["auto", "never"] = "never"
    "auto continues what the folder holds, and starts where it holds nothing."
    precision: Literal["no", "bf16", "fp16"] = "no"
    layout: Literal["auto", "nchw", "channels_last"] = "auto"
    compile: Literal["auto", "no", "yes"] = "auto"
    workers: int = 0
    "Processes that decode images which do not fit in memory."
    checkpoint_every: int = 500
    "Updates between two checkpoints; each epoch ends with one as well."
    log_every: int = 10
    "Updates between two lines of metrics.jsonl."


def run(settings: Settings, recipe: Recipe, watcher: Watcher | None = None) -> int:
    """Trains a network and writes it to the run's folder.

    Returns:
        0 when done, or the number of the signal that stopped it.

    Raises:
        UsageError: settings that contradict each other, the data or the folder.
        InputError: data or a checkpoint that cannot be used.
    """
    keep_freed_memory()
    source, training, validation = _open_data(settings, recipe)
    accelerator = make_accelerator(settings.precision)
    watcher = watcher if watcher is not None and accelerator.is_main_process else Silent()
    identity = {
        "model": settings.model,
        "options": settings.options,
        "weights": settings.weights,
        "teacher": list(settings.teacher),
        "classes": list(source.classes),
        "training_images": len(training),
        "processes": accelerator.num_processes,
        "recipe": json.loads(json.dumps(asdict(recipe))),
    }
    checkpoint = find_checkpoint(settings, identity)
    set_seed(recipe.seed)
    model = _build(settings, recipe, list(source.classes))
    start: Callable[..., Trainer] = Trainer
    if settings.teacher:
        teachers = [open_teacher(place, recipe.preprocessing, list(source.classes)) for place in settings.teacher]
        start = partial(TaughtTrainer, teachers=teachers)
    note_learning_rate(recipe, accelerator.num_processes, watcher)
    if checkpoint:
        layout = Layout(**checkpoint["layout"])
    else:
        layout = _choose_layout(settings, recipe, model, len(training), accelerator, watcher)
    load = partial(
        Loader,
        batch_size=recipe.batch,
        preprocessing=recipe.preprocessing,
        seed=recipe.seed,
        workers=settings.workers,
        rank=accelerator.process_index,
        world_size=accelerator.num_processes,
    )
    batches = load(source, indices=training, augmentation=recipe.augmentation, shuffle=True, drop_last=True)
    if not checkpoint:
        unfold_before_training(model, batches, watcher)
    trainer = start(
        model,
        recipe,
        accelerator,
        layout,
        batches,
        validation and load(validation[0], indices=validation[1], augmentation=None, shuffle=False, drop_last=False),
        settings.out,
        classes=len(source.classes),
        identity=identity,
        watcher=watcher,
        checkpoint_every=settings.checkpoint_every,
        log_every=settings.log_every,
    )
    return carry_out(trainer, settings, checkpoint, lambda: save_pretrained(trainer.result(), settings.out))


def carry_out(trainer: Trainer, settings: Settings, checkpoint: dict[str, Any] | None, save: Callable[[], object]) -> int:
    """Trains, from the checkpoint on where there is one, and saves the result.

    Returns:
        0 when done, or the number of the signal that stopped it.
    """
    accelerator = trainer.accelerator
    if checkpoint:
        trainer.restore(checkpoint)
        trainer.watcher.note(f"resumed at epoch {trainer.place.epoch + 1}, step {trainer.place.step}")
    if accelerator.is_main_process:
        write_atomic(settings.out / "recipe.toml", to_toml(asdict(trainer.recipe)).encode())
    stopped = trainer.fit()
    if accelerator.is_main_process and not stopped:
        save()
    accelerator.end_training()
    return stopped


def _open_data(settings: Settings, recipe: Recipe) -> tuple[Source, list[int], tuple[Source, list[int]] | None]:
    """The training set, its indices, and the validation set with its indices."""
    columns = {"image_column": settings.image_column, "label_column": settings.label_column}
    if settings.val is not None and settings.holdout:
        raise UsageError("val, holdout: one of them is enough")
    source = open_source(settings.data, split=settings.split, **columns)
    if settings.val is None and not settings.holdout:
        return source, list(range(len(source))), None
    if settings.val is None:
        training, held_out = hold_out([source.label(i) for i in range(len(source))], settings.holdout, recipe.seed)
        return source, training, (source, held_out)
    validation = open_source(settings.val, split=settings.val_split, **columns)
    if source.classes[: len(validation.classes)] != validation.classes:
        raise InputError(f"val: {settings.val} must have the {len(source.classes)} classes of {settings.data}, found others")
    return source, list(range(len(source))), (validation, list(range(len(validation))))


def make_accelerator(precision: str) -> Accelerator:
    """Of all processes of this run.

    Raises:
        UsageError: a precision that this machine does not have.
    """
    if precision == "fp16" and not torch.cuda.is_available():
        raise UsageError("precision: fp16 needs a GPU; no or bf16 work here")
    AcceleratorState._reset_state()  # else the first run's precision binds the next one in this process
    # Without broadcasts each process keeps its own batch-norm statistics, and the first one's are saved.
    own_statistics = DistributedDataParallelKwargs(broadcast_buffers=False)
    on_cpu = not torch.accelerator.is_available()  # accelerate starts several CPU processes only when it is told
    return Accelerator(cpu=on_cpu, mixed_precision=precision, kwargs_handlers=[own_statistics])


def find_checkpoint(settings: Settings, identity: dict[str, Any]) -> dict[str, Any] | None:
    """The checkpoint to go on from, None where the folder holds no run.

    Raises:
        UsageError: there is one and it is not to be resumed, or it is another run's.
        InputError: the folder or the checkpoint cannot be used.
    """
    folder = settings.out / "checkpoints"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"out: {settings.out}: {error.strerror}") from None
    path = folder / "last.pt"
    if not path.exists():
        return None
    if settings.resume == "never":
        raise UsageError(f"out: {settings.out} holds a run already; --resume auto continues it")
    remove_partial(folder)
    checkpoint = load_checkpoint(path)
    ours = _flat(identity)
    for name, saved in _flat(checkpoint["identity"]).items():
        if (found := ours.get(name)) != saved:
            raise UsageError(f"{name}: the run in {settings.out} has {saved}, found {found}; use its values or another --out")
    return checkpoint


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


def _build(settings: Settings, recipe: Recipe, classes: list[str]) -> Network:
    options: dict[str, Any] = {**settings.options, **({"small_input": True} if recipe.small_input else {})}
    model = create_model(settings.model, settings.weights or False, num_classes=len(classes), **options)
    assert isinstance(model, Network)
    expected = asdict(recipe.preprocessing) | {"input_size": (model.in_chans, *recipe.preprocessing.input_size)}
    model.pretrained_cfg = {**default_cfg(model), **expected, "classes": classes}
    return model


def note_learning_rate(recipe: Recipe, processes: int, watcher: Watcher) -> None:
    """Tells where the peak was scaled."""
    peak, images = recipe.peak_learning_rate(processes), recipe.batch * recipe.accumulate * processes
    if images != recipe.reference_batch:
        scaled = f"{recipe.learning_rate:g} scaled from {recipe.reference_batch} to {images} images per update"
        watcher.note(f"learning rate {peak:g}: {scaled}")


def _choose_layout(
    settings: Settings, recipe: Recipe, model: Network, images: int, accelerator: Accelerator, watcher: Watcher
) -> Layout:
    """The first process measures, and all take what it found."""
    found = [Layout()]
    if accelerator.is_main_process:
        autocast: Any = accelerator.autocast
        shape = (recipe.batch, 3, *recipe.preprocessing.input_size)

        def measure(layout: Layout) -> float:
            step = TrainingStep(model, layout, shape, model.num_classes, accelerator.device, autocast)
            return measure_layout(step, recipe.batch)

        found = [choose_layout(candidates(settings.layout, settings.compile), measure, images * recipe.epochs, watcher.note)]
    broadcast_object_list(found)
    return found[0]
