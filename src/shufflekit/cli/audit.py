"""`shufflekit audit`: what to change in a network so that it is quicker here, measured."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from shufflekit.cli._model import NETWORK, read_model
from shufflekit.cli._output import notice, print_json, stderr, stdout
from shufflekit.cli._shapes import one_shape, shapes
from shufflekit.errors import UsageError, one_line

if TYPE_CHECKING:
    from torch import nn

    from shufflekit.profiling import MeasuredProfile

EngineName = Literal["native", "native-int8", "torch", "torch-compile", "onnxruntime", "openvino"]


def audit(
    *models: str,
    shape: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    engine: Annotated[list[EngineName] | None, Parameter(consume_multiple=True, negative_iterable="")] = None,
    budget: float | None = None,
    select: str = "",
    threads: int = 1,
    seconds: float = 20.0,
    predict: Annotated[bool, Parameter(negative="")] = False,
    what_if: tuple[str, ...] = (),
    out: Annotated[Path | None, Parameter(alias="-o")] = None,
    report: Path | None = None,
    plots: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Hold networks against the guidelines of ShuffleNet V2, and measure what would help on this machine.

    What breaks a guideline is changed in the network, which stays whole: widths that must agree change together. The changed
    network, with random weights, is compiled and raced in turn with the network as it is, where it is deployed. The exit code
    is 1 where a change gains more than its interval, or a finding costs more than the budget. A network that the engine cannot
    run is timed in PyTorch, where findings have costs and no gains. With --report or --plots a network that was audited on one
    engine is also timed on another; several networks, and engines, stand side by side.

    Args:
        models: a registry name, a detector, a folder of save_pretrained or train, hf-hub:owner/name, package.module:callable,
            an ONNX file, or the JSON of an earlier audit or profile; several to compare them.
        shape: N C H W of the input, or NxCxHxW; the network's own channels and the size of its weights by default. An ONNX file
            needs it only for sizes that it leaves open.
        engine: what runs it, several side by side: native, native-int8, torch, torch-compile, onnxruntime, openvino; native
            where the engine has all of its operators, else torch, by default.
        budget: ms that one finding may cost; any by default.
        select: rules, as in G1,G4; all by default.
        threads: of the engine and of PyTorch.
        seconds: for measuring changes on each engine; those that are not reached are listed.
        predict: do not run the network: times and gains are those of a cost model of PyTorch on this machine, which is
            calibrated in two to four minutes when it is first needed, and kept.
        what_if: numbers of a registered network's constructor, as in --what-if groups=1 --what-if stage_channels=200,400,800;
            the network is built with them too, and both are timed in turn in PyTorch.
        out: a file for the JSON, which this command takes in place of a network.
        report: a file for a page with charts, tables, findings and the text of their rules, and Tables 1 to 4 of the paper as
            `shufflekit guidelines` measured them here.
        plots: a folder for the charts, as SVG and PNG.
        json: print one object, or a list of them for several networks.
    """
    from shufflekit.classify.inputs import input_shape
    from shufflekit.cli._networks import input_files
    from shufflekit.cli._report import numbered, read_run, write_report
    from shufflekit.errors import InputError
    from shufflekit.files import refuse_overwrite, write_atomic
    from shufflekit.guidelines import RULES
    from shufflekit.guidelines import audit as audit_network
    from shufflekit.guidelines.targets import TARGETS
    from shufflekit.guidelines.what_if import measure_change, rebuilt
    from shufflekit.report import Subject, render_json, render_text, to_dict

    if not models:
        raise UsageError("model: at least one is needed; `shufflekit models` lists those of the registry")
    if what_if and (len(models) > 1 or models[0].endswith(".json")):
        raise UsageError(f"what_if: changes one network of the registry, found {', '.join(models)}")
    for name, target in (("out", out), ("report", report)):
        if target is not None:
            refuse_overwrite(target, [file for model in models for file in input_files(model)], name)
    changed = rebuilt(models[0], what_if) if what_if else None
    for one in dict.fromkeys(engine or ()):
        TARGETS[one].require()
        takes = f"{TARGETS[one].takes} for a network, and up to {seconds:g} s to compile changes and race them"
        notice(f"{TARGETS[one].title}: {takes}")
    subjects: list[Subject] = []
    trial = None
    with stderr().status("measuring") as status:
        for model in models:
            if model.endswith(".json"):
                subjects += read_run(Path(model))
                continue
            source = read_model(model, "audit", (*NETWORK, "onnx"))
            network = source.untrained() if source.is_network else None
            size = shapes(shape) if network is None else one_shape(shape) or input_shape(network)
            found = audit_network(
                model if network is None else network,
                size,
                engine=tuple(engine) if engine else None,
                budget_ms=budget,
                select=[word for word in select.split(",") if word.strip()],
                threads=threads,
                seconds=seconds,
                measure=not predict,
                tell=lambda what: status.update(f"measuring {what}"),
                warn=notice,
            )
            audits = found if isinstance(found, tuple) else (found,)
            against, shape_of = None, audits[0].profile.input_shape
            if (report or plots) and not predict and network is not None and len(audits) == 1:
                against = _on_other(network, shape_of, threads, audits[0].profile.engine)
            subjects += [Subject(model, each, against) for each in audits]
            if changed is not None and network is not None:
                status.update("measuring what if")
                trial = measure_change(network, changed, shape_of, threads)
    subjects = numbered(subjects)
    if out is not None:
        try:
            write_atomic(out, render_json(subjects).encode())
        except OSError as error:
            raise InputError(f"{out}: cannot be written: {error.strerror or one_line(error)}") from None
    if json:
        extra = {"what_if": {"changes": list(what_if), **asdict(trial)}} if trial else {}
        shown = [to_dict(subject) | extra for subject in subjects]
        print_json(shown[0] if len(shown) == 1 else shown)
    else:
        stdout().print(render_text(subjects), markup=False, soft_wrap=True)
        if trial:
            stdout().print(f"what if {', '.join(what_if)}: {trial}", markup=False, soft_wrap=True)
    for subject in subjects:
        for warning in (warning for profile in subject.profiles for warning in profile.warnings):
            notice(
                warning if len(subjects) == 1 else f"{subject.label}, {TARGETS[subject.audit.profile.engine].title}: {warning}"
            )
    write_report(subjects, {rule.code: rule.page for rule in RULES}, threads, report, plots)
    return 1 if any(subject.audit.over_budget or subject.audit.gaining for subject in subjects) else 0


def _on_other(network: nn.Module, shape: tuple[int, ...], threads: int, engine: str) -> MeasuredProfile | None:
    """The network in PyTorch, or where it was audited there its steps on the engine; None with a notice where it cannot run."""
    from shufflekit.compiling import compile as compile_network
    from shufflekit.errors import NotBuiltError
    from shufflekit.profiling import profile as profile_network
    from shufflekit.profiling import profile_engine

    if engine != "torch":
        return profile_network(network, shape, measure=True, threads=threads)
    if shape[0] != 1:
        notice(f"the engine's steps are timed on one image and not on a batch of {shape[0]}: PyTorch stands alone")
        return None
    try:
        return profile_engine(compile_network(network, shape, threads))
    except (NotBuiltError, UsageError) as error:
        notice(f"not on the engine: {error}")
        return None
