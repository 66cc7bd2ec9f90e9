"""Where two networks differ only in the order of their channels: which channel of one is which of the other.

A unit of ours splits its channels in halves and shuffles at its end; the authors' V2 splits odd from even channels at
its start. Both pass some channels on untouched, so an order cannot be swapped at one place: it is followed through a
whole stage. A channel's *fate* is the unit that reads it. Channels that one branch writes are interchangeable where
their fates agree, so each branch's outputs are matched fate by fate, and all other orders follow.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from shufflekit.errors import WeightsError

Slot = tuple[int, str, int]  # unit, branch ("left" or "right"), output channel of that branch
State = dict[str, Tensor]


@dataclass(frozen=True)
class StageOrder:
    """For each order of ours, the index in theirs at the same place.

    `branches` has the output channels of (unit, "left" | "right"), `reads` the input channels of each unit after the
    first, `output` the channels of the stage's result.
    """

    branches: dict[tuple[int, str], list[int]]
    reads: dict[int, list[int]]
    output: list[int]


def stage_order(left: int, channels: int, units: int, shuffle_groups: int) -> StageOrder:
    """Follows a stage of our unit beside one of the authors' odd/even unit.

    Args:
        left: output channels of the first unit's left branch.
        channels: output channels of the stage.
        units: number of units.
        shuffle_groups: groups of the shuffle at the end of our units.

    Raises:
        WeightsError: the two are not equal up to the order of channels.

    Example:
        >>> stage_order(left=2, channels=4, units=2, shuffle_groups=2).output
        [0, 2, 1, 3]
    """
    our_output, our_reads = _follow(left, channels, units, _halves, lambda x: _shuffle(x, shuffle_groups))
    their_output, their_reads = _follow(left, channels, units, _odd_even, lambda x: x)
    our_fates, their_fates = _fates(our_output, our_reads), _fates(their_output, their_reads)
    branches = {}
    for unit, branch in dict.fromkeys((slot[0], slot[1]) for slot in our_fates):
        count = sum(slot[:2] == (unit, branch) for slot in our_fates)
        ours = [our_fates[unit, branch, i] for i in range(count)]
        theirs = [their_fates[unit, branch, i] for i in range(count)]
        order = match(ours, theirs)
        if order is None:
            raise WeightsError(
                f"a stage of {channels} channels, {left} of them from the first unit's left branch, shuffled by "
                f"{shuffle_groups} groups: no order of channels makes it equal to the odd/even split"
            )
        branches[unit, branch] = order

    def corresponding(ours: Sequence[Slot], theirs: Sequence[Slot]) -> list[int]:
        place = {slot: index for index, slot in enumerate(theirs)}
        return [place[unit, branch, branches[unit, branch][index]] for unit, branch, index in ours]

    reads = {unit: corresponding(our_reads[unit], their_reads[unit]) for unit in our_reads}
    return StageOrder(branches, reads, corresponding(our_output, their_output))


def match(ours: Sequence[Hashable], theirs: Sequence[Hashable]) -> list[int] | None:
    """For each of ours the place of its like among theirs, the first with the first; None where the counts differ.

    Example:
        >>> match("abab", "aabb")
        [0, 2, 1, 3]
    """
    places: dict[Hashable, list[int]] = {}
    for index, kind in enumerate(theirs):
        places.setdefault(kind, []).append(index)
    order = [places[kind].pop(0) if places.get(kind) else -1 for kind in ours]
    return None if -1 in order or any(places.values()) else order


def permute_branch(state: State, prefix: str, reads: Sequence[int] | None, writes: Sequence[int] | None) -> None:
    """Reorders in place what a branch reads and writes; between its first and last dense convolution nothing moves.

    Args:
        state: names to tensors; those of the branch are `prefix`.0.weight, `prefix`.1.bias, ...
        prefix: the branch, a chain of convolutions and batch norms, or one convolution; a squeeze-excite may end it.
        reads, writes: for each channel of ours its index in the file; None leaves the order as it is.
    """
    names = [name for name in state if name.startswith(f"{prefix}.")]
    chain = sorted({int(name[len(prefix) + 1 :].split(".")[0]) for name in names if ".fc" not in name and ".bn." not in name})
    dense = [index for index in chain if _is_dense(state[f"{prefix}.{index}.weight"])]
    order = reads
    for index in chain:
        name = f"{prefix}.{index}.weight"
        if index in dense:
            state[name] = take(state[name], order, dim=1)
            order = writes if index == dense[-1] else None
        for name in (n for n in names if n.startswith(f"{prefix}.{index}.") and state[n].dim() > 0):
            state[name] = take(state[name], order)
    for name in names:
        if name.endswith(".fc1.weight"):
            state[name] = take(state[name], writes, dim=1)
        elif ".fc2." in name:
            state[name] = take(state[name], writes)


def take(tensor: Tensor, order: Sequence[int] | None, dim: int = 0) -> Tensor:
    """The tensor with the entries of one dimension in `order`; as it is where there is none."""
    return tensor if order is None else tensor.index_select(dim, torch.tensor(order, device=tensor.device))


def _is_dense(weight: Tensor) -> bool:
    return weight.dim() == 4 and weight.shape[1] > 1


def _follow(
    left: int,
    channels: int,
    units: int,
    split: Callable[[list[Slot]], tuple[list[Slot], list[Slot]]],
    end: Callable[[list[Slot]], list[Slot]],
) -> tuple[list[Slot], dict[int, list[Slot]]]:
    """The channels of a stage's result, and those that each unit after the first reads, by where they were written."""
    first: list[Slot] = [(0, "left", i) for i in range(left)]
    current = end(first + [(0, "right", i) for i in range(channels - left)])
    reads = {}
    for unit in range(1, units):
        passed, reads[unit] = split(current)
        current = end(passed + [(unit, "right", i) for i in range(channels // 2)])
    return current, reads


def _fates(output: list[Slot], reads: dict[int, list[Slot]]) -> dict[Slot, int]:
    """Each channel to the unit that reads it; 0 is the end of the stage."""
    return {slot: unit for unit, slots in ({0: output} | reads).items() for slot in slots}


def _halves(x: list[Slot]) -> tuple[list[Slot], list[Slot]]:
    return x[: len(x) // 2], x[len(x) // 2 :]


def _odd_even(x: list[Slot]) -> tuple[list[Slot], list[Slot]]:
    return x[::2], x[1::2]


def _shuffle(x: list[Slot], groups: int) -> list[Slot]:
    size = len(x) // groups
    return [x[group * size + i] for i in range(size) for group in range(groups)]
