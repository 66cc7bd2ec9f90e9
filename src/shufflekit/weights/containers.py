"""Which of a checkpoint's tensors are the weights: out of the dicts around them, averaged or not, without prefixes."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from shufflekit.errors import WeightsError
from shufflekit.weights.pickled import OddTensor, StoredTensor

# What holds the weights that are no average, the likeliest first.
_PLAIN = (
    *("state_dict", "model_state_dict", "model_state", "model", "net_state_dict", "net", "network_state_dict", "network"),
    *("weights", "params", "parameters", "module", "student"),
)
# What wraps a network's own names: nn.DataParallel, torch.compile, FSDP, trainers.
_PREFIXES = ("module", "_orig_mod", "_fsdp_wrapped_module", "model", "net", "network", "backbone", "student")
_AVERAGED = re.compile(r"(.*_)?(ema|swa|avg|average|averaged|shadow)(_.*)?", re.IGNORECASE)  # torch, timm, BasicSR, YOLOX
_AVERAGED_PREFIX = re.compile(
    r"(ema|swa|avg|averaged?|shadow)(_(model|net|network))?|(model|net|network)_(ema|swa|avg|averaged?)"
)
_COUNTER = "n_averaged"  # torch.optim.swa_utils.AveragedModel's own
_MOST_DEPTH = 8
_MOST_NAME = 300  # characters
_HERE = ""  # not under a key, but beside them

_log = logging.getLogger("shufflekit")


@dataclass
class Found:
    """The weights of a checkpoint by name, and what is to be said of how they were found.

    `ema` is the caller's wish: True for averaged weights, False for others, None for the averaged ones of both.
    """

    name: str
    ema: bool | None
    tensors: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    averaged: bool = False

    def choose(self, plain: list[str], averaged: list[str], where: str) -> str:
        """One of several places of weights; what is left out is noted, and said where it is a guess between two kinds."""
        wanted = plain if self.ema is False or not averaged or (self.averaged and plain) else averaged
        if not wanted:
            raise WeightsError(
                f"{self.name}: holds averaged weights only, {_words(averaged, where)}; needed others (ema=False)"
            )
        if averaged and plain and self.ema is None and not self.averaged:
            note = f"took the averaged weights, {_words(averaged[:1], where)}, and left out {_words(plain, where)}"
            self.notes.append(note)
            _log.warning("%s: %s; load_weights(..., ema=False) takes the others", self.name, note)
        elif len(wanted) > 1:
            self.notes.append(f"took {_words(wanted[:1], where)}, left out {_words(wanted[1:], where)}")
        self.averaged = self.averaged or wanted is averaged
        return wanted[0]


def find_weights(loaded: Any, name: str, ema: bool | None = None, own: Collection[str] | None = None) -> Found:
    """The weights among what a file holds.

    Args:
        loaded: dicts in dicts, tensors or records of them.
        name: of the file, for errors.
        ema: see `Found`.
        own: names of the network's children, where tensors without a prefix may be left out beside those that have one.

    Raises:
        WeightsError: there are none, or several of which none is the likelier.

    Example:
        >>> import torch
        >>> found = find_weights({"model": {"module.fc.bias": torch.ones(2)}, "epoch": 3}, "last.pth")
        >>> list(found.tensors), found.notes
        (['fc.bias'], [])
    """
    found = Found(name, ema)
    state = loaded
    for _ in range(_MOST_DEPTH):
        key = _key(state, found) if isinstance(state, Mapping) else None
        if key is None or key is _HERE:
            break
        state = state[key]
    found.tensors = {str(k): v for k, v in state.items() if _is_tensor(v)} if isinstance(state, Mapping) else {}
    if not found.tensors:
        raise WeightsError(f"{name}: holds no tensors by name, found {_described(loaded)}")
    if any(len(key) > _MOST_NAME or not key.isprintable() for key in found.tensors):
        raise WeightsError(f"{name}: holds tensors by names of more than {_MOST_NAME} characters, or unprintable ones")
    while _strip(found, own):
        pass
    if ema and not found.averaged:
        raise WeightsError(f"{name}: holds no averaged weights (ema=True), found {_described(loaded)}")
    return found


def _key(state: Mapping[Any, Any], found: Found) -> str | None:
    """Under which key the weights lie, or None where they lie here."""
    known: dict[int, bool] = {}
    inside = [key for key, value in state.items() if isinstance(key, str) and _holds_tensors(value, known)]
    averaged = [key for key in inside if _AVERAGED.fullmatch(key)]
    plain = [key for key in _PLAIN if key in inside]
    others = [key for key in inside if key not in averaged and key not in plain]
    if not plain and any(_is_tensor(value) and value.ndim > 0 for value in state.values()):
        plain = [_HERE]
    if plain or averaged:
        if others:
            found.notes.append(f"left out {_words(others, '{}')}")
        return found.choose(plain, averaged, "{}")
    if len(others) > 1:
        raise WeightsError(f"{found.name}: holds several sets of tensors, {_words(others, '{}')}; give one of them")
    return others[0] if others else None


def _strip(found: Found, own: Collection[str] | None) -> bool:
    """Takes one prefix off; False where there is none that all tensors have, or that is clearly the network's."""
    heads = _by_head(found.tensors)
    known = {h: names for h, names in heads.items() if _is_prefix(h) and h not in (own or ()) and all("." in n for n in names)}
    others = {h: names for h, names in heads.items() if h not in known}
    found.averaged = found.averaged or (_COUNTER in others and "module" in known)
    others.pop(_COUNTER, None)
    ours = others.keys() & set(own or ())
    if not known or (others and own is None) or (ours and ours != others.keys()):
        return False
    averaged = [head for head in known if _AVERAGED_PREFIX.fullmatch(head)]
    plain = [head for head in known if head not in averaged]
    if len(plain) > 1 and not averaged:
        raise WeightsError(f"{found.name}: holds several sets of tensors, {_words(plain, '{}.')}; give one of them")
    taken = found.choose(plain, averaged, "{}.")
    rest = [name for names in others.values() for name in names]
    if rest:
        found.notes.append(
            f"took the {len(known[taken])} tensors under {taken + '.'!r}, {'and' if ours else 'left out'} {len(rest)} others"
        )
    beside = {name: found.tensors[name] for name in rest if ours}
    found.tensors = {name.removeprefix(f"{taken}."): found.tensors[name] for name in known[taken]} | beside
    return True


def _by_head(names: Iterable[str]) -> dict[str, list[str]]:
    heads: dict[str, list[str]] = {}
    for name in names:
        heads.setdefault(name.partition(".")[0], []).append(name)
    return heads


def _is_prefix(head: str) -> bool:
    return head in _PREFIXES or _AVERAGED_PREFIX.fullmatch(head) is not None


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor | StoredTensor | OddTensor)


def _holds_tensors(value: Any, known: dict[int, bool]) -> bool:
    """Whether a dict holds tensors by name, at some depth; numbers do not count, nor does an optimizer's state."""
    if not isinstance(value, Mapping) or "param_groups" in value:
        return False
    if id(value) not in known:
        known[id(value)] = False  # of a dict that holds itself
        tensors = any(isinstance(key, str) and _is_tensor(one) and one.ndim > 0 for key, one in value.items())
        known[id(value)] = tensors or any(_holds_tensors(one, known) for one in value.values())
    return known[id(value)]


def _words(keys: Iterable[str], where: str) -> str:
    return ", ".join(repr(where.format(key[:60])) if key else "the tensors beside it" for key in list(keys)[:5])


def _described(loaded: Any) -> str:
    if not isinstance(loaded, Mapping):
        return f"a {type(loaded).__name__}"
    return f"a dict with {', '.join(f'{str(key)[:60]!r}' for key in list(loaded)[:8]) or 'nothing'}"
