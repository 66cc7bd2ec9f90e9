from __future__ import annotations

from shufflekit.errors import kind_and_line


def test_an_error_of_another_package_is_one_short_line() -> None:
    assert kind_and_line(RuntimeError("no such operator\nand a page of text")) == "RuntimeError: no such operator"
    assert kind_and_line(RuntimeError()) == "RuntimeError"
    assert len(kind_and_line(ValueError("x" * 1000))) == 200
