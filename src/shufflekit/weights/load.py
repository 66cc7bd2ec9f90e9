"""Fills a network with weights of any known layout, or leaves it exactly as it was."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from shufflekit.errors import UsageError, WeightsError
from shufflekit.models import FeatureNet, Network, build_model, list_models, model_entry
from shufflekit.models._fill import fill, misfits, oddity, refuse, summary
from shufflekit.modes import take_modes
from shufflekit.weights.layouts import LAYOUTS, Converted, Layout
from shufflekit.weights.pretrained_cfg import default_cfg
from shufflekit.weights.read import read_weights, tensors_of

_MOST_TENSORS, _LARGEST = 5_000, 1 << 17  # of a file that is converted: channels are followed one by one


@dataclass(frozen=True)
class LoadReport:
    """What `load_weights` did.

    `layout` is the origin; `loaded` counts the tensors copied; `left` names the network's tensors that stayed as they
    were, `unused` those of the file that had no place; `options` has the constructor options that the file needed and
    that were set; `channel_order` has, for each feature map whose channels stand otherwise than in the origin's network,
    the origin's index of each of ours; `notes` says in words all that is out of the ordinary.
    """

    layout: str
    loaded: int
    left: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    channel_order: dict[str, list[int]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def load_weights(
    model: Network | FeatureNet, source: str | Path | Mapping[str, Any], *, transfer: bool = False, ema: bool | None = None
) -> LoadReport:
    """Loads weights of our own, torchvision's, pytorchcv's or the authors' layout, converted so that outputs are equal.

    A file whose network differs from this one in an option (`unit_split`, `shuffle_order`, ...) sets that option. A
    backbone file fills what comes before the head, and the report says so. A checkpoint of a training may hold anything else
    beside the weights; nothing in it is run.

    Args:
        model: the network, whole or cut to its feature maps.
        source: a file, a folder written by `save_pretrained`, or a state dict.
        transfer: leave out a classifier of another number of classes, and adapt a stem of other input channels.
        ema: True for a checkpoint's averaged weights, False for the others; by default the averaged ones where there are
            both, as in timm, and the report and a warning say so.

    Returns:
        What was loaded, what not, and what was changed for it.

    Raises:
        WeightsError: a file that cannot be read, an unknown layout, or tensors that do not fit; the network is as before.

    Example:
        >>> net, other = build_model("shufflenet_v2_x0_5"), build_model("shufflenet_v2_x0_5")
        >>> report = load_weights(net, other.state_dict())
        >>> report.layout, report.loaded, report.left
        ('plain', 338, ())
    """
    own = {key.partition(".")[0] for key in model.state_dict()}
    if isinstance(source, Mapping):
        name, (state, notes) = "state dict", tensors_of(source, "state dict", ema, own)
    else:
        name, (state, notes) = str(source), read_weights(source, ema, own)
    _refuse_odd(state, name)
    layout = next(layout for layout in LAYOUTS if layout.recognise(state))
    fitted, options, converted = _convert(layout, state, model, name)
    tensors, spared = converted.state, tuple[str, ...]()
    if transfer:
        tensors, spared, adapted = _adapted(tensors, fitted)
        notes += adapted
    tensors, left, unused = _fit(tensors, fitted, spared, f"{name} ({layout.name} layout)")
    if left:
        notes += (f"{len(left)} tensors are not in the file and were left as they were: {_children(left)}",)
    if unused:
        notes += (f"{len(unused)} tensors of the file have no place and were not used: {_children(unused)}",)
    notes += tuple(f"{option}: set to {value!r}, which the file needs" for option, value in options.items())

    target = _rebuilt(model, options) if options else model
    if bad := fill(target, tensors, name):
        notes += (f"{len(bad)} tensors have values that are not finite: {_children(bad)}",)
    if target is not model:
        _adopt(model, target)
    if layout.input is not None:
        model.pretrained_cfg = default_cfg(model) | dict(layout.input) | {"source": layout.name}
    return LoadReport(layout.name, len(tensors), left, unused, options, _kept_orders(converted, model), notes + converted.notes)


def _refuse_odd(state: Mapping[str, Tensor], name: str) -> None:
    """Before a layout reads their values."""
    refuse(name, [f"{key} is {odd}, needed plain values" for key, tensor in state.items() if (odd := oddity(tensor))])


def _convert(
    layout: Layout, state: dict[str, Tensor], model: Network | FeatureNet, name: str
) -> tuple[Network | FeatureNet, dict[str, Any], Converted]:
    """What takes the file (this network, or one like it with other options and no memory), those options, and the tensors."""
    current = _current_options(model)
    if layout is not LAYOUTS[-1] and (
        len(state) > _MOST_TENSORS or max(max(t.shape, default=0) for t in state.values()) > _LARGEST
    ):
        raise WeightsError(f"{name} ({layout.name} layout) does not fit {model.architecture}: it is many times as large")
    try:
        wanted = layout.options(state, current)
        options = {option: value for option, value in wanted.items() if option in current and current[option] != value}
        with torch.device("meta"):  # until all is known to fit, a file's sizes take no memory
            fitted = _like(model, options) if options else model
        return fitted, options, layout.convert(state, current | options)
    except (LookupError, ArithmeticError, RuntimeError, ValueError, TypeError) as error:
        if isinstance(error, WeightsError):
            raise WeightsError(f"{name} ({layout.name} layout): {error}") from None
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise WeightsError(f"{name} ({layout.name} layout) does not fit {model.architecture}: {what}") from None


def _current_options(model: Network | FeatureNet) -> dict[str, Any]:
    """The value that each constructor option of the network has."""
    if model.architecture not in list_models():
        return {key: getattr(model, key) for key in ("unit_split", "shuffle_order") if hasattr(model, key)}
    parameters = inspect.signature(model_entry(model.architecture).constructor).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty} | model.options


def _like(model: Network | FeatureNet, options: dict[str, Any]) -> Network | FeatureNet:
    """A network like this one, with other options and random weights."""
    if model.architecture not in list_models():
        needs = ", ".join(f"{option}={value!r}" for option, value in options.items())
        raise UsageError(f"the file needs {needs}: build the network so")
    built = build_model(model.architecture, **model.options | options)
    if isinstance(model, FeatureNet):
        assert isinstance(built, Network)
        names = built.feature_info.module_name()
        built = FeatureNet(built, [names.index(tap) for tap in model.feature_info.module_name()])
    return built


def _rebuilt(model: Network | FeatureNet, options: dict[str, Any]) -> Network | FeatureNet:
    """The same, with what was set on this one: place and precision, frozen weights, modes."""
    built = _like(model, options)
    built.pretrained_cfg = model.pretrained_cfg
    reference = next(model.parameters())
    built.to(reference.device, reference.dtype)
    take_modes(built, model)
    before = dict(model.named_parameters()) | dict(model.named_buffers())
    for name, tensor in [*built.named_parameters(), *built.named_buffers()]:
        like = before.get(name, reference)
        tensor.data = tensor.data.to(like.device, like.dtype if name in before else tensor.dtype)
        if isinstance(tensor, nn.Parameter):
            tensor.requires_grad_(name not in before or like.requires_grad)
    return built


def _adopt(model: nn.Module, other: nn.Module) -> None:
    """Makes a network the other one, in place: its layers, options and shapes; hooks stay."""
    torch_keeps = vars(nn.Module()).keys() - {"_modules"}
    vars(model).update((key, value) for key, value in vars(other).items() if key not in torch_keeps)


def _adapted(
    tensors: dict[str, Tensor], model: Network | FeatureNet
) -> tuple[dict[str, Tensor], tuple[str, ...], tuple[str, ...]]:
    """timm's ways: a stem of other channels is summed or repeated, a classifier of other classes left out (and named)."""
    own = model.state_dict()
    spared, notes = [], []
    if isinstance(model, Network):
        classifier = [name for name in own if name.startswith(f"{model.classifier_name}.")]
        if any(name in tensors and tensors[name].shape != own[name].shape for name in classifier):
            spared = classifier
            tensors = {name: tensor for name, tensor in tensors.items() if name not in classifier}
    stem = next(f"{name}.weight" for name, module in model.named_modules() if isinstance(module, nn.Conv2d))
    if stem in tensors and tensors[stem].dim() == 4 and tensors[stem].shape[1] != model.in_chans:
        tensors = {**tensors, stem: stem_for(tensors[stem], model.in_chans)}
        notes.append(f"{stem}: adapted to {model.in_chans} input channels")
    return tensors, tuple(spared), tuple(notes)


def stem_for(weight: Tensor, in_chans: int) -> Tensor:
    """A stem for other input channels, as timm does it: summed for one, else repeated at the same total.

    Example:
        >>> stem_for(torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1), 6).flatten().tolist()
        [0.5, 1.0, 1.5, 0.5, 1.0, 1.5]
    """
    if in_chans == 1:
        return weight.float().sum(1, keepdim=True).to(weight.dtype)
    channels = weight.shape[1]
    order = torch.arange(in_chans) % channels
    return weight[:, order] * (channels / in_chans)


def _fit(
    tensors: dict[str, Tensor], model: Network | FeatureNet, spared: tuple[str, ...], name: str
) -> tuple[dict[str, Tensor], tuple[str, ...], tuple[str, ...]]:
    """The tensors to copy, the network's that the file lacks, and the file's that have no place; anything else raises."""
    own = model.state_dict()
    if not tensors.keys() & own.keys():
        raise WeightsError(
            f"{name.split(' (')[0]}: no layout that is known: it has {', '.join(list(tensors)[:3])}, ...; "
            f"{model.architecture} has {', '.join(list(own)[:3])}, ..."
        )
    head = _head(own, model)
    left = spared if any(name in tensors for name in head) else tuple(head)
    unused = tuple(name for name in tensors if name not in own and _is_beyond(name, model))
    kept = {name: tensor for name, tensor in tensors.items() if name not in unused}
    problems = misfits(kept, {name: tensor for name, tensor in own.items() if name not in left})
    if problems:
        raise WeightsError(f"{name} does not fit {model.architecture}: {summary(problems)}")
    return {name: tensor for name, tensor in kept.items() if name in own}, left, unused


def _head(own: dict[str, Tensor], model: Network | FeatureNet) -> list[str]:
    """The tensors behind the deepest feature map, which a backbone file does not have."""
    deepest = model.feature_info.module_name()[-1]
    last = max((place for place, name in enumerate(own) if name.startswith(f"{deepest}.")), default=len(own))
    return list(own)[last + 1 :]


def _is_beyond(name: str, model: Network | FeatureNet) -> bool:
    """Whether a tensor belongs to what was cut off: layers behind the deepest map, or the classifier of none classes."""
    if isinstance(model, Network):
        return model.num_classes == 0 and name.startswith(f"{model.classifier_name}.")
    *_, (last, tail) = model.named_children()
    child, _, rest = name.partition(".")
    opened = child == last and any(tap.startswith(f"{last}.") for tap in model.feature_info.module_name())
    inner = {name for name, _ in tail.named_children()}
    return child not in dict(model.named_children()) or (opened and rest.partition(".")[0] not in inner)


def _children(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(name.split(".")[0] for name in names))


def _kept_orders(converted: Converted, model: Network | FeatureNet) -> dict[str, list[int]]:
    taps = model.feature_info.module_name()
    return {tap: order for tap, order in converted.channel_order.items() if tap in taps}
