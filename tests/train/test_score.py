from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from shufflekit.data.loader import Batch
from shufflekit.errors import InputError
from shufflekit.train.score import Score, score, wilson_interval

CPU = torch.device("cpu")


class _Told(nn.Module):
    """A network whose images are its scores."""

    def forward(self, x: Tensor) -> Tensor:
        assert not self.training
        return x[:, 0, 0]


def _batches(logits: Tensor, labels: Tensor, size: int) -> list[Batch]:
    images = logits[:, None, None]  # (N, 1, 1, classes)
    rows = torch.arange(len(labels)).split(size)
    return [Batch(images[part], labels[part], part) for part in rows]


def test_right_answers_are_counted() -> None:
    logits = torch.tensor([[9.0, 8, 7, 6, 5, 4, 3]] * 10)  # class 0 first, 4 fifth, 5 sixth
    labels = torch.tensor([0, 0, 0, 1, 2, 3, 4, 5, 6, 6])
    network = _Told().train()
    advanced: list[int] = []
    found = score(network, _batches(logits, labels, 4), 7, CPU, advance=advanced.append)
    assert found == Score(images=10, top1_right=3, top5_right=7)
    assert (found.top1, found.top5) == (30.0, 70.0)
    assert advanced == [4, 4, 2]
    assert network.training, "left as it was"


def test_counts_agree_with_a_plain_sort() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(1001, 12), torch.randint(12, (1001,))
    order = logits.argsort(1, descending=True)
    top5 = (order[:, :5] == labels[:, None]).any(1).sum().item()
    expected = Score(1001, (order[:, 0] == labels).sum().item(), top5)  # type: ignore[arg-type]
    assert score(_Told(), _batches(logits, labels, 64), 12, CPU) == expected


def test_fewer_classes_than_five() -> None:
    logits, labels = torch.eye(3), torch.tensor([0, 1, 1])
    assert score(_Told(), _batches(logits, labels, 2), 3, CPU) == Score(3, 2, 3)


def test_a_sample_that_comes_again_counts_once() -> None:
    logits, labels = torch.eye(3), torch.tensor([0, 1, 1])
    first, second = _batches(logits, labels, 2)
    again = Batch(first.images, first.labels, torch.tensor([1, 1]))
    assert score(_Told(), [first, again, second], 3, CPU) == Score(3, 2, 3)
    many = [Batch(first.images[:1], first.labels[:1], torch.tensor([0]))] * 100  # so that no rounding hides them
    assert score(_Told(), [*many, second], 3, CPU) == Score(2, 1, 2)


def test_an_empty_batch_is_not_run() -> None:
    logits, labels = torch.eye(3), torch.tensor([0, 1, 1])
    empty = Batch(torch.empty(0, 1, 1, 3), torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.int64))

    class Whole(_Told):
        def forward(self, x: Tensor) -> Tensor:
            assert len(x)
            return super().forward(x)

    assert score(Whole(), [*_batches(logits, labels, 2), empty], 3, CPU) == Score(3, 2, 3)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_answers_that_are_no_numbers_are_an_error(value: float) -> None:
    logits = torch.eye(3)
    logits[1, 2] = value
    with pytest.raises(InputError, match="^the network's answers to 1 of 3 images are infinite or not a number$"):
        score(_Told(), _batches(logits, torch.tensor([0, 1, 1]), 2), 3, CPU)


def test_no_image_at_all() -> None:
    with pytest.raises(InputError, match="not one image could be read"):
        score(_Told(), [], 3, CPU)


@pytest.mark.parametrize(
    ("right", "images", "low", "high"),
    [(0, 10, 0.0, 27.753), (10, 10, 72.247, 100.0), (5, 10, 23.659, 76.341), (81, 263, 25.53, 36.62)],
)
def test_wilson_interval_as_published(right: int, images: int, low: float, high: float) -> None:
    # 81 of 263: Newcombe, "Two-sided confidence intervals for the single proportion", 1998, method 3: 0.2553 to 0.3662.
    found = wilson_interval(right, images)
    assert found == pytest.approx((low, high), abs=5e-3)


def test_wilson_bounds_are_where_the_normal_test_turns() -> None:
    for bound in wilson_interval(81, 263):
        p = bound / 100
        assert abs(81 / 263 - p) / math.sqrt(p * (1 - p) / 263) == pytest.approx(1.959964, abs=1e-5)
