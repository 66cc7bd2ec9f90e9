"""A whole training run: opens the data, builds or resumes, trains, and leaves a folder that `evaluate` can read."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs  # type: ignore[import-untyped]
from accelerate.state import AcceleratorState  # type: ignore[import-untyped]
from accelerate.utils import broadcast_object_list, set_seed  # type: ignore[import-untyped]

from shufflekit.data.identity import data_digest
from shufflekit.data.labels import empty_classes, labels_of
from shufflekit.data.loader import Loader
from shufflekit.data.preprocess import Preprocessing
from shufflekit.data.source import Source
from shufflekit.data.sources import open_source
from shufflekit.errors import InputError, ShufflekitError, UsageError, one_line
from shufflekit.files import remove_partial, write_atomic
from shufflekit.models import Network
from shufflekit.train.batch_last import is_compiled, reason_against
from shufflekit.train.checkpoint import load_last, weights_digest
from shufflekit.train.freeze import freeze_backbone, train_mode
from shufflekit.train.holdout import hold_out
from shufflekit.train.initial import draw_by_name
from shufflekit.train.layout import Layout, TrainingStep, candidates, choose_layout, measure_layout
from shufflekit.train.lock import folder_lock
from shufflekit.train.log import Silent, Watcher
from shufflekit.train.loop import Trainer
from shufflekit.train.memory import keep_freed_memory
from shufflekit.train.options import network_options
from shufflekit.train.recipe import Recipe
from shufflekit.train.teacher import TaughtTrainer, open_teacher
from shufflekit.train.toml import to_toml
from shufflekit.train.transfer import keep_classes, known_classes
from shufflekit.train.unfold import unfold_before_training
from shufflekit.weights import create_model, save_pretrained
from shufflekit.weights.create import saved_place
from shufflekit.weights.pretrained_cfg import default_cfg

_EPOCHS = "recipe.epochs"
_OTHERWISE = "use its values or another --out"
_SHOWN = 3  # names in a line
_Data = tuple[Source, list[int], tuple[Source, list[int]] | None]  # with the indices to use, and the validation set's


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
    options: dict[str, float | bool | str] = field(default_factory=dict)
    "Of the network's constructor, such as --options.shuffle no or --options.in_chans 1; a detector has none."
    weights: str | None = None
    "Start from these: a tag, or a file of any layout that `load_weights` knows."
    freeze: bool = False
    "Train the classifier alone: the other weights stay, and so do the statistics of their norms."
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
    holdout_seed: int | None = None
    "Which ones; the recipe's seed by default."
    split: str | None = None
    val_split: str | None = None
    image_column: str = "image"
    label_column: str = "label"
    resume: Literal["auto", "never"] = "never"
    "auto continues what the folder holds, with more --epochs too, and starts where it holds nothing."
    precision: Literal["no", "bf16", "fp16"] = "no"
    layout: Literal["auto", "nchw", "channels_last", "batch_last"] = "auto"
    "batch_last is our own training step: float32 on the CPU, batches of a multiple of 16; a detector has it not."
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
    options = network_options(settings.model, settings.options, recipe.small_input)
    recipe = replace(recipe, preprocessing=_for_channels(recipe.preprocessing, options.get("in_chans", 3)))
    data = _open_data(settings, recipe)
    with folder_lock(settings.out):
        return _run(settings, recipe, options, data, watcher)


def _run(settings: Settings, recipe: Recipe, options: dict[str, Any], data: _Data, watcher: Watcher | None) -> int:
    source, training, validation = data
    classes = list(source.classes)
    accelerator = make_accelerator(settings.precision)
    watcher = watcher if watcher is not None and accelerator.is_main_process else Silent()
    teachers = [open_teacher(place, recipe.preprocessing, classes) for place in settings.teacher]
    identity = {
        "model": settings.model,
        "options": {name: options[name] for name in settings.options},
        "weights": settings.weights,
        "freeze": settings.freeze,
        "teacher": list(settings.teacher),
        "teacher_weights": [weights_digest(teacher.network) for teacher in teachers],
        "classes": classes,
        "training_images": len(training),
        "data": data_digest(source, training),
        "validation": validation and data_digest(*validation),
        "precision": settings.precision,
        "processes": accelerator.num_processes,
        "recipe": json.loads(json.dumps(asdict(recipe))),
    }
    checkpoint = find_checkpoint(settings, identity, watcher)
    set_seed(recipe.seed)
    model = _build(settings, recipe, options, classes, watcher)
    _check_batch(model, recipe)
    _note_empty_classes(source, training, watcher)
    start = partial(TaughtTrainer, teachers=teachers) if teachers else Trainer
    note_learning_rate(recipe, accelerator.num_processes, watcher)
    if checkpoint:
        layout = _layout_of(checkpoint, watcher)
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
        classes=len(classes),
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
        trainer.watcher.note(_resumed(trainer, checkpoint))
    try:
        if accelerator.is_main_process:
            write_atomic(settings.out / "recipe.toml", to_toml(asdict(trainer.recipe)).encode())
        stopped = trainer.fit()
        if accelerator.is_main_process and not stopped:
            save()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise InputError(f"out: {error.filename or settings.out}: {error.strerror or one_line(error)}") from error
    accelerator.end_training()
    return stopped


def _resumed(trainer: Trainer, checkpoint: dict[str, Any]) -> str:
    done, before, now = trainer.place.epoch, _flat(checkpoint["identity"]).get(_EPOCHS, 0), trainer.recipe.epochs
    if done >= now:
        return f"the run is finished: {done} of {now} epochs are done"
    longer = f"; {before} epochs have become {now}, learning rate {trainer.learning_rate:g}" if now > before else ""
    return f"resumed at epoch {done + 1}, step {trainer.place.step}{longer}"


def _open_data(settings: Settings, recipe: Recipe) -> _Data:
    """The training set, its indices, and the validation set with its indices."""
    columns = {"image_column": settings.image_column, "label_column": settings.label_column}
    if settings.val is not None and settings.holdout:
        raise UsageError("val, holdout: one of them is enough")
    source = open_source(settings.data, split=settings.split, **columns)
    if settings.val is None and not settings.holdout:
        return source, list(range(len(source))), None
    if settings.val is None:
        seed = recipe.seed if settings.holdout_seed is None else settings.holdout_seed
        training, held_out = hold_out(labels_of(source, range(len(source))).tolist(), settings.holdout, seed)
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


def find_checkpoint(settings: Settings, identity: dict[str, Any], watcher: Watcher | None = None) -> dict[str, Any] | None:
    """The checkpoint to go on from, None where the folder holds no run.

    Args:
        identity: what must be equal; a larger number of epochs is another schedule from here on, and no other run.
        watcher: told what could not be compared.

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
    if not path.exists() and not path.with_name("previous.pt").exists():
        return None
    if settings.resume == "never":
        raise UsageError(f"out: {settings.out} holds a run already; --resume auto continues it")
    remove_partial(folder)
    watcher = watcher or Silent()
    checkpoint = load_last(path, watcher.note)
    saved, ours = _flat(_part(checkpoint, "identity", path)), _flat(identity)
    for name, value in saved.items():
        longer = name == _EPOCHS and isinstance(value, int) and ours[name] > value
        if ours.get(name) != value and not longer:
            raise UsageError(f"{name}: the run in {settings.out} has {value}, found {ours.get(name)}; {_OTHERWISE}")
    if unknown := [name for name in ("data", "validation", "precision") if name in ours and name not in saved]:
        watcher.note(f"resume: {path} is of an earlier version and does not say its {', '.join(unknown)}: not compared")
    return checkpoint


def _layout_of(checkpoint: dict[str, Any], watcher: Watcher) -> Layout:
    try:
        layout = Layout(**checkpoint["layout"])
    except (LookupError, TypeError) as error:
        raise InputError(f"resume: the checkpoint does not fit this run ({one_line(error)})") from None
    if layout.batch_last and not is_compiled():
        watcher.note("layout: the run began in batch_last, whose compiled part is missing here: nchw, equal to rounding only")
        return Layout()
    return layout


def _part(checkpoint: dict[str, Any], name: str, path: Path) -> dict[str, Any]:
    found = checkpoint.get(name)
    if not isinstance(found, dict):
        raise InputError(f"resume: {path} is not a training checkpoint of shufflekit: {name} is {type(found).__name__}")
    return found


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


def _for_channels(preprocessing: Preprocessing, in_chans: int) -> Preprocessing:
    """Grey for a network of one channel.

    Raises:
        UsageError: a network of other channels than photos have.
    """
    if in_chans == preprocessing.in_chans:
        return preprocessing
    return Preprocessing.from_config(asdict(preprocessing) | {"input_size": (in_chans, *preprocessing.input_size)})


def _build(settings: Settings, recipe: Recipe, options: dict[str, Any], classes: list[str], watcher: Watcher) -> Network:
    model = create_model(settings.model, settings.weights or False, num_classes=len(classes), **options)
    assert isinstance(model, Network)
    keep_classes(model, known_classes(model, settings.weights), classes, watcher)
    is_new = settings.weights is None and saved_place(settings.model) is None
    if is_new:
        draw_by_name(model, recipe.seed)
    if settings.freeze:
        if is_new:
            raise UsageError("freeze: the frozen weights would be random; name some with --weights, or a saved network")
        freeze_backbone(model)
    expected = asdict(recipe.preprocessing) | {"input_size": (model.in_chans, *recipe.preprocessing.input_size)}
    model.pretrained_cfg = {**default_cfg(model), **expected, "classes": classes}
    return model


def _check_batch(model: Network, recipe: Recipe) -> None:
    """Refuses a micro-batch of which a batch norm would see one value a channel, which has no variance."""
    if recipe.batch > 1:
        return
    height, width = recipe.preprocessing.input_size
    try:
        trial = copy.deepcopy(model).to("meta")
        train_mode(trial)
        trial(torch.empty(1, model.in_chans, height, width, device="meta"))
    except ValueError as error:
        if isinstance(error, ShufflekitError):
            raise
        why = f"where a batch norm of {model.architecture} sees one value a channel"
        raise UsageError(f"batch: must be 2 or more at {height}x{width}, {why}, found 1") from None


def _note_empty_classes(source: Source, training: list[int], watcher: Watcher) -> None:
    if empty := empty_classes(source, labels_of(source, training)):
        shown = ", ".join(empty[:_SHOWN]) + (", ..." if len(empty) > _SHOWN else "")
        watcher.note(f"data: {len(empty)} of {len(source.classes)} classes have no training images: {shown}")


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
        shape = (recipe.batch, model.in_chans, *recipe.preprocessing.input_size)

        def measure(layout: Layout) -> float:
            step = TrainingStep(model, layout, shape, model.num_classes, accelerator.device, autocast)
            return measure_layout(step, recipe.batch)

        against = _reason_against_batch_last(settings, model, shape, accelerator)
        if against and settings.layout == "batch_last":
            raise UsageError(f"layout: batch_last cannot train {settings.model} here: {against}")
        not_tried = f"; batch_last not tried ({against})" if against and settings.layout == "auto" else ""
        choices = candidates(settings.layout, settings.compile, not against)
        found = [choose_layout(choices, measure, images * recipe.epochs, watcher.note, not_tried)]
    broadcast_object_list(found)
    return found[0]


def _reason_against_batch_last(settings: Settings, model: Network, shape: tuple[int, ...], accelerator: Accelerator) -> str:
    if settings.layout not in ("auto", "batch_last") or settings.compile == "yes":
        return "compilation was asked for" if settings.compile == "yes" else "another layout was asked for"
    if accelerator.device.type != "cpu" or settings.precision != "no":
        return f"it works in float32 on the CPU, found {settings.precision} on {accelerator.device.type}"
    if settings.freeze:
        return "the norms of a frozen backbone keep their statistics"
    return reason_against(model, shape, model.num_classes)
