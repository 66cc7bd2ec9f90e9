"""`shufflekit audit`: what breaks the guidelines in a network, what it costs here, and what would help."""

from __future__ import annotations

import inspect
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.console import Group, RenderableType
from rich.text import Text

from shufflekit.cli._output import notice, print_json, stderr, stdout
from shufflekit.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

    from shufflekit.guidelines import Audit


def audit(
    model: str,
    /,
    *,
    shape: tuple[int, int, int, int] | None = None,
    budget: float = 0.0,
    select: str = "",
    threads: int = 1,
    predict: Annotated[bool, Parameter(negative="")] = False,
    what_if: tuple[str, ...] = (),
    out: Annotated[Path | None, Parameter(alias="-o")] = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Hold a network against the guidelines of ShuffleNet V2, with the price of each finding on this machine.

    The network runs in PyTorch as it is. A finding's cost is the time of its operators; the gain of its remedy is predicted
    by a cost model of this machine, which is calibrated in a minute or two when it is first needed, and kept. The exit code is
    1 where a finding costs more than the budget.

    Args:
        model: a registry name, a folder of save_pretrained, or package.module:callable.
        shape: N C H W of the input; that of the weights by default.
        budget: ms that one finding may cost.
        select: rules, as in G1,G4; all by default.
        threads: of PyTorch.
        predict: do not run the network: its times, too, are the cost model's.
        what_if: numbers of a registered network's constructor, as in --what-if groups=1 --what-if stage_channels=200,400,800;
            the network is built with them too, and both are timed in turn.
        out: a file for the JSON, which `shufflekit.guidelines.Audit.from_json` reads.
        json: print one object.
    """
    from shufflekit.cli._networks import input_shape
    from shufflekit.errors import InputError
    from shufflekit.files import write_atomic
    from shufflekit.guidelines import audit as audit_network
    from shufflekit.weights import resolve_model

    network = resolve_model(model)
    changed = rebuilt(model, what_if) if what_if else None
    with stderr().status("measuring") as status:
        found = audit_network(
            network,
            shape or input_shape(network),
            budget_ms=budget,
            select=[word for word in select.split(",") if word.strip()],
            threads=threads,
            measure=not predict,
            tell=lambda what: status.update(f"measuring {what}"),
            warn=notice,
        )
        trial = None
        if changed is not None:
            status.update("measuring what if")
            trial = measure_change(network, changed, found.profile.input_shape, threads)
    if out is not None:
        try:
            write_atomic(out, found.to_json().encode())
        except OSError as error:
            raise InputError(f"{out}: cannot be written: {error.strerror or error}") from None
    if json:
        print_json(found.to_dict() | ({"what_if": {"changes": list(what_if), **asdict(trial)}} if trial else {}))
    else:
        stdout().print(report(found))
        if trial:
            stdout().print(f"what if {', '.join(what_if)}: {trial}", markup=False, soft_wrap=True)
    for warning in found.profile.warnings:
        notice(warning)
    return 1 if found.over_budget else 0


@dataclass(frozen=True)
class Trial:
    """A network as it is and with other numbers, timed in turn."""

    before_ms: float
    after_ms: float
    before_flops: int
    after_flops: int

    def __str__(self) -> str:
        each = (self.after_ms / self.after_flops) / (self.before_ms / self.before_flops) - 1
        return (
            f"{self.before_ms:.2f} to {self.after_ms:.2f} ms (measured), {self.before_flops / 1e6:.1f} to "
            f"{self.after_flops / 1e6:.1f} M multiply-adds: {each:+.0%} time for a multiply-add"
        )


def measure_change(before: nn.Module, after: nn.Module, shape: tuple[int, ...], threads: int) -> Trial:
    """Times both in PyTorch, in turn."""
    import torch

    from shufflekit.cost import count
    from shufflekit.profile import measure_in_turn
    from shufflekit.profile.profile import torch_threads

    x = torch.randn(shape)
    flops = [count(network, shape).flops for network in (before, after)]
    with torch_threads(threads), torch.inference_mode():
        times = measure_in_turn([partial(network.eval(), x) for network in (before, after)])
    return Trial(times[0].median_ms, times[1].median_ms, *flops)


def rebuilt(name: str, changes: tuple[str, ...]) -> nn.Module:
    """A registered network with other numbers in its constructor.

    Raises:
        UsageError: no registered network, or not one of its numbers.
    """
    from shufflekit.models import model_entry

    constructor = model_entry(name).constructor
    given: dict[str, Any] = {}
    while isinstance(constructor, partial):
        bound = inspect.signature(constructor.func).bind_partial(*constructor.args, **constructor.keywords)
        given = {**bound.arguments, **given}
        constructor = constructor.func
    parameters = inspect.signature(constructor).parameters
    numbers = {option: given.get(option, parameter.default) for option, parameter in parameters.items()}
    numbers = {option: value for option, value in numbers.items() if _is_number(value) or isinstance(value, tuple)}
    for change in changes:
        option, _, text = change.partition("=")
        parts = text.split(",")
        if option not in numbers or not all(part.strip().isdecimal() for part in parts):
            raise UsageError(f"what_if: must be OPTION=NUMBER[,NUMBER...] of {', '.join(numbers)}, found {change!r}")
        values = tuple(map(int, parts))
        given[option] = values if isinstance(numbers[option], tuple) else values[0]
    try:
        return constructor(**given)
    except (ArithmeticError, TypeError, ValueError) as error:
        raise UsageError(f"what_if: {name} cannot be built with {', '.join(changes)}: {error}") from None


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def report(found: Audit) -> RenderableType:
    """The findings, the costliest first, and what each rule comes to."""
    one = found.profile
    shape = "x".join(map(str, one.input_shape))
    threads = f"{one.threads} thread{'s' * (one.threads > 1)}"
    lines = [f"{one.network}, input {shape}, PyTorch eager, {threads}, {one.device.cpu}: {one.latency.median_ms:.2f} ms"]
    for finding in found.findings:
        gain = "" if finding.gain_ms is None else f"; {_gain(finding.gain_ms)}"
        lines += [
            "",
            f"{finding.rule} {finding.message}",
            f"   costs {finding.cost_ms:.3f} ms ({finding.basis}, {finding.cost_ms / one.ms:.1%} of all)",
            f"   {finding.remedy}{gain}",
        ]
    lines += [""] if found.findings else []
    for code in found.selected:
        of_rule = [finding for finding in found.findings if finding.rule == code]
        places = {place for finding in of_rule for place in finding.layers}
        ms = sum(one.layers[place].ms for place in places)
        name = f" {of_rule[0].name}" if of_rule else ""
        plural = "" if len(of_rule) == 1 else "s"
        lines.append(f"{code}{name}: {len(of_rule)} finding{plural}, {ms:.2f} ms")
    over = len(found.over_budget)
    lines.append(f"over the budget of {found.budget_ms:g} ms: {over} of {len(found.findings)}")
    return Group(*(Text(line) for line in lines))


def _gain(ms: float) -> str:
    return f"predicted gain {ms:.3f} ms" if ms > 0 else f"no gain is predicted here ({ms:+.3f} ms)"
