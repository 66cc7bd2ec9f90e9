"""What `shufflekit demo` does, apart from its command line: that must show its help without torch."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich import box
from rich.table import Table

from shufflekit.classify.classifier import Prediction
from shufflekit.classify.from_torch import torch_classifier
from shufflekit.classify.inputs import input_shape
from shufflekit.cli import _output
from shufflekit.cli._annotate import Tile, draw_sheet
from shufflekit.cli._networks import DEFAULT_MODEL
from shufflekit.cli._photos import Photos
from shufflekit.cli._pictures import Pictures
from shufflekit.compiling import compile as compile_network
from shufflekit.data.classes import CIFAR10
from shufflekit.device.host import cpu_name
from shufflekit.environment import offline
from shufflekit.errors import DownloadError, NotBuiltError
from shufflekit.models import Network
from shufflekit.modes import torch_threads
from shufflekit.profiling import Latency, Profile, measure_in_turn, profile
from shufflekit.weights import create_model, find_checkpoint
from shufflekit.weights.download import cache_folder

# Least confidence of the ten-class network; benchmarks/demo_confidence.py shows how it was chosen.
LEAST_CONFIDENCE = 0.8
_PATIENCE_S = 4  # for the first answer of the server that has ImageNet's weights
_MOST_TILES = 36


@dataclass(frozen=True)
class Example:
    """A photo that scikit-image ships: what is on it, and the class names that say so."""

    file: str
    truth: str
    right: tuple[str, ...]


EXAMPLES = (
    Example("chelsea.png", "cat", ("cat", "tabby", "tiger cat", "Egyptian cat", "Persian cat", "Siamese cat")),
    Example("coffee.png", "cup of coffee", ("espresso", "cup", "coffee mug")),
    Example("rocket.jpg", "rocket", ("missile", "projectile")),
)


@dataclass(frozen=True)
class Result:
    """What the network says of a photo: `label` is None for none of the ten classes, `truth` where nobody said."""

    file: str
    label: str | None
    score: float
    likeliest: str
    truth: str | None
    right: bool | None


def run(photos: Sequence[str], out: Path, json: bool) -> int:
    """Shows the examples, or the photos named, and returns the exit code."""
    network, about = _network()
    classify = torch_classifier(network, network.architecture)
    ten_classes = tuple(classify.labels) == CIFAR10
    images = Photos(photos or [str(path) for path in _examples(classify.labels)])
    results: list[Result] = []
    tiles: list[Tile] = []
    for name, photo in images:
        result = _judge(name, classify(photo, topk=1)[0], ten_classes, examples=not photos)
        results.append(result)
        if len(tiles) < _MOST_TILES:
            tiles.append(_tile(result, photo, classify.prepare.crop(photo) if ten_classes else None))
    shape = input_shape(network)
    costs, latencies = profile(network, shape), _latencies(network, shape)
    facts = _facts(costs, latencies)
    title = f"{network.architecture}, {about}"
    sheet = draw_sheet(tiles, [title, *(": ".join(pair) for pair in facts)]) if tiles else None
    picture = Pictures(out, images.names).add("demo", ".png", sheet) if sheet else None
    if json:
        _output.print_json(_as_json(network, about, costs, latencies, results, picture))
    else:
        _print(title, facts, results, picture)
    if len(results) > len(tiles):
        _output.notice(f"the picture shows the first {_MOST_TILES} of {len(results)} photos")
    return 1 if images.failed else 0


def _network() -> tuple[Network, str]:
    """ImageNet's network where its weights are here or can be fetched, else the bundled one; and words on the weights."""
    imagenet = find_checkpoint(DEFAULT_MODEL, "imagenet")
    assert imagenet.url is not None
    problem = None
    if not (offline() or (cache_folder() / imagenet.file_name).exists()):
        problem = _no_answer(imagenet.url)
    try:
        if problem is None:
            return _create(DEFAULT_MODEL, imagenet.tag), f"ImageNet weights of {imagenet.source}"
    except DownloadError as error:
        problem = str(error)
    _output.notice(f"ImageNet weights cannot be fetched ({problem}); the ten-class weights of this package are used")
    network = _create("shufflenet_v2_x0_5", "cifar10")
    top1_error = (network.pretrained_cfg or {}).get("top1_error")
    score = "" if top1_error is None else f", {100 - top1_error:.1f} % right on the test set"
    return network, f"CIFAR-10 weights of this package{score}"


def _create(name: str, tag: str) -> Network:
    network = create_model(name, pretrained=tag)
    assert isinstance(network, Network)
    return network


def _no_answer(url: str) -> str | None:
    """Why a server does not answer soon; a thread, because looking up a name has no time-out of its own."""
    problems: list[str | None] = []

    def ask() -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=_PATIENCE_S).close()
            problems.append(None)
        except OSError as error:
            problems.append(str(getattr(error, "reason", error)))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_PATIENCE_S)
    return problems[0] if problems else f"no answer in {_PATIENCE_S} s"


def _examples(labels: Sequence[str]) -> Iterator[Path]:
    """The shipped photos that show one of the network's classes."""
    import skimage

    for example in EXAMPLES:
        if not set(example.right).isdisjoint(labels):
            yield Path(skimage.__file__).parent / "data" / example.file


def _judge(name: str, best: Prediction, ten_classes: bool, examples: bool) -> Result:
    label = None if ten_classes and best.score < LEAST_CONFIDENCE else best.label
    example = next((e for e in EXAMPLES if examples and e.file == Path(name).name), None)
    right = None if example is None else label in example.right
    return Result(name, label, best.score, best.label, example.truth if example else None, right)


def _tile(result: Result, photo: NDArray[np.uint8], seen: NDArray[np.uint8] | None) -> Tile:
    verdict = f"{result.label}  {result.score:.0%}" if result.label else "none of the ten classes"
    facts = [f"truth: {result.truth}" if result.truth else "", Path(result.file).name]
    facts.append("" if result.label else f"likeliest: {result.likeliest} {result.score:.0%}")
    return Tile(photo, verdict, "    ".join(fact for fact in facts if fact), result.right, seen)


def _latencies(network: Network, shape: tuple[int, ...]) -> dict[str, Latency]:
    """PyTorch's and the engine's, measured in turn on one thread; PyTorch's alone where the compiled part is missing."""
    x = torch.randn(shape)
    runs: dict[str, Callable[[], object]] = {"PyTorch": lambda: network(x)}
    try:
        engine = compile_network(network, shape)
        runs["engine"] = lambda: engine(x)
    except NotBuiltError as error:
        _output.notice(str(error))
    with torch_threads(1), torch.inference_mode():
        return dict(zip(runs, measure_in_turn(list(runs.values()))))


def _facts(costs: Profile, latencies: Mapping[str, Latency]) -> list[tuple[str, str]]:
    facts = [
        ("FLOPs", f"{costs.flops / 1e6:.2f} M multiply-adds"),
        ("memory access cost", f"{costs.mac / 1e6:.2f} M elements"),
        ("parameters", f"{costs.params / 1e6:.2f} M"),
    ]
    for name, latency in latencies.items():
        times = latencies["PyTorch"].median_ms / latency.median_ms
        faster = "" if name == "PyTorch" else f", {times:.1f} times as fast"
        spread = f"{latency.low_ms:.2f} to {latency.high_ms:.2f}"
        facts.append((f"latency, {name}", f"{latency.median_ms:.2f} ms ({spread}){faster}"))
    return [*facts, ("measured", f"in turn, 1 thread, {cpu_name()}")]


def _print(title: str, facts: list[tuple[str, str]], results: list[Result], picture: Path | None) -> None:
    console = _output.stdout()
    console.print(title, markup=False)
    if results:
        table = Table("photo", "prediction", "confidence", "truth", box=box.SIMPLE_HEAD, pad_edge=False)
        for result in results:
            label = (
                result.label or f"none of the ten classes (less than {LEAST_CONFIDENCE:.0%} sure; likeliest {result.likeliest})"
            )
            table.add_row(Path(result.file).name, label, f"{result.score:.0%}", result.truth or "")
        console.print(table)
    table = Table(box=box.SIMPLE_HEAD, show_header=False, pad_edge=False)
    for pair in facts:
        table.add_row(*pair)
    console.print(table)
    if picture:
        console.print(str(picture), markup=False, soft_wrap=True)


def _as_json(
    network: Network,
    about: str,
    costs: Profile,
    latencies: Mapping[str, Latency],
    results: list[Result],
    picture: Path | None,
) -> dict[str, object]:
    return {
        "model": network.architecture,
        "weights": about,
        "input_shape": costs.input_shape,
        "flops": costs.flops,
        "params": costs.params,
        "mac": costs.mac,
        "latency_ms": {name: asdict(latency) for name, latency in latencies.items()},
        "threads": 1,
        "device": cpu_name(),
        "photos": [asdict(result) for result in results],
        "picture": str(picture) if picture else None,
    }
