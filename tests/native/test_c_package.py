"""What a C or C++ program finds after `cmake --install`: examples/c, built by CMake and by pkg-config."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import shufflekit as sk

pytest.importorskip("shufflekit._native", reason="the compiled part is not built")

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "c"
Run = Callable[..., str]


@pytest.fixture(scope="module")
def prefix(native_folder: Path, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the package is; it was installed elsewhere and moved, so that nothing in it may name its folder."""
    first, prefix = tmp_path_factory.mktemp("first") / "usr", tmp_path_factory.mktemp("moved") / "usr"
    run(cmake(), "--install", native_folder, "--prefix", first)
    shutil.move(first, prefix)
    return prefix


def cmake() -> str:
    return shutil.which("cmake", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}") or pytest.skip(
        "needs cmake"
    )


def compiler() -> str:
    return shutil.which("cc") or pytest.skip("needs a C compiler")


def check(program: Path, run: Run, folder: Path) -> None:
    """The program finds the class that the engine finds, and says in a line what is wrong."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 7))
    engine = sk.compile(network.eval(), (1, 3, 20, 24), name="small")
    engine.save(folder / "net.plan")
    image = np.random.default_rng(0).standard_normal((1, 3, 20, 24), np.float32)
    image.tofile(folder / "image.f32")
    scores = engine(image)[0]
    expected = f"small: class {scores.argmax()}, score {scores.max():.4f}\n"
    assert run(program, folder / "net.plan", folder / "image.f32") == expected
    (folder / "short.f32").write_bytes(b"1234")
    with pytest.raises(pytest.fail.Exception, match="short.f32: is no image of the network's size"):
        run(program, folder / "net.plan", folder / "short.f32")
    with pytest.raises(pytest.fail.Exception, match="classify: plan: the file is no safetensors file"):
        run(program, folder / "image.f32", folder / "image.f32")


def test_cmake_finds_the_package(prefix: Path, run: Run, tmp_path: Path) -> None:
    compiler()
    found = f"-DCMAKE_PREFIX_PATH={prefix}"
    run(cmake(), "-S", EXAMPLE, "-B", tmp_path / "build", found)
    run(cmake(), "--build", tmp_path / "build")
    check(tmp_path / "build" / "classify", run, tmp_path)


def test_another_version_is_not_taken(prefix: Path, run: Run, tmp_path: Path) -> None:
    compiler()
    shutil.copytree(EXAMPLE, tmp_path / "c")
    lists = tmp_path / "c" / "CMakeLists.txt"
    lists.write_text(lists.read_text().replace("find_package(shufflekit 0.1", "find_package(shufflekit 0.0"))
    with pytest.raises(pytest.fail.Exception, match="compatible with requested version"):
        run(cmake(), "-S", tmp_path / "c", "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}")


def test_pkg_config_finds_the_package(prefix: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pkg_config = shutil.which("pkg-config") or pytest.skip("needs pkg-config")
    (pc,) = prefix.rglob("shufflekit.pc")
    monkeypatch.setenv("PKG_CONFIG_PATH", str(pc.parent))
    flags = run(pkg_config, "--cflags", "--libs", "shufflekit").split()
    run(compiler(), "-std=c99", "-Wall", "-Wextra", "-Werror", EXAMPLE / "classify.c", "-o", tmp_path / "classify", *flags)
    assert run(pkg_config, "--modversion", "shufflekit").strip() == sk.__version__
    check(tmp_path / "classify", run, tmp_path)


def test_the_runner_is_there(prefix: Path, run: Run) -> None:
    assert run(prefix / "bin" / "skrun", "--help").startswith("usage: skrun PLAN")
