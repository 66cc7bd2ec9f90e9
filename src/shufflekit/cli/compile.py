"""`shufflekit compile`: a network becomes a plan file that runs without PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from cyclopts import Parameter

from shufflekit.cli._onnx import compile_onnx, is_onnx
from shufflekit.cli._output import notice, print_json, stdout
from shufflekit.files import refuse_overwrite
from shufflekit.shapes import image_shape

if TYPE_CHECKING:
    from shufflekit.export.format import Array
    from shufflekit.runtime import Engine

_TOLERANCE = 1e-4  # of the largest output


def compile(  # noqa: A001
    model: str,
    /,
    *,
    out: Annotated[Path, Parameter(alias="-o")],
    shape: tuple[int, int, int, int] | None = None,
    threads: int = 1,
    weights: str | None = None,
    verify: Annotated[bool, Parameter(negative="")] = False,
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
        shape: N C H W of the input; the network's own channels and the size of its weights by default. An ONNX file has its
            own, in its own order, and needs this for sizes that it leaves open.
        threads: that --verify runs on; a plan takes any number.
        weights: a tag ("imagenet", "cifar10"), a file of any layout that load_weights knows, or "random".
        verify: compare with PyTorch, an ONNX file with ONNX Runtime, on random images first; a plan that differs is not
            written, and the exit code is 1.
        json: print one object in place of the table.
    """
    sizes = None if shape is None else image_shape(shape, "shape")
    engine, expected = (
        _of_onnx(model, sizes, threads, out) if is_onnx(model, weights) else _of_torch(model, weights, sizes, threads, out)
    )
    reference = "ONNX Runtime" if is_onnx(model, weights) else "PyTorch"
    difference = _difference(expected, engine, f"{model} in {reference}") if verify else None
    right = difference is None or difference <= _TOLERANCE
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
            f"{out}: not written: it differs from {reference} by {difference:.1e} of the largest output, "
            f"needed {_TOLERANCE:.0e}"
        )
    return 0 if right else 1


def _of_torch(
    model: str, weights: str | None, shape: Sequence[int] | None, threads: int, out: Path
) -> tuple[Engine, Callable[[Array], list[Array]]]:
    """A network of PyTorch's, compiled, and what PyTorch computes with it."""
    from shufflekit.cli._networks import input_files, input_shape, load_network
    from shufflekit.compiling import compile as compile_network
    from shufflekit.export.outputs import outputs_of

    network = load_network(model, weights)
    refuse_overwrite(out, input_files(model, weights))
    return compile_network(network, shape or input_shape(network), threads), lambda x: outputs_of(network, x)


def _of_onnx(model: str, shape: Sequence[int] | None, threads: int, out: Path) -> tuple[Engine, Callable[[Array], list[Array]]]:
    """An ONNX file, compiled, and what ONNX Runtime computes with it, image by image."""
    refuse_overwrite(out, [model])
    engine = compile_onnx(model, shape, threads)
    if "batch" in engine.program.info:
        notice(f"{model}: {engine.program.info['batch']}")

    def expected(x: Array) -> list[Array]:
        from shufflekit.export.to_onnx import Onnx, load_onnx

        Onnx().require()
        run = load_onnx(Path(model), 1, optimise=False)
        singles = [run(x[number : number + 1]) for number in range(len(x))]
        return [np.concatenate(each) for each in zip(*singles)]

    return engine, expected


def _difference(compute: Callable[[Array], list[Array]], engine: Engine, name: str) -> float:
    """Largest difference as a share of the largest output, over all outputs of three random images."""
    from shufflekit.export.outputs import largest_difference
    from shufflekit.finite import check_finite

    x = np.random.default_rng(0).standard_normal((3, *engine.input_shape), np.float32)
    expected, found = compute(x), engine(x)
    check_finite(expected, name)
    return largest_difference(found if isinstance(found, list) else [found], expected)


def _as_json(engine: Engine, out: Path | None, difference: float | None) -> dict[str, Any]:
    program = engine.program
    return {
        "file": str(out) if out else None,
        "name": program.name,
        "input_shape": program.input_shape,
        "outputs": [{"name": output.name, "shape": output.shape} for output in program.outputs],
        "flops": program.flops,
        "arena_bytes": program.arena,
        "weights_bytes": program.weights.nbytes,
        "vanished": program.info["vanished"],
        "moves": len(program.moves),
        "difference": difference,
        "steps": [
            {"kernel": step.kernel, "name": step.name, "flops": step.flops, "bytes": step.bytes} for step in program.steps
        ],
    }
