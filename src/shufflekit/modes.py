"""Networks in evaluation, and PyTorch on some threads, for as long as something takes; afterwards all is as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def evaluation(*models: nn.Module) -> Iterator[None]:
    """Inside `with`, every module is in evaluation; then each has its own mode again.

    The flags are set one by one: some modules' `eval()` merges weights for good, and `train(mode)` would give one mode to all.

    Example:
        >>> net = nn.Sequential(nn.Dropout(), nn.BatchNorm2d(8).eval())
        >>> with evaluation(net):
        ...     print([module.training for module in net])
        [False, False]
        >>> [module.training for module in net]
        [True, False]
    """
    modules = (module for model in models for module in model.modules())
    modes = {module: module.training for module in modules if hasattr(module, "training")}  # frozen scripted ones have none
    try:
        for module in modes:
            module.training = False
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def take_modes(new: nn.Module, old: nn.Module) -> None:
    """Gives each module of a new network the mode of the old one's module of that name; one without a like, its parent's.

    Example:
        >>> old, new = (nn.Sequential(nn.Dropout(), nn.BatchNorm2d(8)) for _ in range(2))
        >>> _ = old[1].eval()
        >>> take_modes(new, old)
        >>> new.training, new[0].training, new[1].training
        (True, True, False)
    """
    modes = {name: module.training for name, module in old.named_modules()}
    for name, module in new.named_modules():  # a parent comes before its children
        module.training = modes[name] = modes.get(name, modes[name.rpartition(".")[0]])


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Inside `with`, PyTorch computes on that many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
