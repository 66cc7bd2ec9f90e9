"""Each operator, captured and run again, gives what its module gives."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shufflekit.errors import UsageError
from shufflekit.graph import capture, interpret, simplify


class Of(nn.Module):
    """A module of one function."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Taken(nn.Module):
    def __init__(self, *numbers: int) -> None:
        super().__init__()
        self.register_buffer("numbers", torch.tensor(numbers))

    def forward(self, x: Tensor) -> Tensor:
        return x.index_select(1, self.numbers)


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.rand(1, 4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale / 3 - 1.5


MODULES = {
    "conv": nn.Conv2d(4, 6, 3, stride=2, padding=1, dilation=2, groups=2),
    "conv same": nn.Conv2d(4, 6, (3, 5), padding="same"),
    "conv valid": nn.Conv2d(4, 6, 3, padding="valid", bias=False),
    "linear": nn.Sequential(nn.Flatten(), nn.Linear(4 * 9 * 7, 5)),
    "max pool": nn.MaxPool2d(3, 2, 1, ceil_mode=True),
    "average pool": nn.AvgPool2d(3, 2, 1, count_include_pad=False),
    "adaptive": nn.AdaptiveAvgPool2d((2, 3)),
    "adaptive maximum": nn.AdaptiveMaxPool2d(2),
    "mean": Of(lambda x: x.mean((2, 3))),
    "mean, kept": Of(lambda x: x.mean([-1, -2], keepdim=True)),
    "constants": Scaled(),
    "two values": Of(lambda x: x * x.sigmoid() + x),
    "clamp": Of(lambda x: x.clamp(min=0) + F.hardtanh(x, 0.0, 6.0)),
    "leaky": nn.LeakyReLU(0.2),
    **{name: Of(getattr(F, name)) for name in ("relu", "relu6", "hardswish", "hardsigmoid", "sigmoid", "silu")},
    "softmax": nn.Softmax(1),
    "chunk": Of(lambda x: torch.cat(x.chunk(2, 1)[::-1], 1)),
    "split": Of(lambda x: torch.cat(x.split([1, 3], 1)[::-1], 1)),
    "slices": Of(lambda x: x[:, 1::2, 2:-1, ::3]),
    "select": Of(lambda x: x[:, -1].flatten(1)),
    "take": Taken(3, 0, 3, 1, 2),
    "shuffle": nn.ChannelShuffle(2),
    "views": Of(lambda x: x.view(-1, 2, 2, 9, 7).transpose(1, 2).reshape(x.shape)),
    "permute": Of(lambda x: x.permute(0, 2, 3, 1).squeeze(-1).unsqueeze(1)),
    "nearest": nn.Upsample(scale_factor=2),
    "bilinear": nn.Upsample((13, 5), mode="bilinear"),
    "bilinear, corners": nn.Upsample(scale_factor=1.5, mode="bilinear", align_corners=True),
    "dropout": nn.Dropout(0.5),
    "in place": nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU(inplace=True)),
}


@pytest.mark.parametrize("name", MODULES)
def test_an_operator_computes_the_same(name: str) -> None:
    module = MODULES[name].eval()
    x = torch.randn(3, 4, 9, 7)
    graph = capture(module, (1, 4, 9, 7))
    with torch.inference_mode():
        expected = module(x.clone())
    for each in (graph, simplify(graph)):
        (found,) = interpret(each, x)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_the_module_keeps_its_mode() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4).eval(), nn.Dropout())
    capture(network, (1, 3, 5, 5))
    assert [module.training for module in network.modules()] == [True, True, False, True]


def test_local_response_norm_stays_one_operator() -> None:
    norm = nn.LocalResponseNorm(5, alpha=0.3, beta=0.5, k=2)
    graph = capture(norm, (1, 8, 4, 4))
    assert [node.op for node in graph.nodes] == ["local_response_norm"]
    x = torch.randn(2, 8, 4, 4)
    torch.testing.assert_close(interpret(graph, x)[0], norm(x))


def test_several_outputs() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor) -> list[Tensor]:
            return [x.relu(), x.sigmoid()]

    x = torch.randn(2, 3, 4, 4)
    relu, sigmoid = interpret(simplify(capture(Two(), (1, 3, 4, 4))), x)
    torch.testing.assert_close(relu, x.relu())
    torch.testing.assert_close(sigmoid, x.sigmoid())


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Sequential(nn.Identity(), Of(lambda x: x.cumsum(1))), r"operator aten.cumsum \(in 1\) is not supported"),
        (nn.ConvTranspose2d(3, 3, 2), "aten.conv_transpose2d"),
        (nn.Conv2d(3, 4, 1).double(), "cannot be captured|must be float32"),
        (nn.Conv2d(5, 4, 1), r"Conv2d cannot be captured at \(N, 3, 4, 4\)"),
        (Of(lambda x: x.mean(1)), "only the mean over height and width"),
        (Of(lambda x: x.clamp(0, 3)), "only the bounds of relu and relu6"),
        (Of(lambda x: 1 / x), "not supported"),
        (Of(lambda x: x if x.sum() > 0 else -x), "cannot be captured"),
    ],
)
def test_what_the_engine_lacks_is_named(module: nn.Module, message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        capture(module, (1, 3, 4, 4))
    assert "\n" not in str(error.value)
