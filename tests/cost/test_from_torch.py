"""Counts, each worked out by hand beside the network, and against `torch.utils.flop_counter`."""

from __future__ import annotations

import copy
import re
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from shufflekit.cost import count
from shufflekit.errors import InputError, ShufflekitError, UsageError
from shufflekit.models import build_model, list_models, model_entry


class Apply(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_pointwise_convolution_is_the_papers_formula(groups):
    counts = count(nn.Conv2d(16, 32, 1, groups=groups, bias=False), (1, 16, 7, 5))
    assert counts.flops == 7 * 5 * 16 * 32 // groups
    assert counts.mac == 7 * 5 * (16 + 32) + 16 * 32 // groups
    assert counts.params == 16 * 32 // groups


def test_every_kind_of_layer_by_hand():
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 10),
    )
    counts = count(net, (2, 3, 16, 16))
    image, large, small, pooled = 2 * 3 * 256, 2 * 8 * 64, 2 * 8 * 16, 2 * 8
    assert [(layer.name, layer.operator, layer.flops, layer.params, layer.mac) for layer in counts.layers] == [
        ("0", "convolution", 2 * 64 * 8 * 27, 8 * 27, image + large + 8 * 27),
        ("1", "native_batch_norm", 0, 16, 0),
        ("2", "relu_", 0, 0, 2 * large),
        ("3", "max_pool2d_with_indices", 0, 0, large + small),
        ("4", "convolution", 2 * 16 * 8 * 9, 8 * 9 + 8, 2 * small + 8 * 9 + 8),
        ("5", "mean", 0, 0, small + pooled),
        ("7", "addmm", 2 * 8 * 10, 90, pooled + 90 + 2 * 10),
    ]
    assert (counts.flops, counts.params, counts.mac) == tuple(
        sum(getattr(layer, field) for layer in counts.layers) for field in ("flops", "params", "mac")
    )
    assert counts.layers[3].input_shapes == ((2, 8, 8, 8),)
    assert counts.layers[3].output_shapes == ((2, 8, 4, 4),)
    assert counts.unknown == {}


@pytest.mark.parametrize(
    ("function", "mac"),
    [
        pytest.param(lambda x: x[:, :4], 0, id="slice"),
        pytest.param(lambda x: x.transpose(1, 2).flatten(2, 2), 0, id="transpose"),
        pytest.param(lambda x: x.reshape(1, 8 * 36), 0, id="reshape"),
        pytest.param(lambda x: x.contiguous(), 0, id="contiguous already"),
        pytest.param(lambda x: torch.nn.functional.dropout(x, training=False), 0, id="dropout"),
        pytest.param(lambda x: x.transpose(1, 2).contiguous(), 2 * 288, id="contiguous"),
        pytest.param(lambda x: x.transpose(1, 2).reshape(1, 8 * 36), 2 * 288, id="reshape of a transpose"),
        pytest.param(lambda x: torch.cat(x.chunk(2, dim=1), dim=1), 2 * 288, id="cat"),
        pytest.param(lambda x: x + x[:, :, :1, :1], 288 + 8 + 288, id="broadcast add"),
        pytest.param(lambda x: x + torch.ones(8, 1, 1).expand(8, 6, 6), 288 + 8 + 288, id="add of an expanded constant"),
        pytest.param(lambda x: x.relu(), 2 * 288, id="relu"),
        pytest.param(lambda x: torch.nn.functional.hardswish(x), 2 * 288, id="hardswish"),
        pytest.param(lambda x: x.flatten(2) @ x.flatten(2).transpose(1, 2), 288 + 288 + 64, id="matmul"),
    ],
)
def test_views_are_free_and_copies_are_not(function, mac):
    counts = count(Apply(function), (1, 8, 6, 6))
    assert counts.mac == mac
    assert counts.unknown == {}


def test_batch_norm_is_free_only_right_behind_a_convolution():
    norm = nn.BatchNorm2d(8)
    behind_relu = count(nn.Sequential(nn.Conv2d(8, 8, 1, bias=False), nn.ReLU(), norm), (1, 8, 4, 4))
    assert behind_relu.layers[-1].mac == 2 * 128 + 4 * 8  # map in and out; weight, bias, mean, variance
    own_statistics = count(nn.Sequential(nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8, track_running_stats=False)), (1, 8, 4, 4))
    assert own_statistics.layers[-1].mac == 2 * 128 + 2 * 8


def test_unknown_operator_is_reported_and_its_traffic_counted():
    counts = count(Apply(lambda x: torch.cumsum(torch.cumsum(x, 1), 2)), (1, 2, 3, 4))
    assert counts.unknown == {"cumsum": 2}
    assert counts.mac == 2 * 2 * 24


def test_a_shared_weight_is_counted_once():
    linear = nn.Linear(4, 4, bias=False)
    counts = count(nn.Sequential(linear, linear), (1, 4))
    assert counts.params == 16
    assert [layer.params for layer in counts.layers] == [16, 0]
    assert counts.mac == 2 * (4 + 16 + 4)  # but read twice


def test_the_model_is_left_as_it_was():
    net = build_model("shufflenet_v2_x0_5").train()
    net.stage3.eval()
    modes = [module.training for module in net.modules()]
    state = copy.deepcopy(net.state_dict())
    addresses = [p.data_ptr() for p in net.parameters()]
    count(net, (1, 3, 224, 224))
    assert [module.training for module in net.modules()] == modes
    assert [p.data_ptr() for p in net.parameters()] == addresses
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    assert all(p.requires_grad and p.device.type == "cpu" for p in net.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


def test_weights_may_be_on_the_meta_device():
    with torch.device("meta"):
        counts = count(build_model("shufflenet_v2_x1_0"), (1, 3, 224, 224))
    assert counts == count(build_model("shufflenet_v2_x1_0"), (1, 3, 224, 224))


def test_published_flops_of_v2():
    """V2 Table 8 prints 146 M at 1x, which needs the release's stride-2 unit; parameters are torchvision's."""
    release = count(build_model("shufflenet_v2_x1_0", unit_split="release"), (1, 3, 224, 224))
    assert release.flops == pytest.approx(145.81e6, abs=5e3)
    even = count(build_model("shufflenet_v2_x1_0"), (1, 3, 224, 224))
    assert (even.params, even.flops) == (2_278_604, 144_907_992)


def test_what_cannot_be_counted_is_one_line():
    with pytest.raises(InputError, match=r"Apply cannot be counted at \(1, 2\): it looks at the values of a tensor"):
        count(Apply(lambda x: x if x.sum() > 0 else -x), (1, 2))
    with pytest.raises(InputError, match=r"cannot be counted at \(1, 2\): RuntimeError$"):
        count(Apply(raises_without_words), (1, 2))
    with pytest.raises(InputError, match=r"model: 1.weight of a lazy module has no shape before its first call"):
        count(nn.Sequential(nn.ReLU(), nn.LazyConv2d(4, 1)), (1, 3, 8, 8))
    for other in ("shufflenet_v2_x1_0", None, nn.ReLU):
        with pytest.raises(UsageError, match=r"model: must be a torch.nn.Module, found \w+; create_model builds one by name"):
            count(other, (1, 3, 8, 8))
    with pytest.raises(InputError, match=r"shufflenet_v2_x0_5: input must be at least 32x32, found 31x40"):
        count(build_model("shufflenet_v2_x0_5"), (1, 3, 31, 40))


def raises_without_words(x: Tensor) -> Tensor:
    raise RuntimeError


@pytest.mark.parametrize("shape", [(), (1, 0, 8, 8), (1, 3, -8, 8), (1, 3, 32.5, 8), "1388", 224, None, (1, 3, 10**30, 8)])
def test_a_shape_that_is_none_is_one_line(shape):
    with pytest.raises(ShufflekitError, match="input_shape: "):
        count(nn.Conv2d(3, 4, 1), shape)


def _check_against_flop_counter(name: str) -> None:
    with torch.device("meta"):
        net = build_model(name).eval()
        shape = (1, net.in_chans, *model_entry(name).input_size)
        with FlopCounterMode(display=False) as theirs:
            net(torch.empty(shape))
    ours = count(net, shape)
    assert 2 * ours.flops == theirs.get_total_flops()
    assert ours.unknown == {}
    assert ours.params == sum(p.numel() for p in net.parameters()) == sum(layer.params for layer in ours.layers)


def _smallest() -> list[str]:
    """The first name of each family: the names that differ in their width (`_x0_5`) or size (`_13m`) alone are one."""
    return list({re.sub(r"_x\d+_\d+$|_\d+m$", "", name): name for name in reversed(list_models())}.values())


@pytest.mark.parametrize("name", _smallest())
def test_flops_are_half_of_flop_counters(name):
    _check_against_flop_counter(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", list_models())
def test_flops_of_every_network_are_half_of_flop_counters(name):
    _check_against_flop_counter(name)


def test_layers_say_whose_results_they_read_through_views():
    class Halves(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 1, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv(x)
            left, right = x[:, :2], x[:, 2:].relu_()  # the same storage
            return torch.cat((left + torch.ones(2, 1, 1), right), 1)

    layers = count(Halves(), (1, 4, 3, 3)).layers
    assert [(layer.operator, layer.reads) for layer in layers] == [
        ("convolution", ()),
        ("relu_", (0,)),
        ("add", (1,)),
        ("cat", (2, 1)),
    ]


def test_bytes_follow_the_type_of_the_elements_and_categories_are_those_of_figure_2():
    net = nn.Sequential(nn.Conv2d(4, 4, 1, bias=False), nn.ReLU(), nn.ChannelShuffle(2), nn.AvgPool2d(3), nn.Sigmoid())
    for dtype, size in ((torch.float32, 4), (torch.float64, 8), (torch.float16, 2), (torch.bfloat16, 2)):
        layers = count(net.to(dtype), (1, 4, 3, 3)).layers
        assert [x.category for x in layers] == ["convolution", "element-wise", "data movement", "other", "element-wise"]
        assert [layer.mac_bytes for layer in layers] == [size * elements for elements in (72 + 16, 72, 72, 40, 8)]
        assert layers[0].intensity == 9 * 16 / (size * (72 + 16))
    widened = nn.Sequential(nn.ReLU(), nn.Conv2d(4, 4, 1, bias=False), Apply(Tensor.double), nn.Sigmoid())
    assert [layer.mac_bytes for layer in count(widened, (1, 4, 3, 3)).layers] == [288, 288 + 64, 36 * (4 + 8), 36 * (8 + 8)]


class Holds(nn.Module):
    """A pointwise convolution, then a function of its module and map; it holds what it is given."""

    def __init__(self, function: Callable[[Any, Tensor], Any] = lambda self, x: x, **held: Any) -> None:
        super().__init__()
        self.conv, self.function = nn.Conv2d(3, 3, 1), function
        for name, value in held.items():
            setattr(self, name, value)

    def forward(self, x: Tensor) -> Any:
        return self.function(self, self.conv(x))


SCALE = torch.ones(3, 1, 1)


@pytest.mark.parametrize(
    ("net", "mac"),
    [
        (Holds(lambda self, x: x * self.scales[0], scales=[torch.ones(3, 1, 1)]), 2 * 192 + 3),
        (Holds(lambda self, x: x * self.scales["a"], scales={"a": torch.ones(3, 1, 1)}), 2 * 192 + 3),
        (Holds(lambda self, x: x * self.scale, scale=torch.ones(3, 1, 1)), 2 * 192 + 3),
        (Holds(lambda self, x: x * SCALE), 2 * 192 + 3),
        (Holds(lambda self, x: x * torch.from_numpy(np.ones((3, 1, 1), np.float32))), 2 * 192 + 3),
        (Holds(lambda self, x: x + torch.zeros(3, 1, 1, device="cpu")), 2 * 192 + 3),
        (Holds(lambda self, x: x + torch.arange(8, device=x.device)), 2 * 192 + 8),
        (Holds(lambda self, x: x + x.new_zeros(3, 1, 1)), 2 * 192 + 3),
        (Holds(lambda self, x: x + torch.zeros_like(x)), 3 * 192),
        (Holds(lambda self, x: x * sum(torch.arange(8, device=x.device).tolist())), 2 * 192),
        (Holds(lambda self, x: x * self.conv.bias.sum().item()), 3 + 1 + 2 * 192),
        (Holds(lambda self, x: x.relu() if x.device.type == "cpu" else 1 / 0), 2 * 192),
        (Holds(lambda self, x: {"a": x, "b": [None, 3]}), 0),
    ],
)
def test_tensors_of_any_origin_are_counted_as_those_that_the_network_reads(net, mac):
    counts = count(net, (1, 3, 8, 8))
    assert counts.flops == 64 * 9
    assert counts.mac == 2 * 192 + 12 + mac
    assert counts.unknown == {}


def test_a_buffer_that_is_not_saved_is_counted_too():
    net = Holds(lambda self, x: x * self.scale * self.scale.sum().item())
    net.register_buffer("scale", torch.ones(3, 1, 1), persistent=False)
    assert count(net, (1, 3, 8, 8)).mac == 2 * 192 + 12 + (2 * 192 + 3) + 2 * 192 + (3 + 1)


@pytest.mark.parametrize("held", [threading.Lock(), (i for i in ()), [threading.Lock()], threading.Thread(), threading])
def test_what_cannot_be_copied_is_no_obstacle(held):
    net = nn.Sequential(Holds(held=held), nn.ReLU())
    assert (count(net, (1, 3, 8, 8)).flops, net[0].held) == (64 * 9, held)
    assert [layer.name for layer in count(net, (1, 3, 8, 8)).layers] == ["0.conv", "1"]


def test_a_module_may_hold_a_weak_reference_and_a_result():
    net = Holds(lambda self, x: x * self.itself().product)
    net.itself, net.product = weakref.ref(net), net.conv.weight.sum() * 2
    assert count(net, (1, 3, 8, 8)).flops == 64 * 9


def test_what_a_forward_keeps_it_keeps_in_a_copy():
    def keeps(self: Any, x: Tensor) -> Tensor:
        self.calls, self.maps["last"] = self.calls + 1, x
        self.seen += 1
        return x * torch.from_numpy(np.ones(1, np.float32))  # not on the meta device

    net = Holds(keeps, calls=0, maps={})
    net.register_buffer("seen", torch.zeros(()))
    count(net, (1, 3, 8, 8))
    assert (net.calls, net.maps, net.seen.item()) == (0, {}, 0.0)


def plain() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()).eval()


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize(
    "wrapped",
    [
        lambda: nn.DataParallel(plain()),
        lambda: torch.compile(plain()),
        lambda: torch.jit.script(plain()),
        lambda: torch.jit.freeze(torch.jit.script(plain())),
        lambda: torch.jit.trace(plain(), torch.zeros(1, 3, 8, 8)),
        lambda: plain().to("meta"),
    ],
)
def test_a_network_in_another_form_counts_alike(wrapped):
    theirs, ours = count(wrapped(), (1, 3, 8, 8)), count(plain(), (1, 3, 8, 8))
    assert (theirs.flops, theirs.mac) == (ours.flops, ours.mac) == (36 * 27 * 8, ours.mac)
    # The optimiser of a frozen one has folded its batch norm already.
    assert [x.operator for x in theirs.layers if x.mac] == [x.operator for x in ours.layers if x.mac]


def test_a_compiled_part_can_still_be_compiled():
    from torch._dynamo.utils import counters

    inner = Holds(lambda self, x: x + 1)
    net = nn.Sequential(nn.Conv2d(3, 3, 1), torch.compile(inner, backend="eager")).eval()
    assert count(net, (1, 3, 8, 8)).flops == 2 * 64 * 9
    counters.clear()
    with torch.no_grad():
        net(torch.zeros(1, 3, 8, 8))
    assert counters["stats"]["unique_graphs"] == 1


def test_global_settings_are_left_as_they_were():
    good, bad = Holds(lambda self, x: x * SCALE), nn.Conv2d(4, 3, 1)
    random, before = torch.get_rng_state(), torch.backends.mha.get_fastpath_enabled()
    try:
        for fused in (True, False):
            torch.backends.mha.set_fastpath_enabled(fused)
            count(good, (1, 3, 8, 8))
            with pytest.raises(InputError):
                count(bad, (1, 3, 8, 8))
            assert torch.backends.mha.get_fastpath_enabled() == fused
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
    assert torch.equal(torch.get_rng_state(), random)


def test_transposed_convolutions_know_themselves():
    plain = (nn.Conv2d(16, 8, 3, 2), nn.Conv2d(16, 8, 1, groups=2, padding=1), nn.Conv3d(16, 16, 3, groups=16))
    transposed = (nn.ConvTranspose2d(16, 4, 2, 2), nn.ConvTranspose2d(16, 32, 1), nn.ConvTranspose2d(16, 16, 2, 2, groups=16))
    for nets, expected in ((plain, True), (transposed, False), ((nn.AvgPool2d(2),), False)):
        for net in nets:
            side = (9,) * (3 if isinstance(net, nn.Conv3d) else 2)
            assert count(net, (1, 16, *side)).layers[0].is_convolution == expected


INDEX = torch.tensor([0, 2, 4])


@pytest.mark.parametrize("channels", [8, 80])
@pytest.mark.parametrize(
    ("function", "mac"),
    [
        pytest.param(lambda x: x.index_select(1, INDEX), 2 * 3 * 36 + 3, id="index_select"),
        pytest.param(lambda x: x[:, INDEX], 2 * 3 * 36 + 3, id="index"),
        pytest.param(lambda x: x.gather(1, torch.zeros(1, 3, 6, 6, dtype=torch.int64)), 2 * 3 * 36 + 3 * 36, id="gather"),
        pytest.param(lambda x: nn.functional.embedding(INDEX, x[0, :, 0]), 2 * 3 * 6 + 3, id="embedding"),
    ],
)
def test_a_gather_reads_what_it_returns_however_large_its_table_is(function, mac, channels):
    assert count(Apply(function), (1, channels, 6, 6)).mac == mac


@pytest.mark.parametrize(
    ("function", "mac"),
    [
        pytest.param(lambda x: torch.empty_like(x).copy_(x), 2 * 288, id="copy_"),
        pytest.param(lambda x: x.fill_(1.0), 288, id="fill_"),
        pytest.param(lambda x: x.zero_(), 288, id="zero_"),
        pytest.param(lambda x: x.add_(x), 3 * 288, id="add_ reads what it overwrites"),
    ],
)
def test_what_only_writes_does_not_read_what_it_overwrites(function, mac):
    assert count(Apply(function), (1, 8, 6, 6)).mac == mac


def test_counts_grow_with_the_batch_but_for_weights():
    net = nn.Sequential(nn.Conv2d(8, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 9, 5))
    one, two, three = (count(net, (batch, 8, 6, 6)) for batch in (1, 2, 3))
    weights = 8 * 16 * 9 + 16 + 16 * 9 * 5 + 5
    assert one.flops * 3 == three.flops
    assert two.mac - one.mac == three.mac - two.mac == one.mac - weights
    assert one.params == two.params == weights + 2 * 16


def test_a_residual_of_a_batch_norm_is_not_folded_twice():
    """The norm folds into the convolution whose result it reads, and into no other."""

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.norm = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)

        def forward(self, x: Tensor) -> Tensor:
            return self.norm(self.first(x) + self.second(x))

    assert [layer.mac for layer in count(Two(), (1, 4, 3, 3)).layers] == [2 * 36 + 20, 2 * 36 + 20, 3 * 36, 2 * 36 + 4 * 4]


def test_a_constant_is_nobodys_result_wherever_it_lies():
    """Each is made where an earlier map lay that is no longer there."""

    def sums(x: Tensor) -> Tensor:
        for _ in range(30):
            x = x.relu() + torch.ones(1, 8, 6, 6)
        return x

    layers = count(Apply(sums), (1, 8, 6, 6)).layers
    assert [layer.reads for layer in layers] == [(), *((place,) for place in range(59))]
