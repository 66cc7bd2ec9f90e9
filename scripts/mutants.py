"""Small breaking edits of the sources: where they can be made, and a seeded sample of them.

A place is where one or several of cosmic-ray's operators, or of the three below, can change a file. Annotations, what only type
checkers run, docstrings and the messages of exceptions are no places, nor is whether a dataclass is frozen or `zip` strict, nor
that a class without fields of its own is called a dataclass, which it inherits: no test should hold them fast.
"""

from __future__ import annotations

import ast
import contextlib
import difflib
import hashlib
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator, operator_names
from parso.python.tree import IfStmt, Name

_NEEDS_ARGUMENTS = ("core/VariableReplacer", "core/VariableInserter")
_ONLY_ON = {"ReplaceBinaryOperator": "operator", "ReplaceComparisonOperator": "comparison"}  # spares most of the search


class DropStatement(Operator):
    """A call, an update in place or the writing of an item is forgotten."""

    def mutation_positions(self, node):
        if node.type == "simple_stmt" and self._drops(node.children[0]):
            yield node.start_pos, node.end_pos

    def mutate(self, node, index):
        node.children[0] = Name("pass", node.start_pos, node.children[0].get_first_leaf().prefix)
        return node

    @staticmethod
    def _drops(statement: Any) -> bool:
        if statement.type != "expr_stmt":
            return statement.type == "atom_expr"
        target, assigned = statement.children[:2]
        is_item = target.type == "atom_expr" and target.children[-1].get_code().startswith("[")
        return assigned.type == "operator" and (assigned.value != "=" or is_item)

    @classmethod
    def examples(cls):
        return ()


class DropOperand(Operator):
    """A factor, a summand or one of several conditions is forgotten, with the operator before it."""

    def mutation_positions(self, node):
        if node.type in ("arith_expr", "term", "and_test", "or_test"):
            for operator in node.children[1::2]:
                yield operator.start_pos, operator.end_pos

    def mutate(self, node, index):
        del node.children[2 * index + 1 : 2 * index + 3]
        return node

    @classmethod
    def examples(cls):
        return ()


class NeverTrue(Operator):
    """A check is dropped."""

    def mutation_positions(self, node):
        if isinstance(node, IfStmt):
            yield node.children[1].start_pos, node.children[1].end_pos

    def mutate(self, node, index):
        node.children[1] = Name("False", node.children[1].start_pos, " ")
        return node

    @classmethod
    def examples(cls):
        return ()


_OWN = {operator.__name__: operator for operator in (DropStatement, DropOperand, NeverTrue)}


@dataclass(frozen=True)
class Place:
    """`edits` are (operator, occurrence) pairs; `key` is the same after edits of other lines."""

    file: str
    line: int
    key: str
    edits: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Mutant:
    """A file with one edit; `before` and `after` are the lines that differ, without indentation."""

    place: str
    file: str
    line: int
    function: str
    before: str
    after: str
    source: str

    @property
    def key(self) -> str:
        """One mutant of a run."""
        return f"{self.place} -> {self.after}"


def sample(root: Path, folders: Iterable[str], count: int, seed: int) -> list[Mutant]:
    """Mutants of the folders of src/shufflekit, each folder's share that of its places; the same for the same sources.

    Places are drawn by a hash of what stands there, so that an edit elsewhere leaves most of a sample as it was.
    """
    places = {folder: _places_of(root, folder) for folder in folders}
    mutants: list[Mutant] = []
    for folder, share in _shares({folder: len(found) for folder, found in places.items()}, count).items():
        drawn = sorted(places[folder], key=lambda place: _hash(seed, place.key))
        valid = (mutant for place in drawn if (mutant := _mutant(root, place, seed)) is not None)
        mutants += islice(valid, share)
    return mutants


def _shares(sizes: dict[str, int], count: int) -> dict[str, int]:
    """`count` in proportion to the sizes; what rounding leaves goes to the largest remainders."""
    exact = {name: count * size / sum(sizes.values()) for name, size in sizes.items()}
    shares = {name: int(share) for name, share in exact.items()}
    for name in sorted(exact, key=lambda name: shares[name] - exact[name])[: count - sum(shares.values())]:
        shares[name] += 1
    return shares


def _hash(seed: int, text: str) -> str:
    return hashlib.sha256(f"{seed} {text}".encode()).hexdigest()


def _places_of(root: Path, folder: str) -> list[Place]:
    within = root / "src" / "shufflekit" / folder
    files = sorted(within.rglob("*.py")) or [within]
    return [place for file in files for place in places_in(file.read_text("utf-8"), file.relative_to(root).as_posix())]


def places_in(source: str, file: str) -> list[Place]:
    """Everywhere that a source can be changed."""
    excluded, functions, lines = _excluded(source), _functions(source), source.splitlines()
    occurrences: Counter[str] = Counter()
    edits: dict[tuple[int, int], list[tuple[str, int]]] = {}
    for node in ast_nodes(get_ast(source)):
        for name, operator in _operators(node.type):
            for start, _ in operator.mutation_positions(node):
                marks_arguments = node.parent is not None and node.parent.type == "parameters"  # a bare * or /
                if not marks_arguments and not any(first <= start < last for first, last in excluded):
                    edits.setdefault(start, []).append((name, occurrences[name]))
                occurrences[name] += 1
    places, seen = [], Counter[str]()
    for (line, _), found in sorted(edits.items()):
        text = f"{file} {functions.get(line, '')} {lines[line - 1].strip()}"
        places.append(Place(file, line, f"{text} {seen[text]}", tuple(found)))
        seen[text] += 1
    return places


@cache
def _operators(node_type: str) -> list[tuple[str, Operator]]:
    """Those that can change nodes of a type; an operator counts its occurrences over the whole file."""
    names = [name for name in operator_names() if _is_used(name) and _ONLY_ON.get(_family(name), node_type) == node_type]
    return [*((name, get_operator(name)()) for name in names), *((name, operator()) for name, operator in _OWN.items())]


def _is_used(name: str) -> bool:
    """`a is b` in place of `a == b` is the same for small numbers and for names."""
    to_identity = name.endswith(("_Is", "_IsNot")) and "Operator_Is" not in name
    return name not in _NEEDS_ARGUMENTS and not to_identity


def _family(name: str) -> str:
    """`core/ReplaceBinaryOperator_Add_Sub` -> `ReplaceBinaryOperator`."""
    return name.removeprefix("core/").split("_")[0]


def _mutant(root: Path, place: Place, seed: int) -> Mutant | None:
    """The first edit of the place, in an order that the seed gives, that is valid and not only another spelling.

    Families of operators take turns by chance, else a sum would nearly always become one of eleven other operations.
    """
    source = (root / place.file).read_text("utf-8")
    families: dict[str, list[tuple[str, int]]] = {}
    for name, occurrence in sorted(place.edits, key=lambda edit: _hash(seed, f"{place.key} {edit}")):
        families.setdefault(_family(name), []).append((name, occurrence))
    for family in sorted(families, key=lambda family: _hash(seed, f"{place.key} {family}")):
        for name, occurrence in families[family]:
            operator = _OWN[name] if name in _OWN else get_operator(name)
            with contextlib.suppress(AttributeError):  # cosmic-ray 8.7 cannot replace an exception with a dotted name
                changed = mutate_code(source, operator(), occurrence)
                if changed is not None and _is_valid(source, changed):
                    return _as_mutant(place, source, changed)
    return None


def _is_valid(source: str, changed: str) -> bool:
    try:
        with warnings.catch_warnings(action="ignore"):  # `1 is x`
            return ast.dump(ast.parse(changed)) != ast.dump(ast.parse(source)) and compile(changed, "", "exec") is not None
    except SyntaxError:
        return False


def _as_mutant(place: Place, source: str, changed: str) -> Mutant:
    diff = list(difflib.ndiff(source.splitlines(), changed.splitlines()))
    before, after = ("\n".join(line[2:].strip() for line in diff if line[0] == sign) for sign in "-+")
    return Mutant(place.key, place.file, place.line, _functions(source).get(place.line, ""), before, after, changed)


def _excluded(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Stretches of what is no place, as (line, column) of their start and end."""
    nodes: list[ast.AST] = []
    inherited: list[ast.AST] = []  # decorators, each behind its @
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.AnnAssign | ast.arg) and node.annotation is not None:
            nodes.append(node.annotation)
        elif isinstance(node, ast.FunctionDef) and node.returns is not None:
            nodes.append(node.returns)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            nodes.append(node)
        elif isinstance(node, ast.Raise) and node.exc is not None:
            nodes += [part for part in ast.walk(node.exc) if isinstance(part, ast.JoinedStr)]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("dataclass", "zip"):
            nodes += [keyword for keyword in node.keywords if keyword.arg in ("frozen", "eq", "strict")]
        elif (
            isinstance(node, ast.ClassDef) and {*map(ast.unparse, node.bases)} - {"ABC"} and not any(map(_is_field, node.body))
        ):
            inherited += [each for each in node.decorator_list if ast.unparse(each).startswith("dataclass(")]
    places = [*((node, 0) for node in nodes), *((node, 1) for node in inherited)]
    return [((node.lineno, node.col_offset - more), (node.end_lineno, node.end_col_offset)) for node, more in places]  # type: ignore[attr-defined]


def _is_field(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.AnnAssign) and not ast.unparse(statement.annotation).startswith("ClassVar")


def _functions(source: str) -> dict[int, str]:
    """The innermost function or class of each line, by its dotted name."""
    names: dict[int, str] = {}

    def visit(node: ast.AST, outer: str) -> None:
        for child in ast.iter_child_nodes(node):
            inner = outer
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                inner = f"{outer}.{child.name}".lstrip(".")
                first = min([child.lineno, *(decorator.lineno for decorator in child.decorator_list)])
                names.update(dict.fromkeys(range(first, (child.end_lineno or first) + 1), inner))
            visit(child, inner)

    visit(ast.parse(source), "")
    return names
