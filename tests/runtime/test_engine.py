"""An engine as its users meet it: what it takes, what it refuses, its file, its profile, several threads."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import shufflekit as sk
from shufflekit.device import Device
from shufflekit.errors import InputError, UsageError
from shufflekit.runtime import Engine
from shufflekit.runtime.engine_profile import EngineProfile

SHAPE = (3, 20, 18)


class TwoHeads(nn.Module):
    """A map and a vector."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.wide, self.fc = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 12, 1), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.stem(x).relu()
        return self.wide(x), self.fc(x.mean((2, 3)))


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    return sk.create_model("shufflenet_v2_x0_5", num_classes=7, small_input=True).eval()


@pytest.fixture(scope="module")
def engine(network: nn.Module) -> Engine:
    return sk.compile(network, (1, *SHAPE))


def images(count: int = 2, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, *SHAPE), np.float32)


def expected(network: nn.Module, x: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return network(torch.from_numpy(x.copy())).numpy()


def test_numpy_gives_numpy_and_torch_gives_torch(network: nn.Module, engine: Engine) -> None:
    x = images()
    y = engine(x)
    assert type(y) is np.ndarray
    np.testing.assert_allclose(y, expected(network, x), rtol=1e-4, atol=1e-5)
    z = engine(torch.from_numpy(x))
    assert isinstance(z, Tensor)
    np.testing.assert_array_equal(z.numpy(), y)


def test_several_outputs_are_a_list() -> None:
    network = TwoHeads()
    engine = sk.compile(network, (1, *SHAPE))
    x = torch.from_numpy(images(3))
    found = engine(x)
    assert isinstance(found, list)
    for y, each in zip(found, network(x), strict=True):
        torch.testing.assert_close(y, each.detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (images().astype(np.float64), "x: must be float32, found float64"),
        (images().astype(">f4"), "x: must be float32, found >f4"),
        (images()[0], "x: must be (N, 3, 20, 18) with N of 1 or more, found (3, 20, 18)"),
        (images()[:, :2], "found (2, 2, 20, 18)"),
        (images()[:, :, :19], "found (2, 3, 19, 18)"),
        (images()[:0], "found (0, 3, 20, 18)"),
        (np.float32(1), "x: must be a numpy array or a torch tensor, found float32"),
        ([1.0], "found list"),
        (None, "found NoneType"),
        (torch.zeros(1, *SHAPE, dtype=torch.float64), "x: must be float32, found torch.float64"),
        (torch.zeros(1, *SHAPE, dtype=torch.int32), "x: must be float32, found torch.int32"),
        (torch.zeros(SHAPE), "found (3, 20, 18)"),
        (torch.zeros(1, *SHAPE, device="meta"), "x: must be a dense tensor on the CPU, found torch.strided on meta"),
        (torch.zeros(1, *SHAPE).to_sparse(), "x: must be a dense tensor on the CPU, found torch.sparse_coo on cpu"),
        (torch.zeros(1, *SHAPE, dtype=torch.bfloat16), "x: must be float32, found torch.bfloat16"),
    ],
)
def test_wrong_input_is_one_clear_error(engine: Engine, x: object, message: str) -> None:
    with pytest.raises(InputError) as error:
        engine(x)  # type: ignore[type-var]
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_any_layout_of_the_input_gives_the_right_answer(network: nn.Module, engine: Engine) -> None:
    x = images(4)
    mirrored, unaligned = x[:, :, :, ::-1], np.frombuffer(b"." + x.tobytes(), np.uint8)[1:].view(np.float32).reshape(x.shape)
    frozen = x.copy()
    frozen.setflags(write=False)
    for each in (x[::2], mirrored, np.asfortranarray(x), unaligned, frozen):
        np.testing.assert_allclose(engine(each), expected(network, each), rtol=1e-4, atol=1e-5)
    last = torch.from_numpy(x).contiguous(memory_format=torch.channels_last)
    np.testing.assert_array_equal(engine(last).numpy(), engine(x))


def test_a_tensor_with_gradient_is_detached(engine: Engine) -> None:
    x = torch.from_numpy(images()).requires_grad_()
    y = engine(x)
    assert not y.requires_grad
    np.testing.assert_array_equal(y.numpy(), engine(images()))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_any_batch_on_any_number_of_threads(network: nn.Module, threads: int) -> None:
    engine = sk.compile(network, (1, *SHAPE), threads=threads)
    for count in (1, 2, 7):
        x = images(count)
        np.testing.assert_allclose(engine(x), expected(network, x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("threads", [1, 2])
def test_several_python_threads_share_an_engine(network: nn.Module, threads: int) -> None:
    engine = sk.compile(network, (1, *SHAPE), threads=threads)
    batches = [images(1 + seed, seed) for seed in range(4)]
    right = [engine(x) for x in batches]
    problems: list[str] = []
    start = threading.Barrier(len(batches))

    def work(number: int) -> None:
        start.wait()
        for _ in range(20):
            if not np.allclose(engine(batches[number]), right[number], rtol=1e-4, atol=1e-5):
                problems.append(f"thread {number}")

    workers = [threading.Thread(target=work, args=(number,)) for number in range(len(batches))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not problems


def test_results_are_kept_apart(engine: Engine) -> None:
    first = engine(images(1, seed=1))
    copy = first.copy()
    engine(images(1, seed=2))
    np.testing.assert_array_equal(first, copy)


def test_a_plan_survives_its_file(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "net.plan"
    path.write_text("an older file")
    engine.save(path)
    assert list(tmp_path.iterdir()) == [path]
    again = sk.load(path, threads=2)
    assert (again.threads, again.input_shape) == (2, SHAPE)
    assert str(again.program) == str(engine.program)
    np.testing.assert_allclose(again(images()), engine(images()), rtol=1e-5, atol=1e-5)


def test_loading_and_running_imports_no_torch(engine: Engine, tmp_path: Path) -> None:
    engine.save(tmp_path / "net.plan")
    np.save(tmp_path / "x.npy", images())
    code = """
        import sys
        import numpy as np
        import shufflekit as sk
        y = sk.load("net.plan")(np.load("x.npy"))
        np.save("y.npy", y)
        print(sorted({"torch", "safetensors", "shufflekit.plan.program"} & set(sys.modules)))
    """
    code = "\n".join(line.strip() for line in code.splitlines())
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), engine(images()))


def test_a_damaged_file_is_one_line_with_its_name(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "net.plan"
    engine.save(path)
    content = path.read_bytes()
    (header,) = np.frombuffer(content[:8], "<u8")
    for damaged in (b"", content[:5], content[:1000], content[: 8 + int(header)], content[:-4], b"{" * 1000, b"\0" * 1000):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="net.plan: ") as error:
            sk.load(path)
        assert "\n" not in str(error.value)


def test_files_that_cannot_be_used_are_named(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing.plan: cannot be read: No such file or directory"):
        sk.load(tmp_path / "missing.plan")
    with pytest.raises(InputError, match=r"cannot be read: Is a directory"):
        sk.load(tmp_path)
    with pytest.raises(InputError, match=r"missing/net.plan: cannot be written: No such file or directory"):
        engine.save(tmp_path / "missing" / "net.plan")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"threads": 0}, "threads: must be 1 to 256, found 0"),
        ({"threads": 257}, "threads: must be 1 to 256, found 257"),
        ({"threads": "2"}, "threads: must be 1 to 256, found '2'"),
        ({"threads": 1.0}, "threads: must be 1 to 256, found 1.0"),
        ({"threads": True}, "threads: must be 1 to 256, found True"),
        ({"instruction_set": "mmx"}, "instruction_set: must be one of .*scalar, found 'mmx'"),
    ],
)
def test_arguments_that_cannot_be_had_are_refused(engine: Engine, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Engine(engine._native.content, **arguments)  # type: ignore[arg-type]


def test_every_instruction_set_computes_the_same(network: nn.Module, engine: Engine) -> None:
    from shufflekit import _native

    for name in _native.engine_sets():
        other = Engine(engine._native.content, instruction_set=name)
        assert other.instruction_set == name
        np.testing.assert_allclose(other(images()), expected(network, images()), rtol=1e-4, atol=1e-5)


def test_it_says_what_it_is(engine: Engine) -> None:
    assert repr(engine).startswith("<Engine shufflenet_v2_x0_5: (N, 3, 20, 18), ")
    assert repr(engine).endswith(" M multiply-adds, 1 thread>")


def test_a_profile_has_every_step(engine: Engine) -> None:
    device = Device.from_json((Path(__file__).parents[1] / "device" / "a_device.json").read_text())
    profile = engine.profile(repeats=3, device=device)
    assert isinstance(profile, EngineProfile)
    assert [(s.name, s.kernel, s.flops, s.bytes) for s in profile.steps] == [
        (s.name, s.kernel, s.flops, s.bytes) for s in engine.program.steps
    ]
    assert profile.flops == engine.program.flops
    assert all(step.ms > 0 and step.limit_ms > 0 and step.share == step.limit_ms / step.ms for step in profile.steps)
    assert profile.ms == pytest.approx(sum(step.ms for step in profile.steps))
    lines = str(profile).splitlines()
    assert len(lines) == len(profile.steps) + 2
    assert lines[0].split() == ["step", "kernel", "name", "ms", "kflops", "kB", "of", "limit"]
    with pytest.raises(UsageError, match="repeats: must be 1 or more, found 0"):
        engine.profile(repeats=0)


@pytest.mark.parametrize("copied", [lambda engine: pickle.loads(pickle.dumps(engine)), copy.deepcopy, copy.copy])
def test_an_engine_pickles_and_copies(engine: Engine, copied: Callable[[Engine], Engine]) -> None:
    for threads, instruction_set in ((1, ""), (2, "scalar")):
        before = Engine(engine._native.content, threads, instruction_set)
        after = copied(before)
        assert (after.threads, after.instruction_set) == (threads, before.instruction_set)
        np.testing.assert_array_equal(after(images()), before(images()))


def test_a_pickle_of_a_machine_with_other_instructions_takes_the_best_here(engine: Engine) -> None:
    state = engine._native.content, 1, "an instruction set of another machine"
    loaded = Engine.__new__(Engine)
    loaded.__setstate__(state)
    assert loaded.instruction_set == engine.instruction_set
    np.testing.assert_array_equal(loaded(images()), engine(images()))


def test_a_pickle_that_is_damaged_is_refused(engine: Engine) -> None:
    content = pickle.dumps(engine)
    weight = content.index(engine._native.content[-5000:-4900])
    with pytest.raises(InputError, match="plan: the file is damaged: its checksum"):
        pickle.loads(content[:weight] + bytes([content[weight] ^ 1]) + content[weight + 1 :])


def test_spawned_workers_run_an_engine(engine: Engine) -> None:
    batches = [images(2, seed) for seed in range(4)]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        for found, x in zip(pool.map(engine, batches), batches, strict=True):
            np.testing.assert_array_equal(found, engine(x))


def test_numbers_that_are_not_finite_come_out_as_they_are(engine: Engine) -> None:
    x = images(2)
    x[1, 0, 3, 3] = np.nan
    y = engine(x)
    assert np.isfinite(y[0]).all()
    assert np.isnan(y[1]).all()


def run_script(script: str, plan: Path, *arguments: object, timeout: float = 60) -> str:
    """What a process says that has the plan's engine in `path`."""
    command = [sys.executable, "-W", "ignore", "-c", script, str(plan), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


RUNNERS = """
import os, signal, sys, threading
import numpy as np
import shufflekit as sk

threads, count = map(int, sys.argv[2:])
engine = sk.load(sys.argv[1], threads)
x = np.random.default_rng(0).standard_normal((3, *engine.input_shape), np.float32)
right = engine(x)
stop = False

def work():
    while not stop:
        engine(x[:1])
"""


def test_a_daemon_thread_at_work_does_not_disturb_the_exit(engine: Engine, tmp_path: Path) -> None:
    engine.save(tmp_path / "net.plan")
    script = RUNNERS + "for _ in range(4): threading.Thread(target=work, daemon=True).start()\nengine(x)\nprint('done')"
    for _ in range(3):
        assert run_script(script, tmp_path / "net.plan", 1, 0) == "done\n"


FORKS = (
    RUNNERS
    + """
runners = [threading.Thread(target=work) for _ in range(3)]
for runner in runners: runner.start()
failed = 0
for _ in range(count):
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        os._exit(not np.allclose(engine(x), right, atol=1e-5))
    failed += os.waitpid(child, 0)[1] != 0
stop = True
for runner in runners: runner.join()
print(failed, "of", count)
"""
)


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
def test_forked_children_get_engines_that_work(tmp_path: Path, threads: int) -> None:
    """The fast one is that of tests/native/test_engine.py, where more of a thread's time is spent inside the engine."""
    sk.compile(nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU()), (1, 3, 8, 8)).save(tmp_path / "net.plan")
    assert run_script(FORKS, tmp_path / "net.plan", threads, 3000, timeout=1800) == "0 of 3000\n"


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 4])
def test_40000_calls_from_8_threads_give_the_same_bits(threads: int) -> None:
    engine = sk.compile(
        nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 12, 1)).eval(), (1, *SHAPE), threads=threads
    )
    batches = [images(1 + number % 5, number) for number in range(8)]
    right = [engine(x) for x in batches]

    def work(number: int) -> int:
        return sum(not np.array_equal(engine(batches[number]), right[number]) for _ in range(5000))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [0] * 8
