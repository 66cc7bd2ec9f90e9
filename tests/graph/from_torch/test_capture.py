"""Each operator, captured and run again, gives what its module gives."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune

import shufflekit as sk
from shufflekit.errors import InputError, UsageError
from shufflekit.graph import simplify
from shufflekit.graph.from_torch import capture
from shufflekit.graph.to_onnx import to_onnx
from shufflekit.graph.to_torch import to_torch
from tests.graph.running import run


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
    "repeat": Of(lambda x: x.repeat(1, 2, 1, 3)),
    "tile": Of(lambda x: torch.tile(x, (1, 2, 1, 3))),
    "tile of the last dimensions": Of(lambda x: torch.tile(x, (2, 3))),
    "nearest": nn.Upsample(scale_factor=2),
    "bilinear": nn.Upsample((13, 5), mode="bilinear"),
    "bilinear, corners": nn.Upsample(scale_factor=1.5, mode="bilinear", align_corners=True),
    "norm of vectors": Of(lambda x: torch.linalg.norm(x, dim=-1, keepdim=True) + torch.linalg.norm(x, 1, dim=2, keepdim=True)),
    "norm of matrices": Of(lambda x: torch.linalg.norm(x, dim=(2, 3))),
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
        (found,) = run(each, x)
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
    torch.testing.assert_close(run(graph, x)[0], norm(x))


def test_several_outputs() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor) -> list[Tensor]:
            return [x.relu(), x.sigmoid()]

    x = torch.randn(2, 3, 4, 4)
    relu, sigmoid = run(simplify(capture(Two(), (1, 3, 4, 4))), x)
    torch.testing.assert_close(relu, x.relu())
    torch.testing.assert_close(sigmoid, x.sigmoid())


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Sequential(nn.Identity(), Of(lambda x: x.cumprod(1))), r"operator aten.cumprod \(in 1\) is not supported"),
        (nn.RReLU(), "operator aten.rrelu .in the network itself. is not supported"),
        (nn.Conv2d(3, 4, 1).double(), "cannot be captured|must be float32"),
        (nn.Conv2d(5, 4, 1), r"Conv2d cannot be captured at \(N, 3, 4, 4\)"),
        (Of(lambda x: x if x.sum() > 0 else -x), "cannot be captured"),
        (
            Of(lambda x: x.cumprod(1).sinh().cumprod(2)),
            r"operators aten.cumprod \(2 times, in the network itself\), aten.sinh \(in the network itself\) are not",
        ),
        (
            Of(lambda x: [F.avg_pool2d(x, 2, divisor_override=3), x / torch.linalg.norm(x), x.sinh()]),
            r"operator aten.sinh \(.*\) is not supported; aten.avg_pool2d \(.*\): div.*; aten.linalg_.* .*: only norms",
        ),
        (Of(lambda x: x / torch.linalg.norm(x)), "only norms of vectors are supported, found ord=None of dim=None"),
        (Of(lambda x: x.half().float()), "gives float16, and the engine computes in float32"),
        (Of(lambda x: x.short().float()), "gives int16"),
        (Of(lambda x: x * torch.full((3, 1, 1), 0.5, dtype=torch.float64)), "gives float64"),
        (Of(lambda x: x + torch.rand(3, 1, 1)), r"aten.rand \(in the network itself\): it is random$"),
        (Of(lambda x: x + (torch.rand(3, 1, 1) * 2).exp()), r"^compile: aten.rand \(in the network itself\): it is random$"),
        (Of(lambda x: F.dropout(x, 0.5)), "it drops at random, in evaluation too"),
        (Of(lambda x: F.conv2d(x, x.mean((2, 3)).reshape(-1, 3, 1, 1)[:1])), "which must stay apart"),
        (
            Of(lambda x: torch.cat([x, torch.arange(x.shape[0]).float().view(-1, 1, 1, 1).expand_as(x)], 1)),
            "a weight or constant",
        ),
        (
            Of(lambda x: torch.cat([x, torch.zeros(1, 3, 4, 4, dtype=torch.int64).expand(x.shape[0], 3, 4, 4)], 1)),
            "a weight or",
        ),
        (Of(lambda x: x * 1j), "gives complex64"),
        (Of(lambda x: torch.cat([x[:, :0], x], 1)), "its result is empty"),
        (Of(lambda x: {}["key"]), "cannot be captured at .*: KeyError: 'key'"),
        (nn.BatchNorm2d(3, track_running_stats=False), "not by those of the batch"),
        (nn.Sequential(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1, device="meta")), "1.weight is on the meta device"),
        (Of(lambda x: (x, None)), "output 1 must be a tensor computed from the network's input, found None"),
        (Of(lambda x: [x, 5]), "output 1 must .*, found 5"),
        (Of(lambda x: (x, x.shape[0])), "output 1 must .*, found a constant"),
        (Of(lambda x: (x, torch.ones(3))), "output 1 must .*, found a constant"),
        (Of(lambda x: "text"), "output 0 must .*, found 'text'"),
        (Of(lambda x: []), "must return a tensor, found none"),
    ],
)
def test_what_the_engine_lacks_is_named(module: nn.Module, message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        capture(module, (1, 3, 4, 4))
    assert "\n" not in str(error.value)


class Symmetric(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight.triu() + weight.triu(1).transpose(-1, -2)


def symmetric() -> nn.Module:
    conv = nn.Conv2d(4, 4, 3)
    parametrize.register_parametrization(conv, "weight", Symmetric())
    return conv


DERIVED = {
    "weight norm": lambda: parametrizations.weight_norm(nn.Conv2d(4, 6, 3)),
    "spectral norm": lambda: parametrizations.spectral_norm(nn.Conv2d(4, 6, 3)),
    "orthogonal": lambda: nn.Sequential(nn.Flatten(), parametrizations.orthogonal(nn.Linear(4 * 9 * 7, 5))),
    "weight norm by a hook": lambda: nn.utils.weight_norm(nn.Conv2d(4, 6, 3)),
    "spectral norm by a hook": lambda: nn.utils.spectral_norm(nn.Conv2d(4, 6, 3)),
    "pruned": lambda: prune.l1_unstructured(nn.Conv2d(4, 6, 3), "weight", amount=0.5),
    "symmetric": symmetric,
}


class Using(nn.Module):
    """A function of the input, a parameter and a buffer of any type."""

    def __init__(self, function: Callable[[Tensor, Tensor, Tensor], Tensor], buffer: Tensor | None = None) -> None:
        super().__init__()
        self.function, self.weight = function, nn.Parameter(torch.rand(4, 4, 1, 1))
        self.register_buffer("buffer", torch.ones(3) if buffer is None else buffer)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, self.weight, self.buffer)


def _changed(x: Tensor) -> Tensor:
    x[:, 1:3] += 1
    x[:, :, :2] = x[:, :, 2:4] * 3
    return x


CONSTANTS = {
    "standardised weights": Using(lambda x, w, b: F.conv2d(x, (w - w.mean(1, keepdim=True)) / w.std())),
    "a gate of weights": Using(lambda x, w, b: x * w[0, :, 0, 0].sigmoid().exp().view(1, -1, 1, 1)),
    "a number of weights": Using(lambda x, w, b: x * w.sum().item()),
    "made in forward": Using(lambda x, w, b: x * torch.linspace(0, 1, 4).view(4, 1, 1) + torch.arange(4).view(1, 4, 1, 1)),
    "an identity": Using(lambda x, w, b: F.conv2d(x, torch.eye(4).view(4, 4, 1, 1))),
    "half": Using(lambda x, w, b: x * torch.full((4, 1, 1), 0.3, dtype=torch.float16)),
    "bfloat16": Using(lambda x, w, b: x + b, torch.full((4, 1, 1), 0.3, dtype=torch.bfloat16)),
    "flags": Using(lambda x, w, b: x * b, torch.tensor([True, False, True, True]).view(4, 1, 1)),
    "a number of float64": Using(lambda x, w, b: x * b, torch.tensor(0.1, dtype=torch.float64)),
    "divided by whole numbers": Using(lambda x, w, b: x / b, torch.tensor([1, 2, 3, 4]).view(4, 1, 1)),
    "unused int32": Using(lambda x, w, b: x * 2, torch.ones(3, dtype=torch.int32)),
    "unused float64": Using(lambda x, w, b: x * 2, torch.ones(3, dtype=torch.float64)),
    "cast to itself": Using(lambda x, w, b: x.float().to(w.dtype).type(torch.float32).to(w.device, w.dtype).type_as(w) * 2),
    "asserted": Using(lambda x, w, b: (torch._assert(x.shape[2] == 9, "rows"), x.detach().contiguous().clone())[1]),
    "not returned": Using(lambda x, w, b: (x.cumsum(1), x * 2)[1]),
    "no weight and bias": nn.BatchNorm2d(4, affine=False),
    "no random choice": nn.Sequential(nn.Dropout2d(), nn.AlphaDropout(), nn.FeatureAlphaDropout(), nn.Identity(), nn.ReLU()),
    "a constant for each image": Using(lambda x, w, b: torch.cat([x, w[:1, :1].expand(x.shape[0], 2, 9, 7)], 1)),
    "made for each image": Using(lambda x, w, b: torch.cat([torch.linspace(0, 1, 7).repeat(x.shape[0], 4, 9, 1), x], 2) * 2),
    "numbers as large as another": Using(
        lambda x, w, b: torch.cat([torch.zeros_like(x), x.new_ones(x.shape), torch.full_like(x[:, :1], 0.3)], 1) + 1
    ),
    "a part set": Using(
        lambda x, w, b: torch.slice_scatter(torch.slice_scatter(x, x[:, :1] * 2, 1, 1, 2), x[:, :, :4], 2, 5, 9)
    ),
    "a part set in place": Using(lambda x, w, b: _changed(x * 2)),
    "a list of channels": Using(lambda x, w, b: x[:, [2, 0, -1]]),
    "the input itself": nn.Identity(),
}


@pytest.mark.filterwarnings("ignore:.*weight_norm. is deprecated:FutureWarning")
@pytest.mark.parametrize("name", [*DERIVED, *CONSTANTS])
def test_what_depends_on_no_input_is_computed_as_torch_does(name: str) -> None:
    module = (DERIVED[name]() if name in DERIVED else CONSTANTS[name]).eval()
    graph = simplify(capture(module, (1, 4, 9, 7)))
    x = torch.randn(3, 4, 9, 7)
    with torch.inference_mode():
        expected = module(x)
    # An estimated norm can be close to 0, and the weights over it large.
    torch.testing.assert_close(run(graph, x)[0], expected, rtol=1e-5, atol=1e-5 * max(1.0, float(expected.abs().max())))


def test_outputs_come_in_the_order_of_what_holds_them() -> None:
    x = torch.randn(2, 3, 4, 4)
    nested = Of(lambda x: {"b": [x.relu(), (x.sigmoid(),)], "a": x})  # type: ignore[arg-type, return-value]
    found = run(simplify(capture(nested, (1, 3, 4, 4))), x)
    for y, expected in zip(found, (x.relu(), x.sigmoid(), x), strict=True):
        torch.testing.assert_close(y, expected)


def test_a_choice_between_two_networks_is_one_line() -> None:
    choice = Of(lambda x: torch.cond(x.mean() > 0, torch.relu, torch.neg, (x,)))
    with pytest.raises(UsageError, match=r"^compile: operator cond \(in the network itself\) is not supported"):
        capture(choice, (1, 3, 5, 5))


def test_a_batch_in_another_place_is_one_image() -> None:
    network = Of(lambda x: (x.flatten(2).permute(2, 0, 1).log_softmax(2), x * 2))
    engine = sk.compile(network, (1, 4, 6, 5))
    x = torch.randn(1, 4, 6, 5)
    for found, expected in zip(engine(x), network(x), strict=True):
        torch.testing.assert_close(found, expected)
    assert engine.program.info["batch"] == "the engine takes one image: dimension 0 of a result does not count them"
    with pytest.raises(InputError, match=r"must be \(1, 4, 6, 5\), found \(2, 4, 6, 5\)"):
        engine(torch.randn(2, 4, 6, 5))
    with pytest.raises(UsageError, match="int8: ranges are learnt of many images, and the network takes one"):
        sk.compile(network, (1, 4, 6, 5), int8=torch.randn(2, 4, 6, 5).numpy())


@pytest.mark.parametrize("write", [to_onnx, to_torch])
def test_a_graph_of_one_image_has_no_way_out(write) -> None:
    with pytest.raises(UsageError, match="a graph that takes one image only"):
        write(capture(Of(lambda x: x.transpose(0, 1)), (1, 4, 6, 5)))
