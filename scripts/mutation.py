"""Breaks the sources in a sample of small ways, one at a time in a copy, and sees whether the fast tests notice.

python scripts/mutation.py                                   # the score: 300 edits over seven folders
python scripts/mutation.py --folders graph plan --count 50   # some folders
python scripts/mutation.py --again                           # after new tests: those not noticed and not explained, once more

Each edit runs the tests of its file, then those of its folder and of what the folder is for, up to the first that fails. Every
verdict is written at once, and a run that was stopped goes on where it was. Edits that are not noticed and need not be are
listed in tests/mutation_explained.json, each with its reason. Exit code 1: more than 5 % of the sample were not noticed and are
not explained, or more than 10 % are.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import hashlib
import importlib
import importlib.util
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NoReturn

from mutants import Mutant, sample

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("data", "detect", "train", "guidelines", "graph", "plan", "cost")
OTHERS = ("quantize", "tuning.py")  # no part of the score, but of what --folders takes
EXPLAINED = ROOT / "tests" / "mutation_explained.json"
MOST_UNEXPLAINED, MOST_EXPLAINED = 0.05, 0.10  # of the sample

# What a folder is for, where tests of other folders state it.
_PROPERTIES: Mapping[str, tuple[str, ...]] = {
    "graph": ("tests/plan/test_lower.py", "tests/runtime/test_random_networks.py"),
    "plan": ("tests/runtime/test_random_networks.py",),
    "quantize": ("tests/plan/lowering/test_int8.py",),
}
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_MEMORY = 12 << 30  # bytes that a test may ask for; an edit can make any size enormous
# Imported before the forks, each of which then spares some seconds. None of these is ours.
_WARM = (
    *("accelerate", "kornia", "numpy", "onnx", "PIL.Image", "pyarrow.parquet", "pytest", "rich.console"),
    *("safetensors.torch", "torch._dynamo", "torch.export", "torch.utils.flop_counter", "torchmetrics", "webdataset"),
)
# In the copy, so that every process there imports the copy and not the package that is installed.
_SITECUSTOMIZE = """import sys

sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__name__ != "ScikitBuildRedirectingFinder"]
"""


def tests_of(file: str, root: Path) -> list[str]:
    """The file's own tests, its doctests, the rest of its folder's, and what the folder is for; nearest first."""
    path = Path(file)
    folder = path.parts[2]
    mirror = Path("tests", *path.parts[2:]).with_name(f"test_{path.name}")
    found = [mirror.as_posix()] if (root / mirror).is_file() else []
    found += [file, *(test.relative_to(root).as_posix() for test in sorted((root / "tests" / folder).rglob("test_*.py")))]
    return list(dict.fromkeys([*found, *_PROPERTIES.get(folder, ())]))


def copy_tree(source: Path, native: Path, target: Path) -> None:
    """The files that git knows or would add, the compiled part, and beside them what tests read from ../shared."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=source, capture_output=True, check=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (source / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / name, target / name)
    shutil.copy2(native, target / "src" / "shufflekit")
    (target / "sitecustomize.py").write_text(_SITECUSTOMIZE, "utf-8")
    if (source.parent / "shared").exists() and not (target.parent / "shared").exists():
        (target.parent / "shared").symlink_to(source.parent / "shared")


class Worker:
    """A process with a copy of the tree, which has imported what all tests import: each verdict then costs a fork."""

    def __init__(self, folder: Path, native: Path) -> None:
        # Not by multiprocessing: what that keeps in a process would reach the tests, of which some start processes too.
        command = [sys.executable, "-c", "import mutation; mutation.serve()", str(folder), str(native)]
        self._process = subprocess.Popen(
            command, cwd=Path(__file__).parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def verdict(self, file: str, source: str | None, limit_s: float) -> dict[str, Any]:
        """`verdict` there."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([file, source, limit_s]) + "\n")
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"mutation: a worker ended, exit code {self._process.wait()}")
        return dict(json.loads(answer))

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


def serve() -> None:
    """The worker's side: a line of JSON in, a line out."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _die_with_parent()
    _settle(Path(sys.argv[1]), Path(sys.argv[2]))
    for line in sys.stdin:
        answers.write(json.dumps(verdict(*json.loads(line))) + "\n")
        answers.flush()


def _settle(folder: Path, native: Path) -> None:
    tree = folder / f"tree-{os.getpid()}"
    copy_tree(ROOT, native, tree)
    os.chdir(tree)
    paths = [str(tree), str(tree / "src")]
    os.environ |= {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", "CI": "1"}  # CI: hypothesis repeats itself
    os.environ |= {"PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(folder)}  # two edits within a second would share bytecode
    sys.dont_write_bytecode = True
    exec(_SITECUSTOMIZE)
    sys.path[:] = [*paths, *(path for path in sys.path if path and Path(path).resolve() != ROOT / "scripts")]
    for name in _WARM:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    found = subprocess.run(
        [sys.executable, "-c", "import shufflekit; print(shufflekit.__file__)"], capture_output=True, text=True
    )
    assert found.stdout.strip() == str(tree / "src" / "shufflekit" / "__init__.py"), found
    assert "shufflekit" not in sys.modules


def _die_with_parent() -> None:
    """Else a run that is killed leaves its workers behind, and they their tests."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def verdict(file: str, source: str | None, limit_s: float) -> dict[str, Any]:
    """Runs the tests of a file, with another source in its place; in a worker.

    Args:
        limit_s: of processor time; waiting may take four times as long.

    Returns:
        `failed`, whether a test did; `by`, the first one or the last line of what was printed; `seconds` of processor time.
    """
    path = Path(file)
    kept = path.read_bytes()
    try:
        if source is not None:
            path.write_text(source, "utf-8")
        with tempfile.TemporaryFile("w+", errors="replace") as log:
            status, seconds = _run_tests(tests_of(file, Path.cwd()), log.fileno(), limit_s)
            log.seek(0)
            lines = log.read().splitlines() or [f"status {status}"]
    finally:
        path.write_bytes(kept)
    named = (line.split()[1] for line in lines if line.startswith(("FAILED ", "ERROR ")) and len(line.split()) > 1)
    by = "" if status == 0 else "time" if status is None else next(named, lines[-1])
    return {"failed": status != 0, "by": by, "seconds": round(seconds, 1)}


def _run_tests(tests: Sequence[str], log: int, limit_s: float) -> tuple[int | None, float]:
    """The exit status, None where time ran out, and seconds of processor time."""
    pid = os.fork()
    if pid == 0:
        _be_tests(tests, log, int(limit_s))
    end = time.monotonic() + 4 * limit_s
    ended, status, usage = os.wait4(pid, os.WNOHANG)
    while not ended and time.monotonic() < end:
        time.sleep(0.05)
        ended, status, usage = os.wait4(pid, os.WNOHANG)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)  # what the tests have started too
    if not ended:
        _, status, usage = os.wait4(pid, 0)
    ran_out = not ended or (os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL))
    return None if ran_out else status, usage.ru_utime + usage.ru_stime


def _be_tests(tests: Sequence[str], log: int, limit_s: int) -> NoReturn:
    code = 70
    try:
        os.setsid()
        _die_with_parent()
        os.dup2(log, 1)
        os.dup2(log, 2)
        resource.setrlimit(resource.RLIMIT_CPU, (limit_s, limit_s))
        resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
        import pytest

        code = int(pytest.main(["-q", "-x", "-m", "not slow", "-p", "no:cacheprovider", "--tb=line", *tests]))
    except BaseException:  # noqa: BLE001  # whatever an edit raises
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def digest() -> str:
    """Of the sources and tests that the verdicts rest on."""
    total = hashlib.sha256()
    for file in sorted(file for folder in ("src", "tests") for file in (ROOT / folder).rglob("*.py")):
        total.update(f"{file.relative_to(ROOT)} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


class Results:
    """Verdicts by mutant, in a file that is written anew with each."""

    def __init__(self, path: Path, of: Mapping[str, Any], again: bool) -> None:
        self.path = path
        self.content: dict[str, Any] = {"of": dict(of), "baselines": {}, "verdicts": {}}
        if path.is_file():
            found = json.loads(path.read_text("utf-8"))
            if again:
                self.content["verdicts"] = {key: each for key, each in found["verdicts"].items() if _is_settled(each)}
            elif found["of"] != self.content["of"]:
                raise SystemExit(f"mutation: {path} is of other sources, tests or arguments: remove it, or use --again")
            else:
                self.content = found

    def add(self, part: str, key: str, verdict: Mapping[str, Any]) -> None:
        self.content[part][key] = dict(verdict)
        beside = self.path.with_name(f"{self.path.name}.new")
        beside.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(self.content, indent=1), "utf-8")
        beside.replace(self.path)


def _is_settled(verdict: Mapping[str, Any]) -> bool:
    return bool(verdict["failed"]) or identity(verdict) in read_reasons()


def run(mutants: Sequence[Mutant], results: Results, count: int) -> None:
    """Fills in the verdicts that are missing; first how long each folder's tests take as they are, which must pass."""
    native = importlib.util.find_spec("shufflekit._native")
    if native is None or native.origin is None:
        raise SystemExit("mutation: the compiled part is missing; `make setup` builds it")
    baselines, verdicts = results.content["baselines"], results.content["verdicts"]
    left = [mutant for mutant in mutants if mutant.key not in verdicts]
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder, contextlib.ExitStack() as stack:
        workers = [Worker(Path(folder), Path(native.origin)) for _ in range(count)]
        for worker in workers:
            stack.callback(worker.stop)
        first = {folder_of(mutant.file): mutant.file for mutant in left}
        missing = [(name, file, None, 1800.0) for name, file in first.items() if name not in baselines]
        for name, found in _answers(workers, missing):
            if found["failed"]:
                raise SystemExit(f"mutation: tests of {name} fail before any edit: {found['by']}")
            results.add("baselines", name, found)
        limits = {name: 60 + 3 * found["seconds"] for name, found in baselines.items()}
        for mutant, found in _answers(workers, [(m, m.file, m.source, limits[folder_of(m.file)]) for m in left]):
            about = {name: getattr(mutant, name) for name in ("file", "line", "function", "before", "after")}
            results.add("verdicts", mutant.key, about | found)
            _tell(mutant, found, len(verdicts), len(mutants))


def _answers(workers: Sequence[Worker], questions: Iterable[tuple[Any, str, str | None, float]]) -> Iterator[tuple[Any, Any]]:
    """Each question's first item and its verdict, as they come."""
    idle = SimpleQueue[Worker]()
    for worker in workers:
        idle.put(worker)

    def ask(about: Any, *question: Any) -> tuple[Any, dict[str, Any]]:
        worker = idle.get()
        try:
            return about, worker.verdict(*question)
        finally:
            idle.put(worker)

    pool = ThreadPoolExecutor(len(workers))
    try:
        for future in as_completed([pool.submit(ask, *question) for question in questions]):
            yield future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def folder_of(file: str) -> str:
    """`src/shufflekit/plan/views.py` -> `plan`."""
    return Path(file).parts[2]


def _tell(mutant: Mutant, verdict: Mapping[str, Any], done: int, count: int) -> None:
    how = f"noticed by {verdict['by']}" if verdict["failed"] else f"NOT NOTICED\n  - {mutant.before}\n  + {mutant.after}"
    sys.stderr.write(f"{done}/{count} {mutant.file}:{mutant.line} ({verdict['seconds']} s): {how}\n")


def report(verdicts: Sequence[Mapping[str, Any]], reasons: Mapping[tuple[str, ...], str]) -> tuple[str, bool]:
    """The text, and whether the sample passes."""
    survivors = [found for found in verdicts if not found["failed"]]
    explained = [found for found in survivors if identity(found) in reasons]
    unexplained = [found for found in survivors if identity(found) not in reasons]
    lines = []
    for title, group in (("explained", explained), ("not explained", unexplained)):
        for found in sorted(group, key=lambda found: (found["file"], found["line"])):
            why = f" {reasons[identity(found)]}" if title == "explained" else ""
            lines += [f"{found['file']}:{found['line']} {found['function']} ({title}){why}"]
            lines += [f"  - {line}" for line in found["before"].splitlines()] + [
                f"  + {line}" for line in found["after"].splitlines()
            ]
    for folder, of_folder in _by_folder(verdicts).items():
        missed, known = (sum(found in of_folder for found in group) for group in (unexplained, explained))
        lines.append(f"{folder:12}{len(of_folder):5} edits{missed:5} not noticed{known:5} explained")
    shares = len(unexplained) / len(verdicts), len(explained) / len(verdicts)
    lines.append(
        f"{len(verdicts)} edits: {len(unexplained)} not noticed ({shares[0]:.1%}, at most {MOST_UNEXPLAINED:.0%}), "
        f"{len(explained)} explained ({shares[1]:.1%}, at most {MOST_EXPLAINED:.0%})"
    )
    return "\n".join(lines), shares[0] <= MOST_UNEXPLAINED and shares[1] <= MOST_EXPLAINED


def identity(found: Mapping[str, Any]) -> tuple[str, ...]:
    """What an explanation is found by; edits of other lines leave it as it is."""
    return tuple(found[name] for name in ("file", "function", "before", "after"))


def _by_folder(verdicts: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    folders: dict[str, list[Mapping[str, Any]]] = {}
    for found in verdicts:
        folders.setdefault(folder_of(found["file"]), []).append(found)
    return folders


def read_reasons() -> dict[tuple[str, ...], str]:
    """The list of explained edits."""
    return {identity(entry): entry["why"] for entry in json.loads(EXPLAINED.read_text("utf-8"))}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folders", nargs="+", default=list(FOLDERS), choices=[*FOLDERS, *OTHERS])
    parser.add_argument("--count", type=int, default=300, help="edits in all")
    parser.add_argument("--seed", type=int, default=0, help="another one draws other edits")
    parser.add_argument("--workers", type=int, default=2, help="processes, one core each")
    parser.add_argument("--results", type=Path, default=ROOT / "build" / "mutation.json")
    parser.add_argument("--again", action="store_true", help="keep what was noticed or is explained, and run the rest anew")
    arguments = parser.parse_args()
    of = {name: getattr(arguments, name) for name in ("folders", "count", "seed")} | {"digest": digest()}
    results = Results(arguments.results, of, arguments.again)
    mutants = sample(ROOT, arguments.folders, arguments.count, arguments.seed)
    run(mutants, results, arguments.workers)
    text, passes = report([results.content["verdicts"][mutant.key] for mutant in mutants], read_reasons())
    sys.stdout.write(f"{text}\n")
    return 0 if passes else 1


if __name__ == "__main__":
    sys.exit(main())
