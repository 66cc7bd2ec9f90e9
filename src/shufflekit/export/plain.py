"""Networks for converters: copies in evaluation, whose weights are plain tensors on the CPU."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize, prune
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

_HOOKS = (prune.BasePruningMethod, SpectralNorm, WeightNorm)  # compute a weight anew before each call


def plain_copy(network: nn.Module) -> nn.Module:
    """A network that computes the same in evaluation, with weights that are computed from others (norms, masks) computed once.

    The modules are copied one by one, and their tensors are shared where they are on the CPU: nothing needs to be copied
    that cannot be, such as a lock or a tensor that was computed.

    Args:
        network: left as it was.

    Example:
        >>> from torch.nn.utils.parametrizations import weight_norm
        >>> net = plain_copy(weight_norm(nn.Linear(2, 3)))
        >>> [name for name, _ in net.named_parameters()], net.training
        (['bias', 'weight'], False)
    """
    with torch.no_grad():
        return _copied(network, {})


def _copied(module: nn.Module, known: dict[int, Any]) -> Any:
    if id(module) in known:
        return known[id(module)]
    if isinstance(module, torch.jit.ScriptModule):
        known[id(module)] = deepcopy(module).eval()  # no Python underneath whose attributes could be shared
        return known[id(module)]
    copy: nn.Module = object.__new__(type(module))
    known[id(module)] = copy
    state = {name: value.copy() if isinstance(value, dict) else value for name, value in vars(module).items()}
    state["_modules"] = {name: child and _copied(child, known) for name, child in module._modules.items()}
    state["_parameters"] = {name: _on_cpu(tensor, known) for name, tensor in module._parameters.items()}
    state["_buffers"] = {name: _on_cpu(tensor, known) for name, tensor in module._buffers.items()}
    copy.__dict__.update(state, training=False)
    _fold_parametrizations(copy)
    _fold_hooks(copy)
    return copy


def _on_cpu(tensor: Tensor | None, known: dict[int, Any]) -> Tensor | None:
    if tensor is None:
        return None
    if id(tensor) not in known:
        plain = tensor.detach().cpu()
        known[id(tensor)] = nn.Parameter(plain, requires_grad=False) if isinstance(tensor, nn.Parameter) else plain
    return known[id(tensor)]


def _fold_parametrizations(copy: nn.Module) -> None:
    if not parametrize.is_parametrized(copy):
        return
    parametrizations: Any = copy.parametrizations
    values = {name: getattr(copy, name) for name in parametrizations}
    copy.__class__ = type(copy).__bases__[0]  # torch made a class of its own, with a property for each of the names
    del copy._modules["parametrizations"]
    for name, value in values.items():
        copy.register_parameter(name, nn.Parameter(value, requires_grad=False))


def _fold_hooks(copy: nn.Module) -> None:
    for key, hook in list(copy._forward_pre_hooks.items()):
        if isinstance(hook, _HOOKS):
            hook(copy, ())
            name = hook._tensor_name if isinstance(hook, prune.BasePruningMethod) else hook.name
            value = vars(copy).pop(name)
            copy.register_parameter(name, nn.Parameter(value.detach(), requires_grad=False))
            del copy._forward_pre_hooks[key]
