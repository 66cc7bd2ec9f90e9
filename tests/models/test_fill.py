"""Tensors go into a network all or not at all."""

import warnings

import pytest
import torch
from torch import nn

from shufflekit.errors import WeightsError
from shufflekit.models import build_model
from shufflekit.models._fill import fill


def net():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))


def snapshot(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(model, before):
    return all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


LAST = "2.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.to_sparse(), "2.weight is sparse, needed plain values"),
        (lambda t: t.to_mkldnn(), "2.weight is sparse, needed plain values"),
        (lambda t: t.to("meta"), "2.weight is on the meta device, without values, needed plain values"),
        (lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8), "2.weight is quantised, needed plain values"),
        (lambda t: t.to(torch.complex64), "2.weight is complex64, needed float32"),
        (lambda t: t.to(torch.int32), "2.weight is int32, needed float32"),
        (lambda t: t > 0, "2.weight is bool, needed float32"),
        (lambda t: t[:, :1], r"2.weight is \(2, 1, 1, 1\), needed \(2, 4, 1, 1\)"),
        (lambda t: nn.UninitializedParameter(), "2.weight is not initialised, needed plain values"),
        (lambda t: t.double() * 1e300, "2.weight has values beyond float32"),
    ],
)
def test_what_cannot_be_copied_changes_nothing(change, message):
    model, before = net(), snapshot(net())
    model.load_state_dict(before)
    with warnings.catch_warnings(action="ignore"):  # torch calls some of these old
        values = {**snapshot(net()), LAST: change(torch.ones(2, 4, 1, 1))}
    with pytest.raises(WeightsError, match=f"^file: cannot be loaded: {message}$"):
        fill(model, values, "file")
    assert same(model, before)


@pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt()])
@pytest.mark.parametrize("at", [0, 3, 8])
def test_a_copy_that_fails_is_undone(error, at, monkeypatch):
    model = net()
    before, copies = snapshot(model), []
    copy = torch.Tensor.copy_

    def failing(self, *arguments):
        copies.append(self)
        if len(copies) == at + 1:
            copy(self, torch.full_like(self, 9))
            raise error
        return copy(self, *arguments)

    monkeypatch.setattr(torch.Tensor, "copy_", failing)
    with pytest.raises(KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else WeightsError):
        fill(model, snapshot(net()), "file")
    monkeypatch.undo()
    assert len(copies) > at
    assert same(model, before)


@pytest.mark.parametrize(
    "prepare",
    [
        lambda model: model.half(),
        lambda model: model.requires_grad_(False),
        lambda model: model.to(memory_format=torch.channels_last),
        lambda model: model,
    ],
    ids=["half", "frozen", "channels_last", "plain"],
)
def test_the_network_keeps_its_form(prepare):
    model, new = prepare(net()), snapshot(net())
    form = [(p.dtype, p.requires_grad, p.stride(), p.data_ptr()) for p in model.parameters()]
    fill(model, new, "file")
    assert form == [(p.dtype, p.requires_grad, p.stride(), p.data_ptr()) for p in model.parameters()]
    assert all(torch.equal(tensor, new[name].to(tensor.dtype)) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("form", ["inference", "expanded", "strided", "views", "requires_grad", "float64", "float counters"])
def test_sources_of_every_form(form):
    model, values = net(), snapshot(net())
    if form == "inference":
        with torch.inference_mode():
            values = {name: tensor.clone() for name, tensor in values.items()}
    elif form == "expanded":
        values["1.bias"] = torch.ones(1).expand(4)
    elif form == "strided":
        values["0.weight"] = values["0.weight"].transpose(0, 1).contiguous().transpose(0, 1)
    elif form == "views":
        values["1.weight"], values["1.bias"] = torch.arange(8.0)[1:5], torch.arange(8.0)[::2]
    elif form == "requires_grad":
        values = {name: tensor.requires_grad_(tensor.is_floating_point()) for name, tensor in values.items()}
    elif form == "float64":
        values = {name: tensor.double() if tensor.is_floating_point() else tensor for name, tensor in values.items()}
    else:
        values["1.num_batches_tracked"] = torch.tensor(3.0)
    fill(model, values, "file")
    assert all(torch.equal(tensor, values[name].to(tensor.dtype)) for name, tensor in model.state_dict().items())


def test_a_network_made_in_inference_mode():
    with torch.inference_mode():
        model = net()
    new = snapshot(net())
    fill(model, new, "file")
    assert same(model, new)


def test_a_source_that_is_the_network_s_own_memory():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    before = snapshot(model)
    state = model.state_dict()
    fill(model, {"0.weight": state["1.weight"], "1.weight": state["0.weight"]}, "file")
    assert torch.equal(model[0].weight, before["1.weight"])
    assert torch.equal(model[1].weight, before["0.weight"])


def test_tied_parameters():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    before = snapshot(model)
    with pytest.raises(WeightsError, match="0.weight and 1.weight are one tensor in the network, and two in the file"):
        fill(model, {"0.weight": torch.ones(2, 2), "1.weight": torch.zeros(2, 2)}, "file")
    assert same(model, before)
    fill(model, {"0.weight": torch.ones(2, 2), "1.weight": torch.ones(2, 2)}, "file")
    assert bool((model[1].weight == 1).all())


def test_a_network_on_meta_cannot_be_filled():
    """`copy_` would do nothing, without a word."""
    with torch.device("meta"):
        model = build_model("shufflenet_v2_x0_5", num_classes=10)
    with pytest.raises(WeightsError, match="the network's conv1.0.weight is on the meta device, without memory"):
        fill(model, build_model("shufflenet_v2_x0_5", num_classes=10).state_dict(), "file")


def test_values_that_are_not_finite_are_named():
    values = snapshot(net())
    values["2.bias"][0] = float("nan")
    assert fill(net(), values, "file") == ("2.bias",)
