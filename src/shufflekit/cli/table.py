"""`shufflekit table`: what each distinct operator of some networks takes on the engine here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from shufflekit.cli._model import NETWORK, Model, read_model
from shufflekit.cli._output import notice, print_json, stderr, stdout
from shufflekit.cli._shapes import one_shape, shapes
from shufflekit.errors import InputError, UsageError
from shufflekit.files import refuse_overwrite, write_atomic

if TYPE_CHECKING:
    from shufflekit.guidelines.loads import Profiled

_APART = 0.1  # of a pass: the rows' sum is no farther from it


def table(
    *models: str,
    out: Annotated[Path, Parameter(alias="-o")],
    shape: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    threads: int = 1,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Write what each distinct operator of some networks takes on the engine, as CSV.

    A row has an operator with its attributes, the shapes that it reads and writes, its multiply-adds, its ms, and how often
    each network has it, so that the ms of a network's rows add up to its pass. What the engine computes inside of another
    operator, or what vanishes, has 0 ms. The exit code is 1 where a sum is more than 10 % from the whole pass.

    Args:
        models: registry names, detectors, folders of save_pretrained or train, hf-hub:owner/name, package.module:callable,
            or ONNX files.
        out: the file to write.
        shape: N C H W of the input of each, or NxCxHxW; the network's own channels and the size of its weights by default.
        threads: of the engine.
        json: print the sums and rows as one object too.
    """
    from shufflekit.cli._networks import input_files
    from shufflekit.profiling.table import latency_table

    if not models:
        raise UsageError("model: at least one is needed; `shufflekit models` lists those of the registry")
    if len(set(models)) < len(models):
        raise UsageError(f"model: each once, found {', '.join(models)}")
    refuse_overwrite(out, [file for model in models for file in input_files(model)])
    sources = [read_model(model, "table", (*NETWORK, "onnx")) for model in models]
    networks: dict[str, Profiled] = {}
    with stderr().status("measuring") as status:
        for source in sources:
            status.update(f"measuring {source.text}")
            networks[str(source.text)] = _measured(source, shape, threads)
    found = latency_table(networks)
    try:
        write_atomic(out, found.to_csv().encode())
    except OSError as error:
        raise InputError(f"{out}: cannot be written: {error.strerror or error}") from None
    sums = {name: {"sum_ms": found.sum_ms(name), "pass_ms": whole} for name, whole in found.whole_ms.items()}
    if json:
        rows = [{"operator": row.key[0], "ms": row.ms, "flops": row.flops, "counts": dict(row.counts)} for row in found.rows]
        print_json({"networks": sums, "rows": rows})
    else:
        for name, each in sums.items():
            share = each["sum_ms"] / each["pass_ms"]
            stdout().print(
                f"{name}: the rows add up to {each['sum_ms']:.3f} ms, a pass takes {each['pass_ms']:.3f} ({share:.0%})"
            )
        stdout().print(f"{len(found.rows)} distinct operators in {out}")
    apart = [name for name, each in sums.items() if abs(each["sum_ms"] / each["pass_ms"] - 1) > _APART]
    for name in apart:
        notice(f"{name}: the rows and a pass are more than {_APART:.0%} apart: the machine was busy, measure again")
    return 1 if apart else 0


def _measured(source: Model, shape: list[str] | None, threads: int) -> Profiled:
    from shufflekit.classify.inputs import input_shape
    from shufflekit.guidelines.loads import profiled

    if not source.is_network:
        return profiled(str(source.text), shapes(shape), threads)
    network = source.untrained()
    return profiled(network, one_shape(shape) or input_shape(network), threads)
