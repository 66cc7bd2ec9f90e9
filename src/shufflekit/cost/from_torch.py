"""FLOPs, parameters and memory access cost of any network, operator by operator, without running it on real data.

The network is copied without its weights and run on the meta device; a dispatch mode sees every operator that runs. Where that
fails, a copy with its weights runs on an input that has a device and a shape and no data. `counts.py` says what is counted.
"""

from __future__ import annotations

import copy
import math
import sys
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException, FakeTensor, FakeTensorMode
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, sdpa_flop_count

from shufflekit.cost.categories import OF_TORCH
from shufflekit.cost.counts import Counts, LayerCount
from shufflekit.errors import InputError, ShufflekitError, UsageError, one_line
from shufflekit.modes import evaluation
from shufflekit.shapes import Shapes, are_several, sizes

aten = torch.ops.aten
Inputs = Tensor | tuple[Tensor, ...] | dict[str, Tensor]  # of one input, of several in order, or by name

_NAMES = {aten._convolution: "convolution"}  # as traced modules call it
_FOLDING = {aten.convolution, aten._convolution, aten.addmm, aten.mm}
_BATCH_NORMS = {aten.native_batch_norm, aten._native_batch_norm_legit, aten._native_batch_norm_legit_no_training}
_FIRST_OUTPUT_ONLY = _BATCH_NORMS | {aten.max_pool2d_with_indices, aten.native_layer_norm, aten.native_group_norm}
_GATHERS = {aten.embedding, aten.gather, aten.index, aten.index_select}  # read of their table only what they return
# Make a map of a tensor's shape, and do not read it.
_CONSTANTS = {aten.new_empty, aten.new_zeros, aten.new_ones, aten.new_full}
_CONSTANTS |= {aten.empty_like, aten.zeros_like, aten.ones_like, aten.full_like}
_WRITES_ONLY = {aten.copy_, aten.fill_, aten.zero_}  # do not read what they overwrite

# What PyTorch's counter leaves out of what it runs on the CPU; on the meta device the same layers come as products.
_FORMULAS: dict[Any, Callable[..., int]] = {
    **flop_registry,
    aten.mkldnn_rnn_layer: lambda x, of_input, of_state, *_, **__: (
        2 * math.prod(x.shape[:2]) * (of_input.numel() + of_state.numel())
    ),
    aten._scaled_dot_product_flash_attention_for_cpu: lambda q, k, v, *_, **__: sdpa_flop_count(q.shape, k.shape, v.shape),
}


def count(model: nn.Module, input_shape: Shapes) -> Counts:
    """Counts one inference of `model`, which is left as it is; weights may be on any device, the meta device included.

    Args:
        model: any module that takes tensors of the type of its weights.
        input_shape: (N, C, H, W), or whatever the model takes; of several inputs one for each in order, or by name.

    Raises:
        UsageError: no module, or a shape that is none.
        InputError: the model cannot take such an input, or looks at the values of its tensors to decide what to do.

    Source:
        ShuffleNet V2 (arXiv 1807.11164), Equations 1 and 2.

    Example:
        >>> counts = count(nn.Conv2d(8, 16, 1, groups=2, bias=False), (1, 8, 7, 7))
        >>> counts.flops, counts.params, counts.mac  # 7*7*8*16/2, 8*16/2, 7*7*(8+16) + 8*16/2
        (3136, 64, 1240)
    """
    model = plain_module(model)
    weight = weight_of(model)
    try:
        network = _copy(model, _on_meta(model))
        with evaluation(network), torch.device("meta"):
            return count_call(network, inputs_of(lambda shape: torch.empty(shape, dtype=weight.dtype), input_shape))[0]
    except Exception:  # noqa: BLE001  # eight times as slow: tensors may lie anywhere, and weights have values
        network = _copy(model, {})
        with evaluation(network):
            return count_call(network, inputs_of(lambda shape: _without_data(shape, weight), input_shape))[0]


def inputs_of(make: Callable[[tuple[int, ...]], Tensor], shape: Shapes) -> Inputs:
    """A tensor for each input.

    Args:
        make: one of a shape.
        shape: of one input, of several in order, or by name.

    Raises:
        UsageError: one is no shape.
    """
    if isinstance(shape, Mapping):
        return {name: make(sizes(each)) for name, each in shape.items()}
    given: Any = shape
    return tuple(make(sizes(each)) for each in given) if are_several(shape) else make(sizes(given))


def call(network: nn.Module, x: Inputs) -> Any:
    """Runs a network."""
    if isinstance(x, Tensor):
        return network(x)
    return network(**x) if isinstance(x, dict) else network(*x)


def shapes_of_inputs(x: Inputs) -> list[tuple[int, ...]]:
    """In order."""
    return [tuple(each.shape) for each in ([x] if isinstance(x, Tensor) else x.values() if isinstance(x, dict) else x)]


@contextmanager
def operator_by_operator() -> Iterator[None]:
    """Inside `with`, compiled parts of a network run as they are written, and transformer layers are not fused.

    A compiled function that once ran under a dispatch mode without this is never compiled again.
    """
    compiler = torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with compiler:
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


def plain_module(model: Any) -> nn.Module:
    """The module inside of what `torch.compile` and the wrappers of parallel training return.

    Raises:
        UsageError: no module.
        InputError: a module whose weights have no shape yet.
    """
    if not isinstance(model, nn.Module):
        raise UsageError(f"model: must be a torch.nn.Module, found {type(model).__name__}; create_model builds one by name")
    if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return plain_module(model.module)
    if "_orig_mod" in model._modules:  # torch.compile's
        return plain_module(model._orig_mod)
    for name, parameter in model.named_parameters():
        if is_lazy(parameter):
            raise InputError(f"model: {name} of a lazy module has no shape before its first call, which must come first")
    return model


def weight_of(model: nn.Module) -> Tensor:
    """What an input's type and device are taken from: the first parameter or buffer of floating point."""
    tensors = (tensor for tensor in (*model.parameters(), *model.buffers()) if tensor.is_floating_point())
    return next(tensors, torch.empty(0))


def count_call(network: nn.Module, x: Inputs) -> tuple[Counts, tuple[int | None, ...]]:
    """Counts one call as it is, on the tensors and the device that are given.

    Args:
        network: in evaluation; hooks are attached to its modules while it runs.
        x: its input, or several.

    Returns:
        The counts, and for every operator that ran, views too, its place in their list of layers, None where it has none.

    Raises:
        InputError: the network cannot take such an input.
    """
    recorder = _Recorder(network)
    try:
        with torch.no_grad(), operator_by_operator(), recorder:
            call(network, x)
    except ShufflekitError:
        raise
    except Exception as error:
        name = getattr(network, "architecture", "") or type(network).__name__
        looks = isinstance(error, DataDependentOutputException | DynamicOutputShapeException)
        reason = f"it looks at the values of a tensor ({one_line(error)})" if looks else one_line(error)
        where = " and ".join(map(str, shapes_of_inputs(x)))
        raise InputError(f"input_shape: {name} cannot be counted at {where}: {reason}") from error
    finally:
        recorder.detach()
    layers = tuple(recorder.layers)
    counts = Counts(
        flops=sum(layer.flops for layer in layers),
        params=sum(p.numel() for p in network.parameters()),
        mac=sum(layer.mac for layer in layers),
        layers=layers,
        unknown=dict(recorder.unknown),
    )
    return counts, tuple(recorder.places)


def _without_data(shape: tuple[int, ...], weight: Tensor) -> Tensor:
    """An input on the device of the weights; what is computed of it has no data either, and all else is computed."""
    try:
        with FakeTensorMode(allow_non_fake_inputs=True):
            return torch.empty(shape, dtype=weight.dtype, device=weight.device)
    except (RuntimeError, TypeError) as error:
        raise InputError(f"input_shape: no tensor can be {shape}: {one_line(error)}") from None


def _on_meta(model: nn.Module) -> dict[int, Any]:
    """Every tensor of a model as one without data, by its id: where `deepcopy` finds them, it copies no weight."""
    memo: dict[int, Any] = {}
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            memo[id(parameter)] = nn.Parameter(parameter.detach().to("meta"), requires_grad=False)
        for value in (*module._buffers.values(), *vars(module).values()):
            if isinstance(value, Tensor) and id(value) not in memo:
                memo[id(value)] = value.detach().to("meta")
            elif type(value) in (dict, OrderedDict) and not value:
                memo[id(value)] = type(value)()  # a module has a dozen, and they take deepcopy half of its time
    return memo


def _copy(model: nn.Module, memo: dict[int, Any]) -> nn.Module:
    """A copy, which may change what it holds; what cannot be copied (a lock, a file, a generator) is the model's own."""
    for module in model.modules():
        for value in vars(module).values():
            if isinstance(value, Tensor) and not value.is_leaf:
                memo.setdefault(id(value), value.detach().clone())
    try:
        return copy.deepcopy(model, {**memo})
    except Exception:  # noqa: BLE001  # of whatever a user's module holds
        own = [value for module in model.modules() for name, value in vars(module).items() if name != "_modules"]
        return copy.deepcopy(model, memo | {id(value): value for value in own if not _can_be_copied(value, memo)})


def _can_be_copied(value: Any, memo: dict[int, Any]) -> bool:
    try:
        copy.deepcopy(value, {**memo})
    except Exception:  # noqa: BLE001
        return False
    return True


class _Recorder(TorchDispatchMode):
    """Writes down every operator that runs inside `with`."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.layers: list[LayerCount] = []
        self.unknown: Counter[str] = Counter()
        self.places: list[int | None] = []
        self._inside = [""]
        self._writers: dict[int, int] = {}  # place of the layer that wrote a storage last
        self._unread = {_storage(p): p.numel() for p in network.parameters()}
        self._folding: dict[int, Tensor] = {}  # outputs that a batch norm can fold into, kept so that no address returns
        self._hooks = [
            hook
            for name, module in network.named_modules()
            if not isinstance(module, torch.jit.ScriptModule)  # takes no hooks: its operators are the caller's
            for hook in (
                module.register_forward_pre_hook(partial(self._enter, name)),
                module.register_forward_hook(self._leave),
            )
        ]

    def detach(self) -> None:
        """Takes the hooks off again."""
        for hook in self._hooks:
            hook.remove()

    def _enter(self, name: str, *_: Any) -> None:
        self._inside.append(name)

    def _leave(self, *_: Any) -> None:
        self._inside.pop()

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        operator = func.overloadpacket
        name = _NAMES.get(operator) or str(operator).removeprefix("aten.")
        inputs = [] if operator in _CONSTANTS else list(_tensors((args, kwargs)))
        weightless = operator in _BATCH_NORMS and inputs[0].is_meta and not isinstance(inputs[0], FakeTensor)
        out: Any = _like_batch_norm(args[0]) if weightless else func(*args, **kwargs)
        outputs = list(_tensors(out)) or (inputs if func._schema.is_mutable else [])
        moves = func._schema.is_mutable or not {_storage(t) for t in outputs} <= {_storage(t) for t in inputs}
        if not (inputs and moves):
            self.places.append(None)  # a constant, which a compiler makes once; or a view
            if not inputs:
                for tensor in outputs:
                    self._writers.pop(_storage(tensor), None)
            return out
        self.places.append(len(self.layers))
        reads = {self._writers[_storage(t)]: None for t in inputs if _storage(t) in self._writers}
        self._writers |= dict.fromkeys((_storage(t) for t in outputs), len(self.layers))
        outputs = outputs[:1] if operator in _FIRST_OUTPUT_ONLY else outputs
        folded = operator in _BATCH_NORMS and id(args[0]) in self._folding and isinstance(args[3], Tensor)  # running mean
        self.layers.append(
            LayerCount(
                name=self._inside[-1],
                operator=name,
                input_shapes=tuple(tuple(t.shape) for t in inputs),
                output_shapes=tuple(tuple(t.shape) for t in outputs),
                flops=_flops(operator, args, kwargs, out),
                params=sum(self._unread.pop(_storage(t), 0) for t in inputs),
                mac=0 if folded else _mac(operator, inputs, outputs, in_bytes=False),
                mac_bytes=0 if folded else _mac(operator, inputs, outputs, in_bytes=True),
                reads=tuple(reads),
            )
        )
        if operator in _FOLDING:
            self._folding[id(out)] = out
        if name not in OF_TORCH and operator not in _FORMULAS and torch.Tag.pointwise not in func.tags:
            self.unknown[name] += 1
        return out


def _like_batch_norm(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What batch norm returns in inference; the meta kernel would work out as much with ten operators of its own."""
    y = torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device=x.device)
    return y, y, y  # the other two serve training, and nobody looks at them


def _flops(operator: Any, args: Any, kwargs: Any, out: Any) -> int:
    """Multiply-adds; the registry counts two for each."""
    formula = _FORMULAS.get(operator)
    return formula(*args, **kwargs, out_val=out) // 2 if formula else 0


def _mac(operator: Any, inputs: list[Tensor], outputs: list[Tensor], in_bytes: bool) -> int:
    def size(x: Tensor) -> int:
        return _elements(x) * (x.itemsize if in_bytes else 1)

    written = sum(size(t) for t in outputs)
    if operator in _GATHERS:
        return 2 * written + sum(size(t) for t in inputs[1:])
    return written + sum(size(t) for t in (inputs[1:] if operator in _WRITES_ONLY else inputs))


def _elements(x: Tensor) -> int:
    """Elements that lie in memory: those repeated by broadcasting count once."""
    return math.prod(size for size, stride in zip(x.shape, x.stride()) if stride or size == 0)


def _storage(x: Tensor) -> int:
    return x.untyped_storage()._cdata


def _tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, (tuple, list)):
        for value in values:
            yield from _tensors(value)
    elif isinstance(values, dict):
        yield from _tensors(tuple(values.values()))
