"""Builds native/ beyond Python, in build/ of the checkout, so that a second run only compiles what changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[2]


def _tool(name: str) -> str:
    """A program of this Python's environment or of the PATH; skips where there is none."""
    found = shutil.which(name, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if not found:
        pytest.skip(f"needs {name}")
    return found


def _run(*command: str | Path, timeout: float = 600) -> str:
    """What the command says; fails with it where its exit code is not 0."""
    done = subprocess.run(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout)
    if done.returncode:
        pytest.fail(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stdout[-6000:]}", pytrace=False)
    return done.stdout


@pytest.fixture(scope="session")
def run() -> Callable[..., str]:
    """Function (*command, timeout=600) -> what it says."""
    return _run


@pytest.fixture(scope="session")
def build_native() -> Callable[..., Path]:
    """Function (folder, *CMake definitions) -> the folder of build/ with what was built."""

    def build(name: str, *definitions: str) -> Path:
        cmake, ninja = _tool("cmake"), _tool("ninja")
        if not any(map(shutil.which, filter(None, [os.environ.get("CXX"), "c++", "g++", "clang++"]))):
            pytest.skip("needs a C++ compiler")
        folder = ROOT / "build" / name
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "lock"):  # tests that share it run side by side
            options = ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}", "-DCMAKE_BUILD_TYPE=Release", "-DSHUFFLEKIT_PYTHON=OFF"]
            _run(cmake, "-S", ROOT, "-B", folder, *options, *definitions)
            _run(cmake, "--build", folder)
        return folder

    return build


@pytest.fixture(scope="session")
def native_folder(build_native: Callable[..., Path]) -> Path:
    """The C library, the runner and the kernels' tests, built for this machine."""
    return build_native("native", "-DSHUFFLEKIT_C=ON", "-DSHUFFLEKIT_TESTS=ON")
