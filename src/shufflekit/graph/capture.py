"""From any `nn.Module` to a graph: torch.export sees the operators, `operators.py` names them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from shufflekit.errors import ShufflekitError, UsageError, one_line
from shufflekit.graph.graph import Graph, Node, Value, live
from shufflekit.graph.operators import CANONICAL, Call, RefusedError
from shufflekit.modes import evaluation


# torch takes local response norms apart into nine operators; as one of ours they arrive whole.
@torch.library.custom_op("shufflekit::local_response_norm", mutates_args=())
def _local_response_norm(x: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    return _taken_apart(x, size, alpha, beta, k)


_local_response_norm.register_fake(lambda x, *_: torch.empty_like(x))
_taken_apart = F.local_response_norm
_BATCH = 2  # 1 could not be told from any other dimension of size 1


def capture(model: nn.Module, shape: Sequence[int]) -> Graph:
    """Captures a network as it is in evaluation; the module is left as it was.

    Args:
        model: takes one float32 tensor and returns one, or several in a list, tuple or dict.
        shape: (N, C, H, W) of the input; the graph has a batch of 2 whatever N is.

    Raises:
        UsageError: the network cannot be captured, or has an operator that the engine does not have.

    Example:
        >>> print(capture(nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU()), (1, 3, 4, 4)))
        node    op    reads   shape    attributes
        conv2d  conv  input   2x8x4x4  stride=1,1 padding=0,0 dilation=1,1 groups=1
        relu    relu  conv2d  2x8x4x4
    """
    if len(shape) != 4:
        raise UsageError(f"compile: the input's shape must be (N, C, H, W), found {tuple(shape)}")
    return _Capture(_export(model, tuple(shape[1:]))).graph()


def _export(model: nn.Module, shape: tuple[int, ...]) -> Any:
    try:
        patched = mock.patch.object(F, "local_response_norm", _local_response_norm)
        with evaluation(model), warnings.catch_warnings(), torch.no_grad(), patched:
            warnings.simplefilter("ignore")  # of torch.export about itself
            program = torch.export.export(model, (torch.zeros(_BATCH, *shape),), strict=False)
            return program.run_decompositions({})
    except ShufflekitError:
        raise
    except Exception as error:
        reason = one_line(error)
        sizes = ", ".join(map(str, shape))
        raise UsageError(f"compile: {type(model).__name__} cannot be captured at (N, {sizes}): {reason}") from error


class _Capture:
    """Walks the exported graph once; `names` has our value or constant for each of its nodes."""

    def __init__(self, program: Any) -> None:
        self.program = program
        self.names: dict[fx.Node, str] = {}
        self.nodes: list[Node] = []
        self.values: dict[str, Value] = {}
        self.constants: dict[str, NDArray[np.float32]] = {}
        self.integers: dict[fx.Node, tuple[int, ...]] = {}

    def graph(self) -> Graph:
        signature = self.program.graph_signature
        tensors = {**self.program.state_dict, **self.program.constants}
        origins = signature.inputs_to_parameters | signature.inputs_to_buffers | signature.inputs_to_lifted_tensor_constants
        for node in self.program.graph.nodes:
            if node.op == "placeholder":
                if node.name in origins:
                    self._constant(node, tensors[origins[node.name]], origins[node.name])
                else:
                    self.names[node] = self._value(node.name, node.meta["val"].shape)
            elif node.op == "call_function":
                self._call(node)
        inputs = tuple(self.names[node] for node in self.program.graph.nodes if node.name in signature.user_inputs)
        if len(inputs) != 1:
            raise UsageError(f"compile: the network must take one tensor, found {len(inputs)}")
        by_name = {node.name: name for node, name in self.names.items()}
        outputs = tuple(by_name[name] for name in signature.user_outputs)
        nodes = live(tuple(self.nodes), outputs)
        read = {name for node in nodes for name in node.inputs}
        constants = {name: array for name, array in self.constants.items() if name in read}
        return Graph(inputs, outputs, nodes, self.values, constants)

    def _constant(self, node: fx.Node, tensor: torch.Tensor, name: str) -> None:
        if tensor.dtype == torch.int64:  # an index, or the batches that a batch norm has counted
            self.integers[node] = tuple(tensor.flatten().tolist())
            return
        if tensor.dtype != torch.float32:
            raise UsageError(f"compile: {name} must be float32, found {tensor.dtype}")
        self.names[node] = name
        self.constants[name] = tensor.detach().cpu().numpy()

    def _value(self, name: str, shape: Sequence[int]) -> str:
        self.values[name] = Value(name, tuple(int(size) for size in shape))
        return name

    def _call(self, node: fx.Node) -> None:
        module = _module(node)
        operator = str(node.target).removesuffix(".default")
        translate = CANONICAL.get(operator)
        if translate is None:
            raise UsageError(f"compile: operator {operator} (in {module}) is not supported")
        call = Call(node, self.names, self.constants, self.integers)
        try:
            found = translate(call)
        except RefusedError as error:
            raise UsageError(f"compile: {operator} (in {module}): {error}") from error
        if isinstance(found, str):
            self.names[node] = found
            return
        if isinstance(found, np.ndarray):
            self.names[node] = node.name
            self.constants[node.name] = found
            return
        previous = ""
        for number, (op, inputs, attrs, shape) in enumerate(found, start=1):
            name = node.name if number == len(found) else f"{node.name}.{number}"
            previous = self._add(name, op, module, tuple(x or previous for x in inputs), attrs, shape)
        self.names[node] = previous

    def _add(
        self, name: str, op: str, module: str, inputs: tuple[str, ...], attrs: dict[str, Any], shape: Sequence[int]
    ) -> str:
        if op == "affine":
            constants = {f"{name}.{field}": attrs[field] for field in ("scale", "shift")}
            self.constants |= constants
            inputs, attrs = (*inputs, *constants), {}
        for value in inputs:
            if value in self.values or value in self.constants:
                continue
            raise UsageError(f"compile: {op} (in {module}) reads what is no float32 tensor")
        self.nodes.append(Node(op, name, module, inputs, name, attrs))
        return self._value(name, shape)


def _module(node: fx.Node) -> str:
    """The innermost module's path."""
    stack = node.meta.get("nn_module_stack") or {}
    paths = [path for path, _ in stack.values()]
    return (paths[-1] if paths else "") or "the network itself"
