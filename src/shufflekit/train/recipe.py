"""Recipes: every number of a training run, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shufflekit.data.augment import Augmentation
from shufflekit.data.preprocess import Preprocessing
from shufflekit.errors import UsageError


def _check(holds: bool, name: str, needed: str, found: object) -> None:
    if not holds:
        raise UsageError(f"{name}: must be {needed}, found {found}")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What decides the result of a run, besides the network and the data.

    `batch` is what one process works on at a time: an update averages over `batch` x `accumulate` x processes images.
    """

    epochs: int
    batch: int
    "Images of a micro-batch on one process."
    accumulate: int = 1
    "Micro-batches of an update on each process."
    learning_rate: float
    "Peak, for updates of `reference_batch` images; scaled linearly for other sizes."
    reference_batch: int
    schedule: Literal["linear", "cosine", "onecycle"]
    "Decay from the peak to 0; onecycle also warms up along a cosine, the others along a line."
    warmup_epochs: float = 0.0
    optimizer: Literal["sgd", "muon"] = "sgd"
    "muon: orthogonal steps for the pointwise convolutions, Nesterov SGD for the rest."
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float
    decay_norm_and_bias: bool = False
    "Weight decay on batch norm and biases too."
    matrix_learning_rate: float = 0.02
    "Of muon's orthogonal steps, peak; scaled like `learning_rate`."
    matrix_momentum: float = 0.95
    matrix_weight_decay: float = 0.01
    "Decoupled: a share of learning rate x weight."
    clip_norm: float = 0.0
    "Largest norm of the gradient of an update; 0 clips nothing."
    label_smoothing: float = 0.0
    teacher_share: float = 0.9
    "Of the loss, where there are teachers: their answers; the rest is the labels'."
    temperature: float = 2.0
    "By which the teachers' and the student's scores are divided."
    ema_decay: float = 0.0
    "Of the moving average of the weights; 0 keeps none."
    small_input: bool = False
    "The 32x32 form of the network."
    preprocessing: Preprocessing
    augmentation: Augmentation
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "accumulate", "reference_batch"):
            _check(getattr(self, name) >= 1, name, "1 or more", getattr(self, name))
        _check(self.learning_rate > 0, "learning_rate", "more than 0", self.learning_rate)
        _check(self.matrix_learning_rate > 0, "matrix_learning_rate", "more than 0", self.matrix_learning_rate)
        _check(self.temperature > 0, "temperature", "more than 0", self.temperature)
        _check(0 < self.teacher_share <= 1, "teacher_share", "more than 0 and at most 1", self.teacher_share)
        for name in ("warmup_epochs", "weight_decay", "matrix_weight_decay", "clip_norm", "seed"):
            _check(getattr(self, name) >= 0, name, "0 or more", getattr(self, name))
        for name in ("momentum", "matrix_momentum", "label_smoothing", "ema_decay"):
            _check(0 <= getattr(self, name) < 1, name, "at least 0 and less than 1", getattr(self, name))
        _check(self.warmup_epochs <= self.epochs, "warmup_epochs", f"at most epochs (={self.epochs})", self.warmup_epochs)
        _check(self.schedule in ("linear", "cosine", "onecycle"), "schedule", "linear, cosine or onecycle", self.schedule)
        _check(self.optimizer in ("sgd", "muon"), "optimizer", "sgd or muon", self.optimizer)

    def peak_learning_rate(self, processes: int) -> float:
        """The peak for this run's images per update (linear scaling rule).

        Example:
            >>> from dataclasses import replace
            >>> replace(IMAGENET, batch=256).peak_learning_rate(processes=2)
            0.25
        """
        return self.learning_rate * self.batch * self.accumulate * processes / self.reference_batch


# Both papers: linear decay from 0.5 to 0 over 300,000 updates of 1024 images (240 epochs), weight decay 4e-5, milder
# scale augmentation than ResNeXt's, without its range. The authors' release adds what the papers leave out: momentum
# 0.9, label smoothing 0.1, colour jitter 0.4, no decay of batch norm and biases.
IMAGENET = Recipe(
    epochs=240,
    batch=1024,
    learning_rate=0.5,
    reference_batch=1024,
    schedule="linear",
    weight_decay=4e-5,
    label_smoothing=0.1,
    preprocessing=Preprocessing(),
    augmentation=Augmentation.imagenet(),
)

# Held-out accuracy of ShuffleNet V2 0.5x after 4 of 6 epochs: 73.9 % with muon, 69.4 % with SGD at its peak of 0.2.
CIFAR = Recipe(
    epochs=60,
    batch=128,
    learning_rate=0.1,
    reference_batch=128,
    schedule="linear",
    warmup_epochs=3,
    optimizer="muon",
    nesterov=True,
    weight_decay=5e-4,
    label_smoothing=0.1,
    ema_decay=0.999,
    small_input=True,
    preprocessing=Preprocessing((32, 32), crop_pct=1.0, mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616)),
    augmentation=Augmentation.cifar(),
)

# Of detectors. Crops of 40 % of the photo or more stand for NanoDet-m's scale jitter. It has trained no detector to the end:
# with other numbers it overfits 20 images.
DETECT = Recipe(
    epochs=100,
    batch=16,
    learning_rate=0.05,
    reference_batch=16,
    schedule="cosine",
    warmup_epochs=2,
    optimizer="muon",
    nesterov=True,
    weight_decay=1e-4,
    clip_norm=35.0,
    ema_decay=0.999,
    preprocessing=Preprocessing((320, 320), crop_pct=1.0),
    augmentation=Augmentation(scale=(0.4, 1.0), brightness=0.2, contrast=0.3, saturation=0.3),
)

RECIPES = {"imagenet": IMAGENET, "cifar": CIFAR, "detect": DETECT}


def recipe_named(name: str) -> Recipe:
    """A recipe by name.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in RECIPES:
        raise UsageError(f"recipe: must be one of {', '.join(RECIPES)}, found {name!r}")
    return RECIPES[name]
