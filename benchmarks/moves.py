"""What only moves elements, in turn with ONNX Runtime: `python benchmarks/moves.py` prints a table.

Channels that become last, by themselves and behind a pointwise convolution, and the slices of a focus layer. One thread; of
each the quickest of many calls, and ONNX Runtime's over ours.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cyclopts
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

import shufflekit as sk
from shufflekit.export.to_onnx import load_onnx
from shufflekit.profiling.allocator import settle_allocator

_MAPS = ((255, 20, 20), (255, 80, 80), (80, 40, 40), (64, 112, 112), (24, 80, 80), (21, 65, 65), (4, 100, 100), (2, 160, 160))
_IMAGES = ((3, 640, 640), (3, 416, 416), (3, 320, 320))
_LAST = helper.make_node("Transpose", ["r"], ["y"], perm=[0, 2, 3, 1])

Array = NDArray[Any]


def main(rounds: int = 30) -> None:
    """Time moves in turn with ONNX Runtime.

    Args:
        rounds: turns of each.
    """
    settle_allocator()
    print("| moves | input | shufflekit, us | ONNX Runtime, us | ratio |\n|---|---|--:|--:|--:|")
    ratios = []
    with TemporaryDirectory() as folder:
        for name, shape, graph in cases():
            onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), f"{folder}/net.onnx")
            ours, theirs = in_turn(Path(folder, "net.onnx"), shape, rounds)
            ratios.append(theirs / ours)
            print(f"| {name} | {'x'.join(map(str, shape))} | {ours:.1f} | {theirs:.1f} | {ratios[-1]:.2f} |", flush=True)
    print(f"\nGeometric mean {np.exp(np.mean(np.log(ratios))):.2f}, least {min(ratios):.2f}.")


def cases() -> Iterator[tuple[str, tuple[int, ...], Any]]:
    random = np.random.default_rng(0)
    for channels, *sides in _MAPS:
        yield "channels last", (1, channels, *sides), graph([node("Identity", "x", "r"), _LAST], (1, channels, *sides))
        weights = random.standard_normal((channels, 8, 1, 1), np.float32)
        nodes = [helper.make_node("Conv", ["x", "w"], ["r"]), _LAST]
        yield f"pointwise to {channels}, channels last", (1, 8, *sides), graph(nodes, (1, 8, *sides), w=weights)
    for shape in _IMAGES:
        yield "focus", (1, *shape), focus((1, *shape))


def node(operator: str, *names: str) -> Any:
    *inputs, output = names
    return helper.make_node(operator, inputs, [output])


def graph(nodes: list[Any], shape: tuple[int, ...], **constants: Array) -> Any:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    return helper.make_graph(
        nodes, "graph", [x], [y], [numpy_helper.from_array(each, name) for name, each in constants.items()]
    )


def focus(shape: tuple[int, ...]) -> Any:
    """Every second row and column, four times, as channels."""
    nodes = []
    for down in ("zero", "one"):
        nodes.append(node("Slice", "x", down, "end", "rows", "two", f"{down}_row"))
        nodes += [
            node("Slice", f"{down}_row", across, "end", "columns", "two", f"{down}_{across}") for across in ("zero", "one")
        ]
    parts = [f"{down}_{across}" for across in ("zero", "one") for down in ("zero", "one")]
    nodes.append(helper.make_node("Concat", parts, ["y"], axis=1))
    numbers = {"zero": 0, "one": 1, "two": 2, "rows": 2, "columns": 3, "end": 2**31}
    return graph(nodes, shape, **{name: np.array([number], np.int64) for name, number in numbers.items()})


def in_turn(path: Path, shape: tuple[int, ...], rounds: int) -> tuple[float, float]:
    """Microseconds of a call, ours and ONNX Runtime's."""
    x = np.random.default_rng(0).standard_normal(shape, np.float32)
    runs: list[Callable[[Array], Any]] = [sk.compile(path), load_onnx(path, 1)]
    np.testing.assert_allclose(runs[0](x), runs[1](x)[0], rtol=0, atol=1e-4)
    times: list[list[int]] = [[], []]
    for _ in range(rounds):
        for run, of_run in zip(runs, times):
            run(x)
            for _ in range(5):
                start = time.perf_counter_ns()
                run(x)
                of_run.append(time.perf_counter_ns() - start)
    ours, theirs = (min(of_run) / 1e3 for of_run in times)
    return ours, theirs


if __name__ == "__main__":
    cyclopts.run(main)
