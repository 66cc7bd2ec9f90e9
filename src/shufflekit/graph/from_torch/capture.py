"""From any `nn.Module` to a graph: torch.export sees the operators, `translations.py` names them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter, signature
from operator import getitem
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram

from shufflekit.errors import UsageError, one_line
from shufflekit.graph.builder import Builder
from shufflekit.graph.from_torch.call import Call, operator_of, sizes_of
from shufflekit.graph.from_torch.masks import check_type
from shufflekit.graph.from_torch.nodes import Same, Step
from shufflekit.graph.from_torch.trace import after_input, inputs_of, is_number, module_of, outputs_of, trace
from shufflekit.graph.from_torch.translations import TRANSLATIONS
from shufflekit.graph.graph import Graph, Node
from shufflekit.graph.images import Images
from shufflekit.graph.operator import RefusedError
from shufflekit.graph.ops.repeat import Repeat
from shufflekit.graph.refusals import Refusals
from shufflekit.shapes import Shapes, are_several, shapes_of


def capture(model: nn.Module, shape: Shapes, lacks: Callable[[Graph], Refusals] | None = None) -> Graph:
    """Captures a network as it is in evaluation; the module is left as it was.

    Args:
        model: takes float32 tensors and returns one, or several in a list, tuple or dict.
        shape: (N, C, H, W) or the like of the input, or one for each of several, in order or by name; the graph holds for
            every N.
        lacks: what else a graph has that its user lacks, for one message about all of it.

    Raises:
        UsageError: the network cannot be captured, its outputs depend on the batch size in another way than image by image,
            or it has operators that the engine does not have.

    Example:
        >>> print(capture(nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU()), (1, 3, 4, 4)))
        node    op    reads   shape    attributes
        conv2d  conv  input   Nx8x4x4  stride=1,1 padding=0,0,0,0 dilation=1,1 groups=1
        relu    relu  conv2d  Nx8x4x4
    """
    return _Capture(trace(model, _sizes(model, shape), lambda node: operator_of(node) in TRANSLATIONS)).graph(lacks)


def _sizes(model: nn.Module, given: Shapes) -> dict[str, tuple[int, ...]]:
    """Of each input by name, without the batch; of a single one the name does not matter."""
    try:
        parameters = list(signature(model.forward).parameters.values())
    except (TypeError, ValueError):  # what is no Python
        parameters = []
    named = [each for each in parameters if each.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)]
    needed = [each.name for each in named if each.default is Parameter.empty]
    if isinstance(given, Mapping):
        found = shapes_of(given, [each.name for each in named])
        if missing := [name for name in needed if name not in found]:
            raise UsageError(f"input_shape: must be of all inputs, {', '.join(needed)}, found none of {', '.join(missing)}")
        return {each.name: found[each.name][1:] for each in named if each.name in found}
    count = len(given) if are_several(given) else 1
    names = [each.name for each in named[: max(count, len(needed))]] if named else [""]
    found = shapes_of(given, names)
    return {"" if count == 1 else name: shape[1:] for name, shape in found.items()}


_BATCHES = (1, 2, 3)  # images, for which what depends on their number alone is computed


class _Capture:
    """Walks the exported graph once, and has for each of its nodes our value, a constant, or why there is none."""

    def __init__(self, program: ExportedProgram) -> None:
        self.program = program
        self.places: dict[fx.Node, tuple[str, Images]] = {}
        self.known: dict[fx.Node, Any] = {}
        self.of_batch: dict[fx.Node, list[Any]] = {}  # what depends on the number of images alone, for each of `_BATCHES`
        self.origins: dict[fx.Node, str] = {}
        self.failed: set[fx.Node] = set()
        self.refused: set[fx.Node] = set()
        self.refusals = Refusals()
        self.builder = Builder()

    def graph(self, lacks: Callable[[Graph], Refusals] | None) -> Graph:
        self._sources()
        outputs = outputs_of(self.program)
        if not outputs:
            raise UsageError("compile: the network must return a tensor, found none")
        wanted = _ancestors([each for each in outputs if isinstance(each, fx.Node)])
        self._check_state(wanted)
        computed = set(after_input(self.program))
        for node in self.program.graph.nodes:
            if node.op == "call_function" and node in wanted:
                self._call(node) if node in computed else self._compute(node)
        if self.refusals.text and lacks is not None:
            self.refusals.include(lacks(self.builder.graph(self.builder.unread())))
        self.refusals.check()
        names = [self._output(number, each) for number, each in enumerate(outputs)]
        if self.builder.fixed:
            self.builder.takes_one = True
        return self.builder.graph(names)

    def _sources(self) -> None:
        signature = self.program.graph_signature
        tensors = {**self.program.state_dict, **self.program.constants}
        origins = signature.inputs_to_parameters | signature.inputs_to_buffers | signature.inputs_to_lifted_tensor_constants
        for node in self.program.graph.nodes:
            if node.name in origins and node.op == "placeholder":
                self.origins[node] = origins[node.name]
                found = tensors[origins[node.name]]
                self.known[node] = found.detach() if isinstance(found, Tensor) else found
        for source in inputs_of(self.program):
            images = Images((1, *(int(size) for size in source.meta["val"].shape[1:])), 0)
            self.places[source] = (self.builder.input(source.name, images.stored), images)

    def _check_state(self, wanted: set[fx.Node]) -> None:
        changed = set(self.program.graph_signature.buffers_to_mutate.values())
        for node in wanted & self.origins.keys():
            if self.origins[node] in changed:
                raise UsageError(
                    f"compile: {self.origins[node]} changes at every call, and what the network returns depends on it"
                )

    # What operators ask, see `call.Known`.

    def value(self, node: fx.Node) -> tuple[str, Images] | None:
        return self.places.get(node) or self._repeated(node)

    def _repeated(self, node: fx.Node) -> tuple[str, Images] | None:
        """A constant that was made as often as there are images."""
        one, *others = self.of_batch.get(node) or [None]
        if not isinstance(one, Tensor) or one.dtype != torch.float32 or one.shape[:1] != (1,):
            return None
        if not all(torch.equal(each, one.expand(batch, *one.shape[1:])) for each, batch in zip(others, _BATCHES[1:])):
            return None
        constant = self.builder.constant(f"{node.name}.0", one.cpu().numpy())
        self.builder.add(Node(Repeat(), node.name, module_of(node), (constant, self.builder.inputs[0]), node.name))
        self.places[node] = (node.name, Images(tuple(one.shape), 0))
        return self.places[node]

    def constant(self, node: fx.Node) -> Any:
        if node not in self.known:
            why = "input" if node in self.places else "batch size"
            raise RefusedError(f"{node.name} must be a constant, and depends on the {why}")
        return self.known[node]

    def keep(self, node: fx.Node) -> str:
        tensor = self.constant(node)
        return self.builder.constant(self.origins.get(node, node.name), tensor.to("cpu", torch.float32).numpy())

    def each(self, node: fx.Node) -> list[Any]:
        return [self.known[node]] if node in self.known else self.of_batch.get(node, [])

    # The walk.

    def _compute(self, node: fx.Node) -> None:
        """What depends on no input is computed here, with the types that torch gives it."""
        if self.failed.intersection(node.all_input_nodes):
            self.failed.add(node)
            return
        depends = any(each not in self.known for each in node.all_input_nodes)
        if depends and (is_number(node) or not all(map(self._is_of_batch, node.all_input_nodes))):
            return
        tags = getattr(node.target, "tags", ())
        if torch.Tag.nondeterministic_seeded in tags and not Call(node, self).is_off():
            self._refuse(node, "it is random")
            return
        try:
            if depends:
                self.of_batch[node] = [self._computed(node, number) for number in range(len(_BATCHES))]
            else:
                self.known[node] = self._computed(node, 0)
        except Exception as error:
            raise UsageError(f"compile: {operator_of(node)} (in {module_of(node)}): {one_line(error)}") from error

    def _is_of_batch(self, node: fx.Node) -> bool:
        return node in self.known or node in self.of_batch or isinstance(node.meta.get("val"), torch.SymInt)

    def _computed(self, node: fx.Node, number: int) -> Any:
        """For number `number` of `_BATCHES`."""

        def at(each: fx.Node) -> Any:
            if each in self.known:
                return self.known[each]
            if each in self.of_batch:
                return self.of_batch[each][number]
            size = each.meta["val"].node.expr
            return int(size.subs(dict.fromkeys(size.free_symbols, _BATCHES[number])))

        function: Any = node.target
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), at)
        with torch.no_grad():
            return function(*args, **kwargs)

    def _call(self, node: fx.Node) -> None:
        translate = TRANSLATIONS.get(operator_of(node))
        if translate is None:
            self._refuse(node, "")
            return
        if self.failed.intersection(node.all_input_nodes):
            self.failed.add(node)
            return
        if node.target is getitem and self.refused.intersection(node.all_input_nodes):
            self._stand_in(node)
            return
        try:
            _check_type(node)
            found = translate(Call(node, self))
            if isinstance(found, Same):
                name, images = self.places[found.node]
                self.places[node] = (name, found.images or images)
                return
            name = self._add_all(node, found.steps)
            images = found.images or Call(node, self).output
            assert self.builder.shape(name) == images.stored, f"{node.name}: {self.builder.shape(name)} is {images} for torch"
            self.places[node] = (name, images)
        except RefusedError as error:
            self._refuse(node, str(error))

    def _add_all(self, node: fx.Node, steps: Sequence[Step]) -> str:
        names: list[str] = []
        for number, (operator, inputs) in enumerate(steps, start=1):
            name = node.name if number == len(steps) else f"{node.name}.{number}"
            read = []
            for place, each in enumerate(inputs):
                if isinstance(each, np.ndarray):
                    read.append(self.builder.constant(f"{name}.in{place}", each))
                else:
                    read.append(names[each] if isinstance(each, int) else each)
            names.append(self.builder.add(Node(operator, name, module_of(node), tuple(read), name)))
        return names[-1]

    def _output(self, number: int, found: Any) -> str:
        if not isinstance(found, fx.Node) or found not in self.places:
            what = "a constant" if isinstance(found, fx.Node) else repr(found)
            raise UsageError(f"compile: output {number} must be a tensor computed from the network's input, found {what}")
        name, images = self.places[found]
        if images.axis > 0:  # then the network is compiled for one image
            self.builder.fixed[name] = images.sizes
        elif not images.is_first:
            raise UsageError(f"compile: output {number}: dimension 0 must count the images of the batch, found {images}")
        return name

    def _refuse(self, node: fx.Node, reason: str) -> None:
        """Goes on, so that one message can name all: what the node would give is an input of the rest."""
        self.refusals.add(operator_of(node), module_of(node), reason)
        self.refused.add(node)
        self._stand_in(node)

    def _stand_in(self, node: fx.Node) -> None:
        try:
            _check_type(node)
            sizes, axis = sizes_of(_first(node))
            images = Images(sizes, 0 if axis is None else axis)
            assert axis is not None, "it does not depend on the batch"
            self.places[node] = (self.builder.input(node.name, images.stored), images)
        except (AssertionError, AttributeError, RefusedError):
            self.failed.add(node)


def _check_type(node: fx.Node) -> None:
    check_type(node, _first(node))


def _first(node: fx.Node) -> Any:
    """The first tensor that an operator gives."""
    found = node.meta["val"]
    return found[0] if isinstance(found, tuple | list) else found


def _ancestors(nodes: Sequence[fx.Node]) -> set[fx.Node]:
    """The nodes, and all that they are computed from."""
    found: set[fx.Node] = set()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting.extend(node.all_input_nodes)
    return found
