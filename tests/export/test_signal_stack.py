"""A library's signal stack is taken away again: whole processes, since the stack of this one is pytest's."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from shufflekit.export import signal_stack

on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="signal stacks are put back on Linux only")

_START = """
import ctypes, faulthandler
from shufflekit.export.signal_stack import _Stack, kept_signal_stack

def current():
    found = _Stack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(found))
    return found.start, found.flags, found.size

faulthandler.enable()  # has a signal stack of its own
before = current()
assert before[2] > 0
"""


def _run(code: str) -> None:
    ran = subprocess.run([sys.executable, "-c", _START + code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


@on_linux
def test_the_stack_before_comes_back() -> None:
    _run("""
memory = ctypes.create_string_buffer(11568)
with kept_signal_stack():
    ctypes.CDLL(None).sigaltstack(ctypes.byref(_Stack(ctypes.addressof(memory), 0, 11568)), None)
    assert current() != before
assert current() == before
""")


@on_linux
def test_openvino_leaves_the_stack_alone() -> None:
    pytest.importorskip("openvino", reason="openvino is not installed")
    _run("""
import numpy as np, openvino
from openvino import opset8
from pathlib import Path
from tempfile import TemporaryDirectory
from shufflekit.export.to_openvino import openvino_model

x = opset8.parameter([1, 3], np.float32)
with TemporaryDirectory() as folder:
    openvino.save_model(openvino.Model([opset8.relu(x)], [x]), Path(folder) / "net.xml")
    openvino_model(Path(folder) / "net.xml", 1)
assert current() == before
""")


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_elsewhere_nothing_is_called(monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    monkeypatch.setattr(signal_stack, "sys", SimpleNamespace(platform=system))
    monkeypatch.setattr(signal_stack.ctypes, "CDLL", lambda _: pytest.fail("looked for sigaltstack"))
    with signal_stack.kept_signal_stack():
        pass
