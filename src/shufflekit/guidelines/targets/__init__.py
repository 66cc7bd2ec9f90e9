"""What networks are deployed on: how each runs a graph, and what each operator takes there."""

from collections.abc import Mapping

from shufflekit.guidelines.targets.native import Native
from shufflekit.guidelines.targets.native_int8 import NativeInt8
from shufflekit.guidelines.targets.onnxruntime import OnnxRuntime
from shufflekit.guidelines.targets.openvino import OpenVino
from shufflekit.guidelines.targets.target import Target
from shufflekit.guidelines.targets.torch import Torch
from shufflekit.guidelines.targets.torch_compile import TorchCompile
from shufflekit.profiling.record import EngineName

TARGETS: Mapping[EngineName, Target] = {
    target.name: target for target in (Native(), NativeInt8(), Torch(), TorchCompile(), OnnxRuntime(), OpenVino())
}
