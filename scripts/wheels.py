"""Wheels of every system from this one: zig compiles them, each is checked as far as it can be here, and listed for a release.

    scripts/wheels.sh [TARGET...] [--out FOLDER] [--page]

`--page` writes what was found into docs/install.md, where the rows of other targets stay. Without targets the source archive is
made too, and no row stays.
"""

from __future__ import annotations

import argparse
import base64
import datetime as dt
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "wheels"
WINE = Path(tempfile.gettempdir(), "shufflekit-wine")  # has a link to /, which the source archive's search would follow
PAGE = ROOT / "docs" / "install.md"
BEGIN, END = "<!-- what scripts/wheels.sh found -->\n", "<!-- until here -->\n"
PHOTO = ROOT / "docs" / "detection" / "chelsea.jpg"
PLAN = ROOT / "src" / "shufflekit" / "classify" / "files" / "shufflenet_v2_x0_5.cifar10.plan"  # what predict takes by default
RUN_PLAN = """import sys, numpy, shufflekit
plan, x, y = sys.argv[1:]
engine = shufflekit.load(plan)
engine(numpy.fromfile(x, "f4").reshape(1, *engine.input_shape)).tofile(y)
"""
EXIT = """import sys, threading, numpy, shufflekit
engine = shufflekit.load(sys.argv[1])
x = numpy.ones((1, *engine.input_shape), "f4")
def work():
    while True:
        engine(x)
for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
engine(x)
"""
SAME = 1e-4  # of the largest output


@dataclass(frozen=True)
class Target:
    """A system: as zig and CMake name it, the tags of its wheels, and how a module for Python 3.11 is called there."""

    zig: str
    system: str
    processor: str
    tags: tuple[str, ...]
    suffix_311: str


TARGETS = {
    "manylinux-x86_64": Target(
        "x86_64-linux-gnu.2.17",
        "Linux",
        "x86_64",
        ("manylinux_2_17_x86_64", "manylinux2014_x86_64"),
        ".cpython-311-x86_64-linux-gnu.so",
    ),
    "manylinux-aarch64": Target(
        "aarch64-linux-gnu.2.17",
        "Linux",
        "aarch64",
        ("manylinux_2_17_aarch64", "manylinux2014_aarch64"),
        ".cpython-311-aarch64-linux-gnu.so",
    ),
    "musllinux-x86_64": Target(
        "x86_64-linux-musl", "Linux", "x86_64", ("musllinux_1_2_x86_64",), ".cpython-311-x86_64-linux-musl.so"
    ),
    "musllinux-aarch64": Target(
        "aarch64-linux-musl", "Linux", "aarch64", ("musllinux_1_2_aarch64",), ".cpython-311-aarch64-linux-musl.so"
    ),
    "macos-arm64": Target("aarch64-macos.11.0", "Darwin", "arm64", ("macosx_11_0_arm64",), ".cpython-311-darwin.so"),
    "macos-x86_64": Target("x86_64-macos.11.0", "Darwin", "x86_64", ("macosx_11_0_x86_64",), ".cpython-311-darwin.so"),
    "windows-x86_64": Target("x86_64-windows-gnu", "Windows", "AMD64", ("win_amd64",), ".cp311-win_amd64.pyd"),
}
PYTHONS = {"3.12": "cp312-abi3", "3.11": "cp311-cp311"}  # the first is the stable ABI of every later Python
SOURCES = ("CMakeLists.txt", "README.md", "cmake", "native", "pyproject.toml", "src")
DEBIAN = {"x86_64": "amd64", "aarch64": "arm64"}
SUITES = {"3.12": "trixie", "3.11": "bookworm"}  # of Debian, for headers and to run in


class WheelError(Exception):
    """What a person has to mend; one line."""


def refuse(text: str) -> NoReturn:
    raise WheelError(text)


def say(text: str) -> None:
    sys.stderr.write(f"wheels: {text}\n")
    sys.stderr.flush()


def run(*command: object, **options: Any) -> str:
    """Stdout of a command; its last lines, where it fails."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, cwd=ROOT, **options)
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()
        raise WheelError(f"{Path(str(command[0])).name} failed ({done.returncode}):\n" + "\n".join(said[-30:]))
    return done.stdout


# Building


def pure_wheel(folder: Path) -> Path:
    """The package without its compiled part."""
    shutil.rmtree(folder, ignore_errors=True)
    options = ("-C", "wheel.cmake=false", "-C", "wheel.py-api=py3")
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-build-isolation", "--no-deps", *options, "-w", folder, ".")
    return next(folder.glob("*.whl"))


def headers(python: str) -> Path:
    """CPython's headers, with a pyconfig.h for every target in place of the one of the machine that they are from."""
    folder, origin = BUILD / f"python{python}", debian(python, "amd64", "dev") / "usr" / "include" / _python(python)
    shutil.copytree(origin, folder, ignore=shutil.ignore_patterns("pyconfig.h"), dirs_exist_ok=True)
    shutil.copy2(ROOT / "cmake" / "python" / "pyconfig.h", folder)
    return folder


def debian(python: str, architecture: str, form: str) -> Path:
    """A folder with Debian's Python, where nothing of it is run: "dev" its headers and library, "run" what runs."""
    root = BUILD / f"debian-{python}-{architecture}-{form}"
    packages = [f"lib{_python(python)}-dev"] if form == "dev" else ["python3", "libstdc++6"]  # numpy asks for the second
    run(ROOT / "scripts" / "debian_root.sh", SUITES[python], architecture, root, *packages)
    return root


def _python(python: str) -> str:
    """As Debian calls the Python whose headers and whose runs stand for this one and later ones."""
    return "python3.13" if python == "3.12" else f"python{python}"


def suffix_of(target: Target, python: str) -> str:
    if python == "3.11":
        return target.suffix_311
    return ".pyd" if target.system == "Windows" else ".abi3.so"


def build(name: str, python: str, jobs: int) -> tuple[Path, Path]:
    """The compiled module, and skrun."""
    target, folder = TARGETS[name], BUILD / name
    run(ROOT / "scripts" / "zig_tools.sh", target.zig, folder)
    options = {
        "CMAKE_BUILD_TYPE": "Release",
        "CMAKE_SYSTEM_NAME": target.system,
        "CMAKE_SYSTEM_PROCESSOR": target.processor,
        "CMAKE_OSX_SYSROOT": "",
        "CMAKE_CXX_FLAGS": f"-ffile-prefix-map={ROOT}=. -ffile-prefix-map={sysconfig.get_path('purelib')}=.",
        "nanobind_DIR": run(sys.executable, "-m", "nanobind", "--cmake_dir").strip(),
        "SHUFFLEKIT_C": "ON",
        "SHUFFLEKIT_CROSS_PYTHON_VERSION": python,
        "SHUFFLEKIT_CROSS_PYTHON_HEADERS": headers(python),
        "SHUFFLEKIT_CROSS_PYTHON_SUFFIX": suffix_of(target, python),
        "SHUFFLEKIT_CROSS_PYTHON_LIBRARY": import_library(folder, python) if target.system == "Windows" else "",
    }
    if name.startswith("manylinux"):
        options["CMAKE_MODULE_LINKER_FLAGS"] = unwinder(target)
    tools = {"c++": "CXX_COMPILER", "cc": "C_COMPILER", "ar": "AR", "ranlib": "RANLIB", "rc": "RC_COMPILER"}
    options |= {f"CMAKE_{variable}": folder / f"zig-{tool}" for tool, variable in tools.items()}
    places = ("-S", ROOT, "-B", folder, "-G", "Ninja", "-Wno-unused-cli")
    run("cmake", *places, *(f"-D{key}={value}" for key, value in options.items()))
    run("cmake", "--build", folder, "--target", "_native", "skrun", "-j", jobs)
    return folder / f"_native{suffix_of(target, python)}", folder / ("skrun.exe" if target.system == "Windows" else "skrun")


def unwinder(target: Target) -> Path:
    """glibc's, which unwinds a thread that Python ends at exit, and crashes in functions that are linked with zig's own."""
    root = debian("3.11", DEBIAN[target.processor], "run")
    return next(root.glob("**/libgcc_s.so.1"))


def import_library(folder: Path, python: str) -> Path:
    """What a module for Windows is linked with: the names that Python's DLL there has."""
    dll = "python3" if python == "3.12" else f"python{python.replace('.', '')}"
    shared = f"usr/lib/x86_64-linux-gnu/lib{_python(python)}.so.1.0"
    names = stable_names((3, 12)) if python == "3.12" else exported_names(debian(python, "amd64", "dev") / shared)
    definition = folder / f"{dll}.def"
    definition.write_text(f"LIBRARY {dll}.dll\nEXPORTS\n" + "".join(f"    {name}\n" for name in names))
    library = folder / f"lib{dll}.a"
    run(sys.executable, "-m", "ziglang", "dlltool", "-m", "i386:x86-64", "-d", definition, "-l", library)
    return library


def stable_names(until: tuple[int, int]) -> list[str]:
    """Functions of the stable ABI, and its data, as a .def file marks them, on Windows."""
    from abi3info import DATAS, FUNCTIONS

    def is_there(entry: Any) -> bool:
        return (entry.added.major, entry.added.minor) <= until and entry.ifdef in (None, "MS_WINDOWS")

    functions = [symbol.name for symbol, entry in FUNCTIONS.items() if is_there(entry)]
    return sorted(functions) + sorted(f"{symbol.name} DATA" for symbol, entry in DATAS.items() if is_there(entry))


def exported_names(library: Path) -> list[str]:
    """The same of a whole Python, which has them on every system."""
    import lief

    binary = lief.ELF.parse(str(library))
    assert binary is not None
    names = [symbol for symbol in binary.exported_symbols if re.match("_?Py", str(symbol.name))]
    return sorted(f"{symbol.name}{' DATA' if symbol.type == lief.ELF.Symbol.TYPE.OBJECT else ''}" for symbol in names)


# Packing


def assemble(pure: Path, module: Path, tag: str, platforms: Iterable[str], out: Path) -> Path:
    """The wheel of `pure` with the compiled module in it; the same bytes from the same files.

    Args:
        pure: of no compiled part.
        module: `_native` and its suffix.
        tag: of Python and its ABI, as in "cp312-abi3".
        platforms: of the wheel.
        out: a folder.
    """
    name, release = pure.name.split("-")[:2]
    wheel = out / f"{name}-{release}-{tag}-{'.'.join(platforms)}.whl"
    info = f"{name}-{release}.dist-info"
    with zipfile.ZipFile(pure) as archive:
        contents = {entry: archive.read(entry) for entry in archive.namelist() if entry != f"{info}/RECORD"}
    contents[f"{name}/{module.name}"] = module.read_bytes()
    contents[f"{info}/WHEEL"] = _wheel_file(contents[f"{info}/WHEEL"].decode(), tag, platforms)
    contents[f"{info}/RECORD"] = "".join(f"{_recorded(path, content)}\n" for path, content in contents.items()).encode()
    contents[f"{info}/RECORD"] += f"{info}/RECORD,,\n".encode()
    out.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in contents.items():
            entry = zipfile.ZipInfo(path)  # its date is the first that a zip knows
            entry.external_attr = (0o755 if path.endswith((".so", ".pyd")) else 0o644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return wheel


def _wheel_file(text: str, tag: str, platforms: Iterable[str]) -> bytes:
    kept = [line for line in text.splitlines() if line and not line.startswith(("Tag:", "Root-Is-Purelib:"))]
    tags = [f"Tag: {tag}-{platform}" for platform in platforms]
    return "\n".join([*kept, "Root-Is-Purelib: false", *tags, ""]).encode()


def _recorded(path: str, content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"{path},sha256={digest},{len(content)}"


# Checks: each returns what it found to be right, in words for the page, and stops at what is wrong.


def check_content(wheel: Path, target: Target, places: Iterable[Path]) -> str:
    """What is in it, and that nothing tells where it was built.

    Args:
        places: folders whose names may not be in it.
    """
    with zipfile.ZipFile(wheel) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    record = next(name for name in contents if name.endswith(".dist-info/RECORD"))
    lines = {_recorded(name, content) for name, content in contents.items() if name != record}
    if lines | {f"{record},,"} != set(contents[record].decode().splitlines()):
        raise WheelError(f"{wheel.name}: RECORD does not say what is in it")
    modules = [name for name in contents if name.endswith((".so", ".pyd", ".dylib", ".dll"))]
    suffix = suffix_of(target, "3.11" if "-cp311-" in wheel.name else "3.12")
    if modules != [f"shufflekit/_native{suffix}"]:
        raise WheelError(f"{wheel.name}: must have shufflekit/_native{suffix}, found {modules}")
    for name, content in contents.items():
        for place in places:
            if str(place).encode() in content:
                raise WheelError(f"{wheel.name}: {name} holds the path {place}")
    return "content, no paths"


# What a system has by itself. libm and the rest of glibc's are parts of manylinux's promise.
LIBRARIES = {
    "manylinux": r"lib(c|m|dl|rt|pthread|gcc_s)\.so\.\d|ld-linux-.*\.so\.\d",
    "musllinux": r"libc\.so|libc\.musl-\w+\.so\.1",
    "macos": r"/usr/lib/libSystem\.B\.dylib",
    "windows": r"(?i)kernel32\.dll|ntdll\.dll|api-ms-win-crt-[a-z]+-l1-1-0\.dll|ucrtbase\.dll|python3(11)?\.dll",
}


def strangers(family: str, libraries: Iterable[str]) -> list[str]:
    """Those that a system need not have."""
    return [library for library in libraries if not re.fullmatch(LIBRARIES[family], library)]


def check_binary(module: Path, name: str) -> str:
    """Architecture, libraries and versions of what it asks of the system."""
    import lief

    binary = lief.parse(str(module))
    assert binary is not None
    family, processor = name.split("-")
    machine = str(
        getattr(binary.header, "machine_type", None) or getattr(binary.header, "machine", None) or binary.header.cpu_type
    )
    if not re.search({"x86_64": "X86_64|AMD64", "aarch64": "AARCH64", "arm64": "ARM64"}[processor], machine):
        raise WheelError(f"{module.name}: must be of {processor}, found {machine}")
    libraries = [str(getattr(library, "name", library)) for library in libraries_asked(binary, family)]
    if strange := strangers(family, libraries):
        raise WheelError(f"{module.name}: asks for {', '.join(strange)}, which {name} need not have")
    if family == "manylinux":
        return _of_manylinux(module, binary)
    if family == "musllinux":
        return _of_musl(module, binary, processor)
    return _of_macos(module, binary, processor) if family == "macos" else _of_windows(module, binary)


def libraries_asked(binary: Any, family: str) -> list[Any]:
    """The libraries that a module is loaded with; on macOS one lists itself among them."""
    found = list(binary.imports if family == "windows" else binary.libraries)
    return [each for each in found if family != "macos" or str(each.command).rpartition(".")[2] != "ID_DYLIB"]


def _of_manylinux(module: Path, binary: Any) -> str:
    versions = {str(each.name) for library in binary.symbols_version_requirement for each in library.get_auxiliary_symbols()}
    of_glibc = [version.removeprefix("GLIBC_") for version in versions if version.startswith("GLIBC_")]
    newest = max(tuple(map(int, version.split("."))) for version in of_glibc)
    if newest > (2, 17):
        raise WheelError(f"{module.name}: asks for glibc {'.'.join(map(str, newest))}, above 2.17")
    return f"ELF, glibc {'.'.join(map(str, newest))}"


def _of_musl(module: Path, binary: Any, processor: str) -> str:
    if missing := sorted(functions_asked(binary) - musl_functions(processor)):
        raise WheelError(f"{module.name}: asks for {', '.join(missing)}, which musl does not have")
    return "ELF, functions of musl alone"


def _of_windows(module: Path, binary: Any) -> str:
    asked = {library.name.lower(): {entry.name for entry in library.entries} for library in binary.imports}
    if missing := lacking(asked, wine_functions):
        raise WheelError(f"{module.name}: asks for {', '.join(missing)}, which Wine does not have")
    return f"PE, functions of Wine's {len(asked) - 1} libraries and Python's"


def lacking(asked: Mapping[str, set[str]], has: Callable[[str], set[str]]) -> list[str]:
    """What a module asks of libraries of Windows, Python's aside, and they do not have.

    Args:
        asked: names of functions by the library's name.
        has: those of a library.
    """
    of_windows = {library: names for library, names in asked.items() if not library.startswith("python")}
    return sorted(f"{library}: {name}" for library, names in of_windows.items() for name in names - has(library))


def wine_functions(library: str) -> set[str]:
    """Those of a DLL as Wine has it, where the parts of the C library are one."""
    import lief

    name = "ucrtbase.dll" if library.startswith("api-ms-win-crt-") else library
    tool("wine")
    binary = lief.PE.parse(str(next(Path("/usr/lib").glob(f"*/wine/x86_64-windows/{name}"))))
    assert binary is not None
    return {str(function.name) for function in binary.exported_functions}


def functions_asked(binary: Any) -> set[str]:
    """What a module cannot do without of the system: not of Python, and not asked for only where it is there."""
    weak = type(next(iter(binary.dynamic_symbols))).BINDING.WEAK
    names = {str(symbol.name) for symbol in binary.imported_symbols if symbol.binding != weak}
    return {name for name in names if name and not re.match("_?Py", name)}


def musl_functions(processor: str) -> set[str]:
    """Those of the older musl that Debian has."""
    import lief

    library = lief.ELF.parse(str(musl_library(musl("3.11", processor))))
    assert library is not None
    return {str(symbol.name) for symbol in library.exported_symbols}


def musl(python: str, processor: str) -> Path:
    """A folder with Debian's musl, and the sources of the Python beside it."""
    root = BUILD / f"musl-{python}-{processor}"
    run(ROOT / "scripts" / "debian_root.sh", SUITES[python], DEBIAN[processor], root, "musl", f"src:{_python(python)}")
    return root


def musl_library(root: Path) -> Path:
    """Which starts programs too."""
    return next(root.glob("**/*-linux-musl/libc.so"))


def _of_macos(module: Path, binary: Any, processor: str) -> str:
    least = binary.build_version.minos if binary.has_build_version else binary.version_min.version
    if tuple(least)[:2] > (11, 0):
        raise WheelError(f"{module.name}: asks for macOS {least}, above 11.0")
    if processor == "arm64" and not binary.has_code_signature:
        raise WheelError(f"{module.name}: has no code signature, which arm64 needs")
    return f"Mach-O, macOS {'.'.join(map(str, tuple(least)[:2]))}"


def check_abi(wheel: Path) -> str:
    """Names of Python's: of the stable ABI alone, where the wheel promises that."""
    run("abi3audit", "--strict", wheel)
    return "abi3audit"


def check_manylinux(wheel: Path, target: Target) -> str:
    said = " ".join(run("auditwheel", "show", wheel).split())
    if target.tags[0] not in said:
        raise WheelError(f"{wheel.name}: auditwheel says: {said}")
    return "auditwheel"


def photo_here() -> list[Any]:
    """What a photo is here, by the plan that comes with the package."""
    return json.loads(run(sys.executable, "-m", "shufflekit", "predict", PHOTO, "--json"))


def same(found: str, needed: list[Any], who: str) -> None:
    """Classes and their order are the same, and scores are near."""
    lists = [photo["predictions"] for photo in (*json.loads(found), *needed)]
    names, scores = zip(*(([each["label"] for each in one], [each["score"] for each in one]) for one in lists))
    if names[0] != names[1] or any(abs(a - b) > SAME for a, b in zip(*scores)):
        raise WheelError(f"{who}: a photo must be {lists[1]}, found {lists[0]}")


def check_fresh(wheel: Path, interpreter: Path, needed: list[Any]) -> str:
    """In a fresh environment, with nothing on the PATH but its own commands, and every compiler set to one that fails."""
    with tempfile.TemporaryDirectory() as work:
        run(interpreter, "-m", "venv", f"{work}/fresh")
        commands = Path(work, "fresh", "bin")
        pip_install(commands / "python", wheel)
        bare = {"HOME": work, "PATH": str(commands), "CC": "/bin/false", "CXX": "/bin/false", "PYTHONWARNINGS": "error"}
        same(run(commands / "shufflekit", "predict", PHOTO, "--json", env=bare), needed, wheel.name)
    return f"predict in a fresh environment of {interpreter.name.replace('python', 'Python ')} without a compiler"


def interpreter_for(python: str) -> Path | None:
    """A Python of this machine that the wheel is for, the oldest first."""
    names = ["python3.11"] if python == "3.11" else ["python3.12", "python3.13", "python3.14"]
    folders = [Path(folder) for folder in os.environ["PATH"].split(os.pathsep)]
    for found in (folder / name for name in names for folder in folders if (folder / name).exists()):
        if subprocess.run([found, "-c", "import venv"], capture_output=True, check=False).returncode == 0:
            return found  # and not a stand-in for one that is not there
    return None


def check_debian(wheel: Path, python: str, processor: str, needed: list[Any]) -> str:
    """By Debian's own Python for that processor, under qemu where it is another one."""
    architecture = DEBIAN[processor]
    root, site = debian(python, architecture, "run"), BUILD / f"site-{python}-{architecture}"
    release = _python(python).removeprefix("python")
    pip_for(release, "manylinux", processor, site, wheel)
    emulator, where = runner(f"manylinux-{processor}")
    environment = {"PATH": "/nowhere", "HOME": str(BUILD), "PYTHONHOME": str(root / "usr"), "PYTHONPATH": str(site)}
    program = "from shufflekit.cli.main import main; raise SystemExit(main())"
    start = (*emulator, *in_root(root), root / "usr" / "bin" / f"python{release}")
    same(run(*start, "-c", program, "predict", PHOTO, "--json", env=environment), needed, wheel.name)
    run(*start, "-c", EXIT, PLAN, env=environment)
    return f"predict and exit in Debian's Python {release}{where}"


def check_musl(wheel: Path, python: str, processor: str) -> str:
    """By a Python built for musl, since no registry has one, on Debian's musl; it has no libraries for photos."""
    site, release = BUILD / f"site-{python}-musl-{processor}", _python(python).removeprefix("python")
    pip_for(release, "musllinux", processor, site, wheel)
    for file in site.rglob("*-linux-musl.so"):  # whose long suffix a Python that zig compiled does not know
        file.rename(file.with_name(f"{file.name.partition('.')[0]}.so"))
    root, folder = musl(python, processor), BUILD / f"python{python}-musl-{processor}"
    (sources,) = root.glob("Python-*")
    run(ROOT / "scripts" / "musl_python.sh", processor, sources, python_here(python), folder)
    start = (musl_library(root), folder / "python", "-c", RUN_PLAN)
    environment = {"PATH": "/nowhere", "HOME": str(BUILD), "PYTHONPATH": str(site)}
    check_outputs(wheel.name, lambda plan, x, y: run(*start, plan, x, y, env=environment))
    return f"plan in Python {release} built for musl"


def python_here(python: str) -> Path:
    """A program that is Debian's Python for this machine."""
    root, program = debian(python, DEBIAN[os.uname().machine], "run"), BUILD / f"python{python}-here"
    start = shlex.join(map(str, (*in_root(root), root / "usr" / "bin" / _python(python))))
    program.write_text(f'#!/bin/sh\nexport PYTHONHOME={shlex.quote(str(root / "usr"))}\nexec {start} "$@"\n')
    program.chmod(0o755)
    return program


def in_root(root: Path) -> tuple[Path, str, str]:
    """What starts a program of a folder of Debian's with the libraries of that folder, and needs no rights for that."""
    linker = next(file for file in root.glob("**/ld-linux*.so.*") if not file.is_symlink())
    folders = [root / part / linker.parent.name for part in ("usr/lib", "lib")]
    return linker, "--library-path", ":".join(map(str, folders))


def pip_for(release: str, family: str, processor: str, site: Path, *wanted: object) -> None:
    """Into a folder, for a Python of Linux that does not run here."""
    shutil.rmtree(site, ignore_errors=True)
    libraries = {"manylinux": ["2014", *(f"_2_{minor}" for minor in range(17, 37))], "musllinux": ["_1_1", "_1_2"]}[family]
    platforms = [f"--platform={family}{library}_{processor}" for library in libraries]  # of wheels of others too
    abis = [f"--abi={abi}" for abi in (f"cp{release.replace('.', '')}", "abi3", "none")]
    pip_install(
        sys.executable,
        "--no-compile",
        f"--target={site}",
        "--implementation=cp",
        f"--python-version={release}",
        *platforms,
        *abis,
        *wanted,
    )


def pip_install(python: Path | str, *arguments: object) -> None:
    """Nothing is compiled."""
    run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--only-binary", ":all:", *arguments)


def check_skrun(skrun: Path, name: str) -> str:
    """The runner, of the module's objects."""
    start, where = runner(name)
    environment = {**os.environ, "WINEPREFIX": str(WINE), "WINEDEBUG": "-all"}

    def run_plan(plan: Path, x: Path, y: Path) -> None:
        run(*start, skrun, plan, "--input", x, "--output", y, "--threads", "2", env=environment)

    check_outputs(f"{skrun.name} of {name}", run_plan)
    return f"{skrun.name} of the same objects{where}"


def check_outputs(who: str, run_plan: Callable[[Path, Path, Path], object]) -> None:
    """Plans of floats and of bytes, whose name no one code page has, give what the engine gives here.

    Args:
        who: ran it.
        run_plan: reads the plan and its raw input, and writes its raw output.
    """
    import numpy as np

    import shufflekit as sk

    for origin in (PLAN, bytes_plan()):
        engine = sk.load(origin)
        x = np.random.default_rng(0).standard_normal((1, *engine.input_shape), np.float32)
        with tempfile.TemporaryDirectory() as work:
            plan = Path(shutil.copy(origin, Path(work, "Ἑρμῆς ñ.plan")))
            x.tofile(Path(work, "x.f32"))
            run_plan(plan, Path(work, "x.f32"), Path(work, "y.f32"))
            found, needed = np.fromfile(Path(work, "y.f32"), np.float32), np.asarray(engine(x)).ravel()
        if found.shape != needed.shape or np.abs(found - needed).max() > SAME * np.abs(needed).max():
            raise WheelError(f"{who}: {found.size} numbers must be the engine's {needed.size} here, or near, by {origin.name}")


def bytes_plan() -> Path:
    """The same network in int8."""
    plan = BUILD / "int8.plan"
    words = ("shufflenet_v2_x0_5", "--weights", "cifar10", "--int8", "--calib", PHOTO.parent, "--out", plan)
    if not plan.exists():
        run(sys.executable, "-m", "shufflekit", "compile", *words)
    return plan


def runner(name: str) -> tuple[list[str], str]:
    """What a program for a target is started by on this machine, and in words."""
    if name.startswith("windows"):
        return [tool("wine")], " under Wine"
    is_other = name.endswith("aarch64") and os.uname().machine != "aarch64"
    return ([tool("qemu-aarch64-static")], " under qemu") if is_other else ([], "")


def tool(name: str) -> str:
    return shutil.which(name) or refuse(f"needs {name}: apt-get install {name.replace('aarch64', 'user')}")


# What a release has


@dataclass
class Found:
    """A wheel, when and from which commit it was built, what was checked of it, and what was not."""

    file: str
    bytes: int
    built: str
    checked: list[str]
    untested: str


UNTESTED = {
    "musllinux": "not loaded: no such Python for musl was built",
    "macos": "not loaded: no macOS was at hand",
    "windows": "the module was not loaded: no Python for Windows was at hand",
}


def make(name: str, pure: Path, needed: list[Any], out: Path, jobs: int) -> list[Found]:
    """Both wheels of a target, built and checked."""
    found = []
    for python, tag in PYTHONS.items():
        say(f"{name}: Python {python}")
        target = TARGETS[name]
        family, processor = name.split("-")
        module, skrun = build(name, python, jobs)
        wheel = assemble(pure, module, tag, target.tags, out)
        checked = [check_content(wheel, target, (ROOT, Path.home())), check_binary(module, name)]
        if tag.endswith("abi3"):
            checked.append(check_abi(wheel))
        if family == "manylinux":
            checked.append(check_manylinux(wheel, target))
            checked.append(check_debian(wheel, python, processor, needed))
            if processor == os.uname().machine and (interpreter := interpreter_for(python)):
                checked.append(check_fresh(wheel, interpreter, needed))
        if family in ("musllinux", "windows") or (family == "manylinux" and processor == os.uname().machine):
            checked.append(check_skrun(skrun, name))
        untested = UNTESTED.get(family, "")
        if family == "musllinux" and processor == os.uname().machine and tag.endswith("abi3"):
            checked.append(check_musl(wheel, python, processor))
            untested = ""
        built = f"{dt.date.today()}, {commit_of_sources()}"
        found.append(Found(wheel.name, wheel.stat().st_size, built, checked, untested))
    return found


def commit_of_sources() -> str:
    """The last commit that changed what a wheel is made of; `-dirty` where that was changed since."""
    last = run("git", "log", "-1", "--format=%h", "--abbrev=7", "--", *SOURCES).strip()
    return last + ("-dirty" if run("git", "status", "--porcelain", "--", *SOURCES) else "")


def page_of(found: Iterable[Found], old: str = "") -> str:
    """The table for docs/install.md; rows of `old` for other wheels stay."""
    rows = {row.split("`")[1]: row for row in old.splitlines() if row.startswith("| `")}
    for each in found:
        size = f"{each.bytes / 1e6:.2f}"
        rows[each.file] = f"| `{each.file}` | {size} | {each.built} | {'; '.join(each.checked)} | {each.untested} |"
    lines = ["| wheel | MB | built | checked | untested |", "|---|---|---|---|---|"]
    return "\n".join([*lines, *(rows[file] for file in sorted(rows)), ""])


def summary(found: Iterable[Found], out: Path) -> str:
    """Each wheel with its checks, and what to upload."""
    lines = []
    for each in found:
        lines += [f"{each.file}  {each.bytes / 1e6:.2f} MB", f"  checked: {'; '.join(each.checked)}"]
        lines += [f"  untested: {each.untested}"] if each.untested else []
    lines.append(f"to upload, from {out}:")
    lines += [
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}"
        for file in sorted(out.iterdir())
        if file.suffix in (".whl", ".gz")
    ]
    return "\n".join([*lines, ""])


def write_page(text: str, page: Path = PAGE, begin: str = BEGIN, end: str = END) -> None:
    before, rest = page.read_text(encoding="utf-8").split(begin)
    page.write_text(before + begin + "\n" + text + "\n" + end + rest.split(end)[1], encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="scripts/wheels.sh", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; all by default, and the source archive"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="where the files are left (dist)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="compilers at once")
    parser.add_argument("--page", action="store_true", help="write what was found to docs/install.md")
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.targets) - set(TARGETS)):
        parser.error(f"TARGET: must be of {', '.join(TARGETS)}, found {', '.join(unknown)}")
    try:
        pure = pure_wheel(BUILD / "pure")
        needed = photo_here()
        found = [each for name in options.targets or TARGETS for each in make(name, pure, needed, options.out, options.jobs)]
        if not options.targets:
            run(sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", options.out, ".")
    except WheelError as problem:
        say(str(problem))
        return 1
    if options.page:
        old = PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0] if options.targets else ""
        write_page(page_of(found, old))
    sys.stdout.write(summary(found, options.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
