"""`shufflekit audit`: what breaks the guidelines in a network, what it costs here, and what would help."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from shufflekit.cli._output import notice, stderr, stdout

if TYPE_CHECKING:
    from torch import nn

    from shufflekit.profile import MeasuredProfile


def audit(
    *models: str,
    shape: tuple[int, int, int, int] | None = None,
    budget: float = 0.0,
    select: str = "",
    threads: int = 1,
    predict: Annotated[bool, Parameter(negative="")] = False,
    out: Annotated[Path | None, Parameter(alias="-o")] = None,
    report: Path | None = None,
    plots: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Hold networks against the guidelines of ShuffleNet V2, with the price of each finding on this machine.

    A network runs in PyTorch as it is. A finding's cost is the time of its operators; the gain of its remedy is predicted
    by a cost model of this machine, which is calibrated in a minute or two when it is first needed, and kept. The exit code is
    1 where a finding costs more than the budget. With --report or --plots the network is also timed on the engine, where that
    has all of its operators; several networks stand side by side.

    Args:
        models: a registry name, a folder of save_pretrained, package.module:callable, or the JSON of an earlier audit or
            profile; several to compare them.
        shape: N C H W of the input; that of the weights by default.
        budget: ms that one finding may cost.
        select: rules, as in G1,G4; all by default.
        threads: of PyTorch and of the engine.
        predict: do not run the network: its times, too, are the cost model's.
        out: a file for the JSON, which this command takes in place of a network.
        report: a file for a page with charts, tables, findings and the text of their rules.
        plots: a folder for the charts, as SVG and PNG.
        json: print one object, or a list of them for several networks.
    """
    from shufflekit.cli._networks import input_shape
    from shufflekit.cli._report import numbered, read_run, write_report
    from shufflekit.errors import InputError, UsageError
    from shufflekit.files import write_atomic
    from shufflekit.guidelines import RULES
    from shufflekit.guidelines import audit as audit_network
    from shufflekit.report import Subject, render_json, render_text
    from shufflekit.weights import resolve_model

    if not models:
        raise UsageError("model: at least one is needed; `shufflekit models` lists those of the registry")
    subjects: list[Subject] = []
    with stderr().status("measuring") as status:
        for model in models:
            if model.endswith(".json"):
                subjects += read_run(Path(model))
                continue
            network = resolve_model(model)
            size = shape or input_shape(network)
            found = audit_network(
                network,
                size,
                budget_ms=budget,
                select=[word for word in select.split(",") if word.strip()],
                threads=threads,
                measure=not predict,
                tell=lambda what: status.update(f"measuring {what}"),
                warn=notice,
            )
            against = _on_engine(network, size, threads) if (report or plots) and not predict else None
            subjects.append(Subject(model, found, against))
    subjects = numbered(subjects)
    if out is not None:
        try:
            write_atomic(out, render_json(subjects).encode())
        except OSError as error:
            raise InputError(f"{out}: cannot be written: {error.strerror or error}") from None
    if json:
        sys.stdout.write(render_json(subjects) + "\n")
    else:
        stdout().print(render_text(subjects), markup=False, soft_wrap=True)
    for subject in subjects:
        for warning in (warning for profile in subject.profiles for warning in profile.warnings):
            notice(warning if len(subjects) == 1 else f"{subject.label}: {warning}")
    write_report(subjects, {rule.code: rule.page for rule in RULES}, report, plots)
    return 1 if any(subject.audit.over_budget for subject in subjects) else 0


def _on_engine(network: nn.Module, shape: tuple[int, int, int, int], threads: int) -> MeasuredProfile | None:
    """The network's steps on the engine, None where it cannot run there; a notice says why."""
    from shufflekit.compile import compile as compile_network
    from shufflekit.errors import NotBuiltError, UsageError
    from shufflekit.profile import profile_engine

    if shape[0] != 1:
        notice(f"the engine's steps are timed on one image and not on a batch of {shape[0]}: PyTorch stands alone")
        return None
    try:
        return profile_engine(compile_network(network, shape, threads))
    except (NotBuiltError, UsageError) as error:
        notice(f"not on the engine: {error}")
        return None
