"""Every registered network, by one set of tests: the smallest of each family always, the rest with the slow ones."""

from __future__ import annotations

import copy
import inspect

import pytest
import torch
from torch import Tensor

from shufflekit.errors import InputError
from shufflekit.models import FeatureNet, Network, build_model, model_entry
from tests.families import smallest_first


@pytest.fixture(scope="module", params=smallest_first())
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def net(name: str) -> Network:
    torch.manual_seed(0)
    return build_model(name, num_classes=10).eval()


@pytest.fixture(scope="module")
def meta_net(name: str) -> Network:
    """Shapes without arithmetic."""
    return on_meta(name)


def on_meta(name: str, **options: object) -> Network:
    with torch.device("meta"):
        return build_model(name, **options).eval()


def sides(net: Network, height: int = 65, width: int = 47) -> tuple[int, int]:
    """An odd size, no multiple of anything, that the network takes."""
    return max(height, net.min_input_size), max(width, net.min_input_size)


def images(net: Network, device: str = "cpu") -> Tensor:
    return torch.rand(2, net.in_chans, *sides(net), device=device)


def test_shapes_at_an_odd_size(meta_net: Network) -> None:
    x = images(meta_net, "meta")
    features = meta_net.forward_features(x)
    assert features.shape[:2] == (2, meta_net.num_features)
    assert meta_net.forward_head(features).shape == meta_net(x).shape == (2, 1000)
    pre_logits = meta_net.forward_head(features, pre_logits=True)
    assert pre_logits.dim() == 2
    assert len(pre_logits) == 2


def test_every_parameter_gets_a_finite_gradient(net: Network) -> None:
    net.train()
    scores = net(images(net))
    (scores * torch.randn_like(scores)).sum().backward()
    bad = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    net.eval().zero_grad(set_to_none=True)
    assert not bad


def test_eval_is_deterministic_and_finite(net: Network) -> None:
    x = images(net)
    with torch.inference_mode():
        first, second = net(x), net(x)
    assert first.isfinite().all()
    assert torch.equal(first, second)


def test_features_equal_the_taps_of_the_network(net: Network) -> None:
    x = images(net)
    taps: dict[str, Tensor] = {}

    def tap(name: str, out: Tensor | tuple[Tensor, ...]) -> None:
        taps[name] = (out[0] if isinstance(out, tuple) else out).clone()

    hooks = [
        net.get_submodule(name).register_forward_hook(lambda _, __, out, name=name: tap(name, out))
        for name in net.feature_info.module_name()
    ]
    with torch.inference_mode():
        net(x)
        for hook in hooks:
            hook.remove()
        maps = FeatureNet(net).eval()(x)
    assert [m.shape[1] for m in maps] == net.feature_info.channels()
    for name, found in zip(net.feature_info.module_name(), maps, strict=True):
        assert torch.equal(found, taps[name]), name


def test_a_map_grows_by_the_stated_reduction(meta_net: Network) -> None:
    height, width = sides(meta_net)
    features = FeatureNet(meta_net)
    step = max(meta_net.feature_info.reduction())
    small = features(torch.empty(1, meta_net.in_chans, height, width, device="meta"))
    tall = features(torch.empty(1, meta_net.in_chans, height + step, width, device="meta"))
    assert [b.shape[2] - a.shape[2] for a, b in zip(small, tall, strict=True)] == [
        step // reduction for reduction in meta_net.feature_info.reduction()
    ]
    assert [a.shape[3] for a in small] == [b.shape[3] for b in tall]


def test_features_only_with_out_indices(name: str, meta_net: Network) -> None:
    last = len(meta_net.feature_info) - 1
    with torch.device("meta"):
        cut = build_model(name, features_only=True, out_indices=(-1, 1)).eval()
    assert [cut.feature_info[i]["module"] for i in range(len(cut.feature_info))] == [
        meta_net.feature_info[1]["module"],
        meta_net.feature_info[last]["module"],
    ]
    assert [m.shape[1] for m in cut(images(meta_net, "meta"))] == cut.feature_info.channels()
    shapes = {key: value.shape for key, value in meta_net.state_dict().items()}
    assert {key: value.shape for key, value in cut.state_dict().items()}.items() <= shapes.items()
    with torch.device("meta"):
        first = build_model(name, features_only=True, out_indices=(0,))
    assert len(first.state_dict()) < len(cut.state_dict())


def test_reset_classifier(meta_net: Network) -> None:
    net = copy.deepcopy(meta_net)
    x = images(net, "meta")
    net.reset_classifier(7)
    assert net(x).shape == (2, 7)
    assert net.num_classes == net.options["num_classes"] == 7
    net.reset_classifier(0)
    assert net(x).shape == net.forward_head(net.forward_features(x), pre_logits=True).shape


def test_num_classes_and_in_chans(name: str) -> None:
    net = on_meta(name, num_classes=7, in_chans=1)
    assert (net.num_classes, net.in_chans) == (7, 1)
    assert net(images(net, "meta")).shape == (2, 7)
    assert on_meta(name, num_classes=0)(torch.empty(2, 3, *sides(net), device="meta")).dim() == 2


def test_the_smallest_input_runs_and_less_is_refused(name: str, meta_net: Network) -> None:
    least = meta_net.min_input_size
    assert meta_net(torch.empty(1, 3, least, least, device="meta")).shape == (1, 1000)
    for height, width in ((least - 1, least), (least, least - 1)):
        with pytest.raises(InputError, match=f"^{name}: input must be at least {least}x{least}, found {height}x{width}$"):
            meta_net(torch.empty(1, 3, height, width, device="meta"))


def test_options_rebuild_the_network(name: str) -> None:
    net = on_meta(name, num_classes=5)
    again = on_meta(net.architecture, **net.options)
    assert {k: v.shape for k, v in again.state_dict().items()} == {k: v.shape for k, v in net.state_dict().items()}


def test_small_input(name: str, meta_net: Network) -> None:
    if "small_input" not in inspect.signature(model_entry(name).constructor).parameters:
        pytest.skip("has no 32x32 form")
    net = on_meta(name, small_input=True, num_classes=10)
    x = torch.empty(2, 3, 32, 32, device="meta")
    assert net(x).shape == (2, 10)
    assert net.forward_features(x).shape[2:] == (4, 4)
    assert net.feature_info.channels() == meta_net.feature_info.channels()
    assert net.feature_info.reduction()[-1] == meta_net.feature_info.reduction()[-1] // 4
    assert [m.shape[2] for m in FeatureNet(net)(x)] == [32 // r for r in net.feature_info.reduction()]
    assert {k: v.shape for k, v in net.state_dict().items()} == {
        k: v.shape for k, v in on_meta(name, num_classes=10).state_dict().items()
    }


def test_export(net: Network) -> None:
    x = images(net)
    program = torch.export.export(net, (x,), strict=False)
    with torch.inference_mode():
        torch.testing.assert_close(program.module()(x), net(x))
