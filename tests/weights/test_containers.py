import logging

import pytest
import torch

from shufflekit.errors import WeightsError
from shufflekit.models import build_model
from shufflekit.weights import load_weights
from shufflekit.weights.containers import find_weights

PLAIN = {"a.weight": torch.zeros(2), "a.bias": torch.zeros(1)}
AVERAGE = {name: tensor + 1 for name, tensor in PLAIN.items()}


def under(prefix, state):
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def found(loaded, ema=None, own=None):
    """Whether the average was found, and the notes; the names must be the network's own."""
    result = find_weights(loaded, "net.pth", ema, own)
    assert list(result.tensors) == list(PLAIN)
    return bool(result.tensors["a.weight"][0] == 1), result.notes


AVERAGED_KEYS = [
    "ema",
    "model_ema",
    "state_dict_ema",
    "ema_state_dict",
    "params_ema",
    "averaged_model",
    "ema_model",
    "swa_model",
]


@pytest.mark.parametrize("key", [*AVERAGED_KEYS, "average", "shadow", "model_ema_state_dict"])
@pytest.mark.parametrize("plain", ["state_dict", "model", "net", "params"])
def test_averaged_weights_beside_others(key, plain, caplog):
    with caplog.at_level(logging.WARNING):
        averaged, notes = found({plain: PLAIN, key: AVERAGE, "epoch": 3})
    assert averaged
    assert notes == [f"took the averaged weights, {key!r}, and left out {plain!r}"]
    assert caplog.messages == [f"net.pth: {notes[0]}; load_weights(..., ema=False) takes the others"]
    caplog.clear()
    assert found({plain: PLAIN, key: AVERAGE}, ema=True) == (True, [])
    assert found({plain: PLAIN, key: AVERAGE}, ema=False) == (False, [])
    assert caplog.messages == []


@pytest.mark.parametrize("key", AVERAGED_KEYS)
def test_averaged_weights_alone(key):
    assert found({key: AVERAGE, "epoch": 3}) == (True, [])
    with pytest.raises(WeightsError, match=rf"net.pth: holds averaged weights only, '{key}'; needed others \(ema=False\)"):
        found({key: AVERAGE}, ema=False)


def test_no_averaged_weights():
    with pytest.raises(WeightsError, match=r"holds no averaged weights \(ema=True\), found a dict with 'model'"):
        found({"model": PLAIN}, ema=True)
    assert found({"model": PLAIN, "model_ema": None, "ema_decay": 0.9}) == (False, [])


def test_torch_s_averaged_model():
    net = build_model("shufflenet_v2_x0_5", num_classes=10)
    average = torch.optim.swa_utils.AveragedModel(net)
    with torch.no_grad():
        average.module.fc.bias.fill_(7)
    for source in (average.state_dict(), {"model": net.state_dict(), "averaged": average.state_dict()}):
        target = build_model("shufflenet_v2_x0_5", num_classes=10)
        load_weights(target, source, ema=True)
        assert target.fc.bias[0] == 7


def test_averaged_weights_beside_a_bare_state_dict():
    assert found({**PLAIN, "ema": AVERAGE}) == (True, ["took the averaged weights, 'ema', and left out the tensors beside it"])
    assert found({**PLAIN, "ema": AVERAGE}, ema=False) == (False, [])


@pytest.mark.parametrize(
    "prefix",
    [
        "module.",
        "_orig_mod.",
        "model.",
        "net.",
        "backbone.",
        "student.",
        "module._orig_mod.",
        "_orig_mod.module.",
        "ema.module.",
    ],
)
def test_prefixes_in_any_order(prefix):
    assert found(under(prefix, PLAIN))[1] == []
    assert found({"state_dict": {"model": under(prefix, PLAIN)}})[1] == []
    assert found(under(f"model.{prefix}", PLAIN))[1] == []


def test_two_networks_in_one_state_dict():
    both = under("model.", PLAIN) | under("ema_model.module.", AVERAGE)
    assert found(both)[0]
    assert found(both, ema=False) == (False, [])
    with pytest.raises(WeightsError, match=r"holds several sets of tensors, 'model.', 'net.'; give one of them"):
        found(under("model.", PLAIN) | under("net.", PLAIN))
    with pytest.raises(WeightsError, match=r"holds several sets of tensors, 'generator', 'discriminator'; give one of them"):
        found({"generator": PLAIN, "discriminator": PLAIN})


def test_a_prefix_that_not_all_tensors_have():
    loss = under("model.", PLAIN) | {"loss.weight": torch.ones(3)}
    assert found(loss, own={"a"}) == (False, ["took the 2 tensors under 'model.', left out 1 others"])
    for own in (None, {"a", "loss", "c"}):  # nothing is known of the network, or all of it belongs to the network
        kept = find_weights(loss | {"c.x": torch.ones(1)} if own else loss, "net.pth", own=own).tensors
        assert "loss.weight" in kept
        assert ("a.weight" in kept) == (own is not None)
    mixed = find_weights(loss | {"x.weight": torch.ones(1)}, "net.pth", own={"a", "loss"})
    assert list(mixed.tensors) == ["model.a.weight", "model.a.bias", "loss.weight", "x.weight"]


def test_a_network_s_own_name_is_no_prefix():
    kept = find_weights(under("model.", PLAIN), "net.pth", own={"model"})
    assert list(kept.tensors) == ["model.a.weight", "model.a.bias"]


def test_what_else_a_training_keeps_is_no_weights():
    adam = torch.optim.AdamW([torch.nn.Parameter(torch.ones(2))])
    adam.param_groups[0]["params"][0].grad = torch.ones(2)
    adam.step()
    extras = {"optimizer": adam.state_dict(), "ema_optimizer": adam.state_dict(), "avg_meters": {"loss": torch.tensor(1.0)}}
    assert found({"my_network": PLAIN, **extras}) == (False, [])


def test_a_dict_that_holds_itself():
    loop = {"model": {"a": 1}}
    loop["model"]["model"] = loop
    with pytest.raises(WeightsError, match="holds no tensors by name"):
        find_weights(loop, "net.pth")
