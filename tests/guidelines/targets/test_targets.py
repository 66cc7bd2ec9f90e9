"""What each engine says of the operators of a network."""

from __future__ import annotations

import pytest
from torch import Tensor, nn

from shufflekit.compiling import capture
from shufflekit.errors import UsageError
from shufflekit.graph import Graph
from shufflekit.guidelines.targets import TARGETS
from shufflekit.models import build_model
from shufflekit.profiling.record import MeasuredProfile
from tests.guidelines.nets import DEVICE

for runtime in ("onnx", "onnxruntime", "openvino"):
    pytest.importorskip(runtime)


@pytest.fixture(autouse=True)
def a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shufflekit.profiling.graph.load_device", lambda: DEVICE)


@pytest.fixture(scope="module")
def shuffled() -> Graph:
    return capture(build_model("shufflenet_v2_x0_5", num_classes=10).eval(), (1, 3, 224, 224))


def profile_on(name: str, graph: Graph) -> tuple[MeasuredProfile, dict[str, float]]:
    """What operators take, by what they write."""
    target = TARGETS[name]  # type: ignore[index]
    with target.session(1):
        load = target.prepare(graph, 1)
        load()()
        found, operators = target.profile(graph, load, "net", 1)
    assert (found.engine, found.network, found.input_shape, found.threads) == (
        name,
        "net",
        (1, *graph.values[graph.inputs[0]].sizes),
        1,
    )
    assert len(operators) == len(found.layers)
    return found, {node.output: layer.ms for (node, _), layer in zip(operators, found.layers, strict=True)}


@pytest.mark.parametrize("name", ["native", "native-int8", "torch", "onnxruntime", "openvino"])
def test_every_convolution_has_its_time(name: str, shuffled: Graph) -> None:
    found, _ = profile_on(name, shuffled)
    convs = [layer for layer in found.layers if layer.category == "convolution"]
    assert len(convs) == 56
    assert all(layer.ms > 0 for layer in convs if layer.flops > 2e5)  # OpenVINO counts whole microseconds


def test_what_is_a_view_in_pytorch_and_on_the_engine_is_a_copy_on_others(shuffled: Graph) -> None:
    costs = {name: profile_on(name, shuffled)[0].by_operator for name in ("torch", "onnxruntime", "openvino")}
    assert "slice" not in costs["torch"]
    assert costs["onnxruntime"]["slice"] > 0
    assert costs["onnxruntime"]["permute"] > 0
    assert costs["openvino"]["reshape"] > 0  # by which its one operator for a shuffle is called
    assert costs["torch"]["relu"] > 0
    assert costs["onnxruntime"]["relu"] == costs["openvino"]["relu"] == 0  # inside of convolutions


class Heavy(nn.Module):
    """One convolution multiplies a thousand times as often as the other."""

    def __init__(self) -> None:
        super().__init__()
        self.light, self.heavy = nn.Conv2d(3, 64, 1), nn.Conv2d(64, 256, 5, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.heavy(self.light(x))


@pytest.mark.parametrize("name", ["native", "torch", "onnxruntime", "openvino"])
def test_time_goes_to_the_operator_that_takes_it(name: str) -> None:
    _, ms = profile_on(name, capture(Heavy(), (1, 3, 64, 64)))
    assert ms["conv2d_1"] > 10 * ms["conv2d"] > 0


@pytest.mark.slow
def test_what_is_compiled_has_the_times_of_pytorch_and_a_pass_of_its_own() -> None:
    found, _ = profile_on("torch-compile", capture(Heavy(), (1, 3, 64, 64)))
    assert found.warnings == (
        "what each operator takes, and findings cost, is that of PyTorch eager: torch.compile does not say",
    )
    assert found.latency.median_ms > 0


def test_what_a_runtime_cannot_run_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch, shuffled: Graph) -> None:
    for name, title in (("onnxruntime", "ONNX Runtime"), ("openvino", "OpenVINO")):
        monkeypatch.setattr(f"shufflekit.guidelines.targets.{name}.written", lambda _: type("File", (), {"content": b"none"}))
        with pytest.raises(UsageError, match=f"^{title}: [^\n]+$"):
            TARGETS[name].prepare(shuffled, 1)()  # type: ignore[index]


def test_in_int8_the_engine_computes_on_bytes() -> None:
    graph = capture(
        nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 8, 1)).eval(), (1, 3, 16, 16)
    )
    engine = TARGETS["native-int8"].prepare(graph, 1)().func  # type: ignore[attr-defined]
    kernels = {step.kernel for step in engine.program.steps}
    assert "quantize" in kernels
    assert any("int8" in kernel for kernel in kernels)


def test_what_cannot_be_rounded_is_refused() -> None:
    graph = capture(nn.Sequential(nn.ReLU(), nn.AvgPool2d(2)).eval(), (1, 3, 16, 16))
    with pytest.raises(
        UsageError, match="int8: must have a convolution or linear layer whose weights are constants, found none"
    ):
        TARGETS["native-int8"].prepare(graph, 1)
