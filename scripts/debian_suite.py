"""The tests by the Python of a Debian release, on a wheel, and what came of it into docs/install.md.

    python scripts/debian_suite.py SUITE WHEEL [PYTEST ARGUMENT...]

as in `trixie dist/shufflekit-*-cp312-abi3-manylinux*x86_64.whl tests/graph`; pytest gets `tests -m "not slow"` by default.
PyTorch is Debian's own, the rest is what pip has for that Python. build/wheels/suite-SUITE becomes the root, for which
`unshare` needs no rights where user namespaces are allowed.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from wheels import BUILD, DEBIAN, PAGE, ROOT, WheelError, pip_for, refuse, run, say, write_page

BEGIN, END = "<!-- what scripts/debian_suite.py found -->\n", "<!-- until there -->\n"
HEAD = "| Debian | Python, PyTorch | pytest | result | on |\n|---|---|---|---|---|\n"
# Debian's numpy, which its PyTorch brings, and PyTorch itself ask for libraries that its packages' scripts would link.
PACKAGES = ["base-files", "bash", "coreutils", "dash", "git", "libc-bin", "libstdc++6", "python3", "python3-torch"]
BLAS = ("blas", "lapack", "openblas-pthread")
TOOLS = [
    "altair",
    "faster-coco-eval",
    "filelock",
    "huggingface-hub",
    "jinja2",
    "scikit-image",
    "simplejpeg",
    "vl-convert-python",
]
# Installed without what they need, which is there.
TAKES_TORCH = [
    "accelerate",
    "kornia",
    "kornia-rs",
    "lightning-utilities",
    "torchmetrics",
]


def prepare(suite: str, wheel: Path) -> tuple[Path, Path]:
    """Folders with Debian's packages, and with the wheel and what the tests import."""
    root, site = BUILD / f"suite-{suite}", BUILD / f"suite-{suite}-site"
    run(ROOT / "scripts" / "debian_root.sh", suite, DEBIAN[os.uname().machine], root, *PACKAGES)
    release = next(root.glob("usr/bin/python3.*[0-9]")).name.removeprefix("python")
    pip_for(release, os.uname().machine, site, "-c", ROOT / "constraints.txt", f"{wheel}[onnx,test]", *TOOLS)
    pip_for(release, os.uname().machine, site, "-c", ROOT / "constraints.txt", "--no-deps", *TAKES_TORCH, fresh=False)
    return root, site


def inside(root: Path, site: Path, *command: str) -> list[str]:
    """The command that runs another one there, on this checkout and the data beside it."""
    here = f"/project/{ROOT.name}"
    folders = {"/dev": "/dev", "/proc": "/proc", str(ROOT): here, str(ROOT.parent / "shared"): "/project/shared"}
    lines = [f"mkdir -p {root}/tmp"]
    for outer, inner in folders.items():
        if Path(outer).exists():
            lines.append(f"mkdir -p {root}{inner} && mount --rbind {shlex.quote(outer)} {root}{inner}")
    libraries = ":".join(f"/usr/lib/{os.uname().machine}-linux-gnu/{name}" for name in BLAS)
    settings = {
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "LD_LIBRARY_PATH": libraries,
        "OMP_NUM_THREADS": "1",
        "PATH": "/usr/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": f"{here}/{site.relative_to(ROOT)}",
        "USER": "root",  # PyTorch names a cache by it, and no package fills /etc/passwd
    }
    words = ["chroot", str(root), "env", "-i", "-C", here, *(f"{name}={value}" for name, value in settings.items()), *command]
    lines.append(f"exec {shlex.join(words)}")
    return ["unshare", "--map-root-user", "--mount", "sh", "-ec", "\n".join(lines)]


def row(suite: str, versions: str, arguments: list[str], said: str) -> str:
    """The line of the page, of pytest's last line."""
    last = re.search(r"(?m)^=* ?((?:\d+ \w+(?:, )?)+) in [\d.]+s.*$", said) or refuse("pytest did not come to its end")
    return f"| {suite} | {versions} | `{shlex.join(arguments)}` | {last[1]} | {dt.date.today()} |\n"


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
        command = inside(root, site, "python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen)
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        sys.stdout.write(done.stdout)
        old = PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]
        write_page(table(old, row(suite, versions, chosen, done.stdout)), PAGE, BEGIN, END)
    except WheelError as problem:
        say(str(problem))
        return 1
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
