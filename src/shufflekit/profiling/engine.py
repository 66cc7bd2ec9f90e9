"""The profile of a compiled network, in the same terms as PyTorch's."""

from __future__ import annotations

from shufflekit.cost.counts import LayerCount
from shufflekit.device import load_device
from shufflekit.plan.program import Step
from shufflekit.profiling.latency import measure_latency, summarize
from shufflekit.profiling.profile import warnings_of
from shufflekit.profiling.record import MeasuredProfile, timed_layers
from shufflekit.runtime import Engine

_PASSES = 50


def profile_engine(engine: Engine, passes: int = _PASSES) -> MeasuredProfile:
    """Times each step of a plan and the whole; a step is a layer, and its kernel the operator.

    Args:
        engine: the compiled network, on its threads.
        passes: of which the median is taken.

    Example:
        >>> from torch import nn
        >>> import shufflekit as sk
        >>> p = profile_engine(sk.compile(nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU()), (1, 3, 6, 6)))
        >>> [(layer.operator, layer.category) for layer in p.layers]
        [('gather', 'data movement'), ('gemm', 'convolution'), ('gather', 'data movement')]
    """
    inputs = engine.noise()
    whole = measure_latency(lambda: engine(*inputs))
    times = [summarize(of_step) for of_step in (1e3 * engine.time_steps(passes)).T.tolist()]
    device, program = load_device(), engine.program
    layers = timed_layers([_layer(step) for step in program.steps], times, engine.threads, device)
    return MeasuredProfile(
        input_shape=inputs[0].shape,
        more_inputs=tuple(x.shape for x in inputs[1:]),
        flops=program.flops,
        params=sum(layer.params for layer in layers),
        mac=sum(layer.mac for layer in layers),
        layers=layers,
        unknown={},
        threads=engine.threads,
        latency=whole,
        engine="native",
        network=program.name,
        device=device,
        removed=program.info["vanished"],
        warnings=warnings_of(times, whole),
    )


def _layer(step: Step) -> LayerCount:
    return LayerCount(
        name=step.name,
        operator=step.kernel,
        input_shapes=((1, *step.arguments.in_shape),),
        output_shapes=((1, *step.arguments.out_shape),),
        flops=step.flops,
        params=step.arguments.params,
        mac=step.bytes // 4,
        mac_bytes=step.bytes,
    )
