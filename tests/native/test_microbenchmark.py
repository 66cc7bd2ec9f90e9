"""The microbenchmarks against what is known otherwise: a matrix product's rate, the speed of light of one core.

Rates are the best of many short windows, so that other work on the machine does not decide a test.
"""

from __future__ import annotations

import os
import threading
import time

import numpy as np
import pytest

native = pytest.importorskip("shufflekit._native", reason="the compiled part is not built")
SETS = native.instruction_sets()
CORES = len(os.sched_getaffinity(0))


def peak(instruction_set: str, threads: int = 1) -> float:
    return max(native.multiply_add_rates(instruction_set, threads, 2.0, 40))


def bandwidth(working_set_bytes: int, instruction_set: str = SETS[0]) -> float:
    return max(native.copy_rates(instruction_set, 1, working_set_bytes, 2.0, 10))


def test_sets_end_with_scalar_and_are_among_the_features() -> None:
    assert SETS[-1] == "scalar"
    needed = {
        "avx512": {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx2", "fma"},
        "avx2": {"avx2", "fma"},
        "neon": {"asimd"},
    }
    for name in SETS[:-1]:
        assert needed[name] <= set(native.vector_features())


def test_an_engine_may_be_asked_for_a_set_of_some_kernels_and_for_the_one_that_it_extends() -> None:
    found = native.engine_sets()
    assert [name for name in found if name in SETS] == SETS
    assert ("avxvnni" in found) == ("avxvnni" in native.int8_sets()) == {"avxvnni", "avx2"}.issubset(native.vector_features())


def test_features_are_those_of_the_operating_system() -> None:
    """Linux lists the same flags; ours are a subset in the spelling of compilers."""
    try:
        with open("/proc/cpuinfo") as file:  # noqa: PTH123
            flags = next((line for line in file if line.startswith(("flags", "Features"))), "")
    except OSError:
        pytest.skip("no /proc/cpuinfo here")
    found = {flag.replace("_", "").replace(".", "") for flag in flags.split(":")[-1].split()}
    assert {name.replace("_", "").replace(".", "") for name in native.vector_features()} <= found


@pytest.mark.parametrize("instruction_set", SETS)
def test_no_core_does_more_than_two_vectors_a_cycle(instruction_set: str) -> None:
    """Folding a chain away would show here: 6.5 GHz is above any clock sold, and two multiply-add units above most cores.

    Scalar code may run four of them (a wide ARM core does).
    """
    lanes = {"avx512": 16, "avx2": 8, "neon": 4, "scalar": 1}[instruction_set]
    units = 4 if instruction_set in {"neon", "scalar"} else 2
    assert peak(instruction_set) < units * lanes * 6.5e9


@pytest.mark.skipif(len(SETS) == 1, reason="no vector instructions that we compile for")
def test_vectors_are_more_than_twice_as_fast_as_scalars() -> None:
    assert max(map(peak, SETS[:-1])) > 2 * peak("scalar")


def test_peak_is_not_below_a_matrix_product(monkeypatch: pytest.MonkeyPatch) -> None:
    """NumPy's 512 x 512 x 512 float32 product is good code; nothing may run ahead of the peak it is measured against."""
    a, b = np.random.default_rng(0).random((2, 512, 512), dtype=np.float32)
    fastest, product, ours = max(SETS, key=peak), 0.0, 0.0
    for _ in range(10):  # in turn, so that both see the same minutes
        begin, cpu = time.perf_counter(), time.process_time()
        a @ b
        wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
        product = max(product, 512**3 / max(wall, cpu))  # NumPy may use all cores: count their time, not ours
        ours = max(ours, peak(fastest))
    assert ours >= product


@pytest.mark.skipif(CORES == 1, reason="one core")
def test_all_cores_do_at_least_what_one_does() -> None:
    one, together = peak(SETS[0]), peak(SETS[0], CORES)
    if together < 0.8 * one and os.getloadavg()[0] > CORES / 2:
        pytest.skip("the machine is too busy to tell")
    assert together >= 0.8 * one


def test_bytes_are_multiplied_faster_than_floats() -> None:
    """By 4 where an instruction sums four products (VNNI), by 2 at most where it sums two."""
    assert native.int8_sets()[-1] == "scalar"
    rates = {name: max(native.multiply_add_int8_rates(name, 1, 2.0, 40)) for name in native.int8_sets()}
    assert all(rate > 0 for rate in rates.values())
    for of_bytes, of_floats in (("avx512vnni", "avx512"), ("avxvnni", "avx2")):
        if of_bytes in rates:
            assert 2.5 * peak(of_floats) < rates[of_bytes] < 6 * peak(of_floats)


def test_the_nearest_cache_is_faster_than_memory() -> None:
    assert bandwidth(16 << 10) > 2 * bandwidth(256 << 20)


@pytest.mark.parametrize("instruction_set", SETS)
def test_copies_run_with_every_set_and_every_block_count(instruction_set: str) -> None:
    """A wrong last element raises."""
    for working_set in (512, 1024, 1536, 4096 + 512):
        assert native.copy_rates(instruction_set, 1, working_set, 0.01, 1)[0] > 0


def test_one_number_a_repeat() -> None:
    assert len(native.multiply_add_rates("scalar", 1, 0.1, 7)) == len(native.copy_rates("scalar", 1, 4096, 0.1, 7)) == 7


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: native.multiply_add_rates("mmx", 1, 1.0, 1), "instruction_set: .*mmx"),
        (lambda: native.multiply_add_int8_rates("avx512", 1, 1.0, 1), "instruction_set: .*avx512"),
        (lambda: native.multiply_add_int8_rates("scalar", 1, 1.0, 0), "repeats: must be 1 or more, found 0"),
        (lambda: native.copy_rates("", 1, 4096, 1.0, 1), "instruction_set: "),
        (lambda: native.multiply_add_rates("scalar", 0, 1.0, 1), "threads: must be 1 or more, found 0"),
        (lambda: native.multiply_add_rates("scalar", 1, 1.0, -1), "repeats: must be 1 or more, found -1"),
        (lambda: native.copy_rates("scalar", 1, 100, 1.0, 1), "working_set_bytes: must be a multiple of 512, found 100"),
        (lambda: native.copy_rates("scalar", 1, -512, 1.0, 1), "working_set_bytes: .*found -512"),
        (lambda: native.multiply_add_rates("scalar", 1, float("nan"), 1), "window_ms: "),
    ],
)
def test_wrong_arguments_are_named(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]


def test_python_goes_on_meanwhile() -> None:
    """The lock is released: another thread counts while the measurement runs."""
    ticks, done = [0], threading.Event()

    def count() -> None:
        while not done.is_set():
            ticks[0] += 1
            time.sleep(0.001)

    other = threading.Thread(target=count)
    other.start()
    try:
        before = ticks[0]
        native.multiply_add_rates("scalar", 1, 10.0, 20)
        during = ticks[0] - before
    finally:
        done.set()
        other.join()
    assert during > 5
