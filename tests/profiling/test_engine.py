from __future__ import annotations

import torch

import shufflekit as sk
from shufflekit.models import build_model
from shufflekit.plan.program import Step
from shufflekit.profiling import profile_engine


def test_steps_are_layers_in_the_same_terms():
    engine = sk.compile(build_model("mobilenet_v1_x0_25").eval(), (1, 3, 64, 64))
    found = profile_engine(engine, passes=6)
    assert (found.engine, found.network, found.input_shape) == ("native", "mobilenet_v1_x0_25", (1, 3, 64, 64))
    assert [layer.name for layer in found.layers] == [step.name for step in engine.program.steps]
    assert found.flops == sum(layer.flops for layer in found.layers) == engine.program.flops
    assert sum(layer.share for layer in found.layers) == torch.tensor(1.0)
    assert found.removed == engine.program.info["vanished"]
    assert sk.profile(build_model("mobilenet_v1_x0_25"), (1, 3, 64, 64)).flops == found.flops


def shapes(step: Step):
    return step.arguments.in_shape, step.arguments.out_shape


def test_shapes_and_weights_by_hand():
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, 2, 1),
        torch.nn.Conv2d(8, 8, 3, 1, 1, groups=8),
        torch.nn.Conv2d(8, 12, 1, groups=2),
        torch.nn.MaxPool2d(2),
    )
    engine = sk.compile(net, (1, 3, 16, 16))
    assert [shapes(step) for step in engine.program.steps] == [
        ((3, 16, 16), (8, 8, 8)),
        ((8, 8, 8), (8, 8, 8)),
        ((8, 64), (12, 64)),
        ((12, 8, 8), (12, 4, 4)),
        ((12, 16), (1, 12 * 16)),
    ]
    found = profile_engine(engine, passes=6)
    assert [layer.input_shapes for layer in found.layers[:1]] == [((1, 3, 16, 16),)]
    assert [layer.output_shapes for layer in found.layers[:1]] == [((1, 8, 8, 8),)]
    assert [layer.params for layer in found.layers] == [8 * 28, 8 * 10, 12 * 5, 0, 0]
    assert found.params == sum(p.numel() for p in net.parameters())


def test_steps_of_two_operators_read_the_first_and_write_the_second():
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, 2, 1),
        torch.nn.MaxPool2d(3, 2, 1),
        torch.nn.Conv2d(8, 240, 1),
        torch.nn.Conv2d(240, 240, 3, 2, 1, groups=240),
    )
    engine = sk.compile(net, (1, 3, 320, 256))
    steps = engine.program.steps
    assert [step.kernel for step in steps] == ["convolution_pool", "pointwise_depthwise", "gather"]
    assert [shapes(step) for step in steps[:2]] == [((3, 320, 256), (8, 80, 64)), ((8, 80, 64), (240, 40, 32))]
    found = profile_engine(engine, passes=6)
    assert [layer.params for layer in found.layers] == [8 * 28, 240 * 9 + 240 * 10, 0]
    assert [layer.mac for layer in found.layers] == [step.bytes / 4 for step in steps]
