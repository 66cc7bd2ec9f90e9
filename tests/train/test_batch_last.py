"""Maps with the images innermost: gradients, results and statistics against PyTorch in float64."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shufflekit.models import build_model
from shufflekit.train import batch_last
from shufflekit.train.batch_last import Map, UnfitError, plane_stride, reason_against, to_batch_last

native = pytest.importorskip("shufflekit._native", reason="the compiled part is not built")


class Block(nn.Module):
    """A convolution and its norm; what surrounds them is given."""

    def __init__(self, c_in: int, c_out: int, kernel: Any, stride: Any, padding: Any, groups: int, dilation: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, padding, dilation, groups, bias=False)
        self.bn = nn.BatchNorm2d(c_out, momentum=0.3)
        with torch.no_grad():
            self.bn.weight.uniform_(0.5, 1.5)
            self.bn.bias.uniform_(-0.5, 0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x))


def after_a_step(model: nn.Module, x: Tensor, given: Callable[[Tensor], Any]) -> dict[str, Tensor]:
    """Result, gradients and buffers of a copy; the loss weighs each value by its own number."""
    model, x = copy.deepcopy(model).to(x.dtype), x.clone().requires_grad_()
    result = model(given(x))
    result = result.tensor() if isinstance(result, Map) else result
    weights = torch.linspace(-1, 1, result.numel(), dtype=torch.float64).cos_().reshape(result.shape).to(x.dtype)
    (result * weights).sum().backward()
    assert x.grad is not None
    found = {"result": result.detach(), "x": x.grad} | {
        name: p.grad for name, p in model.named_parameters() if p.grad is not None
    }
    return found | dict(model.named_buffers())


def check(model: nn.Module, shape: tuple[int, ...], tolerance: float = 2e-5) -> None:
    x = torch.randn(shape)
    found, wanted = after_a_step(model, x, Map.of), after_a_step(model, x.double(), lambda x: x)
    assert found.keys() == wanted.keys()
    for name, exact in wanted.items():
        scale = exact.double().abs().max().item() + 0.5  # a true gradient may be zero
        assert (found[name].double() - exact).abs().max().item() < tolerance * scale, name


@pytest.fixture(autouse=True)
def _gaps_are_no_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is between planes, and what nobody has written, shows in whatever is computed from it."""

    def empty(n: int, c: int, h: int, w: int) -> Tensor:
        stride = plane_stride(n, h, w)
        return torch.full((c * stride,), math.nan).as_strided((n, c, h, w), (1, stride, w * n, n))

    monkeypatch.setattr(batch_last, "_empty", empty)


@pytest.fixture(params=native.instruction_sets())
def every_set(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def layer(shape: tuple[int, ...], order: tuple[int, ...]) -> Any:
        return native.TrainingLayer(list(shape), list(order), request.param)

    monkeypatch.setattr(batch_last, "_layer", layer)


SHAPES = [
    # in, out, kernel, stride, padding, groups, dilation; images, height, width
    ((12, 24, 1, 1, 0, 1, 1), (16, 4, 4)),
    ((24, 7, 1, 1, 0, 1, 1), (16, 3, 5)),
    ((40, 40, 1, 1, 0, 2, 1), (32, 3, 3)),  # kept sums, several tiles
    ((96, 24, 1, 1, 0, 8, 1), (48, 4, 2)),
    ((24, 96, 1, 1, 0, 8, 1), (128, 3, 3)),
    ((34, 26, 1, 1, 0, 1, 1), (16, 1, 1)),  # planes of one pixel
    ((24, 96, 1, 1, 0, 8, 1), (128, 10, 10)),  # from here on large maps, which pass the caches by
    ((96, 24, 1, 1, 0, 8, 1), (128, 10, 10)),
    ((34, 90, 1, 1, 0, 1, 1), (128, 10, 10)),
    ((12, 8, 1, 2, 0, 1, 1), (16, 5, 5)),  # small again
    ((3, 13, 3, 1, 1, 1, 1), (16, 6, 5)),  # a stem
    ((6, 8, 3, 2, 1, 2, 1), (16, 7, 6)),
    ((5, 4, (3, 1), (1, 2), (1, 0), 1, 1), (16, 4, 5)),
    ((4, 6, 3, 1, 2, 1, 2), (16, 5, 5)),  # dilated
    ((9, 9, 3, 1, 1, 9, 1), (128, 4, 4)),  # depthwise
    ((9, 9, 3, 2, 1, 9, 1), (16, 5, 5)),
    ((4, 8, 5, 1, 2, 4, 1), (144, 3, 3)),
    ((6, 6, 3, 1, 1, 6, 1), (16, 1, 1)),
]


@pytest.mark.parametrize(("layer", "size"), SHAPES)
@pytest.mark.usefixtures("every_set")
def test_a_convolution_and_its_norm(layer: tuple[Any, ...], size: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    check(Block(*layer), (size[0], layer[0], *size[1:]))


class Masked(nn.Module):
    """A wide map that one block ends with bounds and the next one reads."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Block(24, 96, 1, 1, 0, 8), Block(96, 24, 1, 1, 0, 8)

    def forward(self, x: Tensor) -> Any:
        return self.second(F.hardtanh(self.first(x), -0.5, 0.75))


@pytest.mark.parametrize("side", [3, 10])
@pytest.mark.usefixtures("every_set")
def test_a_map_that_its_reader_masks_small_and_large(side: int) -> None:
    torch.manual_seed(0)
    check(Masked(), (128, 24, side, side), tolerance=3e-4)


class Around(nn.Module):
    """Two blocks of equal widths, and what the case does with them."""

    def __init__(self, case: Callable[..., Any], depth: int) -> None:
        super().__init__()
        self.case = case
        self.first, self.second = Block(depth, depth, 1, 1, 0, 2), Block(depth, depth, 1, 1, 0, 2)
        self.depthwise = Block(depth, depth, 3, 1, 1, depth)

    def forward(self, x: Tensor) -> Tensor:
        return self.case(self, x)


def shuffle(x: Any, groups: int) -> Any:
    n, c, h, w = x.shape
    return x.view(n, groups, c // groups, h, w).transpose(1, 2).reshape(n, c, h, w)


def branches(m: Around, x: Tensor) -> Any:
    y = F.relu(m.first(x))
    return torch.cat((m.depthwise(y), F.relu(m.second(y))), 1)


def halves(m: Around, x: Tensor) -> Any:
    y = shuffle(torch.cat((F.relu(m.first(x)), m.second(x)), 1), 2)
    half = y.shape[1] // 2
    left, right = y[:, :half], y[:, half:]
    return shuffle(torch.cat((left, m.depthwise(right)), 1), 4)


CASES: dict[str, Callable[..., Any]] = {
    "relu": lambda m, x: F.relu(m.first(x)),
    "relu in place": lambda m, x: F.relu(m.first(x), inplace=True),
    "relu6": lambda m, x: F.relu6(m.first(x)),
    "hardtanh": lambda m, x: F.hardtanh(m.first(x), -0.5, 0.25),
    "bounds whose reader masks": lambda m, x: m.second(F.hardtanh(m.first(x), 0.0, 1.0)),
    "a relu whose reader masks": lambda m, x: m.second(F.relu(m.first(x))),
    "residual": lambda m, x: m.second(F.relu(m.first(x))) + x,
    "residual from the left": lambda m, x: x + m.second(m.first(x)),
    "residual and relu": lambda m, x: m.second(F.relu(x + m.first(x))),
    "a relu that is added too": lambda m, x: F.relu((y := F.relu(m.first(x))) + m.second(y)),
    "a relu read before its convolution": lambda m, x: (y := F.relu(m.first(x))) * 0.5 + m.second(y),
    "two relus": lambda m, x: F.relu6(F.relu(m.first(x))),
    "shuffle": lambda m, x: m.depthwise(shuffle(F.relu(m.first(x)), 2)),
    "shuffle into groups": lambda m, x: m.second(shuffle(F.relu(m.first(x)), 4)),
    "shuffle at the end": lambda m, x: shuffle(m.first(x), 4),
    "two branches": branches,
    "halves": halves,
    "pools": lambda m, x: F.relu(
        torch.cat((F.avg_pool2d(y := F.relu(m.first(x)), 3, 2, 1), F.max_pool2d(m.depthwise(y), 3, 2, 1)), 1)
    ),
    "average pools": lambda m, x: (
        m.second(F.avg_pool2d(m.first(x), 3, 2, 1)) + F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
    ),
    "an average with a divisor of its own": lambda m, x: F.avg_pool2d(m.first(x), 3, 2, 1, divisor_override=4),
    "images after images": lambda m, x: torch.cat((m.first(x), m.second(x))),
    "a norm of two that were put together": lambda m, x: m.second.bn(
        torch.cat((m.first.conv(x)[:, :4], m.second.conv(x)[:, 4:]), 1)
    ),
    "a norm that is not trained": lambda m, x: F.batch_norm(
        m.first.conv(x), m.first.bn.running_mean, m.first.bn.running_var, m.first.bn.weight, m.first.bn.bias, False
    ),
    "a norm without weights": lambda m, x: m.second(F.batch_norm(m.first.conv(x), None, None, None, None, True)),
    "a norm without shifts": lambda m, x: F.batch_norm(m.first.conv(x), None, None, m.first.bn.weight, None, True),
    "a norm without factors": lambda m, x: F.batch_norm(m.first.conv(x), None, None, None, m.first.bn.bias, True),
    "a norm of a norm": lambda m, x: m.second.bn(m.first(x)),
    "a norm of other channels": lambda m, x: m.second.bn(shuffle(m.first.conv(x), 4)),
    "a norm of what was read": lambda m, x: (y := m.first.conv(x)).mean((2, 3), keepdim=True) + m.first.bn(y),
    "whole mean": lambda m, x: m.first(x).mean((2, 3)),
    "mean and gate": lambda m, x: (y := m.first(x)) * torch.sigmoid(m.second(y).mean((2, 3), keepdim=True)),
    "no norm": lambda m, x: F.relu(m.first.conv(x)),
    "unknown operators": lambda m, x: torch.sigmoid(m.first(x)).flatten(1).square() - 1,
    "both waiting": lambda m, x: m.first(x) + m.second(x),
    "two relus of what PyTorch made": lambda m, x: torch.cat((F.relu(m.first(x) * 0.5), F.relu6(m.second(x) * 4)), 1),
    "twice the same": lambda m, x: (y := m.first(x)) + y,
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("depth", [8, 36])
def test_what_surrounds_them(case: str, depth: int) -> None:
    torch.manual_seed(1)
    check(Around(CASES[case], depth), (16, depth, 4, 6), tolerance=3e-4)  # a norm behind a norm amplifies rounding


@pytest.mark.parametrize(("images", "kind"), [(16, Map), (32, Map), (8, Tensor)])
def test_what_pytorch_computes_of_a_map_is_a_map_again_where_it_can_be(images: int, kind: type) -> None:
    found = Map.of(torch.randn(32, 3, 4, 5))[:images]
    assert type(found) is kind
    assert type(torch.sigmoid(found)) is kind
    assert type(torch.sigmoid(found).double()) is Tensor


def test_an_activation_in_place_of_what_was_read_is_refused() -> None:
    def case(m: Around, x: Any) -> Any:
        y = m.first(x)
        z = m.second(y)
        return z + F.relu(y, inplace=True)

    with pytest.raises(UnfitError, match="read before"):
        Around(case, 8)(Map.of(torch.randn(16, 8, 2, 2)))


def test_the_same_bits_again_and_on_two_threads_the_same_to_rounding() -> None:
    torch.manual_seed(2)
    threads = torch.get_num_threads()
    for layer, size in [
        ((24, 16, 1, 1, 0, 1), (32, 5, 5)),
        ((24, 16, 1, 1, 0, 8), (32, 5, 5)),
        ((6, 6, 3, 1, 1, 6), (16, 5, 5)),
    ]:
        model, x = Block(*layer), torch.randn(size[0], layer[0], *size[1:])
        found = []
        for count in (1, 1, 2, 3, 2):
            torch.set_num_threads(count)
            found.append(after_a_step(model, x, Map.of))
        torch.set_num_threads(threads)
        once, again, two, three, two_again = found
        assert all(torch.equal(once[name], again[name]) and torch.equal(two[name], two_again[name]) for name in once)
        for other in (two, three):
            for name in once:
                torch.testing.assert_close(other[name], once[name], rtol=1e-4, atol=1e-4)


NETWORKS: list[tuple[str, dict[str, Any]]] = [
    ("shufflenet_v1_g8_x0_25", {}),
    ("shufflenet_v1_g3_x0_25", {"shuffle": False}),
    ("shufflenet_v1_g4_x0_25", {"shuffle_order": "release"}),
    ("se_shufflenet_v1_g3_x0_25", {}),
    ("shufflenet_v2_x0_5", {"dropout": 0.3}),
    ("mobilenet_v1_x0_25", {}),
    ("mobilenet_v2_x0_15", {}),
]


@pytest.mark.parametrize(("name", "options"), NETWORKS)
def test_whole_networks_train_as_in_pytorch(name: str, options: dict[str, Any]) -> None:
    torch.manual_seed(3)
    model = build_model(name, num_classes=5, small_input=True, **options)
    assert reason_against(model, (32, 3, 16, 16), 5) == ""


def test_most_of_a_network_runs_in_our_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but speed would tell: 49 of the 49 convolutions of ShuffleNet V1."""
    steps = []
    apply = batch_last._ConvNorm.apply
    monkeypatch.setattr(batch_last._ConvNorm, "apply", lambda *args: steps.append(args) or apply(*args))
    model = build_model("shufflenet_v1_g8_x0_25", num_classes=5, small_input=True)
    model(Map.of(torch.randn(16, 3, 16, 16)))
    assert len(steps) == sum(isinstance(m, nn.Conv2d) for m in model.modules()) == 49


@pytest.mark.parametrize("pool", [F.max_pool2d, F.avg_pool2d])
def test_a_pool_of_what_is_bounded_is_bounded_so_that_relu_behind_it_costs_nothing(pool: Callable[..., Any]) -> None:
    bounded = pool(F.relu6(Block(4, 8, 1, 1, 0, 1)(Map.of(torch.randn(16, 4, 5, 5)))), 3, 2, 1)
    value = bounded._parts[0].value
    assert F.relu(bounded)._parts[0].value is value is not None


class Doubled(nn.Module):
    """Right in the forward pass; a gradient is lost on maps only."""

    def __init__(self) -> None:
        super().__init__()
        self.block, self.fc = Block(3, 4, 1, 1, 0, 1), nn.Linear(4, 2)

    def forward(self, x: Any) -> Tensor:
        y = self.block(x)
        y = y.tensor().detach() * 0.3 + y.tensor() * 0.7 if isinstance(y, Map) else y
        return self.fc(y.mean((2, 3)))


def test_a_network_that_would_train_otherwise_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = (16, 3, 4, 4)
    assert "block.conv.weight is off by" in reason_against(Doubled(), shape, 2)
    assert reason_against(Doubled(), (24, 3, 4, 4), 2) == "a batch must be a multiple of 16, found 24"
    monkeypatch.setattr(batch_last, "_native", None)
    assert reason_against(Doubled(), shape, 2) == "the compiled part is missing"


def test_the_trial_changes_neither_the_network_nor_the_random_numbers() -> None:
    model = build_model("shufflenet_v2_x0_5", num_classes=3, small_input=True, dropout=0.5).eval()
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    assert reason_against(model, (16, 3, 16, 16), 3) == ""
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not model.training
    assert all(p.grad is None for p in model.parameters())


def test_layout() -> None:
    x = torch.randn(16, 3, 4, 5)
    moved = to_batch_last(x)
    assert moved.stride() == (1, 336, 80, 16)  # 20 cache lines and one
    assert torch.equal(moved, x)
    assert to_batch_last(moved) is moved
    without_gaps = torch.empty_strided(x.shape, (1, 320, 80, 16)).copy_(x)
    assert torch.equal(to_batch_last(without_gaps), x)
    assert to_batch_last(without_gaps) is not without_gaps


@pytest.mark.parametrize(
    ("size", "lines"), [((16, 1, 1), 1), ((16, 7, 7), 49), ((32, 7, 7), 99), ((128, 4, 4), 145), ((128, 32, 32), 8209)]
)
def test_a_channel_starts_an_odd_number_of_cache_lines_after_the_one_before(size: tuple[int, int, int], lines: int) -> None:
    assert plane_stride(*size) == 16 * lines


def test_planes_that_do_not_hold_their_pixels_are_refused() -> None:
    shape = [16, 2, 2, 1, 4, 4, 3, 3, 1, 1, 1, 1, 1, 1]
    for planes in ([255, 256], [256, 255]):
        with pytest.raises(ValueError, match="plane: must hold its pixels"):
            native.TrainingLayer([*shape, *planes], [0, 1], "")
