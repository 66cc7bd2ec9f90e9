from __future__ import annotations

import os

import pytest

from shufflekit.export.quiet import stdout_to_stderr


def test_what_compiled_code_prints_goes_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    with stdout_to_stderr():
        os.write(1, b"from C\n")
    os.write(1, b"a result\n")
    assert capfd.readouterr() == ("a result\n", "from C\n")
