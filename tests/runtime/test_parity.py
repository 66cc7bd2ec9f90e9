"""Every registered network on the engine gives what PyTorch gives: at 224 and at an odd size, any batch, any threads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

import shufflekit as sk
from shufflekit.graph import simplify
from shufflekit.graph.from_torch import capture
from shufflekit.models import build_model, list_models, model_entry
from shufflekit.models._blocks import SqueezeExcite
from shufflekit.plan.build import build
from shufflekit.plan.choose import variants_of
from shufflekit.runtime import Engine
from tests.families import smallest_first
from tests.runtime.lively import enliven, images

TOLERANCE = 1e-4  # of the output's maximum
SIZES = ((161, 127), (224, 224))


def quick() -> list[object]:
    """The smallest of each family, but not the largest of those."""
    return [
        pytest.param(name, marks=pytest.mark.slow) if isinstance(name, str) and (model_entry(name).mflops or 0) > 1000 else name
        for name in smallest_first()
    ]


def network_and_images(name: str, size: tuple[int, int]) -> tuple[nn.Module, NDArray[np.float32]]:
    torch.manual_seed(0)
    network = build_model(name)
    assert min(size) >= network.min_input_size
    x = images(3, (network.in_chans, *size))
    return enliven(network, x), x


def outputs(network: nn.Module, x: NDArray[np.float32]) -> NDArray[np.float32]:
    with torch.inference_mode():
        return network(torch.from_numpy(x)).numpy()


def error(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """Largest difference as a share of the largest output."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def check(name: str, size: tuple[int, int]) -> None:
    network, x = network_and_images(name, size)
    expected = outputs(network, x)
    for i in range(len(x)):
        assert error(expected[i], expected[i - 1]) > 0.1, "these two images give almost the same: the test would see little"
    one_thread = sk.compile(network, x.shape)
    for engine in (one_thread, Engine(one_thread.program.to_bytes(), threads=2)):
        for count in (1, 3):
            found = error(engine(x[:count]), expected[:count])
            assert found <= TOLERANCE, f"{name} at {size}, batch {count}, {engine.threads} threads: {found:.1e}"


@pytest.mark.parametrize("name", quick())
def test_a_network_at_an_odd_size(name: str) -> None:
    check(name, SIZES[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", list_models())
def test_a_network_at_224(name: str) -> None:
    check(name, SIZES[1])


@pytest.mark.parametrize("size", [(9, 17), (46, 47)], ids=["by channels", "by pixels"])
@pytest.mark.parametrize(
    ("kernel", "variant"),
    [(kernel, each.name) for kernel in ("convolution", "depthwise", "gated_gemm") for each in variants_of(kernel)],
)
def test_several_threads_share_a_step_by_each_variant(kernel: str, variant: str, size: tuple[int, int]) -> None:
    stride = 2 if variant.endswith("_stride2") else 1
    layers = {
        "convolution": nn.Conv2d(24, 33, 3, stride, 1),
        "depthwise": nn.Conv2d(24, 24, 5, 1, 2, groups=24),
        "gated_gemm": nn.Sequential(nn.Conv2d(24, 24, 3, 1, 1), SqueezeExcite(24, 6), nn.Conv2d(24, 33, 1)),
    }
    x = images(1, (24, stride * size[0], stride * size[1]))
    network = enliven(layers[kernel], x)
    graph = simplify(capture(network, x.shape))
    program = build(graph, price=lambda arguments, name: float((arguments.kernel, name) != (kernel, variant)))
    assert (kernel, variant) in [(step.kernel, step.variant) for step in program.steps]
    expected = outputs(network, x)
    for threads in (1, 2, 3):
        assert error(Engine(program.to_bytes(), threads=threads)(x), expected) <= TOLERANCE, threads


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(channels, channels, 3, 1, 1) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.second(torch.relu(self.first(x))) + x)


@pytest.mark.parametrize("size", [(28, 28), (37, 27), (54, 98)], ids=["14x14 and 7x7", "19x14 and 10x7", "27x49 and 14x25"])
def test_bytes_have_the_same_bits_by_every_instruction_set_on_any_threads(size: tuple[int, int]) -> None:
    from shufflekit import _native

    x = images(3, (5, *size))
    first, second = ([nn.Conv2d(before, after, 3, 2, 1), nn.ReLU(), _Residual(after)] for before, after in ((5, 64), (64, 100)))
    network = enliven(nn.Sequential(*first, *second, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(100, 50)).eval(), x)
    program = sk.compile(network, (1, *x.shape[1:]), int8=x).program
    assert {"winograd4", "any"} <= {step.variant for step in program.steps if step.kernel == "convolution_int8"}
    expected = Engine(program.to_bytes(), instruction_set="scalar")(x[:1])
    assert error(expected, outputs(network, x[:1])) < 0.1
    for name in _native.engine_sets():
        for threads in (1, 2, 3):
            found = Engine(program.to_bytes(), threads, name)(x[:1])
            np.testing.assert_array_equal(found, expected, f"{name}, {threads} threads")


@pytest.mark.parametrize("name", ["shufflenet_v1_g3_x0_25", "shufflenet_v2_x0_5"])
def test_a_wrong_permutation_is_seen(name: str) -> None:
    """Each GEMM in turn reads two of its channels in the wrong order."""
    network, x = network_and_images(name, (64, 64))
    expected = outputs(network, x)
    program = sk.compile(network, x.shape).program
    steps = [step for step in program.steps if step.kernel == "gemm"]
    assert error(Engine(program.to_bytes())(x), expected) <= TOLERANCE
    unseen = []
    for step in steps:
        first = step.tables["in"]
        tables = program.tables.copy()
        tables[[first, first + 1]] = tables[[first + 1, first]]
        if error(Engine(replace(program, tables=tables).to_bytes())(x), expected) <= TOLERANCE:
            unseen.append(step.name)
    assert len(steps) > 30
    assert not unseen
