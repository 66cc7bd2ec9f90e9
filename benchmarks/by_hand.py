"""What an audit says of ShuffleNet V2 1x, and the same networks built by hand: other numbers in their constructor.

python benchmarks/by_hand.py [--seconds 30]

Each measured change that comes to other widths of stages, or of the last convolution, is built with these in `build_model` and
raced in turn with the network as it is, for as many multiply-adds. Both intervals should have something in common.
"""

from __future__ import annotations

import cyclopts

from shufflekit.compiling import capture
from shufflekit.cost.from_graph import count_graph
from shufflekit.guidelines import audit
from shufflekit.guidelines.loads import clock_of, on_engine
from shufflekit.guidelines.record import Remedy
from shufflekit.models import build_model
from shufflekit.profiling.difference import Difference, measure_difference

NETWORK, SHAPE = "shufflenet_v2_x1_0", (1, 3, 224, 224)
STAGES = {"stage2": 116, "stage3": 232, "stage4": 464}


def numbers(remedy: Remedy) -> dict[str, object] | None:
    """What the constructor needs for a change; none where it is no such change."""
    after = {place: widths[1] for place, widths in remedy.widths.items()}
    stages = tuple(2 * after.get(f"{stage}.1.branch2.0", was // 2) for stage, was in STAGES.items())
    found = {"stem_channels": (after.get("conv1.0", 24),), "stage_channels": stages}
    found |= {"conv5_channels": after.get("conv5.0", 1024)}
    built = count_graph(capture(build_model(NETWORK, **found).eval(), SHAPE))
    return found if after and built.flops == remedy.flops[1] else None


def main(*, seconds: float = 30.0) -> None:
    """Hold what an audit says against networks built by hand.

    Args:
        seconds: of the audit's races, and at most of one here.
    """
    found = audit(build_model(NETWORK), SHAPE, seconds=seconds, select=["G1", "G5"])
    graph = capture(build_model(NETWORK).eval(), SHAPE)
    before = on_engine(graph, 1)
    print("| change | numbers | audit, ms | by hand, ms | agree |\n|---|---|--:|--:|---|")
    for remedy in found.remedies:
        options = numbers(remedy)
        if options is None:
            print(f"| {remedy.text} | no numbers of the constructor | {_interval(remedy)} | | |")
            continue
        built = capture(build_model(NETWORK, **options).eval(), SHAPE)
        share = count_graph(graph).flops / count_graph(built).flops
        raced = measure_difference(before, on_engine(built, 1), share=share, most_seconds=seconds, clock=clock_of(1))
        agree = remedy.low_ms <= raced.high_ms and raced.low_ms <= remedy.high_ms
        print(
            f"| {remedy.text} | {options} | {_interval(remedy)} | {_interval(raced)} | {'yes' if agree else 'NO'} |", flush=True
        )


def _interval(gain: Remedy | Difference) -> str:
    return f"{gain.gain_ms:+.3f} ({gain.low_ms:+.3f} to {gain.high_ms:+.3f})"


if __name__ == "__main__":
    cyclopts.run(main)
