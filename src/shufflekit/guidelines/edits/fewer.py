"""G4: activations for relu, and norms, shuffles and sums left out, each kind at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from shufflekit.graph import Graph
from shufflekit.graph.edits.refit import refit
from shufflekit.graph.edits.shuffles import shuffles
from shufflekit.graph.ops.activations import Activation, Clamp, Relu, Relu6
from shufflekit.graph.ops.arithmetic import Add
from shufflekit.graph.ops.conv import Conv
from shufflekit.graph.ops.norms import Affine, BatchNorm, Normalize
from shufflekit.guidelines.edits.edit import Edit, Subject, counted
from shufflekit.guidelines.edits.merge import chain


def fewer(subject: Subject, numbers: Sequence[int]) -> Iterator[Edit]:
    """What is computed inside of another operator has no time of its own, and no finding: relu for it is tried last."""
    accused = {subject.nodes[place].output: number for number in numbers for place in subject.findings[number].layers}
    for text, code, apply, outputs in _kinds(subject.graph):
        chosen = sorted({accused[output] for output in outputs if output in accused})
        if chosen or (outputs and text.startswith("relu")):
            cost_ms = sum(subject.findings[number].cost_ms for number in chosen)
            yield Edit("G4", tuple(chosen), text, code, cost_ms, apply)


def _kinds(graph: Graph) -> Iterator[tuple[str, str, Callable[[Graph], Graph], list[str]]]:
    costly: dict[str, list[str]] = defaultdict(list)
    for node in graph.nodes:
        if isinstance(node.operator, Activation) and not isinstance(node.operator, Relu | Relu6 | Clamp):
            costly[node.op].append(node.output)
    for name, outputs in costly.items():
        swap = partial(_swap_activation, name=name)
        yield f"relu in place of {counted(len(outputs), name)}", "nn.ReLU(inplace=True)", swap, outputs
    chained = _chained(graph)
    text = f"no {counted(len(chained), 'element-wise operator')} right behind another"
    yield text, "one activation behind a convolution", _drop_chained, chained
    shuffled = [each.last.output for each in shuffles(graph)]
    yield f"no {counted(len(shuffled), 'channel shuffle')}", "no shuffle there", _drop_shuffles, shuffled
    adds = _sums(graph)
    yield f"no {counted(len(adds), 'shortcut')}", "no sum there", _drop_adds, adds
    norms = _loose_norms(graph)
    text = f"no {counted(len(norms), 'norm')} that folds into no convolution"
    yield text, "a norm right behind a convolution, or none", _drop_norms, norms


def _swap_activation(graph: Graph, name: str) -> Graph:
    return refit(graph, operators={node.output: Relu() for node in graph.nodes if node.op == name})


def _drop_chained(graph: Graph) -> Graph:
    producers = {node.output: node for node in graph.nodes}
    return refit(graph, instead={output: producers[output].inputs[0] for output in _chained(graph)})


def _chained(graph: Graph) -> list[str]:
    """Of one input, which is of the same kind."""
    unary = {node.output for node in graph.nodes if isinstance(node.operator, Activation)}
    return [node.output for node in graph.nodes if node.output in unary and node.inputs[0] in unary]


def _drop_shuffles(graph: Graph) -> Graph:
    return refit(graph, instead={each.last.output: each.reads for each in shuffles(graph)})


def _drop_adds(graph: Graph) -> Graph:
    producers, instead = {node.output: node for node in graph.nodes}, {}
    for output in _sums(graph):
        a, b = producers[output].inputs
        instead[output] = b if chain(graph, producers, b) else a
    return refit(graph, instead=instead)


def _sums(graph: Graph) -> list[str]:
    """Of two values of the same shape."""
    return [
        node.output
        for node in graph.nodes
        if isinstance(node.operator, Add)
        and all(name in graph.values and graph.values[name].shape == graph.values[node.output].shape for name in node.inputs)
    ]


def _drop_norms(graph: Graph) -> Graph:
    producers = {node.output: node for node in graph.nodes}
    return refit(graph, instead={output: producers[output].inputs[0] for output in _loose_norms(graph)})


def _loose_norms(graph: Graph) -> list[str]:
    producers = {node.output: node for node in graph.nodes}
    found = []
    for node in graph.nodes:
        before = producers.get(node.inputs[0])
        folds = isinstance(node.operator, Affine | BatchNorm) and before is not None and isinstance(before.operator, Conv)
        if isinstance(node.operator, Affine | BatchNorm | Normalize) and not folds:
            found.append(node.output)
    return found
