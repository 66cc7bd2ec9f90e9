"""`shufflekit compile`: a network becomes a plan file that runs without PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from cyclopts import Parameter

from shufflekit.cli._output import notice, print_json, stdout
from shufflekit.files import refuse_overwrite
from shufflekit.shapes import image_shape

if TYPE_CHECKING:
    from torch import nn

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
        model: a registry name, a detector, a folder of save_pretrained or train, hf-hub:owner/name, or
            package.module:callable.
        out: the file to write; never one that is read.
        shape: N C H W of the input; the network's own channels and the size of its weights by default.
        threads: that --verify runs on; a plan takes any number.
        weights: a tag ("imagenet", "cifar10"), a file of any layout that load_weights knows, or "random".
        verify: compare with PyTorch on random images first; a plan that differs is not written, and the exit code is 1.
        json: print one object in place of the table.
    """
    from shufflekit.cli._networks import input_files, input_shape, load_network
    from shufflekit.compile import compile as compile_network

    network = load_network(model, weights)
    refuse_overwrite(out, input_files(model, weights))
    engine = compile_network(network, input_shape(network) if shape is None else image_shape(shape, "shape"), threads)
    difference = _difference(network, engine, model) if verify else None
    right = difference is None or difference <= _TOLERANCE
    if right:
        engine.save(out)
    if json:
        print_json(_as_json(engine, out if right else None, difference))
    else:
        lines = [str(engine.program)]
        if difference is not None:
            lines.append(f"largest difference to PyTorch: {difference:.1e} of the largest output")
        if right:
            lines.append(str(out))
        stdout().print("\n".join(lines), markup=False, soft_wrap=True)
    if not right:
        notice(
            f"{out}: not written: it differs from PyTorch by {difference:.1e} of the largest output, needed {_TOLERANCE:.0e}"
        )
    return 0 if right else 1


def _difference(network: nn.Module, engine: Engine, model: str) -> float:
    """Largest difference to PyTorch as a share of the largest output, over all outputs of three random images."""
    from shufflekit.export.outputs import largest_difference, outputs_of
    from shufflekit.finite import check_finite

    x = np.random.default_rng(0).standard_normal((3, *engine.input_shape), np.float32)
    expected, found = outputs_of(network, x), engine(x)
    check_finite(expected, f"{model} in PyTorch")
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
