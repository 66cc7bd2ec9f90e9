"""`shufflekit audit`: what breaks the guidelines in a network, what it costs here, and what would help."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.console import Group, RenderableType
from rich.text import Text

from shufflekit.cli._output import notice, print_json, stderr, stdout

if TYPE_CHECKING:
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
        out: a file for the JSON, which `shufflekit.guidelines.Audit.from_json` reads.
        json: print one object.
    """
    from shufflekit.cli._networks import input_shape
    from shufflekit.errors import InputError
    from shufflekit.files import write_atomic
    from shufflekit.guidelines import audit as audit_network
    from shufflekit.weights import resolve_model

    network = resolve_model(model)
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
    if out is not None:
        try:
            write_atomic(out, found.to_json().encode())
        except OSError as error:
            raise InputError(f"{out}: cannot be written: {error.strerror or error}") from None
    if json:
        print_json(found.to_dict())
    else:
        stdout().print(report(found))
    for warning in found.profile.warnings:
        notice(warning)
    return 1 if found.over_budget else 0


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
