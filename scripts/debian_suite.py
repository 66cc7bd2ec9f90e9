"""The tests by the Python of a Debian release, on a wheel, and what came of it into docs/install.md.

    python scripts/debian_suite.py SUITE WHEEL [PYTEST ARGUMENT...]

as in `trixie dist/shufflekit-*-cp312-abi3-manylinux*x86_64.whl tests/graph`; pytest gets `tests -m "not slow"` by default, and
$WORKERS processes.
PyTorch and the rest are what pip has for that Python: some 6 GB on disk, since its PyTorch for x86-64 brings CUDA.
build/wheels/suite-SUITE becomes the root, for which `unshare` needs no rights where user namespaces are allowed.
With the same wheel and arguments it goes on where it was stopped, and tries again what failed; what came of each test is in
build/wheels/suite-SUITE-*.results, without which all begins anew.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import shlex
import subprocess
import sys
from pathlib import Path

from kept_results import counts, read
from wheels import BUILD, DEBIAN, PAGE, ROOT, WheelError, pip_for, refuse, run, say, write_page

BEGIN, END = "<!-- what scripts/debian_suite.py found -->\n", "<!-- until there -->\n"
HEAD = "| Debian | Python, PyTorch | pytest | result | on |\n|---|---|---|---|---|\n"
ENDED = (0, 1, 5)  # of pytest: all passed, some failed, none were left
PACKAGES = ["base-files", "bash", "coreutils", "dash", "git", "libc-bin", "libstdc++6", "python3"]


def prepare(suite: str, wheel: Path) -> tuple[Path, Path]:
    """Folders with Debian's packages, and with the wheel and what the tests import."""
    root, site = BUILD / f"suite-{suite}", BUILD / f"suite-{suite}-site"
    run(ROOT / "scripts" / "debian_root.sh", suite, DEBIAN[os.uname().machine], root, *PACKAGES)
    release = next(root.glob("usr/bin/python3.*[0-9]")).name.removeprefix("python")
    packages, made_of = ("-c", ROOT / "constraints.txt", f"{wheel}[all,test]", "onnxruntime"), site / "made_of"
    stamp = f"{digest(wheel)} {release} {packages}"
    if not made_of.exists() or made_of.read_text() != stamp:
        pip_for(release, "manylinux", os.uname().machine, site, *packages)
        made_of.write_text(stamp)
    return root, site


def digest(wheel: Path, *words: str) -> str:
    """A name for what is tested and how."""
    return hashlib.sha256(wheel.read_bytes() + repr(words).encode()).hexdigest()[:12]


def inside(root: Path, site: Path, *command: str) -> list[str]:
    """The command that runs another one there, on this checkout and the data beside it."""
    here = f"/project/{ROOT.name}"
    folders = {"/dev": "/dev", "/proc": "/proc", str(ROOT): here, str(ROOT.parent / "shared"): "/project/shared"}
    lines = [f"mkdir -p {root}/tmp"]
    for outer, inner in folders.items():
        if Path(outer).exists():
            lines.append(f"mkdir -p {root}{inner} && mount --rbind {shlex.quote(outer)} {root}{inner}")
    settings = {
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        "PATH": "/usr/bin",
        "PYTHONPYCACHEPREFIX": "/tmp/pycache",
        "PYTHONPATH": f"{here}/{site.relative_to(ROOT)}",
        "USER": "root",  # PyTorch names a cache by it, and no package fills /etc/passwd
    }
    words = ["chroot", str(root), "env", "-i", "-C", here, *(f"{name}={value}" for name, value in settings.items()), *command]
    lines.append(f"exec {shlex.join(words)}")
    return ["unshare", "--map-root-user", "--mount", "sh", "-ec", "\n".join(lines)]


def row(suite: str, versions: str, arguments: list[str], outcomes: dict[str, str]) -> str:
    """The line of the page."""
    return f"| {suite} | {versions} | `{shlex.join(arguments)}` | {counts(outcomes)} | {dt.date.today()} |\n"


def table(old: str, line: str) -> str:
    """The table with this line in place of the one for the same release."""
    name = line.split("|")[1]
    kept = [each for each in old.splitlines(keepends=True) if each.startswith("|") and each.split("|")[1] != name]
    return HEAD + "".join(sorted([*(each for each in kept if each not in HEAD), line]))


def main(arguments: list[str]) -> int:
    if len(arguments) < 2 or arguments[0].startswith("-"):
        sys.stderr.write(__doc__ or "")
        return 2
    suite, wheel, chosen = arguments[0], Path(arguments[1]).resolve(), arguments[2:] or ["tests", "-m", "not slow"]
    try:
        root, site = prepare(suite, wheel)
        ask = "import platform, torch; print(platform.python_version(), torch.__version__.split('+')[0], sep=', ')"
        versions = run(*inside(root, site, "python3", "-c", ask)).strip()
        kept = BUILD / f"suite-{suite}-{digest(wheel, *chosen)}.results"
        plugins = ("-p", "no:cacheprovider", "-p", "scripts.kept_results", "--kept", str(kept.relative_to(ROOT)))
        words = ("-v", "-n", os.environ.get("WORKERS", "0"), *plugins, *chosen)
        code = subprocess.run(inside(root, site, "python3", "-m", "pytest", *words), check=False).returncode
        if code not in ENDED:
            refuse("pytest did not come to its end; the same command goes on where it was")
        old = PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]
        write_page(table(old, row(suite, versions, chosen, read(kept))), PAGE, BEGIN, END)
    except WheelError as problem:
        say(str(problem))
        return 1
    return int(code == 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
