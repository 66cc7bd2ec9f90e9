"""Random small networks, for hypothesis: every operator of the engine, wired in every way that fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch import Tensor, nn

Draw = Callable[[st.SearchStrategy], object]
Shape = tuple[int, int, int]

_MOST_CHANNELS, _MOST_SIDE = 24, 40
ACTIVATIONS = {name: getattr(F, name) for name in ("relu", "relu6", "hardswish", "hardsigmoid", "sigmoid", "silu")}
ACTIVATIONS["leaky_relu"] = lambda x: F.leaky_relu(x, 0.2)
ACTIVATIONS |= {name: getattr(F, name) for name in ("tanh", "elu", "selu", "mish", "softplus")}
ACTIVATIONS["prelu"] = lambda x: F.prelu(x, torch.linspace(-0.5, 1, x.shape[1], dtype=x.dtype))
ACTIVATIONS["clamp"] = lambda x: x.clamp(-0.5, 2)


@dataclass
class Step:
    """One call: which of the tensors so far it reads, and what it appends to them."""

    text: str
    reads: Sequence[int]
    run: Callable[..., Tensor | Sequence[Tensor]]


class RandomNetwork(nn.Module):
    """Runs its steps one after another and returns the tensors of `outputs`."""

    def __init__(self, shape: Shape, steps: list[Step], outputs: list[int]) -> None:
        super().__init__()
        self.shape, self.steps, self.outputs = shape, steps, outputs
        self.layers = nn.ModuleList(step.run for step in steps if isinstance(step.run, nn.Module))

    def forward(self, x: Tensor) -> list[Tensor]:
        tensors = [x]
        for step in self.steps:
            found = step.run(*(tensors[i] for i in step.reads))
            tensors += [found] if isinstance(found, Tensor) else list(found)
        return [tensors[i] for i in self.outputs]

    def __repr__(self) -> str:
        lines = [f"{step.text} of {', '.join(f't{i}' for i in step.reads)}" for step in self.steps]
        return "\n".join([f"t0: input {self.shape}", *lines, f"outputs {self.outputs}"])


@dataclass
class _Builder:
    draw: Draw
    shapes: list[Shape]
    steps: list[Step] = field(default_factory=list)
    read: set[int] = field(default_factory=set)

    def whole(self, least: int, most: int) -> int:
        return self.draw(st.integers(least, most))  # type: ignore[return-value]

    def truth(self) -> bool:
        return self.draw(st.booleans())  # type: ignore[return-value]

    def one_of(self, choices: Sequence[object]) -> object:
        return self.draw(st.sampled_from(choices))

    def tensor(self) -> int:
        """One of the tensors so far; simplest is the newest."""
        return len(self.shapes) - 1 - self.whole(0, len(self.shapes) - 1)

    def like(self, index: int, same: slice) -> list[int]:
        return [i for i, shape in enumerate(self.shapes) if shape[same] == self.shapes[index][same]]

    def add(self, text: str, reads: Sequence[int], run: Callable[..., Tensor | Sequence[Tensor]]) -> list[int]:
        """Appends the step, unless its result is empty or too large; returns what it appended."""
        with torch.no_grad():
            made = run(*(torch.zeros(1, *self.shapes[i]) for i in reads))
        shapes = [tuple(each.shape[1:]) for each in ([made] if isinstance(made, Tensor) else made)]
        if any(min(shape) < 1 or shape[0] > _MOST_CHANNELS or max(shape[1:]) > _MOST_SIDE for shape in shapes):
            return []
        new = list(range(len(self.shapes), len(self.shapes) + len(shapes)))
        self.steps.append(Step(f"{', '.join(f't{i}' for i in new)}: {text} -> {shapes}", reads, run))
        self.shapes += shapes
        self.read |= set(reads)
        return new


def _convolution(b: _Builder) -> None:
    x = b.tensor()
    channels, height, width = b.shapes[x]
    kind = b.one_of(["pointwise", "dense", "depthwise", "grouped"])
    divisors = [g for g in range(1, channels + 1) if channels % g == 0]
    groups = {"pointwise": 1, "dense": 1, "depthwise": channels}.get(str(kind)) or int(b.one_of(divisors))  # type: ignore[call-overload]
    out = channels if kind == "depthwise" else groups * b.whole(1, max(1, 20 // groups))
    kernel, stride, padding, dilation = (1, 1), (1, 1), (0, 0), (1, 1)
    if kind == "dense" or kind == "depthwise" or b.truth():
        dilation = (b.whole(1, 2), b.whole(1, 2))
        kernel = tuple(min(b.whole(1, 5), (size - 1) // d + 1) for size, d in zip((height, width), dilation))
        if b.truth():
            kernel = (min(3, height), min(3, width))
            dilation = (1, 1)
        stride = (b.whole(1, 3), b.whole(1, 3)) if b.truth() else (b.whole(1, 2),) * 2
        padding = (b.whole(0, kernel[0] // 2), b.whole(0, kernel[1] // 2))
    layer = nn.Conv2d(channels, out, kernel, stride, padding, dilation, groups, bias=b.truth())  # type: ignore[arg-type]
    for new in b.add(str(layer), [x], layer):
        if b.truth():
            _norm(b, new)


def _norm(b: _Builder, x: int | None = None) -> None:
    x = b.tensor() if x is None else x
    layer = nn.BatchNorm2d(b.shapes[x][0]).eval()
    for tensor, low, high in (
        (layer.weight, -1.5, 1.5),
        (layer.bias, -1, 1),
        (layer.running_mean, -1, 1),
        (layer.running_var, 0.5, 2),
    ):
        nn.init.uniform_(tensor, low, high)  # type: ignore[arg-type]
    b.add("batch norm", [x], layer)


def _activation(b: _Builder) -> None:
    name = str(b.one_of([*ACTIVATIONS, "gelu"]))
    b.add(name, [b.tensor()], ACTIVATIONS.get(name, F.gelu))


def _shuffle(b: _Builder) -> None:
    x = b.tensor()
    channels = b.shapes[x][0]
    groups = int(b.one_of([g for g in range(1, channels + 1) if channels % g == 0]))  # type: ignore[call-overload]
    if b.truth():
        b.add(f"nn.ChannelShuffle({groups})", [x], nn.ChannelShuffle(groups))
        return

    def shuffle(t: Tensor) -> Tensor:
        n, c, h, w = t.shape
        return t.reshape(n, groups, c // groups, h, w).transpose(1, 2).reshape(n, c, h, w)

    b.add(f"shuffle by {groups}", [x], shuffle)


def _slice(b: _Builder) -> None:
    x = b.tensor()
    start = b.whole(0, b.shapes[x][0] - 1)
    stop, step = b.whole(start + 1, b.shapes[x][0]), b.whole(1, 3)
    b.add(f"[:, {start}:{stop}:{step}]", [x], lambda t: t[:, start:stop:step])


def _cut(b: _Builder) -> None:
    x = b.tensor()
    _, height, width = b.shapes[x]
    top, left, step = b.whole(0, height - 1), b.whole(0, width - 1), b.whole(1, 2)
    b.add(f"[:, :, {top}:, {left}::{step}]", [x], lambda t: t[:, :, top:, left::step])


def _split(b: _Builder) -> None:
    x = b.tensor()
    size = b.whole(1, b.shapes[x][0])
    if b.truth():
        b.add(f"split by {size}", [x], lambda t: t.split(size, 1))
    else:
        b.add(f"{size} chunks", [x], lambda t: t.chunk(size, 1))


def _concat(b: _Builder) -> None:
    x = b.tensor()
    same = b.like(x, slice(1, 3))
    reads = [x, *(int(b.one_of(same)) for _ in range(b.whole(1, 2)))]  # type: ignore[call-overload]
    b.add("concat", reads, lambda *t: torch.cat(t, 1))


def _residual(b: _Builder) -> None:
    x = b.tensor()
    y = int(b.one_of(b.like(x, slice(0, 3))))  # type: ignore[call-overload]
    if b.truth():
        b.add("product", [x, y], lambda s, t: s * t)
    else:
        b.add("sum", [x, y], lambda s, t: s + t)


def _residual_unit(b: _Builder) -> None:
    """x + conv(x): what fuses, and again after it."""
    x = b.tensor()
    layer = nn.Conv2d(b.shapes[x][0], b.shapes[x][0], 3, padding=1)
    for y in b.add(str(layer), [x], layer):
        for z in b.add("sum", [x, y] if b.truth() else [y, x], lambda s, t: s + t):
            if b.truth():
                b.add("relu", [z], F.relu)


def _constants(b: _Builder) -> None:
    factor, summand = torch.rand(b.shapes[x := b.tensor()][0], 1, 1) + 0.5, 0.25
    b.add("x * constant - 0.25", [x], lambda t: t * factor - summand)


def _squeeze_excite(b: _Builder) -> None:
    x = b.tensor()
    layer = nn.Conv2d(b.shapes[x][0], b.shapes[x][0], 1)
    pool = nn.AdaptiveAvgPool2d(1) if b.truth() else lambda t: t.mean((2, 3), keepdim=True)
    for pooled in b.add("mean over space", [x], pool):
        for gate in b.add(str(layer), [pooled], layer):
            (gate,) = b.add("sigmoid", [gate], torch.sigmoid)
            b.add("gated", [x, gate] if b.truth() else [gate, x], lambda s, t: s * t)


def _pool(b: _Builder) -> None:
    x = b.tensor()
    _, height, width = b.shapes[x]
    kernel = (min(b.whole(1, 4), height), min(b.whole(1, 4), width))
    stride, ceil = (b.whole(1, 3), b.whole(1, 3)), b.truth()
    padding = (b.whole(0, kernel[0] // 2), b.whole(0, kernel[1] // 2))
    if b.truth():
        pool: nn.Module = nn.MaxPool2d(kernel, stride, padding, ceil_mode=ceil)
    else:
        pool = nn.AvgPool2d(kernel, stride, padding, ceil_mode=ceil, count_include_pad=b.truth())
    b.add(str(pool), [x], pool)


def _adaptive_pool(b: _Builder) -> None:
    size = (b.whole(1, 5), b.whole(1, 5))
    pool = nn.AdaptiveAvgPool2d(size) if b.truth() else nn.AdaptiveMaxPool2d(size)
    b.add(str(pool), [b.tensor()], pool)


def _resize(b: _Builder) -> None:
    mode = str(b.one_of(["nearest", "bilinear"]))
    corners = b.truth() if mode == "bilinear" else None
    if b.truth():
        layer = nn.Upsample((b.whole(1, 12), b.whole(1, 12)), mode=mode, align_corners=corners)
    else:
        layer = nn.Upsample(scale_factor=float(b.one_of([2.0, 1.5, 0.7, 3.0])), mode=mode, align_corners=corners)  # type: ignore[arg-type]
    x = b.tensor()
    if min(b.shapes[x][1:]) > 1:  # 0.7 of one pixel is none
        b.add(f"{layer} align_corners={corners}", [x], layer)


def _softmax(b: _Builder) -> None:
    dim = b.whole(1, 3)
    b.add(f"softmax over {dim}", [b.tensor()], lambda t: t.softmax(dim))


def _reduction(b: _Builder) -> None:
    dims = [dim for dim in (1, 2, 3) if b.truth()] or [1]
    name = str(b.one_of(["mean", "amax", "amin"]))
    b.add(f"{name} over {dims}", [b.tensor()], lambda t: getattr(torch, name)(t, dims, keepdim=True))


def _spread(b: _Builder) -> None:
    """A tensor with its mean over some dimensions."""
    dims = [dim for dim in (1, 2, 3) if b.truth()] or [3]
    x = b.tensor()
    name = str(b.one_of(["sub", "add", "mul", "minimum", "maximum"]))
    for mean in b.add(f"mean over {dims}", [x], lambda t: t.mean(dims, keepdim=True)):
        b.add(name, [x, mean] if b.truth() else [mean, x], getattr(torch, name))


def _statistics_norm(b: _Builder) -> None:
    """By the statistics of each image: of groups of channels, or of the channels of each pixel."""
    x = b.tensor()
    channels, height, width = b.shapes[x]
    if height * width > 1 and b.truth():  # of one number there is no group norm
        groups = int(b.one_of([g for g in range(1, channels + 1) if channels % g == 0]))  # type: ignore[call-overload]
        layer: nn.Module = nn.GroupNorm(groups, channels, eps=0.1)
        b.add(str(layer), [x], layer)
    else:
        scale = torch.rand(channels) + 0.5
        b.add("layer norm", [x], lambda t: F.layer_norm(t.movedim(1, 3), (channels,), scale.to(t), eps=0.1).movedim(3, 1))


def _map_of_numbers(b: _Builder) -> None:
    factor = torch.rand(1, *b.shapes[x := b.tensor()][1:]) + 0.5
    b.add("map of numbers - x", [x], lambda t: factor - t)


def _local_response_norm(b: _Builder) -> None:
    layer = nn.LocalResponseNorm(b.whole(1, 6), alpha=0.5, beta=float(b.one_of([0.75, 0.5])), k=float(b.whole(1, 2)))  # type: ignore[arg-type]
    b.add(str(layer), [b.tensor()], layer)


def _linear(b: _Builder) -> None:
    """Flattened, through a linear layer, and back to a map."""
    x = b.tensor()
    features = b.shapes[x][0] * b.shapes[x][1] * b.shapes[x][2]
    out = b.whole(1, 20)
    layer = nn.Linear(features, out, bias=b.truth())
    flat = nn.Sequential(nn.Flatten(), layer, nn.ReLU()) if b.truth() else nn.Sequential(nn.Flatten(), layer)
    b.add(str(layer), [x], nn.Sequential(flat, nn.Unflatten(1, (out, 1, 1))))


def _transposed(b: _Builder) -> None:
    b.add("height and width exchanged", [b.tensor()], lambda t: t.transpose(2, 3))


KINDS = (
    *(_convolution, _activation, _slice, _concat, _shuffle, _split, _residual, _residual_unit, _squeeze_excite),
    *(_pool, _adaptive_pool, _resize, _norm, _constants, _softmax, _local_response_norm, _linear, _cut, _transposed),
    *(_reduction, _spread, _statistics_norm, _map_of_numbers),
)


@st.composite
def networks(draw: Draw, most_steps: int = 8) -> RandomNetwork:
    """A network, and in `.shape` its input's (C, H, W)."""
    torch.manual_seed(0)
    b = _Builder(draw, [(0, 0, 0)])
    b.shapes[0] = shape = (b.whole(1, 12), b.whole(1, 18), b.whole(1, 18))
    for _ in range(b.whole(1, most_steps)):
        b.one_of(KINDS)(b)  # type: ignore[operator]
    unread = [i for i in range(1, len(b.shapes)) if i not in b.read]
    extra = [i for i in range(1, len(b.shapes)) if i in b.read and b.whole(0, 9) == 9]  # a tensor that is read and handed out
    return RandomNetwork(shape, b.steps, [*unread, *extra] or [0]).eval()
