"""Compiles published networks and compares each with PyTorch: what compiles, how near it comes, what is missing.

In an environment beside the project's, which imports none of them (torch first and by itself, see constraints.txt):

python -m venv ../oracles
../oracles/bin/pip install -c constraints.txt torch
../oracles/bin/pip install -c constraints.txt timm pytorchcv .
../oracles/bin/pip install --no-deps torchvision
../oracles/bin/python scripts/coverage.py ../shared/data/networks.csv

Every verdict is kept at once in results/coverage.json, and a run that was stopped goes on; --again tries anew what did not
compile, or with a pattern what that names. docs/coverage.md is written from it. Weights are random, and norms calibrated on
noise: without that they amplify rounding until PyTorch in float32 is as far from itself in float64.
"""

from __future__ import annotations

import csv
import fnmatch
import gc
import importlib
import json
import logging
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import cyclopts
import numpy as np
import torch
from rich.console import Console
from small_networks import small
from torch import Tensor, nn

import shufflekit as sk
from shufflekit.errors import ShufflekitError, kind_and_line
from shufflekit.files import write_atomic
from shufflekit.outputs import tensors_of

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results" / "coverage.json"
PAGE = ROOT / "docs" / "coverage.md"
TOLERANCE = 1e-4  # of each output's largest value

_OPENING = """# Coverage of published networks

`python scripts/coverage.py ../shared/data/networks.csv` compiles each with random weights, norms calibrated on noise, and
compares three images, or the one that it takes, with PyTorch in float32. Parity is the largest difference as a share of its
output's largest value, at most {tolerance:.0e}; where it is more, PyTorch's own difference from itself in float64 stands behind
it. timm, torchvision and pytorchcv are installed beside the project, which imports none of them; the script says how. `hand`
are small forms of networks that people deploy (`scripts/small_networks.py`).

{summary}
"""


@dataclass(frozen=True)
class Outcome:
    """Of one network; `parity` and `of_torch` are shares of the largest output, None where there is none."""

    network: str
    compiled: bool
    missing: str = ""
    parity: float | None = None
    of_torch: float | None = None
    seconds: float = 0.0

    @property
    def is_right(self) -> bool:
        return self.parity is not None and self.parity <= max(TOLERANCE, 3 * (self.of_torch or 0))


def main(networks: Path, only: str = "*", again: bool = False, results: Path = RESULTS, page: Path = PAGE) -> int:
    """Compile networks and compare them with PyTorch.

    Args:
        networks: a table with columns network and input, as in timm/resnet50 and 1x3x224x224.
        only: a pattern of names, as in timm/*.
        again: those that did not compile or were not right, too; with a pattern all that it names.
        results: where verdicts are kept.
        page: the table that is written from them.
    """
    torch.set_num_threads(1)
    say = Console(stderr=True, soft_wrap=True, markup=False, highlight=False).print
    kept = {each.network: each for each in read(results)}
    with networks.open(newline="") as file:
        rows = {row["network"]: row["input"] for row in csv.DictReader(file)}
    for name, size in rows.items():
        found = kept.get(name)
        wanted = found is None or (again and (only != "*" or not found.is_right))
        if not wanted or not fnmatch.fnmatch(name, only) or name.partition("/")[0] not in SOURCES:
            continue
        kept[name] = outcome = tried(name, [int(each) for each in size.split("x")])
        say(f"{name}: {_verdict(outcome)}")
        write_atomic(results, (json.dumps([asdict(kept[each]) for each in rows if each in kept], indent=1) + "\n").encode())
        gc.collect()
    page.write_text(table([kept[name] for name in rows if name in kept]), encoding="utf-8")
    return 0


def read(results: Path) -> list[Outcome]:
    return [Outcome(**each) for each in json.loads(results.read_text(encoding="utf-8"))] if results.exists() else []


def tried(name: str, shape: Sequence[int]) -> Outcome:
    """One network, from its name to its verdict."""
    source, _, model = name.partition("/")
    torch.manual_seed(0)
    start = time.perf_counter()
    try:
        network = calibrated(SOURCES[source](model, shape[2:]), shape)
    except Exception as error:  # noqa: BLE001  # whatever an oracle of another version raises
        return Outcome(name, False, f"not built: {kind_and_line(error)}")
    try:
        engine = sk.compile(network, shape)
    except ShufflekitError as error:
        return Outcome(name, False, str(error).removeprefix("compile: "), seconds=_since(start))
    images = 3 if engine.program.inputs[0].batched else 1  # as many as it takes
    x = torch.from_numpy(np.random.default_rng(1).standard_normal((images, *shape[1:]), np.float32))
    with torch.inference_mode():
        wanted = outputs(network, x)
        found = engine(x)
        parity = distance(found if isinstance(found, list) else [found], wanted)
        if parity <= TOLERANCE:
            return Outcome(name, True, parity=parity, seconds=_since(start))
        of_torch = distance(wanted, outputs(network.double(), x.double()))
    return Outcome(name, True, parity=parity, of_torch=of_torch, seconds=_since(start))


def _since(start: float) -> float:
    return round(time.perf_counter() - start, 1)


def outputs(network: nn.Module, x: Tensor) -> list[Tensor]:
    return tensors_of(network(x))


def distance(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> float:
    """The largest over all outputs, each as a share of its largest value; NaN where one is."""
    shares = [(a.double() - b.double()).abs().max() / b.double().abs().max() for a, b in zip(found, wanted, strict=True)]
    return float(torch.stack(shares).max())


def calibrated(network: nn.Module, shape: Sequence[int]) -> nn.Module:
    """In evaluation, its batch norms with the statistics of noise, as they would be of images after training."""
    norms = [each for each in network.modules() if isinstance(each, nn.modules.batchnorm._BatchNorm)]
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
        norm.train()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for _ in range(2 if norms else 0):
            network(torch.randn((4, *shape[1:]), generator=generator))
    return network.eval()


# Where networks come from.


def _timm(model: str, _: Sequence[int]) -> nn.Module:
    _torchvision_models()  # which it imports
    import timm

    name, *rest = model.split()
    return timm.create_model(name, pretrained=False, **dict.fromkeys(rest, True))


class _BackboneAndHead(nn.Module):
    """A detector up to its maps, without what makes boxes of them."""

    def __init__(self, detector: Any) -> None:
        super().__init__()
        self.backbone, self.head = detector.backbone, detector.head

    def forward(self, x: Tensor) -> Any:
        return self.head(list(self.backbone(x).values()))


@cache
def _torchvision_models() -> ModuleType:
    """torchvision without its own operators: they do not fit the CPU build of torch, and registering them fails."""
    register: Callable[..., Any] = torch.library.register_fake

    def ignoring(name: Any, *others: Any, **named: Any) -> Any:
        is_its = isinstance(name, str) and name.startswith("torchvision::")
        return (lambda function: function) if is_its else register(name, *others, **named)

    torch.library.register_fake = ignoring
    try:
        return importlib.import_module("torchvision.models")
    finally:
        torch.library.register_fake = register


def _torchvision(model: str, _: Sequence[int]) -> nn.Module:
    models = _torchvision_models()
    name, *rest = model.split()
    place = next(each for each in (models, models.segmentation, models.detection) if hasattr(each, name))
    backbone = {} if place is models else {"weights_backbone": None}
    network: nn.Module = getattr(place, name)(weights=None, **backbone)
    return _BackboneAndHead(network) if rest == ["backbone+head"] else network


def _pytorchcv(model: str, size: Sequence[int]) -> nn.Module:
    _torchvision_models()  # which some of its networks import
    from pytorchcv.model_provider import get_model

    try:
        network: nn.Module = get_model(model, pretrained=False, in_size=tuple(size))
    except TypeError:  # one of any size
        network = get_model(model, pretrained=False)
    return network


SOURCES: Mapping[str, Callable[[str, Sequence[int]], nn.Module]] = {
    "timm": _timm,
    "tv": _torchvision,
    "cv": _pytorchcv,
    "hand": small,
}

# The page.


def table(outcomes: Sequence[Outcome]) -> str:
    """The page of all outcomes."""
    counts: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for each in outcomes:
        counts[each.network.partition("/")[0]] += 1
        right[each.network.partition("/")[0]] += each.is_right
    shown = ", ".join(f"{source} {right[source]} of {count}" for source, count in counts.items())
    lines = [
        _OPENING.format(tolerance=TOLERANCE, summary=f"{right.total()} of {len(outcomes)} compile and are right: {shown}."),
        "| network | compiled | parity | missing |\n|---|---|---|---|",
    ]
    for each in outcomes:
        parity = "" if each.parity is None else f"{each.parity:.1e}"
        if each.of_torch is not None:
            parity += f" ({each.of_torch:.1e})"
        missing = each.missing.replace("|", "/")
        lines.append(f"| {each.network} | {'yes' if each.compiled else 'no'} | {parity} | {missing} |")
    return "\n".join(lines) + "\n"


def _verdict(outcome: Outcome) -> str:
    if not outcome.compiled:
        return outcome.missing
    return f"{'right' if outcome.is_right else 'WRONG'}, {outcome.parity:.1e} {outcome.of_torch or ''}"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    cyclopts.run(main)
