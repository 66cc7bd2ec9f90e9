"""`shufflekit compile`: a network becomes a plan file that runs without PyTorch."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from shufflekit.cli._output import notice, print_json, stdout

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
        model: a registry name, a detector, a folder of save_pretrained, or package.module:callable.
        out: the file to write.
        shape: N C H W of the input; that of the weights by default. The plan takes any N.
        threads: that --verify runs on; a plan takes any number.
        weights: a tag ("imagenet", "cifar10"), a file of any layout that load_weights knows, or "random".
        verify: compare with PyTorch on random images first; a plan that differs is not written, and the exit code is 1.
        json: print one object in place of the table.
    """
    from shufflekit.cli._networks import load_network, random_network
    from shufflekit.compile import compile as compile_network
    from shufflekit.data.preprocess import Preprocessing

    network = random_network(model) if weights == "random" else load_network(model, weights)
    if shape is None:
        shape = (1, 3, *Preprocessing.from_config(getattr(network, "pretrained_cfg", None) or {}).input_size)
    engine = compile_network(network, shape, threads)
    difference = _difference(network, engine) if verify else None
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


def _difference(network: nn.Module, engine: Engine) -> float:
    """Largest difference to PyTorch as a share of the largest output, over all outputs of three random images."""
    import torch

    x = torch.randn(3, *engine.input_shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected: Any = network.eval()(x)
    found = engine(x)
    if isinstance(expected, torch.Tensor):
        expected = [expected]
    elif isinstance(expected, dict):
        expected = list(expected.values())
    worst = 0.0
    for y, right in zip(found if isinstance(found, list) else [found], expected, strict=True):
        error = (y - right).abs().max() / right.abs().max().clamp(min=torch.finfo(torch.float32).tiny)
        worst = max(worst, float(error) if error.isfinite() else math.inf)
    return worst


def _as_json(engine: Engine, out: Path | None, difference: float | None) -> dict[str, Any]:
    program = engine.program
    return {
        "file": str(out) if out else None,
        "name": program.name,
        "input_shape": program.input_shape,
        "outputs": [{"name": output.name, "shape": output.shape} for output in program.outputs],
        "flops": program.flops,
        "arena_bytes": 4 * program.arena,
        "weights_bytes": program.weights.nbytes,
        "vanished": program.info["vanished"],
        "moves": len(program.moves),
        "difference": difference,
        "steps": [
            {"kernel": step.kernel, "name": step.name, "flops": step.flops, "bytes": step.bytes} for step in program.steps
        ],
    }
