"""`shufflekit compile`: a network becomes a plan file that runs without PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from cyclopts import Parameter

from shufflekit.cli._model import NETWORK, Model, read_model
from shufflekit.cli._onnx import compile_onnx
from shufflekit.cli._output import notice, print_json, progress, stdout
from shufflekit.cli._shapes import shapes
from shufflekit.compiling import difference_to
from shufflekit.files import refuse_overwrite

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from shufflekit.outputs import Array
    from shufflekit.runtime import Engine
    from shufflekit.shapes import Shapes

_TOLERANCE = 1e-4  # of the largest output
_OF_HALVES = 1e-3  # where a file computes in float16


def compile(  # noqa: A001
    model: str,
    /,
    *,
    out: Annotated[Path, Parameter(alias="-o")],
    shape: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    threads: int = 1,
    weights: str | None = None,
    verify: Annotated[bool, Parameter(negative="")] = False,
    tune: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Compile a network to a plan, a file that runs without PyTorch.

    Without --weights a network of the registry gets its ImageNet weights, which are downloaded once; a saved model has its
    own. The table has a line for each step: its kernel, its shapes, multiply-adds, bytes read and written, and how the
    channels that it reads lie in memory.

    Args:
        model: a registry name, a detector, a folder of save_pretrained or train, hf-hub:owner/name,
            package.module:callable, or an ONNX file, which needs no PyTorch.
        out: the file to write; never one that is read.
        shape: N C H W of the input, or NxCxHxW, or whatever dimensions it has; the network's own channels and the size of its
            weights by default. Of several inputs one for each, in order or by name, as in image:1x3x224x224,mask:1x1x224x224.
            An ONNX file has its own, in its own order, and needs this for sizes that it leaves open.
        threads: that --verify and --tune run on; a plan takes any number.
        weights: a tag ("imagenet", "cifar10"), a file of any layout that load_weights knows, or "random".
        verify: compare with PyTorch, an ONNX file with ONNX Runtime, on random images first; a plan that differs is not
            written, and the exit code is 1.
        tune: choose how each step is computed by a stopwatch on this machine, on that many threads: under a minute for a
            ResNet-50. The plan runs everywhere, and says where it was tuned.
        json: print one object in place of the table.
    """
    sizes = shapes(shape)
    source = read_model(model, "compile", (*NETWORK, "onnx"), weights)
    of = _of_torch if source.is_network else _of_onnx
    with progress() as bar:
        engine, expected = of(source, sizes, threads, out, _tuning(bar) if tune else None)
    if tune:
        tuned = engine.program.info["tuned"]
        notice(f"tuned on {tuned['cpu']}, threads: {threads}: {tuned['untuned_ms']} ms before, {tuned['ms']} ms now")
    reference = "PyTorch" if source.is_network else "ONNX Runtime"
    difference = difference_to(expected, engine, f"{model} in {reference}") if verify else None
    allowed = _OF_HALVES if engine.program.info.get("precision") == "float16" else _TOLERANCE
    right = difference is None or difference <= allowed
    if right:
        engine.save(out)
    if json:
        print_json(_as_json(engine, out if right else None, difference))
    else:
        lines = [str(engine.program)]
        if difference is not None:
            lines.append(f"largest difference to {reference}: {difference:.1e} of the largest output")
        if right:
            lines.append(str(out))
        stdout().print("\n".join(lines), markup=False, soft_wrap=True)
    if not right:
        notice(
            f"{out}: not written: it differs from {reference} by {difference:.1e} of the largest output, needed {allowed:.0e}"
        )
    return 0 if right else 1


def _tuning(bar: Bar) -> Callable[[int, int], None]:
    task = bar.add_task("tuning", total=None)
    return lambda done, total: bar.update(task, completed=done, total=total)


def _of_torch(
    source: Model, shape: Shapes | None, threads: int, out: Path, tuning: Callable[[int, int], None] | None
) -> tuple[Engine, Callable[..., list[Array]]]:
    """A network of PyTorch's, compiled, and what PyTorch computes with it."""
    from shufflekit.classify.inputs import input_shape
    from shufflekit.cli._networks import input_files
    from shufflekit.compiling import compile as compile_network
    from shufflekit.outputs import outputs_of

    network = source.network()
    refuse_overwrite(out, input_files(source.text, source.weights))
    engine = compile_network(network, shape or input_shape(network), threads, tune=tuning is not None, progress=tuning)
    return engine, lambda *x: outputs_of(network, *x)


def _of_onnx(
    source: Model, shape: Shapes | None, threads: int, out: Path, tuning: Callable[[int, int], None] | None
) -> tuple[Engine, Callable[..., list[Array]]]:
    """An ONNX file, compiled, and what ONNX Runtime computes with it, image by image."""
    model = str(source.text)
    refuse_overwrite(out, [model])
    engine = compile_onnx(model, shape, threads, tuning=tuning)
    if "batch" in engine.program.info:
        notice(f"{model}: {engine.program.info['batch']}")

    def expected(*inputs: Array) -> list[Array]:
        from shufflekit.export.to_onnx import Onnx, load_onnx

        Onnx().require()
        run = load_onnx(Path(model), 1, optimise=False)
        singles = [run(*(x[number : number + 1] for x in inputs)) for number in range(len(inputs[0]))]
        return [np.concatenate(each) for each in zip(*singles)]

    return engine, expected


def _as_json(engine: Engine, out: Path | None, difference: float | None) -> dict[str, Any]:
    program = engine.program
    return {
        "file": str(out) if out else None,
        "name": program.name,
        "input_shape": program.input_shape if len(program.inputs) == 1 else None,
        "inputs": [{"name": each.name, "shape": each.shape} for each in program.inputs],
        "outputs": [{"name": output.name, "shape": output.shape} for output in program.outputs],
        "flops": program.flops,
        "arena_bytes": program.arena,
        "weights_bytes": program.weights.nbytes,
        "vanished": program.info["vanished"],
        "moves": len(program.moves),
        "difference": difference,
        "steps": [
            {"kernel": step.kernel, "variant": step.variant, "name": step.name, "flops": step.flops, "bytes": step.bytes}
            for step in program.steps
        ],
    }
