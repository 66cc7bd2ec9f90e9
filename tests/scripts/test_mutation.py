"""Which edits are drawn, what they leave alone, and what becomes of the verdicts."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = '''"""Docstring 1."""
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    SIZE = 1


@dataclass(frozen=True)
class Side:
    pass


def area(width: int | None, *, height: "int" = 2) -> int | None:
    if width is None:
        raise ValueError(f"found {height + 1}")
    total = width * height
    total += 1
    return total
'''


@pytest.fixture(scope="module")
def scripts() -> Iterator[None]:
    sys.path.insert(0, str(ROOT / "scripts"))
    yield
    sys.path.remove(str(ROOT / "scripts"))


@pytest.fixture(scope="module")
def mutants(scripts: None) -> ModuleType:
    pytest.importorskip("cosmic_ray", reason="the extra [mutation] is not installed")
    return import_module("mutants")


@pytest.fixture(scope="module")
def mutation(mutants: ModuleType) -> ModuleType:
    return import_module("mutation")


def tree(folder: Path, source: str) -> Path:
    file = folder / "src" / "shufflekit" / "data" / "area.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(source)
    return folder


def test_annotations_messages_and_what_only_type_checkers_run_are_left_alone(mutants: ModuleType) -> None:
    assert {place.line for place in mutants.places_in(SOURCE, "area.py")} == {8, 13, 14, 16, 17}
    assert len([place for place in mutants.places_in(SOURCE, "area.py") if place.line == 13]) == 1  # the default


def test_that_a_class_without_fields_is_a_dataclass_is_inherited(mutants: ModuleType) -> None:
    source = """@dataclass(frozen=True)
class A(Base):
    kernel: ClassVar[str] = name()


@dataclass(frozen=True)
class B(A):
    width: int


@dataclass(frozen=True)
class Root(ABC):
    pass
"""
    assert [place.line for place in mutants.places_in(source, "area.py")] == [6, 11]


def test_a_sample_is_valid_changed_and_always_the_same(mutants: ModuleType, tmp_path: Path) -> None:
    root = tree(tmp_path, SOURCE)
    drawn = mutants.sample(root, ["data"], 4, seed=0)
    assert len({mutant.key for mutant in drawn}) == 4
    assert drawn == mutants.sample(root, ["data"], 4, seed=0)
    for mutant in drawn:
        assert ast.dump(ast.parse(mutant.source)) != ast.dump(ast.parse(SOURCE))
        assert mutant.function in ("area", "Side")
        assert mutant.before in SOURCE
        assert mutant.after in mutant.source
    assert len({tuple(m.key for m in mutants.sample(root, ["data"], 3, seed)) for seed in range(20)}) > 5


def test_an_edit_elsewhere_leaves_the_sample_as_it_was(mutants: ModuleType, tmp_path: Path) -> None:
    before = mutants.sample(tree(tmp_path, SOURCE), ["data"], 5, seed=3)
    after = mutants.sample(tree(tmp_path, SOURCE.replace("if TYPE", "\n\n# a comment\nif TYPE")), ["data"], 5, seed=3)
    assert [mutant.key for mutant in before] == [mutant.key for mutant in after]
    assert {mutant.line + 3 for mutant in before} == {mutant.line for mutant in after}


def test_folders_share_by_their_places(mutants: ModuleType) -> None:
    assert mutants._shares({"data": 10, "plan": 20, "cost": 1}, 31) == {"data": 10, "plan": 20, "cost": 1}
    assert mutants._shares({"data": 1, "plan": 1, "cost": 1}, 10) in (
        {"data": 4, "plan": 3, "cost": 3}, {"data": 3, "plan": 4, "cost": 3}, {"data": 3, "plan": 3, "cost": 4},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("source", "operator", "expected"),
    [
        ("f(x)\n", "DropStatement", ["pass\n"]),
        ("x[0] = 1\n", "DropStatement", ["pass\n"]),
        ("x += 1\n", "DropStatement", ["pass\n"]),
        ("x = 1\n", "DropStatement", []),
        ("x: int = 1\n", "DropStatement", []),
        ("y = a * b / c\n", "DropOperand", ["y = a / c\n", "y = a * b\n"]),
        ("y = a and b or c\n", "DropOperand", ["y = a and b\n", "y = a or c\n"]),
        ("if x and y: z = 1\n", "NeverTrue", ["if False: z = 1\n"]),
    ],
)
def test_what_our_own_operators_forget(mutants: ModuleType, source: str, operator: str, expected: list[str]) -> None:
    made = [mutants.mutate_code(source, getattr(mutants, operator)(), number) for number in range(len(expected) + 1)]
    assert made == [*expected, None]


def test_the_tests_of_a_file_come_before_those_of_its_folder(mutation: ModuleType) -> None:
    tests = mutation.tests_of("src/shufflekit/plan/views.py", ROOT)
    assert tests[:2] == ["tests/plan/test_views.py", "src/shufflekit/plan/views.py"]
    assert "tests/plan/test_arena.py" in tests
    assert all((ROOT / test).is_file() for test in tests)
    assert len(set(tests)) == len(tests)


def found(failed: bool, after: str = "2") -> dict[str, object]:
    about = {"file": "src/shufflekit/data/area.py", "line": 8, "function": "area", "before": "1", "after": after}
    return about | {"failed": failed, "by": "", "seconds": 1.0}


@pytest.mark.parametrize(("unexplained", "explained", "passes"), [(0, 0, True), (5, 10, True), (6, 0, False), (0, 11, False)])
def test_a_score_has_two_bounds(mutation: ModuleType, unexplained: int, explained: int, passes: bool) -> None:
    noticed = [found(True)] * (100 - unexplained - explained)
    verdicts = [*noticed, *[found(False)] * unexplained, *[found(False, "0")] * explained]
    reasons = {("src/shufflekit/data/area.py", "area", "1", "0"): "never zero"}
    text, well = mutation.report(verdicts, reasons)
    assert well == passes
    assert text.splitlines()[-1].startswith(f"100 edits: {unexplained} not noticed")
    assert text.count("never zero") == explained


def test_a_run_that_was_stopped_goes_on(mutation: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "build" / "results.json"
    results = mutation.Results(path, {"seed": 0}, again=False)
    results.add("verdicts", "a", found(True))
    results.add("verdicts", "b", found(False))
    assert set(mutation.Results(path, {"seed": 0}, again=False).content["verdicts"]) == {"a", "b"}
    assert set(mutation.Results(path, {"seed": 0}, again=True).content["verdicts"]) == {"a"}
    with pytest.raises(SystemExit, match="other sources, tests or arguments"):
        mutation.Results(path, {"seed": 1}, again=False)


def test_a_second_run_leaves_out_what_is_explained(
    mutation: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = mutation.Results(tmp_path / "results.json", {"seed": 0}, again=False)
    for after in "01":
        results.add("verdicts", after, found(False, after))
    monkeypatch.setattr(mutation, "read_reasons", lambda: {("src/shufflekit/data/area.py", "area", "1", "0"): "never zero"})
    assert set(mutation.Results(results.path, {"seed": 0}, again=True).content["verdicts"]) == {"0"}


def test_each_explained_edit_has_a_reason_and_its_line_is_still_there() -> None:
    entries = json.loads((ROOT / "tests" / "mutation_explained.json").read_text("utf-8"))
    for entry in entries:
        source = [line.strip() for line in (ROOT / entry["file"]).read_text("utf-8").splitlines()]
        assert set(entry["before"].splitlines()) <= set(source), entry
        assert entry["before"] != entry["after"], entry
        assert len(entry["why"]) > 10, entry
    keys = [tuple(entry[name] for name in ("file", "function", "before", "after")) for entry in entries]
    assert len(set(keys)) == len(keys)
