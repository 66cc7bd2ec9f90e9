"""What is captured holds at every batch size, and capturing leaves everything else as it was."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shufflekit.errors import UsageError
from shufflekit.graph import simplify
from shufflekit.graph.from_torch import capture
from tests.graph.running import run

SHAPE = (1, 4, 6, 5)


class Of(nn.Module):
    """A network of one function, with a convolution, a vector and a counter to use."""

    def __init__(self, function: Callable[[Any, Tensor], Any]) -> None:
        super().__init__()
        self.function = function
        self.conv = nn.Conv2d(4, 4, 1)
        self.vector = nn.Parameter(torch.rand(4))
        self.register_buffer("count", torch.zeros(()))
        self.kept: list[Tensor] = []
        self.eval()

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


def check(function: Callable[[Any, Tensor], Tensor]) -> None:
    network = Of(function)
    graph = capture(network, SHAPE)
    for batch in (1, 2, 3):
        x = torch.randn(batch, *SHAPE[1:])
        with torch.inference_mode():
            expected = network(x.clone())
        for each in (graph, simplify(graph)):
            torch.testing.assert_close(run(each, x)[0], expected, rtol=1e-5, atol=1e-5)


def authors_shuffle(x: Tensor) -> Tensor:
    n, c, h, w = x.size()
    pairs = x.reshape(n * c // 2, 2, h * w).permute(1, 0, 2).reshape(2, -1, c // 2, h, w)
    return torch.cat((pairs[0], pairs[1] * 2), 1)


def unbound_shuffle(x: Tensor) -> Tensor:
    n, c, h, w = x.size()
    even, odd = x.view(n, c // 2, 2, h, w).permute(2, 0, 1, 3, 4)
    return torch.cat((even, odd * 2), 1)


@pytest.mark.parametrize(
    "function",
    [
        lambda _, x: authors_shuffle(x),
        lambda _, x: unbound_shuffle(x),
        lambda _, x: torch.stack(x.chunk(2, 1)).transpose(0, 1).flatten(1, 2),
        lambda _, x: torch.stack([x], -3).flatten(1, 2),
        lambda _, x: x.reshape(x.shape[0] * 2, 2, 6, 5).relu().mul(2).reshape(x.shape),
        lambda _, x: x.permute(1, 0, 2, 3).reshape(4, -1).view(4, x.shape[0], 6, 5).permute(1, 0, 2, 3),
        lambda _, x: x.mean((2, 3), keepdim=True).squeeze(-1).squeeze(-1),
        lambda _, x: x[:, :, None].squeeze(2)[:, 1:],
        lambda _, x: x[:, :2].contiguous() * 2,
    ],
    ids=[
        "authors' shuffle",
        "unbound",
        "stacked",
        "stacked alone",
        "folded",
        "behind the channels",
        "squeezed",
        "indexed",
        "a copy",
    ],
)
def test_images_that_stay_apart_are_followed(function: Callable[[Any, Tensor], Tensor]) -> None:
    check(function)


def with_gradients(function: Callable[[], Tensor]) -> Tensor:
    with torch.enable_grad():
        return function()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            lambda _, x: x / x.shape[0],
            r"aten.div.Tensor \(in the network itself\): .* must be a constant, and depends on the batch size",
        ),
        (lambda _, x: x / torch.tensor(x.shape[0]), "is another one for a single image"),
        (lambda _, x: x * torch.arange(x.shape[0]).view(-1, 1, 1, 1), "depends on the batch size"),
        (lambda _, x: x * 2 if x.shape[0] == 1 else x, "is another one for a single image"),
        (lambda _, x: with_gradients(lambda: x * 2 if x.shape[0] == 1 else x * 3), "is another one for a single image"),
        (
            lambda _, x: torch.cat([x[:, :2].contiguous().mul_(2), x], 1),
            "is another one for a single image, from aten.contiguous on",
        ),
        (lambda _, x: x.mean((2, 3), keepdim=True).squeeze(), "squeeze .* without a dimension it drops a batch of one"),
        (
            lambda _, x: x * 2 if x.shape[0] > 16 else x.relu(),
            r"a path for some batch sizes only, those where N > 16 \(test_trace.py",
        ),
        (lambda _, x: x * 2 if x.shape[0] % 2 else x.relu(), "a path for some batch sizes only"),
        (lambda _, x: x * 2 if x.shape[0] == 7 else x.relu(), "is another one for a batch of 7"),
        (lambda _, x: x.view(len(x), -1), r"makes a fixed number of the batch size \(test_trace.py:\d+\)"),
        (lambda _, x: torch.cat([x[i : i + 1] for i in range(x.shape[0])]), "makes a fixed number of the batch size"),
        (lambda _, x: x.reshape(2, -1), "batch sizes only|do not stay apart"),
        (
            lambda _, x: x.reshape(-1, 2, 6, 5),
            r"output 0: dimension 0 must count the images of the batch, found \(2N, 2, 6, 5\)",
        ),
        (lambda _, x: F.pixel_shuffle(x.reshape(-1, 4, 3, 5), 2).reshape(x.shape), r"and nothing else, found \(2N, 1, 6, 10\)"),
        (lambda _, x: x[0:1], "dimension 0 counts the images of the batch, which must stay apart"),
        (lambda _, x: torch.cat([x, x]), "dimension 0 counts the images of the batch, which must stay apart"),
        (
            lambda _, x: x - x.mean(0, keepdim=True),
            r"aten.mean.dim \(.*\): dimension 0 counts the images of the batch",
        ),
        (
            lambda _, x: (x[:, :, :4].permute(1, 2, 3, 0) * torch.arange(4).view(1, 4, 1, 1)).permute(3, 0, 1, 2),
            r"aten.mul.Tensor \(.*\): a constant of shape \(4, 1, 1\) does not meet what each image has of \(4, 4, 5, N\)",
        ),
    ],
)
def test_what_depends_on_the_batch_is_refused(function: Callable[[Any, Tensor], Tensor], message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        capture(Of(function), SHAPE)
    assert "\n" not in str(error.value)


def in_region(region: Callable[[], Any]) -> Callable[[Any, Tensor], Tensor]:
    def forward(network: Any, x: Tensor) -> Tensor:
        with region():
            y = network.conv(x)
            with torch.no_grad():
                y = y.relu()
        return y + x

    return forward


REGIONS = [
    *(torch.enable_grad, torch.no_grad, lambda: torch.autocast("cpu", enabled=False)),
    lambda: torch.autocast("xpu", dtype=torch.bfloat16),  # of another device
]


@pytest.mark.parametrize("region", REGIONS)
def test_regions_that_change_nothing_are_no_obstacle(region: Callable[[], Any]) -> None:
    check(in_region(region))


def in_autocast(network: Any, x: Tensor) -> Tensor:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return network.conv(x.narrow(1, 0, 4)).float()


def test_autocast_on_the_cpu_is_refused() -> None:
    with pytest.raises(UsageError, match="bfloat16, and the engine computes in float32|wrap_with_autocast"):
        capture(Of(in_autocast), SHAPE)


def changed_view(network: Any, x: Tensor) -> Tensor:
    y = network.conv(x)
    half = y[:, :2]
    y.relu_()
    return torch.cat([y, half], 1)


def changed_alias(network: Any, x: Tensor) -> Tensor:
    y = network.conv(x)
    same = F.dropout(y, 0.5, network.training)
    same.relu_()
    return y + same


def read_before(network: Any, x: Tensor) -> Tensor:
    y = network.conv(x)
    gate = y.sigmoid()
    y *= gate
    return y.relu_()


def read_after(network: Any, x: Tensor) -> Tensor:
    y = network.conv(x)
    z = y
    y += 1
    return y * z


def filled(_: Any, x: Tensor) -> Tensor:
    mask = torch.zeros(4)
    mask[1:3] = 1
    return x * mask.view(1, 4, 1, 1)


def cached(network: Any, x: Tensor) -> Tensor:
    if not hasattr(network, "made"):
        network.made = torch.arange(4.0).view(4, 1, 1)
    return x * network.made


def test_a_cache_is_filled_anew_for_each_look_at_the_network() -> None:
    check(cached)


@pytest.mark.parametrize("function", [changed_view, changed_alias, read_before, read_after, filled])
def test_what_is_done_in_place_is_seen_by_all_that_share_the_tensor(function: Callable[[Any, Tensor], Tensor]) -> None:
    check(function)


def state(network: nn.Module) -> Any:
    return [
        (
            {name: id(value) for name, value in module.__dict__.items()},
            [
                (name, id(value), value.requires_grad, value.grad)
                for name, value in module._parameters.items()
                if value is not None
            ],
            [(name, id(value), value.tolist()) for name, value in module._buffers.items() if value is not None],
        )
        for module in network.modules()
    ]


def keeps(network: Any, x: Tensor) -> Tensor:
    network.cache = x * 2
    network.kept.append(x)
    network.count += 1
    return network.cache + 1


class MergesInEval(nn.Conv2d):
    def train(self, mode: bool = True) -> MergesInEval:
        raise AssertionError("train() and eval() of this layer merge its weights")


def test_the_network_is_left_as_it_was() -> None:
    for network in (Of(keeps), nn.Sequential(MergesInEval(4, 4, 1), nn.BatchNorm2d(4).eval(), nn.Dropout())):
        before = state(network)
        capture(network, SHAPE)
        assert state(network) == before
        assert not getattr(network, "kept", [])


def test_a_network_is_left_as_it_was_when_it_is_refused() -> None:
    def fails(network: Any, x: Tensor) -> Tensor:
        return keeps(network, x).sinh()

    network = Of(fails)
    before = state(network)
    with pytest.raises(UsageError, match=r"aten\.sinh"):
        capture(network, SHAPE)
    assert state(network) == before


def test_a_buffer_that_changes_at_each_call_is_refused_where_it_is_read() -> None:
    def counted(network: Any, x: Tensor) -> Tensor:
        network.count += 1
        return x * network.count

    with pytest.raises(UsageError, match="count changes at every call"):
        capture(Of(counted), SHAPE)


def test_threads_capture_at_the_same_time() -> None:
    norm, failed = F.local_response_norm, []
    shared = nn.Sequential(nn.Conv2d(4, 4, 1), nn.Dropout(), nn.LocalResponseNorm(3))

    def work() -> None:
        try:
            assert [node.op for node in capture(shared, SHAPE).nodes] == ["conv", "local_response_norm"]
            x = torch.randn(2, 4, 6, 5)
            torch.testing.assert_close(F.local_response_norm(x, 3), norm(x, 3))
        except (UsageError, AssertionError, RuntimeError) as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert F.local_response_norm is norm
    assert all(module.training for module in shared.modules())
