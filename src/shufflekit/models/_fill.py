"""Tensors into a network: all of them or none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from shufflekit.errors import WeightsError, one_line


def fill(network: nn.Module, tensors: Mapping[str, Tensor], name: str) -> tuple[str, ...]:
    """Copies tensors into a network's of the same names: all of them, or none where anything fails.

    Args:
        network: keeps its own precision, device and memory.
        tensors: of the network's shapes; what the network does not have is left out.
        name: of the file, for errors.

    Returns:
        The names of tensors with values that are not finite.

    Raises:
        WeightsError: a tensor that cannot be copied as it is; the network is as before.
    """
    own = network.state_dict()
    pairs = {key: (own[key], tensor) for key, tensor in tensors.items() if key in own}
    refuse(name, [problem for key, (to, source) in pairs.items() if (problem := _unusable(key, source, to))])
    refuse(name, _torn(pairs))
    try:
        with torch.no_grad():
            staged = _staged(pairs)
            refuse(name, [problem for key, (_, source) in pairs.items() if (problem := _lost(key, source, staged[key]))])
            _copy(staged, {key: to for key, (to, _) in pairs.items()})
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(f"{name}: cannot be loaded: {one_line(error)}") from None
    return tuple(key for key, new in staged.items() if new.is_floating_point() and not bool(new.isfinite().all()))


def refuse(name: str, problems: list[str]) -> None:
    """Raises one WeightsError for all problems, where there are any."""
    if problems:
        raise WeightsError(f"{name}: cannot be loaded: {summary(problems)}")


def _staged(pairs: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    """The new values in the network's precision and place, in memory that is not the network's."""
    ours = {to.untyped_storage().data_ptr() for to, _ in pairs.values()}
    staged = {key: source.detach().to(to.device, to.dtype) for key, (to, source) in pairs.items()}
    return {key: new.clone() if new.untyped_storage().data_ptr() in ours else new for key, new in staged.items()}


def _copy(staged: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    before = {key: to.clone() for key, to in own.items()}
    try:
        for key, to in own.items():
            to.copy_(staged[key])
    except BaseException:  # also of Ctrl-C
        for key, to in own.items():
            to.copy_(before[key])
        raise


def misfits(found: Mapping[str, Tensor], needed: Mapping[str, Tensor]) -> list[str]:
    """What keeps tensors from filling a network, a short phrase each, in the network's order; counters may be missing."""
    problems = []
    for name, tensor in needed.items():
        if name not in found:
            if not name.endswith(".num_batches_tracked"):
                problems.append(f"{name} is missing, needed {tuple(tensor.shape)}")
        elif odd := oddity(found[name]):
            problems.append(f"{name} is {odd}, needed plain values")
        elif found[name].shape != tensor.shape:
            problems.append(f"{name} is {tuple(found[name].shape)}, needed {tuple(tensor.shape)}")
    extra = [name for name in found if name not in needed and not name.endswith(".num_batches_tracked")]
    return problems + [f"{name} {oddity(found[name]) or tuple(found[name].shape)} has no place" for name in extra]


def oddity(tensor: Tensor) -> str | None:
    """What makes a tensor something else than an array of values; None for a plain one."""
    if nn.parameter.is_lazy(tensor):
        return "not initialised"
    if tensor.is_nested:
        return "nested"
    if tensor.layout != torch.strided:
        return "sparse"
    if tensor.is_quantized:
        return "quantised"
    if tensor.is_meta:
        return "on the meta device, without values"
    plain = type(tensor) in (Tensor, nn.Parameter)
    return None if plain else f"a {type(tensor).__name__}"


def _unusable(name: str, source: Tensor, to: Tensor) -> str | None:
    """Why one tensor cannot be copied into another of its shape."""
    if to.is_meta:
        return f"the network's {name} is on the meta device, without memory"
    if odd := oddity(source):
        return f"{name} is {odd}, needed plain values"
    if source.shape != to.shape:
        return f"{name} is {tuple(source.shape)}, needed {tuple(to.shape)}"
    if source.is_complex() != to.is_complex() or (to.is_floating_point() and not source.is_floating_point()):
        return f"{name} is {str(source.dtype).removeprefix('torch.')}, needed {str(to.dtype).removeprefix('torch.')}"
    return None


def _lost(name: str, source: Tensor, new: Tensor) -> str | None:
    """What a tensor in another precision has lost beside its last bits."""
    kind = str(new.dtype).removeprefix("torch.")
    if new.is_floating_point():
        narrower = torch.finfo(source.dtype).max > torch.finfo(new.dtype).max
        same = not narrower or torch.equal(source.isfinite(), new.isfinite().to(source.device))
        return None if same else f"{name} has values beyond {kind}"
    same = source.dtype == new.dtype or torch.equal(new.to(source.device, source.dtype), source)
    return None if same else f"{name} has values that are no {kind}"


def _torn(pairs: Mapping[str, tuple[Tensor, Tensor]]) -> list[str]:
    """Names that are one tensor in the network, and two in the file."""
    first: dict[tuple[Any, ...], str] = {}
    problems = []
    for name, (to, source) in pairs.items():
        if to.is_meta or not to.numel():
            continue
        twin = first.setdefault((to.data_ptr(), to.shape, to.stride()), name)
        if twin != name and not torch.equal(source, pairs[twin][1]):
            problems.append(f"{twin} and {name} are one tensor in the network, and two in the file")
    return problems


def summary(problems: list[str], shown: int = 3) -> str:
    more = f"; and {len(problems) - shown} more" if len(problems) > shown else ""
    return "; ".join(problems[:shown]) + more
