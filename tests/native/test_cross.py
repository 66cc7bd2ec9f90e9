"""What scripts/cross_build.sh builds; for aarch64 under qemu: kernels against their twins, whole networks against PyTorch.

It needs `pip install -c constraints.txt ziglang` and qemu-aarch64 (Debian: qemu-user). The first build takes minutes, since
Clang's own library is compiled too.
"""

from __future__ import annotations

import importlib.util
import json
import platform
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock

import shufflekit as sk
from tests.native.test_kernels import KERNELS
from tests.runtime.lively import enliven, images

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("ziglang") is None, reason="needs ziglang, a cross compiler: pip install ziglang"
    ),
]


QEMU = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static") or ""
DOTS = ["neoni8mm", "neondot"]


@pytest.fixture(scope="module")
def cross_build(run: Callable[..., str]) -> Callable[[str], Path]:
    """Function (processor) -> folder of its build."""

    def build(processor: str) -> Path:
        root = Path(__file__).parents[2]
        (root / "build").mkdir(exist_ok=True)
        with FileLock(root / "build" / f"zig-{processor}.lock"):
            return Path(run(root / "scripts" / "cross_build.sh", processor, timeout=1800).splitlines()[-1])

    return build


@pytest.fixture(scope="module")
def aarch64(cross_build: Callable[[str], Path]) -> Path:
    if not QEMU:
        pytest.skip("needs qemu-aarch64: apt-get install qemu-user")
    return cross_build("aarch64")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="runs where it was built for")
def test_x86_64_build_finds_the_best_instruction_set(
    cross_build: Callable[[str], Path], run: Callable[..., str], tmp_path: Path
) -> None:
    native = pytest.importorskip("shufflekit._native", reason="the compiled part is not built")
    sk.compile(torch.nn.Conv2d(3, 8, 3), (1, 3, 9, 9)).save(tmp_path / "net.plan")
    said = run(cross_build("x86_64") / "skrun", tmp_path / "net.plan", "--json")
    assert json.loads(said)["instruction_set"] == native.engine_sets()[0]


@pytest.mark.parametrize("processor", ["max", "cortex-a53"])
@pytest.mark.parametrize("code", sorted({*KERNELS, "activations", "choice"}))
def test_every_neon_kernel_equals_its_twin_and_touches_nothing_else(
    aarch64: Path, run: Callable[..., str], code: str, processor: str
) -> None:
    of_dots = code in ("gemm_int8", "gemm_int8_float", "convolution_int8", "multiply_add_int8") and processor == "max"
    sets = ["every"] if code == "choice" else ["neon", "scalar", *(DOTS if of_dots else [])]
    said = run(QEMU, "-cpu", processor, aarch64 / "kernels_test", code, timeout=3600)
    assert set(re.findall(r"^(\w+) +(\w+) +[1-9]\d* cases, 0 failed$", said, re.M)) == {(isa, code) for isa in sets}
    assert said.endswith("\n0 failed\n")


@pytest.mark.parametrize(
    "name", ["shufflenet_v1_g3_x0_25", "shufflenet_v1_g8_x0_25", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0"]
)
def test_whole_network_equals_pytorch(aarch64: Path, run: Callable[..., str], tmp_path: Path, name: str) -> None:
    x = images(4, (3, 224, 224))
    network = enliven(sk.create_model(name), x)
    with torch.inference_mode():
        needed = network(torch.from_numpy(x[:2])).numpy()
    assert np.abs(needed[0] - needed[1]).max() > 0.1 * np.abs(needed).max()
    sk.compile(network, (1, 3, 224, 224)).save(tmp_path / "net.plan")
    x[0].tofile(tmp_path / "x.f32")
    files = ["--input", tmp_path / "x.f32", "--output", tmp_path / "y.f32"]
    for threads in ("1", "2"):
        said = run(QEMU, aarch64 / "skrun", tmp_path / "net.plan", *files, "--repeat", "0", "--threads", threads, "--json")
        assert json.loads(said)["instruction_set"] == DOTS[0]
        found = np.fromfile(tmp_path / "y.f32", np.float32)
        assert np.abs(found - needed[0]).max() <= 1e-4 * np.abs(needed[0]).max()


def test_a_network_in_bytes_has_the_same_bits_with_and_without_dot_products(
    aarch64: Path, run: Callable[..., str], tmp_path: Path
) -> None:
    x = images(4, (3, 64, 64))
    network = enliven(sk.create_model("shufflenet_v2_x0_5"), x)
    engine = sk.compile(network, (1, 3, 64, 64), int8=x)
    engine.save(tmp_path / "net.plan")
    needed = engine(x[:1])
    x[0].tofile(tmp_path / "x.f32")
    files = ["--input", tmp_path / "x.f32", "--output", tmp_path / "y.f32"]
    for isa in (*DOTS, "neon"):
        run(QEMU, aarch64 / "skrun", tmp_path / "net.plan", *files, "--repeat", "0", "--threads", "2", "--isa", isa)
        np.testing.assert_array_equal(np.fromfile(tmp_path / "y.f32", np.float32), needed.ravel(), isa)
