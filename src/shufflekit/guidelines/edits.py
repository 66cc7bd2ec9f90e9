"""What to change in a network where it breaks a guideline: edits of its graph, the most promising first.

An edit keeps the network whole: widths that must agree change together. Where it can, it leaves the multiply-adds as they are.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from shufflekit.graph import Graph, Node
from shufflekit.graph.edits.refit import refit
from shufflekit.graph.edits.shuffles import shuffles
from shufflekit.graph.edits.widths import Widths
from shufflekit.graph.operator import Operator, RefusedError
from shufflekit.graph.ops.activations import Activation, Clamp, Relu, Relu6
from shufflekit.graph.ops.arithmetic import Add
from shufflekit.graph.ops.conv import Conv
from shufflekit.graph.ops.moves import Concat
from shufflekit.graph.ops.norms import Affine, BatchNorm, Normalize
from shufflekit.guidelines.record import Finding

_STEP = 8  # widths are rounded to multiples of it


@dataclass(frozen=True)
class Edit:
    """A change that was thought of, not yet made.

    Args:
        rule: whose findings it answers.
        findings: their numbers.
        text: what changes.
        code: how that is written.
        most_ms: what it could gain at most.
        apply: the graph after it; raises a RefusedError where no whole network comes of it.
    """

    rule: str
    findings: tuple[int, ...]
    text: str
    code: str
    most_ms: float
    apply: Callable[[Graph], Graph]


def edits(graph: Graph, nodes: Sequence[Node], findings: Sequence[Finding], lanes: int) -> list[Edit]:
    """All edits that answer findings.

    Args:
        graph: of the network.
        nodes: what the places in findings mean.
        findings: of all rules.
        lanes: numbers in a vector of the device.
    """
    subject = _Subject(graph, nodes, findings, lanes)
    found = [edit for code, make in _OF_RULE.items() if (own := subject.of(code)) for edit in make(subject, own)]
    return sorted(found, key=lambda edit: -edit.most_ms)


class _Subject:
    def __init__(self, graph: Graph, nodes: Sequence[Node], findings: Sequence[Finding], lanes: int) -> None:
        self.graph, self.nodes, self.findings, self.lanes = graph, nodes, findings, lanes
        self.widths = Widths(graph)
        self.group = {writer: group for group in self.widths.groups for writer in group.writers}

    def of(self, code: str) -> list[int]:
        return [number for number, finding in enumerate(self.findings) if finding.rule == code]

    def node(self, number: int) -> Node:
        """Of a finding about one operator."""
        return self.nodes[self.findings[number].layers[0]]

    def most_ms(self, numbers: Sequence[int]) -> float:
        """What the findings' operators take beyond what they would at the rule's bound, or at 1."""
        return sum(self.findings[n].cost_ms * (1 - 1 / max(1.0, self.findings[n].value)) for n in numbers)

    def stage(self, numbers: Sequence[int]) -> str:
        """Where findings are, in few words."""
        places = list(dict.fromkeys(self.findings[number].node for number in numbers))
        return places[0] if len(places) == 1 else f"{len(places)} places, {places[0]} to {places[-1]}"


# G1: both widths of a pair to their geometric mean, all of the network's multiply-adds as before.


def _balanced(subject: _Subject, numbers: Sequence[int]) -> Iterator[Edit]:
    by_plane: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for number in numbers:
        by_plane[subject.graph.values[subject.node(number).output].sizes[1:]].append(number)
    sets = [list(numbers), *(by_plane.values() if len(by_plane) > 1 else ())]
    for chosen in sets:
        sides = "x".join(map(str, subject.graph.values[subject.node(chosen[0]).output].sizes[1:]))
        where = f" on {sides}" if len(chosen) < len(numbers) else ""
        yield Edit(
            rule="G1",
            findings=tuple(chosen),
            text=f"equal widths on both sides of {_count(len(chosen), 'pointwise convolution')}{where}",
            code="nn.Conv2d(c, c, 1) in place of nn.Conv2d(c1, c2, 1), c near sqrt(c1 c2)",
            most_ms=subject.most_ms(chosen),
            apply=partial(_balance, outputs=tuple(subject.node(number).output for number in chosen)),
        )


def _balance(graph: Graph, outputs: Sequence[str]) -> Graph:
    widths = Widths(graph)
    found: dict[str, list[float]] = defaultdict(list)
    producers = {node.output: node for node in graph.nodes}
    for output in outputs:
        node = producers[output]
        narrow, wide = node.inputs[0], output
        counts = [graph.values[name].sizes[0] for name in (narrow, wide)]
        for name, ratio in ((narrow, counts[1] / counts[0]), (wide, counts[0] / counts[1])):
            if (writer := widths.group_of(name)) is not None:
                found[writer].append(math.log(ratio) / 2)
    factors = {writer: math.exp(sum(logs) / len(logs)) for writer, logs in found.items()}
    return scaled(widths, factors)


# G2: one group, and both widths over the root of the number of groups.


def _ungrouped(subject: _Subject, numbers: Sequence[int]) -> Iterator[Edit]:
    groups = sorted({_conv(subject.node(number)).groups for number in numbers})
    yield Edit(
        rule="G2",
        findings=tuple(numbers),
        text=f"one group in {_count(len(numbers), 'convolution')} of {' and '.join(map(str, groups))} groups, and widths over "
        "the root of that; no channel shuffle behind them",
        code="nn.Conv2d(c1 / sqrt(g), c2 / sqrt(g), 1) in place of nn.Conv2d(c1, c2, 1, groups=g)",
        most_ms=subject.most_ms(numbers),
        apply=partial(_ungroup, outputs=tuple(subject.node(number).output for number in numbers)),
    )


def _ungroup(graph: Graph, outputs: Sequence[str]) -> Graph:
    flops = Widths(graph).flops({})
    operators: dict[str, Operator] = {}
    for node in graph.nodes:
        if node.output in outputs:
            operators[node.output] = Conv(_conv(node).stride, _conv(node).padding, _conv(node).dilation)
    groups = {_conv(node).groups for node in graph.nodes if node.output in outputs}
    instead = {each.last.output: each.reads for each in shuffles(graph) if each.groups in groups}
    dense = refit(graph, instead=instead, operators=operators)
    widths, factors = Widths(dense), {}
    for node in dense.nodes:
        if node.output in outputs:
            for writer in (widths.group_of(node.inputs[0]), widths.group_of(node.output)):
                if writer is not None:
                    factors[writer] = 1.0
    return scaled(widths, factors, flops)


# G3: one branch in place of several.


def _merged(subject: _Subject, numbers: Sequence[int]) -> Iterator[Edit]:
    joins = {number: subject.nodes[max(subject.findings[number].layers)] for number in numbers}
    sets = [list(numbers), *([number] for number in numbers if len(numbers) > 1)]
    for chosen in sets:
        yield Edit(
            rule="G3",
            findings=tuple(chosen),
            text=f"one wide branch in place of several at {subject.stage(chosen)}",
            code="one nn.Conv2d of as many multiply-adds in place of branches that are added or concatenated",
            most_ms=subject.most_ms(chosen),
            apply=partial(_merge, joins=tuple(joins[number].output for number in chosen)),
        )


def _merge(graph: Graph, joins: Sequence[str]) -> Graph:
    """The branch that multiplies most stays, and is as wide as all were; its own widths grow by what the others multiplied."""
    producers = {node.output: node for node in graph.nodes}
    flops = Widths(graph).flops({})
    instead, widths, inner = {}, {}, []
    for join in joins:
        branches = [_chain(graph, producers, name) for name in _operands(producers, join)]
        kept = max((chain for chain in branches if chain), key=lambda chain: _work(graph, chain), default=None)
        if kept is None:
            raise RefusedError(f"{producers[join].op} in {producers[join].place} joins nothing that convolutions compute")
        instead[join] = kept[-1].output
        last = next(node for node in reversed(kept) if isinstance(node.operator, Conv))
        widths[last.output] = graph.values[join].sizes[0]
        inner += [node.output for node in kept if isinstance(node.operator, Conv) and node is not last]
    made = refit(graph, instead=instead, widths=widths)
    solver = Widths(made)
    free = {writer: 1.0 for name in inner if name in made.values and (writer := solver.group_of(name))}
    return scaled(solver, free, flops) if free else made


def _operands(producers: Mapping[str, Node], join: str) -> list[str]:
    """What a join, and the joins that it reads, put together."""
    node = producers.get(join)
    if node is None or not isinstance(node.operator, Concat | Add):
        return [join]
    return [operand for name in node.inputs for operand in _operands(producers, name)]


def _chain(graph: Graph, producers: Mapping[str, Node], value: str) -> list[Node]:
    """The nodes of one input that nobody else reads, up to the one that writes a value; without a convolution none."""
    readers = graph.readers()
    chain: list[Node] = []
    while value in producers and len([name for name in producers[value].inputs if name not in graph.constants]) == 1:
        if chain and readers[value] > 1:
            break
        chain.append(producers[value])
        value = chain[-1].inputs[0]
    return chain[::-1] if any(isinstance(node.operator, Conv) for node in chain) else []


def _work(graph: Graph, chain: Sequence[Node]) -> int:
    convs = [node for node in chain if isinstance(node.operator, Conv)]
    shapes = [(graph.constants[node.inputs[1]].shape, graph.values[node.output].sizes) for node in convs]
    return sum(math.prod(weights[1:]) * math.prod(sizes) for weights, sizes in shapes)


# G4: activations for relu, and norms, shuffles and sums left out, each kind at once.


def _fewer(subject: _Subject, numbers: Sequence[int]) -> Iterator[Edit]:
    accused = {subject.nodes[place].output: number for number in numbers for place in subject.findings[number].layers}
    for text, code, apply, outputs in _kinds(subject.graph):
        chosen = sorted({accused[output] for output in outputs if output in accused})
        if chosen:
            cost_ms = sum(subject.findings[number].cost_ms for number in chosen)
            yield Edit("G4", tuple(chosen), text, code, cost_ms, apply)


def _kinds(graph: Graph) -> Iterator[tuple[str, str, Callable[[Graph], Graph], list[str]]]:
    costly: dict[str, list[str]] = defaultdict(list)
    for node in graph.nodes:
        if isinstance(node.operator, Activation) and not isinstance(node.operator, Relu | Relu6 | Clamp):
            costly[node.op].append(node.output)
    for name, outputs in costly.items():
        swap = partial(_swap_activation, name=name)
        yield f"relu in place of {_count(len(outputs), name)}", "nn.ReLU(inplace=True)", swap, outputs
    shuffled = [each.last.output for each in shuffles(graph)]
    yield f"no {_count(len(shuffled), 'channel shuffle')}", "leave the shuffle out", _drop_shuffles, shuffled
    adds = _sums(graph)
    yield f"no {_count(len(adds), 'shortcut')}", "leave the sum out", _drop_adds, adds
    norms = _loose_norms(graph)
    text = f"no {_count(len(norms), 'norm')} that folds into no convolution"
    yield text, "norm right behind a convolution, or none", _drop_norms, norms


def _swap_activation(graph: Graph, name: str) -> Graph:
    return refit(graph, operators={node.output: Relu() for node in graph.nodes if node.op == name})


def _drop_shuffles(graph: Graph) -> Graph:
    return refit(graph, instead={each.last.output: each.reads for each in shuffles(graph)})


def _drop_adds(graph: Graph) -> Graph:
    producers, instead = {node.output: node for node in graph.nodes}, {}
    for output in _sums(graph):
        a, b = producers[output].inputs
        instead[output] = b if _chain(graph, producers, b) else a
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


# G5: widths to multiples of the vector, down and up; equal widths at once.


def _aligned(subject: _Subject, numbers: Sequence[int]) -> Iterator[Edit]:
    by_width: dict[int, list[int]] = defaultdict(list)
    for number in numbers:
        by_width[subject.graph.values[subject.node(number).output].sizes[0]].append(number)
    plans: dict[tuple[tuple[int, int], ...], list[int]] = {}
    for width, chosen in by_width.items():
        below = width // subject.lanes * subject.lanes
        for target in (below + subject.lanes, below):
            if target:
                plans[((width, target),)] = chosen
    if len(by_width) > 1:
        for rounding in (math.ceil, lambda share: max(1, round(share))):
            plans[tuple((width, rounding(width / subject.lanes) * subject.lanes) for width in by_width)] = list(numbers)
    for plan, chosen in plans.items():
        names = ", ".join(f"{target} in place of {width}" for width, target in plan)
        yield Edit(
            rule="G5",
            findings=tuple(chosen),
            text=f"{names} channels in {_count(len(chosen), 'convolution')} and all that must agree",
            code=f"widths in multiples of {subject.lanes}: {names}",
            most_ms=subject.most_ms(chosen),
            apply=partial(_align, plan=plan),
        )


def _align(graph: Graph, plan: Sequence[tuple[int, int]]) -> Graph:
    widths, targets = Widths(graph), dict(plan)
    free = [group for group in widths.groups if group.width in targets and group.fixed_by is None]
    if not free:
        fixed = [group.fixed_by for group in widths.groups if group.width in targets and group.fixed_by]
        why = f"{fixed[0].op} in {fixed[0].place} needs it" if fixed else "it follows from others"
        raise RefusedError(f"the width {plan[0][0]} must stay: {why}")
    return widths.changed({group.writers[0]: targets[group.width] for group in free})


def scaled(widths: Widths, factors: Mapping[str, float], flops: int | None = None) -> Graph:
    """Groups of widths times factors of their own and one for all, by which the multiply-adds become those that are asked for.

    Args:
        widths: of the graph.
        factors: by the first writer of each group.
        flops: of convolutions and linear layers afterwards, as near as whole widths come; as before by default.

    Raises:
        RefusedError: none of the groups can change.
    """
    wanted = widths.flops({}) if flops is None else flops
    was = {writer: group.width for group in widths.groups for writer in group.writers}
    free = {writer: factors[writer] for writer in widths.independent(factors)}
    if not free:
        raise RefusedError("none of the widths can change by itself")

    # What follows from several widths must be a multiple too of what any convolution needs.
    common = math.lcm(*(widths.multiple(writer) for writer in was))
    each = {writer: common if common <= _STEP else widths.multiple(writer) for writer in free}
    steps = {writer: own * max(1, _STEP // own) for writer, own in each.items()}

    def rounded(factor: float) -> dict[str, int]:
        return {name: max(1, round(was[name] * free[name] * factor / steps[name])) * steps[name] for name in free}

    def apart(factor: float) -> float:
        try:
            return math.log(widths.flops(rounded(factor)) / wanted)
        except RefusedError:  # widths that follow would come to nothing
            return -math.inf

    low, high = 0.1, 10.0
    for _ in range(12):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if apart(middle) > 0 else (middle, high)
    return widths.changed(rounded(min((low, high), key=lambda factor: abs(apart(factor)))))


def _conv(node: Node) -> Conv:
    assert isinstance(node.operator, Conv)
    return node.operator


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


_OF_RULE: dict[str, Callable[[_Subject, Sequence[int]], Iterator[Edit]]] = {
    "G1": _balanced,
    "G2": _ungrouped,
    "G3": _merged,
    "G4": _fewer,
    "G5": _aligned,
}
