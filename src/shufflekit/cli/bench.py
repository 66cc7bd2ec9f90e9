"""`shufflekit bench`: how fast a network is on this machine, in every runtime."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.table import Table

from shufflekit.cli._lists import numbers, sizes, words
from shufflekit.cli._model import NETWORK, read_model
from shufflekit.cli._output import notice, stdout
from shufflekit.device import load_device
from shufflekit.errors import InputError, UsageError
from shufflekit.files import refuse_overwrite, write_atomic
from shufflekit.records import read_text

if TYPE_CHECKING:
    from shufflekit.bench.race import Subject
    from shufflekit.bench.results import Change, Result, Session

_ALL = "torch,torch-compile,engine,onnxruntime,openvino,ncnn,mnn,litert,executorch"


def bench(
    *models: str,
    runtimes: str = _ALL,
    threads: str = "1",
    size: str = "224x224",
    batch: str = "1",
    rounds: int = 20,
    calls: int = 5,
    base: str | None = None,
    cold: int = 0,
    json: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    compare: Path | None = None,
    plot: Path | None = None,
) -> int:
    """Race runtimes on this machine, in turn within one run.

    Every output is compared with PyTorch's first; a network that no runtime runs rightly, or whose outputs are not all
    numbers, is exit code 1. Then each runtime has its turn in every round, of one call that does not
    count and some that do. A runtime that is not installed, or refuses a network, has a row that says so. The share is the
    device limit (multiply-adds or bytes at this machine's best rates) over the median.

    Args:
        models: registry names and detectors (with random weights: they do not change the speed), saved networks,
            package.module:callable, or .onnx files, which the runtimes that read them run.
        runtimes: some of torch,torch-compile,engine,onnxruntime,openvino,ncnn,mnn,litert,executorch.
        threads: numbers of threads, as in 1,2.
        size: height x width of the images, as in 224x224,480x640.
        batch: images of a call, as in 1,16.
        rounds: turns of each runtime, 6 or more.
        calls: timed calls of a turn.
        base: the runtime that speed-ups are over; torch where it takes part.
        cold: start that many fresh processes of each runtime, for cold start and memory.
        json: a file for the results with this machine's record; "-" prints them in place of the table.
        compare: an earlier --json file of this machine; a loss beyond the noise is exit code 1.
        plot: a folder for pictures: bars by runtime, and published error against latency.
    """
    from shufflekit.bench.bench import bench as run_bench
    from shufflekit.bench.results import check_machine
    from shufflekit.bench.results import compare as compare_sessions
    from shufflekit.bench.runtimes import RUNTIMES
    from shufflekit.cli._networks import input_files

    if not models:
        raise UsageError("bench: needs one model or more")
    chosen = words("runtimes", runtimes, list(RUNTIMES))
    old = _earlier(compare) if compare else None
    counts, shapes, batches = numbers("threads", threads), sizes("size", size), numbers("batch", batch)
    if base is not None:
        words("base", base, chosen)
    if json and str(json) != "-":
        refuse_overwrite(json, [compare, *(file for model in models for file in input_files(model))], "json")
    if json and str(json) != "-" and not json.resolve().parent.is_dir():
        raise InputError(f"{json}: cannot be written: no such folder")
    device = load_device(warn=notice)
    if old:
        check_machine(old.device, device)
    subjects = [_subject(model, shapes[0]) for model in models]
    session = run_bench(
        subjects,
        device,
        runtimes=chosen,
        threads=counts,
        sizes=shapes,
        batches=batches,
        rounds=rounds,
        calls=calls,
        base=base,
        cold=cold,
        tell=notice,
    )
    if str(json) == "-":
        sys.stdout.write(session.to_json())
    else:
        stdout().print(_table(session))
        for line in _why(session):
            stdout().print(line, markup=False, soft_wrap=True)
        if json:
            write_atomic(json, session.to_json().encode())
    for complaint in session.complaints:
        notice(complaint)
    if plot:
        for path in _pictures(session, plot):
            notice(str(path))
    unraced = _unraced(session)
    for line in unraced:
        notice(line)
    changes = compare_sessions(old, session) if old else []
    for change in changes:
        stdout().print(_changed(change), markup=False, soft_wrap=True)
    return int(bool(unraced) or any(change.verdict == "loss" for change in changes))


def _unraced(session: Session) -> list[str]:
    """A line for each network that some runtime should have run and none ran rightly."""
    timed = {result.model for result in session.results if result.state == "timed"}
    wrong = {one.model: one for one in reversed(session.results) if one.model not in timed and one.state != "skipped"}
    return [f"{model}: no runtime ran it rightly ({one.runtime} {one.state}: {one.note})" for model, one in wrong.items()]


def _subject(model: str, size: tuple[int, int]) -> Subject:
    import torch

    from shufflekit.bench.race import Subject
    from shufflekit.classify.inputs import input_shape
    from shufflekit.export.random_weights import spread_weights
    from shufflekit.models import build_model, list_models

    source = read_model(model, "bench", (*NETWORK, "onnx"))
    if source.kind == "onnx":
        if not Path(model).is_file():
            raise InputError(f"{model}: no such file")
        return Subject(Path(model).name, onnx=Path(model))
    if model not in list_models():
        network = source.untrained()
        return Subject(model, network, channels=input_shape(network)[1])
    torch.manual_seed(0)  # the same network in every run, so that what was converted is found again
    return Subject(model, spread_weights(build_model(model), (1, 3, *size)))


def _earlier(path: Path) -> Session:
    """What an earlier run wrote.

    Raises:
        InputError: it cannot be read, or is something else; with the file's name.
    """
    from shufflekit.bench.results import Session

    text = read_text(path)
    try:
        return Session.from_json(text)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _table(session: Session) -> Table:
    table = Table("model", "runtime", title=f"{session.device.cpu}, {session.rounds} x {session.calls} calls, ms")
    table.title_justify = "left"
    has_cold = any(result.cold_ms is not None for result in session.results)
    columns = [
        "size",
        "batch",
        "threads",
        "median",
        "95 % interval",
        "p95",
        "best",
        f"over {session.base}",
        "of limit",
        "difference",
    ]
    for column in columns + ["cold start", "peak MB"] * has_cold:
        table.add_column(column, justify="right")
    for result in session.results:
        table.add_row(*_cells(result, has_cold))
    return table


def _cells(result: Result, has_cold: bool) -> list[str]:
    def number(value: float | None, form: str) -> str:
        return "" if value is None else format(value, form)

    place = [result.model, result.runtime, f"{result.height}x{result.width}", str(result.batch), str(result.threads)]
    if result.state != "timed":
        return [*place, result.state]
    interval = f"{number(result.low_ms, '.2f')} to {number(result.high_ms, '.2f')}"
    cells = [*place, number(result.median_ms, ".2f"), interval, number(result.p95_ms, ".2f"), number(result.best_ms, ".2f")]
    cells += [number(result.speed_up, ".2f"), number(result.limit_share, ".0%"), number(result.difference, ".0e")]
    return cells + [number(result.cold_ms, ".0f"), number(result.peak_mb, ".0f")] * has_cold


def _why(session: Session) -> list[str]:
    """What is behind each row without times, and what else a row has to say, one line a reason."""
    where: dict[str, list[str]] = {}
    for result in session.results:
        if result.note:
            names = where.setdefault(f"{result.runtime} {result.state}: {result.note}", [])
            names += [] if result.model in names else [result.model]
    return [f"{why} ({', '.join(names)})" for why, names in where.items()]


def _changed(change: Change) -> str:
    new = change.new
    place = f"{new.model} {new.runtime} {new.height}x{new.width} batch {new.batch} threads {new.threads}"
    return f"{change.verdict:5} {change.ratio - 1:+7.1%}  {change.old.median_ms:.2f} -> {new.median_ms:.2f} ms  {place}"


def _pictures(session: Session, folder: Path) -> list[Path]:
    from shufflekit.bench.plot import draw
    from shufflekit.models import list_models, model_entry

    known = {result.model for result in session.results} & set(list_models())
    errors = {name: error for name in known if (error := model_entry(name).top1_error) is not None}
    return draw(session, errors, folder)
