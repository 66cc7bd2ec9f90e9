"""`shufflekit profile`: what each operator of a network costs here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from shufflekit.cli._model import NETWORK, Model, read_model
from shufflekit.cli._output import notice, print_json, stderr, stdout
from shufflekit.cli._shapes import shapes as read_shapes
from shufflekit.errors import UsageError
from shufflekit.shapes import shapes_in_order

if TYPE_CHECKING:
    from shufflekit.profiling import MeasuredLayer, MeasuredProfile
    from shufflekit.shapes import Shapes

_ENGINES = {"torch": "PyTorch eager", "native": "engine"}


def profile(
    model: str,
    /,
    *,
    shape: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    threads: int = 1,
    engine: Literal["torch", "native", "both"] | None = None,
    by: Literal["operator", "module", "layer"] = "layer",
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Count and time each operator of a network, beside the least that this machine could take for it.

    Operators are timed inside whole forward passes on random numbers. A network of the registry gets random weights: they
    cost what trained ones do. With --engine native the steps of the compiled plan are timed, with both the two stand side by
    side. The limit of an operator is its multiply-adds at the peak rate or its bytes at the copy rate of `shufflekit device`,
    whichever takes longer.

    Args:
        model: a registry name, a detector, a folder of save_pretrained or train, hf-hub:owner/name,
            package.module:callable, or what needs no PyTorch: a plan, or an ONNX file, whose plan is timed.
        shape: N C H W of the input, or NxCxHxW, or whatever dimensions it has; the network's own channels and the size of its
            weights by default. Of several inputs one for each, in order or by name, as in image:1x3x224x224,mask:1x1x224x224.
        threads: of PyTorch and of the engine.
        engine: what runs it: torch by default, native a plan and an ONNX file.
        by: a line for each layer, or sums over modules or over operators.
        json: print one object, or a list of two with --engine both.
    """
    source = read_model(model, "profile", (*NETWORK, "plan", "onnx"), engine=engine)
    sizes = read_shapes(shape)
    if not source.is_network or engine in ("native", "both"):
        _check_one_image(sizes)
    found = _of_network(source, sizes, threads, engine or "torch") if source.is_network else _of_file(source, sizes, threads)
    if json:
        print_json([one.to_dict() for one in found] if engine == "both" else found[0].to_dict())
    else:
        stdout().print(report(found, by))
    for one in found:
        for warning in one.warnings:
            notice(f"{_ENGINES[one.engine]}: {warning}")


def _check_one_image(shape: Shapes | None) -> None:
    """Refuses a batch of several where the engine is timed."""
    for batch in {each[0] for each in shapes_in_order(shape or ())} - {1}:
        raise UsageError(f"shape: the engine's steps are timed on one image, found a batch of {batch}")


def _of_file(source: Model, shape: Shapes | None, threads: int) -> list[MeasuredProfile]:
    from shufflekit.profiling import profile_engine

    with stderr().status("compiling and measuring"):
        return [profile_engine(source.engine(threads, shape))]


def _of_network(source: Model, shape: Shapes | None, threads: int, engine: str) -> list[MeasuredProfile]:
    from shufflekit.classify.inputs import input_shape
    from shufflekit.compiling import compile as compile_network
    from shufflekit.profiling import profile as profile_network
    from shufflekit.profiling import profile_engine

    network = source.untrained()
    shape = shape or input_shape(network)
    found: list[MeasuredProfile] = []
    with stderr().status("measuring") as status:
        if engine != "native":
            found.append(profile_network(network, shape, measure=True, threads=threads))
        if engine != "torch":
            status.update("compiling and measuring")
            found.append(profile_engine(compile_network(network, shape, threads)))
    return found


def report(found: list[MeasuredProfile], by: Literal["operator", "module", "layer"]) -> RenderableType:
    """One profile as a table of its parts; of two, the categories side by side first."""
    parts: list[RenderableType] = [_facts(found[0])]
    parts.append(_categories(found))
    for one in found:
        if len(found) == 2:
            parts.append(Text(f"\n{_ENGINES[one.engine]}"))
        parts.append(_layers(one) if by == "layer" else _sums(one, by))
        if one.removed:
            parts.append(Text("compiled away: " + ", ".join(f"{count} {name}" for name, count in one.removed.items())))
        if one.unknown:
            names = ", ".join(f"{name} ({times} times)" for name, times in one.unknown.items())
            parts.append(Text(f"unknown operators, timed and their bytes counted, but not their multiply-adds: {names}"))
    return Group(*parts)


def _facts(one: MeasuredProfile) -> Text:
    shape = " and ".join("x".join(map(str, each)) for each in (one.input_shape, *one.more_inputs))
    threads = f"{one.threads} thread{'s' * (one.threads > 1)}"
    return Text(
        f"{one.network}, input {shape}, {threads}, {one.device.cpu}\n"
        f"{one.flops / 1e6:,.1f} M multiply-adds, {one.params:,} parameters, {one.mac / 1e6:,.1f} M elements of memory access"
    )


def _categories(found: list[MeasuredProfile]) -> Table:
    table = _table("", *(f"{_ENGINES[one.engine]}, {unit}" for one in found for unit in ("ms", "share")))
    for name in found[0].by_category:
        cells = [(one.by_category[name], one.by_category[name] / one.ms) for one in found]
        table.add_row(name, *(cell for ms, share in cells for cell in (f"{ms:.3f}", f"{share:.0%}")))
    table.add_row("all operators", *(cell for one in found for cell in (f"{one.ms:.3f}", "100%")))
    whole = [(f"{one.latency.median_ms:.3f}", f"{one.latency.low_ms:.2f}-{one.latency.high_ms:.2f}") for one in found]
    table.add_row("a pass, not looked into", *(cell for pair in whole for cell in pair))
    table.add_row("device limit", *(cell for one in found for cell in (f"{one.limit_ms:.3f}", f"{one.limit_ms / one.ms:.0%}")))
    return table


def _layers(one: MeasuredProfile) -> Table:
    table = _table("module" if one.engine == "torch" else "step", "operator", "shapes", "kflops", "parameters", "mac, k", "kB",
                   "flops/B", "ms", "from-to", "limit", "of limit", "share", left=3)  # fmt: skip
    for layer in one.layers:
        spread = f"{layer.low_ms:.3f}-{layer.high_ms:.3f}"
        table.add_row(
            *(layer.name, layer.operator, shapes(layer), f"{layer.flops / 1e3:,.0f}", f"{layer.params:,}"),
            *(f"{layer.mac / 1e3:,.0f}", f"{layer.mac_bytes / 1e3:,.0f}", f"{layer.intensity:.2f}"),
            *(f"{layer.ms:.3f}", spread, f"{layer.limit_ms:.3f}", f"{layer.limit_ms / layer.ms:.0%}", f"{layer.share:.1%}"),
        )
    return table


def _sums(one: MeasuredProfile, by: Literal["operator", "module"]) -> Table:
    table = _table(by, "ms", "share")
    for name, ms in (one.by_operator if by == "operator" else one.by_module()).items():
        table.add_row(name, f"{ms:.3f}", f"{ms / one.ms:.1%}")
    return table


def shapes(layer: MeasuredLayer) -> str:
    """Map and kernel that an operator reads, and the map that it writes: `58x28x28 58x58x1x1 -> 58x28x28`; a step has maps."""
    read = [layer.input_shapes[0][1:]]
    if layer.operator == "convolution":
        read += layer.input_shapes[1:2]
    sides = [" ".join("x".join(map(str, shape)) for shape in side) for side in (read, [layer.output_shapes[0][1:]])]
    return " -> ".join(sides)


def _table(*columns: str, left: int = 1) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number < left else "right", no_wrap=True)
    return table
