"""Learning from a teacher: a network that is trained already answers for each training image, and its answers are learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shufflekit.data.preprocess import Preprocessing
from shufflekit.errors import UsageError
from shufflekit.graph import simplify
from shufflekit.graph.from_torch import capture
from shufflekit.models import Network
from shufflekit.plan.build import build
from shufflekit.runtime import Engine
from shufflekit.train.loop import Trainer
from shufflekit.weights import from_pretrained
from shufflekit.weights.create import saved_place


class Teacher(nn.Module):
    """A saved network that takes the images as the student's preprocessing left them.

    Args:
        network: with `pretrained_cfg`, which says how it wants its images.
        given: the preprocessing of the images that it is called with.

    Example:
        >>> from shufflekit.weights import create_model
        >>> teacher = Teacher(create_model("shufflenet_v2_x0_5", num_classes=10), Preprocessing((32, 32)))
        >>> teacher(torch.zeros(1, 3, 32, 32)).shape  # the network itself sees 224x224
        torch.Size([1, 10])
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, network: Network, given: Preprocessing) -> None:
        super().__init__()
        wanted = Preprocessing.from_config(network.pretrained_cfg or {})
        self.network = network.eval().requires_grad_(False)
        self.engine: Engine | None = None
        self.size = wanted.input_size
        self.reverse = wanted.channel_order != given.channel_order
        affine = [torch.from_numpy(values)[:, None, None] for values in (*given.affine(), *wanted.affine())]
        if self.reverse:
            affine[:2] = [values.flip(0) for values in affine[:2]]
        given_scale, given_shift, scale, shift = affine
        self.register_buffer("scale", scale / given_scale, persistent=False)
        self.register_buffer("shift", shift - given_shift * scale / given_scale, persistent=False)

    def compile_for_cpu(self) -> str:
        """Lets the engine answer, in half of PyTorch's time; returns why not where it lacks an operator, else nothing."""
        shape = (1, self.network.in_chans, *self.size)
        try:
            plan = build(simplify(capture(self.network, shape)))
        except UsageError as error:
            return str(error)
        self.engine = Engine(plan.to_bytes(), torch.get_num_threads())
        return ""

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Class scores: (N, 3, H, W) of the student's to (N, classes)."""
        images = images.flip(1) if self.reverse else images
        if images.shape[2:] != self.size:
            shrinks = images.shape[2] > self.size[0] or images.shape[3] > self.size[1]
            images = F.interpolate(images, self.size, mode="bilinear", antialias=shrinks)
        images = images * self.scale + self.shift
        if self.engine is not None:
            return torch.from_numpy(self.engine(images.contiguous().numpy()))
        scores: Tensor = self.network(images)
        return scores


class TaughtTrainer(Trainer):
    """Trains a classifier on what teachers say of its images, on average, and on the labels for the rest of the loss.

    Args:
        teachers: one or more; none of their weights change.

    Source:
        Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network", 2015: the teachers' part of the loss is
        multiplied by the square of the temperature.
    """

    def __init__(self, *args: Any, teachers: list[Teacher], **others: Any) -> None:
        super().__init__(*args, **others)
        self.teachers = nn.ModuleList(teachers)
        self.teachers.to(self.accelerator.device, memory_format=self.layout.memory_format)  # type: ignore[call-overload]
        if self.accelerator.device.type == "cpu":
            for teacher in teachers:
                if refused := teacher.compile_for_cpu():
                    self.watcher.note(f"teacher: {refused}; PyTorch runs it, in twice the time")

    def _loss_of(self, logits: Tensor, images: Tensor, labels: Tensor) -> Tensor:
        with self.accelerator.autocast():
            answers = [teacher(images).float() for teacher in self.teachers]
        taught = soft_loss(logits, answers, self.recipe.temperature)
        return torch.lerp(super()._loss_of(logits, images, labels), taught, self.recipe.teacher_share)


def soft_loss(logits: Tensor, answers: list[Tensor], temperature: float) -> Tensor:
    """How far a student's answers are from its teachers': the Kullback-Leibler divergence, times the temperature squared.

    Args:
        logits: (N, classes) of the student.
        answers: the same of each teacher; the mean of their softened probabilities is learned.
        temperature: by which all scores are divided.

    Example:
        >>> answer = torch.tensor([[2.0, -1.0]])
        >>> round(soft_loss(answer, [answer + 3.0], 2.0).item(), 6)
        0.0
    """
    taught = torch.stack([(scores / temperature).softmax(1) for scores in answers]).mean(0)
    return F.kl_div((logits / temperature).log_softmax(1), taught, reduction="batchmean") * temperature**2


def open_teacher(place: str, given: Preprocessing, classes: list[str]) -> Teacher:
    """A teacher from a saved network: a folder, or hf-hub:owner/name.

    Raises:
        UsageError: it answers for other classes.
        WeightsError: nothing is saved there, or it cannot be loaded.
    """
    network = from_pretrained(saved_place(place) or Path(place))
    known = (network.pretrained_cfg or {}).get("classes")
    named = None if isinstance(known, str) else known  # a well-known set's name says nothing of how the data calls them
    if network.num_classes != len(classes) or (named and list(named) != classes):
        raise UsageError(
            f"teacher: {place} must have the {len(classes)} classes of the data, found {network.num_classes} others"
        )
    if network.in_chans != given.in_chans:
        raise UsageError(f"teacher: {place} must take images of {given.in_chans} channels, found {network.in_chans}")
    return Teacher(network, given)
