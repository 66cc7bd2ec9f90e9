"""Plans in bytes against plans in float32, in turn: `python benchmarks/bytes_speed.py` prints a table of ten networks.

`--bfloat16` has plans in bfloat16 in the place of bytes. Random weights of a size by which what flows through keeps its size;
ranges of four images of noise. Of each plan the quickest of many calls, in ms.
"""

from __future__ import annotations

import time
import warnings
from typing import Annotated

import cyclopts
import numpy as np
from engines import NETWORKS

import shufflekit as sk
from shufflekit.export.random_weights import spread_weights
from shufflekit.models import build_model
from shufflekit.profiling.allocator import settle_allocator
from shufflekit.runtime.engine import Engine


def main(
    networks: Annotated[tuple[str, ...], cyclopts.Parameter(consume_multiple=True)] = NETWORKS,
    threads: int = 1,
    rounds: int = 20,
    bfloat16: Annotated[bool, cyclopts.Parameter(negative="")] = False,
    instruction_set: str = "",
) -> None:
    """Time both in turn.

    Args:
        networks: registry names.
        threads: of each call.
        rounds: turns of each, of ten calls.
        bfloat16: in place of bytes.
        instruction_set: of both; the best by default.
    """
    settle_allocator()
    if not bfloat16:
        warnings.simplefilter("ignore")  # of noise in random weights, which no one deploys
    other = "bfloat16" if bfloat16 else "bytes"
    print(f"| network | float32, ms | {other}, ms | ratio | plan, MB | in {other}, MB |\n|---|--:|--:|--:|--:|--:|")
    ratios = []
    for name in networks:
        shape = (4, 3, 224, 224)
        network = spread_weights(build_model(name), (1, *shape[1:])).eval()
        images = np.random.default_rng(0).standard_normal(shape, np.float32)
        how = {"precision": "bfloat16"} if bfloat16 else {"int8": images}
        engines = [sk.compile(network, shape, threads), sk.compile(network, shape, threads, **how)]
        engines = [Engine(engine.program.to_bytes(), threads, instruction_set) for engine in engines]
        exact, rounded = in_turn(engines, images[:1], rounds)
        ratios.append(exact / rounded)
        sizes = " | ".join(f"{len(engine.program.to_bytes()) / 1e6:.1f}" for engine in engines)
        print(f"| {name} | {exact:.2f} | {rounded:.2f} | {ratios[-1]:.2f} | {sizes} |", flush=True)
    print(f"\nGeometric mean {np.exp(np.mean(np.log(ratios))):.2f}, least {min(ratios):.2f}.")


def in_turn(engines: list[sk.Engine], x: np.ndarray, rounds: int) -> list[float]:
    """The quickest call of each, in ms."""
    best = [np.inf] * len(engines)
    for _ in range(rounds):
        for number, engine in enumerate(engines):
            for _ in range(10):
                start = time.perf_counter()
                engine(x)
                best[number] = min(best[number], 1e3 * (time.perf_counter() - start))
    return best


if __name__ == "__main__":
    cyclopts.run(main)
