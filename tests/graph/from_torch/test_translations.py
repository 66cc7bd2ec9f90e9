"""Each operator is what torch computes; resizing takes the steps that torch takes, however its factor was given."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import shufflekit as sk
from shufflekit.errors import UsageError
from shufflekit.graph.from_torch import capture
from shufflekit.graph.from_torch.translations import input_steps
from tests.graph.rewrites.networks import SHAPE, Of, check

FACTORS = (1.01, 1.1, 1.5, 2.0, 2.05, 2.1, 3.0, 0.5, 0.3)


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("rows", [3, 200])  # torch has a kernel of its own for outputs of up to 128 rows and columns
@pytest.mark.parametrize("recompute", [False, True])
def test_nearest_takes_the_pixels_that_torch_takes(factor: float, rows: int, recompute: bool) -> None:
    for size in range(1, 60):
        x = torch.arange(size, dtype=torch.float32).expand(1, 1, rows, size)
        if int(size * factor) == 0:
            continue
        expected = F.interpolate(x, scale_factor=(1.0, factor), recompute_scale_factor=recompute)[0, 0, 0]
        given = None if recompute else (1.0, factor)
        _, step = input_steps("nearest", (rows, size), (rows, len(expected)), given, False)
        taken = np.minimum((np.arange(len(expected), dtype=np.float32) * np.float32(step)).astype(int), size - 1)
        assert taken.tolist() == expected.tolist(), f"{size} to {len(expected)}"


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("corners", [False, True])
def test_bilinear_weighs_the_pixels_as_torch_does(factor: float, corners: bool) -> None:
    for size in range(1, 60):
        x = torch.arange(size, dtype=torch.float32).expand(1, 1, 3, size)
        if int(size * factor) == 0:
            continue
        expected = F.interpolate(x, scale_factor=(1.0, factor), mode="bilinear", align_corners=corners)[0, 0, 0]
        _, step = input_steps("bilinear", (3, size), (3, len(expected)), (1.0, factor), corners)
        at = np.arange(len(expected))
        place = np.clip(at * step if corners else (at + 0.5) * step - 0.5, 0, size - 1)
        np.testing.assert_allclose(place, expected, atol=1e-4)


def windows(x: Tensor) -> Tensor:
    """(2 N, 30, 2): dimension 0 counts halves of images."""
    return x.reshape(-1, 2, 30).transpose(1, 2)


def other_halves(x: Tensor) -> Tensor:
    """(2 N, 2, 30): dimension 0 counts images in each half."""
    return torch.stack([x[:, :2], x[:, 2:]]).reshape(-1, 2, 30)


def of_halves(x: Tensor, *functions: Callable[[Tensor], Tensor]) -> Tensor:
    """What functions of (2 N, 2, 6, 5) give of halves of images, and of images in each half."""
    halves = x.reshape(-1, 2, 6, 5), other_halves(x).reshape(-1, 2, 6, 5)
    whole = [torch.cat([f(each).flatten(1) for f in functions], 1) for each in halves]
    return torch.cat([whole[0].reshape(x.shape[0], -1), whole[1].reshape(2, x.shape[0], -1).transpose(0, 1).flatten(1)], 1)


def normed(x: Tensor) -> Tensor:
    return F.batch_norm(x, ROW[: x.shape[1]], ROW[: x.shape[1]] + 1, ROW[: x.shape[1]] + 2, ROW[: x.shape[1]] - 3, eps=0.5)


def written(*places) -> Callable[[Tensor], Tensor]:
    """A copy, into some of which twice the same of another copy is written."""

    def function(x: Tensor) -> Tensor:
        y = x * 1
        for place in places:
            y[place] = x[place] * 2
        return y

    return function


def drawn(x: Tensor) -> Tensor:
    """Every second pixel of a map that is twice as large."""
    y = torch.zeros(x.shape[0], 4, 12, 10)
    y[:, :, ::2, 1::2] = x
    y[:, 1:3, 3] = 7
    return y


def pooled(x: Tensor) -> list[Tensor]:
    """Of three sides."""
    return [
        F.max_pool3d(x, (2, 3, 2), (1, 2, 1), (1, 0, 1), (1, 2, 1), True),
        F.avg_pool3d(x, 2, (2, 1, 2), (1, 1, 0), True, False),
        F.avg_pool3d(x, (1, 3, 2), padding=(0, 1, 1)),
        F.adaptive_avg_pool3d(x, (3, 2, 5)),
        F.adaptive_max_pool3d(x, (1, 4, 2)),
    ]


def resized(x: Tensor) -> list[Tensor]:
    """Of three sides."""
    return [
        F.interpolate(x, (3, 9, 4), mode="trilinear"),
        F.interpolate(x, scale_factor=(2, 1.5, 0.8)),
        F.interpolate(x, scale_factor=1.5, mode="trilinear", align_corners=True),
    ]


def few(x: Tensor) -> Tensor:
    """The places of the largest three of each image, of 120."""
    return x.flatten(1).topk(3)[1]


ATEN = torch.ops.aten
NONE = torch.tensor([math.nan, math.inf, -math.inf, 0, 1])
MAPS = torch.arange(144.0).reshape(4, 6, 6) / 144
EVEN, ODD = torch.tensor([3, 0]), torch.tensor([1, 3, 1])
C1, MAP, ROW = torch.arange(4.0).reshape(4, 1, 1) + 1, torch.arange(30.0).reshape(6, 5) + 1, torch.arange(5.0) + 1
CUBES = MAP[:3, :4].reshape(4, 1, 3, 1, 1).expand(-1, -1, -1, 3, 2)
TRANSLATED = {
    **{f"F.{name}": getattr(F, name) for name in ("gelu", "elu", "celu", "selu", "mish", "softplus", "logsigmoid", "softsign")},
    **{name: getattr(torch, name) for name in ("tanh", "erf", "exp", "abs", "neg", "square", "floor", "ceil", "round")},
    "log": lambda x: (x.abs() + 1).log(),
    "roots": lambda x: (x.abs() + 1).sqrt() + (x.abs() + 2).rsqrt() + (x.abs() + 3).reciprocal(),
    "powers": lambda x: x**2 + x**3 + (x.abs() + 1) ** 0.5 + (x.abs() + 1) ** -1.5,
    "a power of a number": lambda x: 2**x + ROW**x,
    "a power of two": lambda x: (x.abs() + 1) ** x.sigmoid(),
    "gelu by tanh": lambda x: F.gelu(x, approximate="tanh"),
    "elu of an alpha": lambda x: F.elu(x, 0.3) + F.celu(x, 0.4),
    "softplus with both": lambda x: F.softplus(x, 2, 1),
    "bounds": lambda x: (
        x.clamp(-0.5, 1) + x.clamp_max(0.2) + x.clamp_min(-0.1) + F.hardtanh(x, -2, 0.5) + F.threshold(x, 0.1, 2)
    ),
    "extremes": lambda x: torch.minimum(x, x.sigmoid()) + torch.maximum(x, x.mean(1, keepdim=True)) + torch.max(x, x**2),
    "differences": lambda x: (1 - x) + (x - C1) + (MAP - x) + (x - x.mean(3, keepdim=True)),
    "quotients": lambda x: x / (x.abs() + 1) + x / MAP + ROW / (x.abs() + 1) + 3 / (x.abs() + 1),
    "addcmul": lambda x: torch.addcmul(C1, x, MAP) + torch.addcmul(x, x, ROW),
    "sums": lambda x: x.sum(1, keepdim=True) + x.sum((2, 3), keepdim=True) + x.mean(-1, keepdim=True) + x.prod(2, keepdim=True),
    "largest": lambda x: (
        x.amax((1, 2), keepdim=True) + x.max(3, keepdim=True)[0] - x.amin(1, True) - x.min(2, keepdim=True).values
    ),
    "variances": lambda x: x.var(1, keepdim=True) + x.var((2, 3), keepdim=True) + x.std(3, correction=0, keepdim=True),
    "deviations": lambda x: x.std(1) + x.std(1, unbiased=False),
    "einsum": lambda x: torch.einsum("nchw,nchv->nwv", x, x.sigmoid()) + torch.einsum("hw,nchw->nc", MAP, x)[:, :1, None],
    "a convolution of halves": lambda x: F.conv1d(windows(x).mT, torch.ones(3, 2, 3)).reshape(x.shape[0], -1),
    "a norm of halves": lambda x: F.batch_norm(windows(x).mT, ROW[:2], ROW[:2], ROW[1:3], ROW[2:4]).reshape(x.shape),
    "three sides": lambda x: F.conv3d(x.reshape(-1, 2, 2, 6, 5), CUBES, None, 2, 1, 1, 2),
    "rolled": lambda x: x.roll((1, -2), (-1, 2)) + x.roll(1, 1),
    "stacked": lambda x: torch.stack([x, x * 2], -1).flatten(3),
    "attention": lambda x: F.scaled_dot_product_attention(x, x * 2, x) + F.scaled_dot_product_attention(x, x, x, scale=0.3),
    "attention with a mask": lambda x: (
        F.scaled_dot_product_attention(x, x, x, MAP @ MAP.T / 900)
        + F.scaled_dot_product_attention(x, x, x, (MAP @ MAP.T).triu() > 0)
        + F.scaled_dot_product_attention(x, x, x, is_causal=True)
    ),
    "products with a constant": lambda x: (x @ MAP.T).sum((2, 3)) + (MAP.T @ x)[:, :, 1].sum(2),
    "shrunk": lambda x: F.hardshrink(x, 0.3),
    "unpooled": lambda x: F.max_unpool2d(*F.max_pool2d(x.clamp(-0.1, 0.1), (2, 5), return_indices=True), (2, 5)),
    "dropped": lambda x: x.sum(2).mean(1),
    "norms": lambda x: x.norm(dim=1) + x.norm(1, 1) + x.norm(float("inf"), 1) + torch.linalg.vector_norm(x, dim=1),
    "normalised": lambda x: F.normalize(x) + F.normalize(x, 1, 3),
    "softmax": lambda x: x.softmax(1) + x.softmax(-1) + x.log_softmax(2),
    "layer norm": lambda x: F.layer_norm(x, (5,)) + F.layer_norm(x, (6, 5), MAP) + F.layer_norm(x, (5,), ROW, ROW, 0.1),
    "rms norm": lambda x: F.rms_norm(x, (5,)) + F.rms_norm(x, (6, 5), MAP, 0.1),
    "group norm": lambda x: F.group_norm(x, 2, C1.flatten(), C1.flatten()) + F.group_norm(x, 4),
    "instance norm": lambda x: F.instance_norm(x, weight=C1.flatten(), bias=C1.flatten(), eps=0.1),
    "instance norm of statistics": lambda x: F.instance_norm(x, C1.flatten(), C1.flatten(), use_input_stats=False),
    "in place behind a norm": lambda x: F.relu(F.group_norm(x, 2), inplace=True),
    "flipped": lambda x: x.flip(()) * 2 + x.flip(1, -1),
    "repeated in more dimensions": lambda x: x.mean((2, 3)).repeat(2, 1, 3).transpose(0, 1),
    "sampled in one side": lambda x: F.interpolate(x, (6, 7), mode="bicubic") + F.interpolate(x, (6, 7), mode="bilinear"),
    "sampled smoothly": lambda x: (
        F.interpolate(x, (3, 2), mode="bilinear", antialias=True)
        + F.interpolate(x, (3, 2), mode="bicubic", antialias=True)
        + F.interpolate(x, (1, 2), mode="bicubic", antialias=True, align_corners=True)
        + F.interpolate(x, (3, 2), mode="bilinear", antialias=True, align_corners=True)
    ),
    "taken apart by torch": lambda x: torch.cat(
        [F.glu(x, 1).flatten(1), x.rot90(1, (2, 3)).flatten(1), x.repeat_interleave(2, 3).flatten(1), x.tril().flatten(1)], 1
    ),
    "sampled in none": lambda x: F.interpolate(x, (6, 5), mode="bicubic"),
    "mirrored": lambda x: ATEN.reflection_pad2d(x, (1, 2, 0, 3)) + ATEN.replication_pad2d(x, (1, 2, 0, 3)),
    "mirrored rows": lambda x: ATEN.reflection_pad1d(x.flatten(2), (1, 2)) + ATEN.replication_pad1d(x.flatten(2), (1, 2)),
    "padded around": lambda x: F.pad(x, (1, 2, 0, 3), mode="circular") + F.pad(x, (1, 2, 0, 3), value=0.5),
    "cut": lambda x: F.pad(x, (-1, 0, -2, -1)) + x.narrow(2, 2, 3)[..., 1:],
    "pixels": lambda x: F.pixel_unshuffle(F.pixel_shuffle(x, 2) * 2, 2),
    "slopes": lambda x: F.prelu(x, torch.tensor([0.3])) + F.prelu(x, torch.arange(4.0)) + F.leaky_relu(x, 0.3),
    "selected": lambda x: (
        x.select(1, -1)[:, None] * x.select(2, 0)[:, :1, None] + torch.stack(x.unbind(1)[::2], 1).sum(1, True)
    ),
    "compared": lambda x: torch.cat(
        [each.float() for each in (x >= 0.1, x < x.mean(1, keepdim=True), x != 0, x == x.amax(1, True), x <= 0, x > C1 / 9)], 1
    ),
    "chosen": lambda x: torch.where(x > 0, x, -2 * x) + x.masked_fill(x > 0.3, 2.0),
    "logic": lambda x: ((x > 0) & (x < 1) | ~(x > -1)).float(),
    "places": lambda x: x.argmax(1).float() + x.argmin(1).float() + x.argmax(3, keepdim=True).float().mean((1, 3))[:, :, None],
    "adaptive": lambda x: F.adaptive_avg_pool2d(x, (4, 3)) + F.adaptive_max_pool2d(x, (4, 3)),
    "pools of one side": lambda x: (
        F.avg_pool1d(x.flatten(2), 3, 2, 1, True, False) + F.max_pool1d(x.flatten(2), 3, 2, 1, 1, True)
    ),
    "moved": lambda x: x.swapaxes(1, 2).unflatten(1, (2, 3)).flatten(1, 2).movedim(1, 2),
    "expanded": lambda x: x.mean((2, 3), keepdim=True).expand(-1, -1, 3, 2) * 2,
    "turned around": lambda x: torch.rsub(x, 2.0) + (2 - x) + F.softsign(x) + F.tanhshrink(x) + F.hardtanh(x),
    "transposed convolution": lambda x: F.conv_transpose2d(
        x, MAP[:4, :3].reshape(4, 1, 3, 1).expand(-1, 2, -1, 2), ROW[:4], (3, 2), (1, 0), (2, 1), 2, (1, 2)
    ),
    "written into": written((slice(None), slice(1, 3)), (..., slice(0, None, 2)), (slice(None), 1)),
    "drawn larger": drawn,
    "written by numbers": lambda x: (
        x.index_copy(1, EVEN, x[:, :2])
        + x.index_fill(1, EVEN, 0.5)
        + x.index_add(1, EVEN, x[:, :2])
        + ATEN.index_put(x, [None, EVEN], x[:, :2])
        + ATEN.index_put(x, [None, EVEN], x[:, :2], True)
        + x.select_scatter(x[:, 1], 1, 2)
    ),
    "written where": lambda x: x.index_put((x > 0.1,), torch.tensor(3.0)),
    "one hot": lambda x: (
        F.one_hot(x.argmax(1), 4).permute(0, 3, 1, 2).float() + torch.zeros_like(x).scatter(1, x.argmin(1, True), 2.0)
    ),
    "numbers of pixels": lambda x: torch.stack([few(x) // 5, few(x) % 5, few(x) + 1, 2 - few(x) * 3], -1).float(),
    "numbers by numbers": lambda x: x[:, 0].flatten(1).gather(1, few(x) // 7 + torch.tensor([0, 1, 2])),
    "whole": lambda x: torch.stack([x.trunc(), (x * 3).long().float(), (x * 3).int().float(), x.frac()], 1),
    "by powers of two": lambda x: torch.stack([x // 0.5, x % 2, x.fmod(0.25), torch.div(x, 4, rounding_mode="trunc")], 1),
    "columns": lambda x: F.unfold(x, (2, 3), (2, 1), 1, (2, 1)).flatten(1),
    "columns and back": lambda x: F.fold(F.unfold(x, (3, 5), stride=(3, 5)) * 2, (6, 5), (3, 5), stride=(3, 5)),
    "windows": lambda x: (x.unfold(2, 3, 2).unfold(1, 2, 2) * 2).flatten(1),
    "by several numbers": lambda x: torch.cat(
        [x[:, EVEN, torch.tensor([5, -1])].flatten(1), x[:, :, EVEN[:, None], ODD].flatten(1), x[:, ODD[None]].flatten(1)], 1
    ),
    "nearest of middles": lambda x: torch.cat(
        [F.interpolate(x, mode="nearest-exact", **to).flatten(1) for to in ({"size": (9, 4)}, {"scale_factor": (1.7, 0.8)})], 1
    ),
    "three sides pooled": lambda x: torch.cat([each.flatten(1) for each in pooled(x.reshape(-1, 1, 4, 6, 5))], 1),
    "three sides resized": lambda x: torch.cat([each.flatten(1) for each in resized(x.reshape(-1, 1, 4, 6, 5))], 1),
    "running sums": lambda x: x.cumsum(1) + x.cumsum(-1) + x[:, :1].cumsum(1),
    "cosines": lambda x: F.cosine_similarity(x, x.sigmoid(), 1) + F.cosine_similarity(x * 0, x, 1, 0.1),
    "multiples": lambda x: torch.add(x, x.sigmoid(), alpha=0.5) - torch.sub(x, x.exp(), alpha=2),
    "of one tensor": lambda x: torch.einsum("nchw->nwc", x) + torch.einsum("...hw,...vw->...hv", x, x)[:, :, :4, :5].sum(1).mT,
    "attention of grouped heads": lambda x: F.scaled_dot_product_attention(x, x[:, :2] * 2, x[:, 2:], enable_gqa=True),
    "attention with a computed mask": lambda x: (
        F.scaled_dot_product_attention(x, x, x, x @ x.mT) + F.scaled_dot_product_attention(x, x, x, x @ x.mT > -1)
    ),
    "no numbers": lambda x: torch.cat(
        [f(x + NONE) for f in (torch.nan_to_num, lambda x: x.nan_to_num(2.0), lambda x: x.nan_to_num(1.0, 3.0, -4.0))], 1
    ),
    "what is no number": lambda x: torch.cat([f(x + NONE).float() for f in (torch.isnan, torch.isinf, torch.isfinite)], 1),
    "some and all": lambda x: torch.cat(
        [(x > 0).any(1).float(), (x > -1).all(1).float(), (x > 0).any((1, 2))[:, None].float()], 1
    ),
    "other bases": lambda x: torch.cat([(x.abs() + 1).log2(), (x.abs() + 1).log10(), x.exp2(), x.abs().log1p()], 1),
    "diagonals": lambda x: torch.cat([x.diagonal(*at).flatten(1) for at in ((1, 2, 3), (-2, 1, 3), (0, 3, 1))], 1),
    "a product for each channel": lambda x: (x @ CUBES.reshape(4, 3, 6).mT.repeat(1, 1, 2)[:, :5]).sum(3) + (MAPS @ x).sum(3),
    "halves of images": lambda x: windows(x).softmax(1).reshape(x.shape) + F.layer_norm(windows(x), (2,)).reshape(x.shape),
    "halves and constants": lambda x: (windows(x) * torch.arange(60.0).reshape(1, 30, 2) - ROW[:2]).reshape(x.shape),
    "windows over each other": lambda x: (
        F.fold(F.unfold(x, 3, padding=1), (6, 5), 3, padding=1)
        + F.fold(F.unfold(x, (3, 2), stride=(2, 2)), (6, 5), (3, 2), stride=2)
        + F.fold(F.unfold(x, 2, dilation=(2, 3)), (6, 5), 2, dilation=(2, 3))
    ),
    "halves, pooled": lambda x: of_halves(
        x,
        lambda x: F.max_pool2d(x, 2),
        lambda x: F.avg_pool2d(x, 3, 2, 1),
        lambda x: F.adaptive_avg_pool2d(x, 1),
        lambda x: F.adaptive_max_pool2d(x, (2, 1)),
        lambda x: F.max_pool1d(x.flatten(2), 4),
    ),
    "halves, resized": lambda x: of_halves(
        x,
        lambda x: F.interpolate(x, scale_factor=2),
        lambda x: F.interpolate(x, (4, 7), mode="bilinear"),
        lambda x: F.interpolate(x, (9, 3), mode="bicubic", align_corners=True),
    ),
    "halves, normed": lambda x: of_halves(
        x, lambda x: F.group_norm(x, 1, ROW[:2], ROW[2:4]), lambda x: F.instance_norm(x), normed
    ),
    "halves, padded": lambda x: of_halves(
        x, lambda x: F.pad(x, (1, 2, 3, 0, 0, 1), value=2.0), lambda x: x.mean((2, 3), keepdim=True) * MAP + ROW
    ),
    "rows, normed": lambda x: normed(x.reshape(-1, 5)).reshape(x.shape),
    "halves, reduced": lambda x: (windows(x) / (windows(x).amax(1, True) + 9) + windows(x).mean(2, True)).reshape(x.shape),
}


@pytest.mark.parametrize("name", TRANSLATED)
def test_an_operator_is_torchs(name: str) -> None:
    network = Of(TRANSLATED[name])
    check(capture(network, SHAPE), network)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x.mean(), "counts the images of the batch, which must stay apart"),
        (lambda x: x.amax((0, 2)), "counts the images of the batch, which must stay apart"),
        (lambda x: x.max(1)[1] ** 2, "gives int64, and the engine computes in float32"),
        (lambda x: (few(x) - 1) // 2, "whole numbers from 0 to 2097151 can be divided by one, found -1 to 118 by 2"),
        (lambda x: few(x) * 1000000, "of whole numbers up to 119000000: the engine's are floats, exact up to 16777216"),
        (lambda x: x.long() + 1, "of whole numbers that aten._to_copy gives, which can be of any size"),
        (lambda x: x // 0.3, "of floats a divisor must be a power of two, of which quotients are exact, found 0.3"),
        (lambda x: x % x.sigmoid(), "the divisor must be one number, more than 0"),
        (lambda x: x.index_add(1, EVEN[[0, 0]], x[:, :2]), "numbers of dimension 1 must each be there once, found 3 twice"),
        (lambda x: x.scatter(1, x.topk(2, 1)[1], 2.0), "computed indices must be one for each line"),
        (lambda x: F.max_pool2d(x, 2, return_indices=True)[1], "only an operator's first output can be used"),
        (lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, 1, return_indices=True), 2, 1), "windows must lie side by side"),
        (lambda x: x[:, :1].var(1), "of 1 numbers less 1 there is none"),
        (lambda x: torch.linalg.vector_norm(x, 3, 1), "ord must be 1, 2 or infinite, found 3"),
        (lambda x: torch.round(x, decimals=2), "decimals must be 0, found 2"),
        (lambda x: torch.addcmul(x, x, x, value=2), "value must be 1, found 2"),
        (
            lambda x: F.max_unpool2d(
                F.max_pool2d(x, (2, 5)), torch.zeros(1, 4, 3, 1).long().expand(x.shape[0], -1, -1, -1), (2, 5)
            ),
            "indices must be those of a max pool",
        ),
        (lambda x: x[:, :1] + x.mean(1), r"of \(N, 1, 6, 5\) and \(N, 6, 5\): both must have as many dimensions"),
        (
            lambda x: x[:, :1] + x[:, :1].permute(1, 0, 2, 3),
            r"of \(N, 1, 6, 5\) and \(1, N, 6, 5\): both must count the images of the batch in the same way",
        ),
        (lambda x: ATEN.elu(x, 1.0, 1.0, 2.0), "input_scale must be 1, found 2"),
        (lambda x: F.pad(x, (1, -1)), r"padding some sides and cutting others is not supported, found pad=\[1, -1\]"),
        (lambda x: x.sum(1, dtype=torch.float64).float(), "gives float64, and the engine computes in float32"),
        (lambda x: x.roll(3), "over all dimensions together is not supported"),
        (lambda x: torch.einsum("nchw,nchv->cwv", x, x), "one letter must count the images, found n"),
        (lambda x: torch.baddbmm(x[:, 0], x[:, 1], x[:, 2, :5], beta=2), "beta must be 0, or 1 with what is added computed"),
        (
            lambda x: torch.baddbmm(x[:, 0, :1], x[:, 1], x[:, 2, :5]),
            r"\(N, 1, 5\) and \(N, 6, 5\): both must have the same size",
        ),
        (lambda x: F.scaled_dot_product_attention(x, x, x, dropout_p=0.5), "dropout_p must be 0"),
        (
            lambda x: F.scaled_dot_product_attention(x[:, 0], x[:, 0], x[:, 0], (x @ x.mT)[:, :1]),
            "a computed mask must have as many dimensions",
        ),
        (
            lambda x: torch.cat([x.reshape(-1, 2, 30), other_halves(x)], 1).reshape(-1, 8, 30),
            r"of \(2N, 2, 30\), \(2N, 2, 30\): all must count the images of the batch in the same way",
        ),
        (lambda x: x[:, [0, 1], :, [2, 3]].transpose(0, 1), r"must be of dimensions next to each other, found \[1, 3\]"),
        (lambda x: torch.add(x, x.mean(1, True), alpha=2), "alpha must be 1 unless both are computed and of the same size"),
        (lambda x: x.clone().copy_(x[:, :1]), r"src must be \(N, 4, 6, 5\), found \(N, 1, 6, 5\)"),
        (lambda x: x @ torch.linalg.inv(torch.zeros(5, 5)), r"aten.linalg_inv \(in the network itself\): .*singular"),
        (
            lambda x: F.batch_norm(x, None, None, training=True),
            "must normalise by running statistics, not by those of the batch",
        ),
        (
            lambda x: F.conv3d(x.reshape(-1, 2, 2, 6, 5), torch.ones(1, 2, 1, 1, 1), padding=(1, 0, 0)),
            "a map of the result that sees padding alone is not supported",
        ),
        (
            lambda x: F.conv3d(x.reshape(-1, 1, 4, 6, 5), torch.ones(1, 1, 3, 1, 1), padding=(32, 0, 0)),
            "a result of at most 64 maps is supported, found 66",
        ),
        (
            lambda x: windows(x)[:, 0] * torch.ones(3, 1, 2),
            r"a constant of shape \(3, 1, 2\) does not meet what each image has",
        ),
        (lambda x: F.pad(x, (0, 0, 0, 0, 0, 0, 1, 0)), "dimension 0 counts the images of the batch, which must stay apart"),
    ],
)
def test_what_cannot_be_is_refused(function, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        capture(Of(function), SHAPE)


def test_a_logarithm_of_one_and_a_little_more_keeps_its_digits() -> None:
    network = Of(torch.log1p)
    x = torch.tensor([0.0, 1e-9, -1e-7, 3e-5, 0.4, 7e30, torch.inf, -1.0, -2.0, torch.nan]).expand(1, 2, 1, 10)
    torch.testing.assert_close(sk.compile(network, (1, 2, 1, 10))(x.contiguous()), x.log1p(), rtol=1e-6, atol=0, equal_nan=True)
