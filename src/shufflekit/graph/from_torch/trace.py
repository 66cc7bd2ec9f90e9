"""A network's forward pass as torch.export writes it down, with any number of images, and proved to be the same with one.

torch.export counts images by a symbol N of 2 or more and writes down every decision that it takes on N. A network that takes
one is refused; a second export, with one image, must be the first one with N = 1, operator by operator, and so must another
where torch itself asks whether N is some number. So what is captured holds at every batch size, and what depends on N is seen.
"""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.export import Dim, ExportedProgram, ShapesCollection
from torch.overrides import TorchFunctionMode

from shufflekit.errors import ShufflekitError, UsageError, one_line
from shufflekit.graph.from_torch.call import is_in_place, operator_of
from shufflekit.graph.from_torch.translations import FRESH, TRANSLATIONS
from shufflekit.modes import evaluation

_LOCK = threading.RLock()  # torch.export keeps what it does in globals
_EXAMPLE = 37  # images: hardly a size of anything else, of which torch would ask whether it is N


# torch takes local response norms apart into nine operators; as one of ours they arrive whole.
@torch.library.custom_op("shufflekit::local_response_norm", mutates_args=())
def _local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:  # noqa: A002
    return F.local_response_norm(input, size, alpha, beta, k)


_local_response_norm.register_fake(lambda x, *_: torch.empty_like(x))


_NAMES = ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_dropout", "feature_alpha_dropout")
_DROPOUTS = {getattr(module, name) for module in (F, torch) for name in _NAMES if hasattr(module, name)}


class _Rewritten(TorchFunctionMode):
    """Calls of this thread: norms stay whole; a dropout that drops nothing is its input, as where it runs, also in place."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _DROPOUTS and False in (kwargs.get("training"), kwargs.get("train"), *args[2:3]):
            return args[0]
        return (_local_response_norm if func is F.local_response_norm else func)(*args, **kwargs)


def trace(model: nn.Module, shapes: Mapping[str, tuple[int, ...]], is_known: Callable[[fx.Node], bool]) -> ExportedProgram:
    """What the forward pass computes, without operators in place; the module is left as it was.

    Args:
        shapes: of its inputs by name, each without the batch; one called "" is the first, whatever the forward pass calls it.
        is_known: whether an operator needs no taking apart, which takes as long as all the rest.

    Raises:
        UsageError: the network cannot be captured, or what it computes depends on the batch size.
    """
    sizes = " and ".join(f"({', '.join(['N', *map(str, shape)])})" for shape in shapes.values())
    where = f"compile: {type(model).__name__} at {sizes}"
    with _LOCK, evaluation(model), warnings.catch_warnings(), torch.no_grad(), _Rewritten():
        warnings.simplefilter("ignore")  # of torch.export about itself
        try:
            program = _export(model, _EXAMPLE, shapes)
            for batch in sorted({1} | _singled_out(program, where)):
                _check_same(program, _export(model, batch, shapes), batch, where)
            if not _is_functional(program.graph) or not all(map(is_known, after_input(program))):
                program = _taken_apart(program.run_decompositions({}), is_known)
                _singled_out(program, where)
            return program
        except ShufflekitError:
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {error}" if isinstance(error, KeyError) else one_line(error)
            raise UsageError(f"{where.replace(' at ', ' cannot be captured at ')}: {reason}") from error


def _taken_apart(program: ExportedProgram, is_known: Callable[[fx.Node], bool]) -> ExportedProgram:
    """With what torch itself computes by other operators as these, where that leaves none that is not known."""
    if all(map(is_known, after_input(program))):
        return program
    ways = torch.export.default_decompositions()
    others = {each: ways[each] for each in list(ways) if str(each).removesuffix(".default") not in TRANSLATIONS}
    apart = program.run_decompositions(others)
    return apart if all(map(is_known, after_input(apart))) else program


def inputs_of(program: ExportedProgram) -> list[fx.Node]:
    """The tensors that the network takes."""
    names = program.graph_signature.user_inputs
    return [node for node in program.graph.nodes if node.op == "placeholder" and node.name in names]


def after_input(program: ExportedProgram) -> list[fx.Node]:
    """The operators that compute something from the network's inputs."""
    sources = inputs_of(program)
    found = dict.fromkeys(sources)
    for node in program.graph.nodes:
        if node.op == "call_function" and not is_number(node) and any(each in found for each in node.all_input_nodes):
            found[node] = None
    return list(found)[len(sources) :]


def is_number(node: fx.Node) -> bool:
    """Whether a node gives no tensor: a size, or what is computed from sizes."""
    return isinstance(node.meta.get("val"), torch.SymInt | torch.SymFloat | torch.SymBool | int | float)


def _export(model: nn.Module, batch: int, shapes: Mapping[str, tuple[int, ...]]) -> ExportedProgram:
    inputs = {name: torch.zeros(batch, *shape, device=_device(model)) for name, shape in shapes.items()}
    dynamic: Any = ShapesCollection()  # whatever the forward pass calls its inputs
    for x in inputs.values():
        dynamic[x] = {0: Dim.AUTO} if batch == _EXAMPLE else {}
    args = tuple(x for name, x in inputs.items() if not name)
    kwargs = {name: x for name, x in inputs.items() if name}
    with _left_as_it_was(model):
        program = torch.export.export(model, args, kwargs, dynamic_shapes=dynamic, strict=False)
    _inline_regions(program.graph_module)
    return program


def _device(model: nn.Module) -> torch.device:
    devices = {}
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if tensor.device.type == "meta":
            raise UsageError(f"compile: {name} is on the meta device, where tensors have no values; load the weights first")
        devices[tensor.device] = name
    return next(iter(devices), torch.device("cpu"))


@contextmanager
def _left_as_it_was(model: nn.Module) -> Iterator[None]:
    """What the forward pass sets on its modules holds tensors without values, and goes."""
    before = [(module.__dict__, dict(module.__dict__)) for module in model.modules()]
    inside = [(each, _copy(each)) for _, attributes in before for each in attributes.values() if _is_container(each)]
    try:
        yield
    finally:
        for container, content in (*before, *inside):
            container.clear()
            container.extend(content) if isinstance(container, list) else container.update(content)


def _is_container(value: Any) -> bool:
    return isinstance(value, list | dict | set)


def _copy(container: Any) -> Any:
    return list(container) if isinstance(container, list) else set(container) if isinstance(container, set) else dict(container)


def _inline_regions(module: fx.GraphModule) -> None:
    """Regions of torch.no_grad, and of autocast where that is off, change nothing here: their operators join the others."""
    for node in list(module.graph.nodes):
        bodies = [each for each in node.all_input_nodes if each.op == "get_attr"]
        if not bodies or not _changes_nothing(node):
            continue
        body = getattr(module, str(bodies[0].target))
        _inline_regions(body)
        inputs = node.args[node.args.index(bodies[0]) + 1 :]
        places = [each for each in body.graph.nodes if each.op == "placeholder"]
        with module.graph.inserting_before(node):
            outputs: Any = module.graph.graph_copy(body.graph, dict(zip(places, inputs, strict=True)))
        for user in list(node.users):
            user.replace_all_uses_with(outputs[user.args[1]])
            module.graph.erase_node(user)
        module.graph.erase_node(node)


def _changes_nothing(node: fx.Node) -> bool:
    if str(node.target) == "wrap_with_set_grad_enabled":
        return True
    device, _, is_enabled, *_ = (*node.args, None, None, None)
    return str(node.target) == "wrap_with_autocast" and (device != "cpu" or not is_enabled)


def _singled_out(program: ExportedProgram, where: str) -> set[int]:
    """Batch sizes of which torch asked whether N is one; refuses a pass that takes another path, or stops, at others."""
    size = inputs_of(program)[0].meta["val"]
    environment = size.fake_mode.shape_env
    found: set[int] = set()
    for guard in environment.guards if environment is not None else []:
        if len(guard.expr.free_symbols) > 1:
            continue  # the batches of two inputs are one where they meet
        (symbol,) = guard.expr.free_symbols
        if (root := _left_out(guard.expr, symbol)) is not None:
            found |= {int(root)} if root.is_Integer and root >= 2 else set()
            continue
        if getattr(guard.expr, "rel_op", "") == "==" and _EXAMPLE in guard.expr.args:
            raise UsageError(
                f"{where}: its forward pass makes a fixed number of the batch size{_line(guard)}; x.shape[0] is none"
            )
        path = str(guard.expr).replace(str(symbol), "N")
        raise UsageError(f"{where}: its forward pass takes a path for some batch sizes only, those where {path}{_line(guard)}")
    if not isinstance(size.shape[0], torch.SymInt):
        raise UsageError(f"{where}: its forward pass holds at one batch size only")
    return found


def _left_out(condition: Any, symbol: Any) -> Any:
    """The one N for which `a * N + b != 0` does not hold; None for another condition."""
    if getattr(condition, "rel_op", "") != "!=":
        return None
    difference = condition.lhs - condition.rhs
    start = difference.subs(symbol, 0)
    slope = difference.subs(symbol, 1) - start
    return -start / slope if slope != 0 and (difference - slope * symbol - start).expand() == 0 else None


def _line(guard: Any) -> str:
    """Where the network's source asks, if it is not torch that does."""
    place: Any = getattr(guard.sloc, "framework_loc", None)
    file = Path(getattr(place, "filename", ""))
    return f" ({file.name}:{place.lineno})" if file.is_file() and "torch" not in file.parts else ""


def _check_same(program: ExportedProgram, other: ExportedProgram, batch: int, where: str) -> None:
    """Refuses a forward pass that is another one for so many images, as `x.squeeze()` is for one."""
    mine, others = (_operators(each) for each in (program, other))
    names = {node: node.target for each in (program, other) for node in each.graph.nodes if node.op == "placeholder"}
    images = f"a batch of {batch}" if batch > 1 else "a single image"
    for number, (a, b) in enumerate(zip(mine, others)):
        names |= {a: number, b: number}
        if a.target != b.target or _described(a, names, batch) != _described(b, names, batch):
            hint = "; without a dimension it drops a batch of one" if operator_of(a) == "aten.squeeze" else ""
            what = f"from {operator_of(a)} on (in {module_of(a)}){hint}"
            raise UsageError(f"{where}: its forward pass is another one for {images}, {what}")
    outputs = [_values(list(each.graph.output_node().args), names, batch) for each in (program, other)]
    if len(mine) != len(others) or outputs[0] != outputs[1] or not _are_equal(program.constants, other.constants):
        raise UsageError(f"{where}: its forward pass is another one for {images}")


def _operators(program: ExportedProgram) -> list[fx.Node]:
    return [node for node in program.graph.nodes if node.op == "call_function" and not is_number(node) and not _is_whole(node)]


def _is_whole(node: fx.Node) -> bool:
    """What gives all of a tensor, which torch writes down in other ways where it knows how many images there are.

    A contiguous tensor may be a copy for several images and the tensor itself for one, which only what writes into it can tell.
    """
    is_slice = node.target is torch.ops.aten.slice.Tensor and node.args[1:] == (0, 0, sys.maxsize)
    is_copy = node.target is torch.ops.aten.contiguous.default
    return is_slice or node.target is torch.ops.aten.alias.default or (is_copy and not _is_written(node))


def _is_written(node: fx.Node) -> bool:
    """Whether something writes into a tensor, or into one that may share its memory."""
    while node.all_input_nodes and (_writes(node) or operator_of(node) not in FRESH):
        node = node.all_input_nodes[0]
    sharing = [node]
    for each in sharing:
        sharing += [user for user in each.users if (_writes(user) or operator_of(user) not in FRESH) and user not in sharing]
    return any(map(_writes, sharing))


def _writes(node: fx.Node) -> bool:
    return node.op == "call_function" and is_in_place(node)


def _described(node: fx.Node, names: dict[fx.Node, Any], batch: int) -> Any:
    """An operator's arguments and results at a batch size."""
    found = node.meta.get("val")
    results = found if isinstance(found, list | tuple) else [found]
    tensors = [each for each in results if isinstance(each, Tensor)]
    shapes = [_values(list(each.shape), names, batch) for each in tensors]
    return _values([*node.args, *sorted(node.kwargs.items())], names, batch), shapes, [each.dtype for each in tensors]


def _values(found: Any, names: dict[fx.Node, Any], batch: int) -> Any:
    if isinstance(found, fx.Node):
        if _is_whole(found):
            return _values(found.args[0], names, batch)
        return _values(found.meta["val"], names, batch) if is_number(found) else ("node", names.get(found))
    if isinstance(found, list | tuple):
        return [_values(each, names, batch) for each in found]
    if isinstance(found, torch.SymInt | torch.SymFloat):
        expression = found.node.expr
        value = expression.subs(dict.fromkeys(expression.free_symbols, batch))
        return float(value) if value.is_number else str(value)
    return float(found) if isinstance(found, int) and not isinstance(found, bool) else found


def _are_equal(a: dict[str, Any], b: dict[str, Any]) -> bool:
    tensors = [(a[name], b.get(name)) for name in a if isinstance(a[name], Tensor)]
    return all(
        isinstance(y, Tensor) and x.dtype == y.dtype and torch.allclose(x, y, rtol=0, atol=0, equal_nan=x.is_floating_point())
        for x, y in tensors
    )


def _is_functional(graph: fx.Graph) -> bool:
    """Whether operators in place can be read as the ones that are not: nobody sees the tensor as it was, or a view of it."""
    place = {node: number for number, node in enumerate(graph.nodes)}
    plain: set[fx.Node] = set()
    for node in graph.nodes:
        if not _writes(node):
            continue
        x = node.args[0]
        others = [user for user in x.users if user is not node]
        is_own = x in plain or (x.op == "call_function" and operator_of(x) in FRESH and not is_in_place(x))
        if not is_own or any(place[user] > place[node] or operator_of(user) not in FRESH for user in others):
            return False
        plain.add(node)
    return True


def module_of(node: fx.Node) -> str:
    """The innermost module's path."""
    stack = node.meta.get("nn_module_stack") or {}
    paths = [path for path, _ in stack.values()]
    return (paths[-1] if paths else "") or "the network itself"


def outputs_of(program: ExportedProgram) -> list[Any]:
    """What the network returns, one after another: nodes, numbers or None."""
    kinds = [spec.kind.name for spec in program.graph_signature.output_specs]
    (found,) = program.graph.output_node().args
    assert isinstance(found, Sequence)
    return [each for kind, each in zip(kinds, found, strict=True) if kind == "USER_OUTPUT"]
