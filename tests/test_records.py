"""Every record that is kept as JSON, with something wrong at every place of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from shufflekit.bench.results import Session, compare
from shufflekit.cost.model import CostModel
from shufflekit.cost.works import Work
from shufflekit.device import Device
from shufflekit.errors import InputError
from shufflekit.guidelines import Audit
from shufflekit.records import parsed, read_text, record
from shufflekit.report import Subject, read_json, render_json, render_text
from shufflekit.reproduce.record import Record, shown
from shufflekit.reproduce.runs import read_runs
from shufflekit.reproduce.speed import Built
from tests.bench.test_results import session, timed
from tests.cost.test_model import works
from tests.device.test_record import a_device
from tests.report.subjects import a_subject
from tests.reproduce.test_accuracy_tables import trained

WRONG = (None, "x", -1, 0, 1.5, True, [], {}, [None], float("nan"), float("inf"), 10**400)


def places(found: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a JSON tree; of a list only the first."""
    yield path
    inside = found.items() if isinstance(found, dict) else enumerate(found[:1]) if isinstance(found, list) else ()
    for key, value in inside:
        yield from places(value, (*path, key))


def with_value(found: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    changed = dict(found) if isinstance(found, dict) else list(found)
    changed[path[0]] = with_value(changed[path[0]], path[1:], value)
    return changed


def a_cost_model() -> str:
    return CostModel.through(works("a", 2.0), "torch", 1, "here", between_ms=0.01).to_json()


def use_session(text: str) -> None:
    found = Session.from_json(text)
    compare(found, found)


def use_audit(text: str) -> None:
    (subject,) = read_json(text)
    assert render_text([subject])
    assert read_json(render_json([subject])) == [subject]


def use_table(text: str) -> None:
    assert all(isinstance(shown(cell), str) for row in Record.from_json(text).rows for cell in row)


def use_model(text: str) -> None:
    assert CostModel.from_json(text).predict_ms(Work("a", (3.0, 1.0), 8.0)) > 0


def a_table() -> str:
    return Record(
        "v1.table1", "a title", "a command", "", "2026-01-01", ("a", "b"), (("x", 1.5), (None, 3)), ("a note",)
    ).to_json()


RECORDS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "device": (a_device().to_json(), lambda text: Device.from_json(text).limit_ms(1, 1)),
    "audit": (render_json([a_subject()]), use_audit),
    "audit alone": (a_subject().audit.to_json(), Audit.from_json),
    "bench": (session(timed("a", 1.0, 1.1, 1.2)).to_json(), use_session),
    "table": (a_table(), use_table),
    "cost model": (a_cost_model(), use_model),
}


def refusal(use: Callable[[], Any]) -> str:
    """What is said where it is refused; nothing where it is not."""
    try:
        use()
    except InputError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("kind", RECORDS)
def test_what_is_wrong_anywhere_is_one_line_or_harmless(kind: str) -> None:
    text, use = RECORDS[kind]
    use(text)
    good = json.loads(text)
    changed = [json.dumps(with_value(good, path, value)) for path in places(good) for value in WRONG]
    refusals = [refusal(partial(use, one)) for one in changed]
    assert len([one for one in refusals if one]) > len(good)
    assert max(map(len, refusals)) < 300
    assert not any("\n" in one for one in refusals)


@pytest.mark.parametrize("kind", RECORDS)
@pytest.mark.parametrize("content", ["", "{", "3", "null", "[]", "{}", "[" * 100_000, "1" * 5000, '{"a": 1e999}'])
def test_another_file_is_one_line(kind: str, content: str) -> None:
    with pytest.raises(InputError) as caught:
        RECORDS[kind][1](content)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", WRONG)
def test_a_finished_run_with_a_wrong_field_is_one_line(tmp_path: Path, value: Any) -> None:
    one = trained(Built("alexnet"), 0, 30.0)
    good = json.loads(one.to_json())
    for path in places(good):
        (tmp_path / f"{one.run_name}.json").write_text(json.dumps(with_value(good, path, value)))
        assert "\n" not in refusal(lambda: [read.test.error for read in read_runs(tmp_path)])


def test_numbers_are_not_rounded_and_texts_no_lists() -> None:
    for path, value in ((("cores",), 2.5), (("cores",), "2"), (("instruction_sets",), "avx2"), (("cores",), True)):
        with pytest.raises(InputError, match=f"device record: not readable .{path[0]}: must be a .*, found {value!r}"):
            Device.from_json(json.dumps(with_value(a_device().to_dict(), path, value)))


def test_what_else_is_in_a_record_is_passed_over() -> None:
    assert record(Device, a_device().to_dict() | {"added later": [1, {"x": None}]}, "it") == a_device()


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "no text").write_bytes(b"\xff\xfe\xff")
    for name, reason in (("none", "No such file or directory"), (".", "Is a directory"), ("no text", "no text")):
        with pytest.raises(InputError, match=f"{tmp_path / name}: cannot be read: {reason}"):
            read_text(tmp_path / name)
    assert parsed("[1, 2.5]", "it") == [1, 2.5]


def test_labels_of_any_type_are_shown() -> None:
    subject = json.loads(render_json([a_subject()])) | {"label": {"not": "a text"}}
    (read,) = read_json(json.dumps(subject))
    assert isinstance(read, Subject)
    assert isinstance(read.label, str)
