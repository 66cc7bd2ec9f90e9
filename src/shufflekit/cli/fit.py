"""`shufflekit fit`: the widths and depths that use a latency budget best here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from rich import box
from rich.table import Table

from shufflekit.cli._model import NETWORK, read_model
from shufflekit.cli._output import print_json, stderr, stdout
from shufflekit.cli._shapes import one_shape, shapes
from shufflekit.errors import InputError, UsageError
from shufflekit.files import refuse_overwrite, write_atomic

if TYPE_CHECKING:
    from shufflekit.fitting import Fit


def fit(
    model: str,
    /,
    *,
    budget_ms: float | None = None,
    maximise: Literal["flops", "params"] = "flops",
    shape: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    threads: int = 1,
    seconds: float = 60.0,
    out: Annotated[Path | None, Parameter(alias="-o")] = None,
    table: Path | None = None,
    plot: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Find the network of the same kind that has most multiply-adds within a latency budget on the engine here.

    ShuffleNet V1, V2 and MobileNet V2 get other widths and depths in their constructor; any other network, and an ONNX file,
    other widths, one factor for all that can change on maps of a size. The networks are compiled with random weights and
    timed; what is found must be trained.

    Args:
        model: a registry name, a folder of save_pretrained or train, hf-hub:owner/name, package.module:callable, or an ONNX
            file.
        budget_ms: what a pass may take, on one thread of the processor's time; as long as the network itself by default.
        maximise: what there is to be most of.
        shape: N C H W of the input, or NxCxHxW; the network's own channels and the size of its weights by default.
        threads: of the engine.
        seconds: for the search.
        out: where the result goes: of a constructor a folder with an untrained network, which `shufflekit train` takes; of
            another network an ONNX file.
        table: a CSV file for the frontier and the published networks.
        plot: a picture of them, as .svg or .png.
        json: print one object.
    """
    from shufflekit.classify.inputs import input_shape
    from shufflekit.cli._networks import input_files
    from shufflekit.fitting import fit as fit_network
    from shufflekit.fitting.save import save
    from shufflekit.report.frontier import frontier

    source = read_model(model, "fit", (*NETWORK, "onnx"))
    for name, target in (("out", out), ("table", table), ("plot", plot)):
        if target is not None:
            refuse_overwrite(target, input_files(model), name)
    if plot is not None and plot.suffix not in (".svg", ".png"):
        raise UsageError(f"plot: must be .svg or .png, found {plot}")
    network = source.untrained() if source.is_network else None
    size = shapes(shape) if network is None else one_shape(shape) or input_shape(network)
    with stderr().status("measuring") as status:
        found = fit_network(
            model if network is None else network,
            size,
            budget_ms=budget_ms,
            maximise=maximise,
            threads=threads,
            seconds=seconds,
            tell=lambda what: status.update(f"measuring {what}"),
        )
    if out is not None:
        save(found, out)
    if table is not None:
        _written(table, found.to_csv().encode())
    if plot is not None:
        _written(plot, frontier(found, plot.suffix))
    if json:
        print_json(found.to_dict())
    else:
        _show(found, out)


def _written(path: Path, content: bytes) -> None:
    try:
        write_atomic(path, content)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from None


def _show(found: Fit, out: Path | None) -> None:
    console = stdout()
    console.print(found.answer, soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("", "ms", "M multiply-adds", "M parameters", *found.numbers):
        table.add_column(column, justify="left" if not column else "right")
    rows = [(one.name, one) for one in (found.start, *found.published)] + [("found", found.best)]
    for name, one in sorted(dict(rows).items(), key=lambda row: row[1].ms):
        cells = (f"{one.ms:.3f}", f"{one.flops / 1e6:.1f}", f"{one.params / 1e6:.2f}", *map(str, one.values))
        table.add_row(name, *cells)
    console.print(table)
    if found.most_flops is not None:
        console.print(
            f"If all of {found.budget_ms:.3f} ms passed in steps as fast as the quickest one seen here, it would be "
            f"{found.most_flops / 1e6:.1f} M multiply-adds.",
            soft_wrap=True,
        )
    if found.call:
        console.print(found.call, soft_wrap=True)
    if out is not None:
        console.print(f"untrained, in {out}", soft_wrap=True)
