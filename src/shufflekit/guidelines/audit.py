"""Finds what breaks the guidelines in a network, and what that costs on this device."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence

from torch import nn

from shufflekit.cost import LayerCount, count
from shufflekit.cost.from_torch import plain_module
from shufflekit.cost.model import CostModel
from shufflekit.cost.works import works_of_layers
from shufflekit.device import Device, load_device
from shufflekit.errors import InputError, UsageError
from shufflekit.guidelines import (
    g1_unequal_channel_width,
    g2_excessive_group_convolution,
    g3_fragmented_block,
    g4_thick_element_wise_map,
    g5_unaligned_channels,
)
from shufflekit.guidelines.record import Audit, Finding
from shufflekit.guidelines.rule import Rule, Violation
from shufflekit.profiling import Latency, MeasuredProfile, profile
from shufflekit.profiling.calibrate import load_cost_model
from shufflekit.profiling.profile import checked_threads
from shufflekit.profiling.record import timed_layers

RULES: tuple[Rule, ...] = (
    g1_unequal_channel_width.RULE,
    g2_excessive_group_convolution.RULE,
    g3_fragmented_block.RULE,
    g4_thick_element_wise_map.RULE,
    g5_unaligned_channels.RULE,
)


def audit(
    model: nn.Module,
    input_shape: Sequence[int],
    *,
    budget_ms: float = 0.0,
    select: Sequence[str] = (),
    threads: int | None = None,
    measure: bool = True,
    cost_model: CostModel | None = None,
    tell: Callable[[str], None] = lambda _: None,
    warn: Callable[[str], None] = lambda _: None,
) -> Audit:
    """Holds a network, as PyTorch runs it, against the guidelines of ShuffleNet V2.

    Args:
        model: any module that takes one tensor; it is left as it was.
        input_shape: (N, C, H, W).
        budget_ms: what one finding may cost before it is over budget.
        select: codes of rules, "G1" to "G5"; all by default.
        threads: of PyTorch; the cost model's where one is given, else as many as it is set to.
        measure: time the network; else the times, too, are those of the cost model, and it is not run.
        cost_model: of this device, for `threads`; by default the one kept, or calibrated now, in one to three minutes.
        tell: called with what is measured next.
        warn: called with one line when something kept cannot be used.

    Returns:
        The findings, the costliest first.

    Raises:
        UsageError: no module, a shape that is none, an unknown rule, a negative budget, fewer than 1 thread, or the cost
            model of another engine or number of threads.
        InputError: the model cannot take such an input.
    """
    rules = rules_of(select)
    if not (isinstance(budget_ms, int | float) and budget_ms >= 0):
        raise UsageError(f"budget_ms: must be 0 or more, found {budget_ms!r}")
    threads = checked_threads(cost_model.threads if threads is None and cost_model else threads)
    if cost_model and (cost_model.engine, cost_model.threads) != ("torch", threads):
        own = f"{cost_model.engine} with threads={cost_model.threads}"
        raise UsageError(f"cost_model: must be of torch with threads={threads}, found {own}")
    model = plain_module(model)
    if not measure:
        count(model, input_shape)  # refuses what cannot be counted before the model is calibrated
    cost_model = cost_model or load_cost_model("torch", threads, tell=tell, warn=warn)
    tell("the network")
    if measure:
        found = profile(model, input_shape, measure=True, threads=threads)
    else:
        found = predict_profile(model, input_shape, cost_model, load_device())
    findings = find(found, rules, cost_model, "measured" if measure else "predicted")
    return Audit(found, findings, tuple(rule.code for rule in rules), budget_ms)


def rules_of(select: Sequence[str]) -> tuple[Rule, ...]:
    """The rules of those codes or names, all of none; a text is one of them, or several with commas between.

    Example:
        >>> [rule.name for rule in rules_of(["g1", "unaligned-channels"])]
        ['unequal-channel-width', 'unaligned-channels']
        >>> rules_of(["G6"])
        Traceback (most recent call last):
        shufflekit.errors.UsageError: select: no rule is named 'G6'; one of G1, G2, G3, G4, G5 is needed
    """
    select = select.split(",") if isinstance(select, str) else select
    if not (isinstance(select, Sequence) and all(isinstance(word, str) for word in select)):
        raise UsageError(f'select: must be codes of rules, as in ["G1"], found {select!r}')
    known = {name.lower(): rule for rule in RULES for name in (rule.code, rule.name)}
    for word in select:
        if word.strip().lower() not in known:
            near = difflib.get_close_matches(word.lower(), [rule.name for rule in RULES], n=1)
            hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(rule.code for rule in RULES)} is needed"
            raise UsageError(f"select: no rule is named {word!r}; {hint}")
    wanted = {known[word.strip().lower()].code for word in select}
    return tuple(rule for rule in RULES if not wanted or rule.code in wanted)


def find(found: MeasuredProfile, rules: Sequence[Rule], cost_model: CostModel, basis: str) -> tuple[Finding, ...]:
    """All findings about a profile, priced, the costliest first."""
    findings = [
        _priced(rule, violation, found, cost_model, basis)
        for rule in rules
        for violation in rule.find(found.layers, found.device, rule.bound)
    ]
    return tuple(sorted(findings, key=lambda finding: -finding.cost_ms))


def _priced(rule: Rule, violation: Violation, found: MeasuredProfile, cost_model: CostModel, basis: str) -> Finding:
    """The remedy's gain is the part of the cost by which the model expects it to be quicker than what there is."""
    node = violation.node or "the network itself"
    accused = [found.layers[place] for place in violation.layers]
    cost_ms = sum(layer.ms for layer in accused)
    now, then = (_ms_in_place(layers, violation.layers, found, cost_model) for layers in (accused, violation.instead))
    of_now, of_then = (sum(layer.flops for layer in layers) for layers in (accused, violation.instead))
    if violation.same_flops and of_then:
        then *= of_now / of_then
    return Finding(
        rule=rule.code,
        name=rule.name,
        node=node,
        layers=violation.layers,
        value=violation.value,
        bound=rule.bound,
        message=f"{node}: {violation.message} (bound {rule.bound:g})",
        cost_ms=cost_ms,
        basis="measured" if basis == "measured" else "predicted",
        remedy=violation.remedy,
        gain_ms=cost_ms * (1 - then / now),
    )


def _ms_in_place(layers: Sequence[LayerCount], places: Sequence[int], found: MeasuredProfile, cost_model: CostModel) -> float:
    """What `layers` would take where those at `places` are, in the middle of the same network."""
    others = [layer for place, layer in enumerate(found.layers) if place not in places]
    start = min(places)
    works = works_of_layers([*others[:start], *layers, *others[start:]], found.device, found.threads)
    return cost_model.predict_total_ms(works[start : start + len(layers)])


def predict_profile(model: nn.Module, input_shape: Sequence[int], cost_model: CostModel, device: Device) -> MeasuredProfile:
    """A profile whose times are the cost model's; the network is not run."""
    counts, threads = count(model, input_shape), cost_model.threads
    if not counts.layers:
        raise InputError(f"model: {type(model).__name__} runs no operator")
    each_ms = cost_model.predict_each_ms(works_of_layers(counts.layers, device, threads))
    whole = cost_model.pass_ms(each_ms)
    layers = timed_layers(counts.layers, [Latency(ms, ms, ms, 0) for ms in each_ms], threads, device)
    return MeasuredProfile(
        input_shape=tuple(input_shape),
        flops=counts.flops,
        params=counts.params,
        mac=counts.mac,
        layers=layers,
        unknown=counts.unknown,
        threads=threads,
        latency=Latency(whole, whole, whole, 0),
        network=getattr(model, "architecture", "") or type(model).__name__,
        device=device,
        warnings=("times are predicted, not measured",),
    )
