"""Finds what breaks the guidelines in a network, and what that costs on this device."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import overload

from torch import nn

from shufflekit.compiling import capture, load_onnx
from shufflekit.cost import LayerCount, count
from shufflekit.cost.from_torch import plain_module
from shufflekit.cost.model import CostModel
from shufflekit.cost.works import works_of_layers
from shufflekit.device import Device, load_device
from shufflekit.errors import InputError, NotBuiltError, UsageError
from shufflekit.graph import Graph
from shufflekit.graph.from_onnx import OnnxNetwork
from shufflekit.guidelines import (
    g1_unequal_channel_width,
    g2_excessive_group_convolution,
    g3_fragmented_block,
    g4_costly_element_wise_operators,
    g5_unaligned_channels,
)
from shufflekit.guidelines.edits.answers import edits
from shufflekit.guidelines.loads import clock_of
from shufflekit.guidelines.record import Audit, Finding, Remedy
from shufflekit.guidelines.remedies import measure_remedies
from shufflekit.guidelines.rule import Rule, Violation
from shufflekit.guidelines.targets import TARGETS
from shufflekit.guidelines.targets.target import Target
from shufflekit.profiling import Latency, MeasuredProfile, profile
from shufflekit.profiling.calibrate import load_cost_model
from shufflekit.profiling.profile import checked_threads
from shufflekit.profiling.record import EngineName, timed_layers
from shufflekit.shapes import Shapes, sizes

RULES: tuple[Rule, ...] = (
    g1_unequal_channel_width.RULE,
    g2_excessive_group_convolution.RULE,
    g3_fragmented_block.RULE,
    g4_costly_element_wise_operators.RULE,
    g5_unaligned_channels.RULE,
)


@overload
def audit(  # type: ignore[overload-overlap]  # a text is a sequence of texts too
    model: nn.Module | OnnxNetwork | str | Path,
    input_shape: Shapes | None = None,
    *,
    engine: EngineName | None = None,
    budget_ms: float | None = None,
    select: Sequence[str] = (),
    threads: int | None = None,
    seconds: float = 20.0,
    measure: bool = True,
    cost_model: CostModel | None = None,
    tell: Callable[[str], None] = lambda _: None,
    warn: Callable[[str], None] = lambda _: None,
) -> Audit: ...


@overload
def audit(
    model: nn.Module | OnnxNetwork | str | Path,
    input_shape: Shapes | None = None,
    *,
    engine: Sequence[EngineName],
    budget_ms: float | None = None,
    select: Sequence[str] = (),
    threads: int | None = None,
    seconds: float = 20.0,
    measure: bool = True,
    cost_model: CostModel | None = None,
    tell: Callable[[str], None] = lambda _: None,
    warn: Callable[[str], None] = lambda _: None,
) -> tuple[Audit, ...]: ...


def audit(
    model: nn.Module | OnnxNetwork | str | Path,
    input_shape: Shapes | None = None,
    *,
    engine: EngineName | Sequence[EngineName] | None = None,
    budget_ms: float | None = None,
    select: Sequence[str] = (),
    threads: int | None = None,
    seconds: float = 20.0,
    measure: bool = True,
    cost_model: CostModel | None = None,
    tell: Callable[[str], None] = lambda _: None,
    warn: Callable[[str], None] = lambda _: None,
) -> Audit | tuple[Audit, ...]:
    """Holds a network against the guidelines of ShuffleNet V2, and measures what would help here.

    What breaks a guideline is changed in the network's graph, with random weights, and both are raced in turn where it is
    deployed: on the engine, in PyTorch as it stands or compiled, in ONNX Runtime or OpenVINO, each with times of its own. A
    network that is no graph to us has costs of findings in PyTorch alone, and with a cost model the gain that it predicts.

    Args:
        model: any module that takes one tensor, which is left as it was; or an ONNX file, for which no torch is loaded.
        input_shape: (N, C, H, W); an ONNX file needs it only for sizes that it leaves open, of several inputs one for each in
            order or by name.
        engine: what runs the network: "native", "native-int8", "torch", "torch-compile", "onnxruntime" or "openvino", or
            several of them; the engine where it has all operators, else PyTorch, by default.
        budget_ms: what one finding may cost before it is over budget; by default anything.
        select: codes of rules, "G1" to "G5"; all by default.
        threads: of the engine, 1 by default; of PyTorch the cost model's where one is given, else as many as it is set to.
        seconds: for remedies, on each engine; those that are not reached are listed.
        measure: run the network; else times and gains are those of the cost model of PyTorch on this machine, which is
            calibrated in two to four minutes where none is kept.
        cost_model: of this device, for `threads`: gains are predicted by it, in PyTorch.
        tell: called with what is measured next.
        warn: called with one line when something cannot be used.

    Returns:
        The answer, remedies by what they gain, and all findings, the costliest first; of several engines one for each.

    Raises:
        UsageError: no module, a shape that is none, an unknown rule, a negative budget, fewer than 1 thread, the cost model of
            another engine or number of threads, or a network that the engine cannot run when it is asked for.
        InputError: the model cannot take such an input, or no sound ONNX file.
        MissingExtraError: a runtime that was asked for is not installed.
    """
    engines = _engines(engine)
    rules = rules_of(select)
    if budget_ms is not None and not (isinstance(budget_ms, int | float) and budget_ms >= 0):
        raise UsageError(f"budget_ms: must be 0 or more, found {budget_ms!r}")
    if not (isinstance(seconds, int | float) and 0 <= seconds < math.inf):
        raise UsageError(f"seconds: must be 0 or more, found {seconds!r}")
    predicted = not measure or cost_model is not None
    if predicted and {*engines} - {"torch"}:
        raise UsageError(f"engine: a cost model predicts PyTorch only, found {engine!r}")
    if isinstance(model, str | Path) and str(model).endswith(".onnx"):
        model = load_onnx(model, input_shape)
    number = checked_threads(1 if threads is None and not predicted else threads)
    on_each = partial(_on_each, engines or ("native",), number, rules, budget_ms, seconds, tell)
    alone = engine is None or isinstance(engine, str)
    if isinstance(model, OnnxNetwork):
        if predicted:
            raise UsageError(f"engine: {model.name} is an ONNX file, for which there is no cost model")
        audits = on_each(model.graph, model.name)
        return audits[0] if alone else audits
    model, shape = plain_module(model), sizes(input_shape or ())  # type: ignore[arg-type]  # which refuses others
    if not predicted:
        tell("capturing")
        try:
            audits = on_each(_captured(model, shape), getattr(model, "architecture", "") or type(model).__name__)
            return audits[0] if alone else audits
        except (NotBuiltError, UsageError) as error:
            if {*engines} - {"torch"}:
                raise
            count(model, shape)  # says what is wrong with the network or its input, where that is the reason
            warn(f"{'no change is measured' if engines else 'in PyTorch, not on the engine'}: {error}")
    found = _in_torch(model, shape, rules, budget_ms, threads, measure, cost_model, tell, warn)
    return found if alone else (found,)


def _engines(engine: EngineName | Sequence[EngineName] | None) -> tuple[EngineName, ...]:
    """Those that are asked for, each of which is known and installed."""
    engines = (engine,) if isinstance(engine, str) else tuple(engine or ())
    for each in engines:
        if each not in TARGETS:
            raise UsageError(f"engine: must be one of {', '.join(TARGETS)}, found {each!r}")
        if engines.count(each) > 1:
            raise UsageError(f"engine: {each} is there twice")
    for each in engines:
        TARGETS[each].require()
    return engines


def _captured(model: nn.Module, shape: tuple[int, ...]) -> Graph:
    """The graph that is audited."""
    if shape[0] != 1:
        raise UsageError(f"it is timed on one image, found a batch of {shape[0]}")
    return capture(model, shape)


def _on_each(
    engines: Sequence[EngineName],
    threads: int,
    rules: Sequence[Rule],
    budget_ms: float | None,
    seconds: float,
    tell: Callable[[str], None],
    graph: Graph,
    name: str,
) -> tuple[Audit, ...]:
    return tuple(_on(TARGETS[one], threads, rules, budget_ms, seconds, tell, graph, name) for one in engines)


def _on(
    target: Target,
    threads: int,
    rules: Sequence[Rule],
    budget_ms: float | None,
    seconds: float,
    tell: Callable[[str], None],
    graph: Graph,
    name: str,
) -> Audit:
    with target.session(threads):
        tell(f"the network on {target.title}")
        load = target.prepare(graph, threads)
        found, operators = target.profile(graph, load, name, threads)
        findings = found_by(rules, found)
        nodes, lanes, codes = [node for node, _ in operators], found.device.vector_floats, tuple(rule.code for rule in rules)
        changes = edits(graph, nodes, findings, lanes, codes)
        prepare, clock = partial(target.prepare, threads=threads), clock_of(threads)
        remedies, untried = (
            measure_remedies(graph, changes, prepare, seconds, tell, before=load, clock=clock) if changes else ((), ())
        )
    return Audit(found, _gaining(findings, remedies), codes, budget_ms, remedies, untried)


def _gaining(findings: Sequence[Finding], remedies: Sequence[Remedy]) -> tuple[Finding, ...]:
    """Findings with the most that a remedy gains that answers them."""
    best: dict[int, float] = {}
    for remedy in remedies:
        for number in remedy.findings:
            best[number] = max(best.get(number, -math.inf), remedy.gain_ms)
    return tuple(replace(finding, gain_ms=best.get(number)) for number, finding in enumerate(findings))


def _in_torch(
    model: nn.Module,
    shape: tuple[int, ...],
    rules: Sequence[Rule],
    budget_ms: float | None,
    threads: int | None,
    measure: bool,
    cost_model: CostModel | None,
    tell: Callable[[str], None],
    warn: Callable[[str], None],
) -> Audit:
    threads = checked_threads(cost_model.threads if threads is None and cost_model else threads)
    if cost_model and (cost_model.engine, cost_model.threads) != ("torch", threads):
        own = f"{cost_model.engine} with threads={cost_model.threads}"
        raise UsageError(f"cost_model: must be of torch with threads={threads}, found {own}")
    codes = tuple(rule.code for rule in rules)
    if measure and cost_model is None:
        tell("the network")
        found = profile(model, shape, measure=True, threads=threads)
        return Audit(found, found_by(rules, found), codes, budget_ms)
    if not measure:
        count(model, shape)  # refuses what cannot be counted before the model is calibrated
    cost_model = cost_model or load_cost_model("torch", threads, tell=tell, warn=warn)
    tell("the network")
    if measure:
        found = profile(model, shape, measure=True, threads=threads)
    else:
        found = predict_profile(model, shape, cost_model, load_device())
    findings = find(found, rules, cost_model, "measured" if measure else "predicted")
    return Audit(found, findings, codes, budget_ms)


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


def found_by(rules: Sequence[Rule], found: MeasuredProfile) -> tuple[Finding, ...]:
    """All findings about a profile without gains, the costliest first."""
    findings = [
        _costed(rule, violation, found) for rule in rules for violation in rule.find(found.layers, found.device, rule.bound)
    ]
    return tuple(sorted(findings, key=lambda finding: -finding.cost_ms))


def find(found: MeasuredProfile, rules: Sequence[Rule], cost_model: CostModel, basis: str) -> tuple[Finding, ...]:
    """All findings about a profile, priced, the costliest first."""
    findings = [
        _priced(rule, violation, found, cost_model, basis)
        for rule in rules
        for violation in rule.find(found.layers, found.device, rule.bound)
    ]
    return tuple(sorted(findings, key=lambda finding: -finding.cost_ms))


def _costed(rule: Rule, violation: Violation, found: MeasuredProfile) -> Finding:
    node = violation.node or "the network itself"
    return Finding(
        rule=rule.code,
        name=rule.name,
        node=node,
        layers=violation.layers,
        value=violation.value,
        bound=rule.bound,
        message=f"{node}: {violation.message} (bound {rule.bound:g})",
        cost_ms=sum(found.layers[place].ms for place in violation.layers),
        basis="measured",
        remedy=violation.remedy,
        gain_ms=None,
    )


def _priced(rule: Rule, violation: Violation, found: MeasuredProfile, cost_model: CostModel, basis: str) -> Finding:
    """The remedy's gain is the part of the cost by which the model expects it to be quicker than what there is."""
    finding = _costed(rule, violation, found)
    accused = [found.layers[place] for place in violation.layers]
    now, then = (_ms_in_place(layers, violation.layers, found, cost_model) for layers in (accused, violation.instead))
    of_now, of_then = (sum(layer.flops for layer in layers) for layers in (accused, violation.instead))
    if violation.same_flops and of_then:
        then *= of_now / of_then
    gain_ms = finding.cost_ms * (1 - then / now)
    return replace(finding, basis="measured" if basis == "measured" else "predicted", gain_ms=gain_ms)


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
