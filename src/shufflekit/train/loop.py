"""The training loop: updates, epochs, checkpoints; what it is given decides everything that it does."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sized
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator  # type: ignore[import-untyped]
from accelerate.utils import gather_object  # type: ignore[import-untyped]
from torch import Tensor, nn
from torch.nn import functional as F

from shufflekit.data.workers import WorkerError
from shufflekit.errors import InputError, ShufflekitError, UsageError, one_line
from shufflekit.files import write_atomic
from shufflekit.train.checkpoint import random_states, restore_random_states, save_checkpoint
from shufflekit.train.freeze import train_mode
from shufflekit.train.layout import Layout
from shufflekit.train.log import Metrics, Watcher
from shufflekit.train.optimizer import build_average, build_optimizer
from shufflekit.train.recipe import Recipe
from shufflekit.train.schedule import learning_rate_factor
from shufflekit.train.score import Measured, score
from shufflekit.train.signals import StopRequest

_SHOWN = 3  # broken images in a line


class Batches(Protocol):
    """What a trainer takes its batches from; `Loader` is one."""

    broken: dict[str, str]

    @property
    def indices(self) -> Sized: ...

    def __len__(self) -> int: ...

    def epoch(self, epoch: int, start_batch: int = 0) -> Iterator[Any]: ...


@dataclass
class Place:
    """Where a run stands; sums are over the epoch so far, on all processes."""

    epoch: int = 0
    batch: int = 0
    "Micro-batches of the epoch that each process has behind it."
    step: int = 0
    "Updates since the start of the run."
    loss_sum: float = 0.0
    seconds: float = 0.0
    best_top1: float = -1.0
    "In %; a detector's is its AP."


def _place(values: dict[str, Any]) -> Place:
    if not all(isinstance(value, int | float) for value in values.values()):
        raise ValueError(f"its place must be numbers, found {values}")
    return Place(**values)


class Trainer:
    """Trains one classifier; a subclass with another loss and score trains something else.

    Args:
        model: with its first weights, and a way to save itself; it is trained in place.
        training, validation: loaders of this process's share of the batches.
        folder: of the run; `checkpoints/last.pt` and `best/`, a saved network, are written there.
        checkpoint_every: updates between two checkpoints; every epoch ends with one as well, 0 leaves it at that.
        log_every: updates between two lines of metrics.jsonl.
        identity: what a checkpoint must agree on with the run that resumes it.
    """

    def __init__(
        self,
        model: Any,
        recipe: Recipe,
        accelerator: Accelerator,
        layout: Layout,
        training: Batches,
        validation: Batches | None,
        folder: Path,
        *,
        classes: int,
        identity: dict[str, Any],
        watcher: Watcher,
        checkpoint_every: int = 0,
        log_every: int = 10,
    ) -> None:
        self.recipe, self.accelerator, self.layout = recipe, accelerator, layout
        self.training, self.validation, self.folder = training, validation, folder
        self.classes, self.identity, self.watcher = classes, identity, watcher
        self.checkpoint_every, self.log_every = checkpoint_every, log_every
        self.steps_per_epoch = len(training) // recipe.accumulate
        if not self.steps_per_epoch:
            raise UsageError(f"batch: an update takes {self.images_per_update} images, the training set has fewer")
        self.place = Place()
        self.model = model
        self.model.to(accelerator.device, memory_format=layout.memory_format)
        self.average = build_average(self.model, recipe.ema_decay) if recipe.ema_decay else None
        optimizer = build_optimizer(self.model, recipe)
        # Validation and checkpoints keep to the plain network: it is not compiled again for them, and its names stay.
        forward: Any = torch.compile(self.model) if layout.compiled else self.model
        self.forward, self.optimizer = accelerator.prepare(forward, optimizer)
        self.peak = recipe.peak_learning_rate(accelerator.num_processes)
        self.metrics: Metrics | None = None
        self._unread: list[Tensor] = []
        self._logged_at, self._logged_step = time.perf_counter(), 0

    @property
    def images_per_update(self) -> int:
        return self.recipe.batch * self.recipe.accumulate * self.accelerator.num_processes

    def fit(self) -> int:
        """Trains from the place where the run stands to its end.

        Returns:
            0 when done, or the number of the signal that stopped it, after a checkpoint.

        Raises:
            ShufflekitError: the loss is no finite number any more, or a file cannot be written.
        """
        self.metrics = None
        try:
            if self.accelerator.is_main_process:
                self.metrics = Metrics(self.folder, self.place.step)
            with StopRequest() as stop:
                while self.place.epoch < self.recipe.epochs:
                    self._train_epoch(stop)
                    if self._stopped(stop):
                        self._save()
                        return stop.number
                    self._finish_epoch()
        except BrokenPipeError:
            raise
        except WorkerError as error:
            raise ShufflekitError(f"{error}; {self._last_checkpoint()}") from error
        except OSError as error:
            raise ShufflekitError(f"{error.filename or self.folder}: {error.strerror}; {self._last_checkpoint()}") from error
        finally:
            if self.metrics:
                self.metrics.close()
        return 0

    def _train_epoch(self, stop: StopRequest) -> None:
        place, total = self.place, self.steps_per_epoch
        done = place.batch // self.recipe.accumulate
        whole_run = self.recipe.epochs * total * self.images_per_update
        title = f"epoch {place.epoch + 1}/{self.recipe.epochs}"
        self.watcher.begin(title, whole_run, place.step * self.images_per_update)
        train_mode(self.model)
        batches = self.training.epoch(place.epoch, start_batch=place.batch)
        self._logged_at, self._logged_step = time.perf_counter(), place.step
        started = time.perf_counter() - place.seconds
        for step_in_epoch in range(done + 1, total + 1):
            self._update(batches)
            place.batch += self.recipe.accumulate
            place.step += 1
            place.seconds = time.perf_counter() - started
            self.watcher.advance(self.images_per_update)
            if place.step % self.log_every == 0:
                self._log()
            if self._stopped(stop):
                break
            if self.checkpoint_every and place.step % self.checkpoint_every == 0 and step_in_epoch < total:
                self._save()
        self.watcher.end()

    def _update(self, batches: Iterator[Any]) -> None:
        accumulate, rate = self.recipe.accumulate, self.learning_rate
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["lr_factor"]
        losses = []
        for number, batch in enumerate(islice(batches, accumulate), start=1):
            with nullcontext() if number == accumulate else self.accelerator.no_sync(self.forward):
                loss = self._loss(batch)
                self.accelerator.backward(loss / accumulate)
            losses.append(loss.detach())
        assert len(losses) == accumulate, "the loader gave fewer batches than its length"
        if self.recipe.clip_norm:
            self.accelerator.clip_grad_norm_(self.model.parameters(), self.recipe.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update_parameters(self.model)
        self._unread.append(torch.stack(losses).mean())

    def _loss(self, batch: Any) -> Tensor:
        device = self.accelerator.device
        images = batch.images.to(device, non_blocking=True, memory_format=self.layout.memory_format)
        logits = self.forward(self.layout.given(images)).float()
        return self._loss_of(logits, images, batch.labels.to(device, non_blocking=True))

    def _loss_of(self, logits: Tensor, _images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels, label_smoothing=self.recipe.label_smoothing)

    @property
    def learning_rate(self) -> float:
        return self.peak * learning_rate_factor(self.recipe, self.place.step, self.steps_per_epoch)

    def _read_losses(self) -> list[float]:
        """The losses since the last call, means over all processes; they stay on the device until someone looks."""
        if not self._unread:
            return []
        losses: list[float] = self.accelerator.reduce(torch.stack(self._unread), "mean").tolist()
        first = self.place.step - len(losses) + 1
        self._unread.clear()
        for step, loss in enumerate(losses, start=first):
            if not math.isfinite(loss):
                raise ShufflekitError(f"loss: must be finite, found {loss} at step {step}; {self._last_checkpoint()}")
        self.place.loss_sum += sum(losses)
        return losses

    def _log(self) -> None:
        losses = self._read_losses()
        now, steps = time.perf_counter(), self.place.step - self._logged_step
        speed = steps * self.images_per_update / (now - self._logged_at)
        self._logged_at, self._logged_step = now, self.place.step
        if self.metrics and losses:
            values = {
                "train/loss": sum(losses) / len(losses),
                "train/lr": self.optimizer.param_groups[0]["lr"],
                "train/images_per_s": speed,
                **self._more_to_log(),
            }
            self.metrics.write(self.place.step, {"epoch": self.place.epoch, **values})

    def _more_to_log(self) -> dict[str, float]:
        """Further numbers of the updates since the last line."""
        return {}

    def _stopped(self, stop: StopRequest) -> bool:
        """Whether to stop here; several processes agree on it at the steps that are logged."""
        if self.accelerator.num_processes == 1:
            return stop.number != 0
        if self.place.step % self.log_every:
            return False
        seen = torch.tensor([stop.number], device=self.accelerator.device)
        stop.number = int(self.accelerator.gather(seen).max())
        return stop.number != 0

    def _finish_epoch(self) -> None:
        place = self.place
        self._read_losses()
        images = self.steps_per_epoch * self.images_per_update
        values: dict[str, Any] = {
            "epoch": place.epoch,
            "epoch/train_loss": place.loss_sum / self.steps_per_epoch,
            "epoch/images_per_s": images / place.seconds,
        }
        scores = self._validate()
        for name, found in scores.items():
            values |= {f"val/{name}_{key}": value for key, value in found.values.items()}
        self._report_epoch(values, scores)
        top1 = list(scores.values())[-1].rank if scores else place.best_top1  # the average's, where there is one
        improved, place.best_top1 = top1 > place.best_top1, max(top1, place.best_top1)
        place.epoch, place.batch, place.loss_sum, place.seconds = place.epoch + 1, 0, 0.0, 0.0
        self._save(also_best=improved)

    def _report_epoch(self, values: dict[str, Any], scores: Mapping[str, Measured]) -> None:
        if self.metrics:
            self.metrics.write(self.place.step, values)
        line = f"epoch {self.place.epoch + 1}/{self.recipe.epochs}: loss {values['epoch/train_loss']:.4f}"
        line += "".join(f", {name} {found}" for name, found in scores.items())
        left = timedelta(seconds=round(self.place.seconds * (self.recipe.epochs - self.place.epoch - 1)))
        self.watcher.note(f"{line}, {values['epoch/images_per_s']:.0f} images/s, {left} of training left")
        for name, loader in (("training", self.training), ("validation", self.validation)):
            if loader is not None:
                self._report_broken(name, loader)

    def _report_broken(self, name: str, loader: Batches) -> None:
        found: dict[str, str] = {}
        for of_process in gather_object([loader.broken]):
            found |= of_process
        if not found or not self.accelerator.is_main_process:
            return
        path, lines = self.folder / f"broken_{name}.txt", [f"{image}: {found[image]}" for image in sorted(found)]
        write_atomic(path, "".join(f"{line}\n" for line in lines).encode(errors="surrogateescape"))
        fate = "replaced by others" if name == "training" else "left out"
        shown = "; ".join(lines[:_SHOWN]) + (f"; all are in {path}" if len(lines) > _SHOWN else "")
        images = "image was" if len(lines) == 1 else "images were"
        self.watcher.note(f"{len(lines)} broken {name} {images} {fate}: {shown}")

    def _validate(self) -> dict[str, Measured]:
        if self.validation is None:
            return {}
        networks: dict[str, nn.Module] = {"model": self.model}
        if self.average is not None:
            networks["ema"] = self.average.module
        scores: dict[str, Measured] = {}
        for name, network in networks.items():
            self._share_statistics(network)
            share = len(self.validation.indices) // self.accelerator.num_processes
            self.watcher.begin(f"validating {name}", share, 0)
            with self.accelerator.autocast():
                scores[name] = self._score(network, self.validation)
            self.watcher.end()
        return scores

    def _score(self, network: nn.Module, validation: Batches) -> Measured:
        device, memory_format = self.accelerator.device, self.layout.memory_format
        return score(network, validation.epoch(0), self.classes, device, memory_format, self.watcher.advance)

    def _share_statistics(self, network: nn.Module) -> None:
        """Batch-norm statistics are those of the first process; the others need them only to validate."""
        if self.accelerator.num_processes > 1:
            for buffer in network.buffers():
                torch.distributed.broadcast(buffer, src=0)

    def result(self) -> Any:
        """The network to keep: the moving average where the recipe has one."""
        return self.model if self.average is None else self.average.module

    def _save(self, also_best: bool = False) -> None:
        self._read_losses()
        if not self._finite():
            raise ShufflekitError(f"weights: not finite any more after step {self.place.step}; {self._last_checkpoint()}")
        random = gather_object([random_states()])
        if not self.accelerator.is_main_process:
            return
        state = self._state(random)
        if also_best:  # before the checkpoint: a run killed between the two does the epoch again
            self.result().save_pretrained(self.folder / "best")
        save_checkpoint(self.folder / "checkpoints" / "last.pt", state)

    def _finite(self) -> bool:
        """Whether all weights and statistics are, those of the average too."""
        networks = [self.model] if self.average is None else [self.model, self.average]
        tensors = [t.detach() for network in networks for t in (*network.parameters(), *network.buffers())]
        norms = torch._foreach_norm([t for t in tensors if t.is_floating_point() and t.numel()])
        return bool(torch.stack(norms).isfinite().all())

    def _last_checkpoint(self) -> str:
        path = self.folder / "checkpoints" / "last.pt"
        return f"the last good checkpoint is {path}" if path.exists() else "there is no checkpoint yet"

    def _state(self, random: list[dict[str, Any]]) -> dict[str, Any]:
        scaler = self.accelerator.scaler
        return {
            "identity": self.identity,
            "layout": asdict(self.layout),
            "place": asdict(self.place),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
            "random": random,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continues where a checkpoint was written.

        Raises:
            InputError: the checkpoint is of another network.
        """
        try:
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.average is not None:
                self.average.load_state_dict(state["average"])
            if self.accelerator.scaler is not None:
                self.accelerator.scaler.load_state_dict(state["scaler"])
            self.place = _place(state["place"])
            restore_random_states(state["random"][self.accelerator.process_index])
        except (RuntimeError, ValueError, LookupError, TypeError, AttributeError, AssertionError) as error:
            raise InputError(f"resume: the checkpoint does not fit this run ({one_line(error)})") from error
