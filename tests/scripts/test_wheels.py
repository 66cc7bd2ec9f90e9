"""The script's own rules, on wheels made by hand; what it builds is checked by itself."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

ROOT = Path(__file__).parents[2]
WINDOWS = "windows-x86_64"


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    name = "wheels_of_every_system"
    spec = spec_from_file_location(name, ROOT / "scripts" / "wheels.py")
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module = module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules[name]


@pytest.fixture
def make(script: ModuleType, tmp_path: Path) -> Callable[..., Path]:
    """A wheel for a target with what a module holds."""
    pure = tmp_path / "shufflekit-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(pure, "w") as archive:
        archive.writestr("shufflekit/__init__.py", "")
        archive.writestr(
            "shufflekit-0.1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n\n"
        )
        archive.writestr("shufflekit-0.1.0.dist-info/RECORD", "shufflekit/__init__.py,,\n")

    def make(name: str, content: bytes = b"code", python: str = "3.12", suffix: str | None = None) -> Path:
        target = script.TARGETS[name]
        module = tmp_path / f"_native{suffix or script.suffix_of(target, python)}"
        module.write_bytes(content)
        return script.assemble(pure, module, script.PYTHONS[python], target.tags, tmp_path / "out")

    return make


def test_a_wheel_says_what_is_in_it_and_for_whom(script: ModuleType, make: Callable[..., Path]) -> None:
    wheel = make("manylinux-x86_64")
    assert wheel.name == "shufflekit-0.1.0-cp312-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("shufflekit-0.1.0.dist-info/WHEEL").decode().splitlines() == [
            "Wheel-Version: 1.0",
            "Generator: x",
            "Root-Is-Purelib: false",
            "Tag: cp312-abi3-manylinux_2_17_x86_64",
            "Tag: cp312-abi3-manylinux2014_x86_64",
        ]
        record = archive.read("shufflekit-0.1.0.dist-info/RECORD").decode().splitlines()
        # printf code | openssl dgst -sha256 -binary | basenc --base64url
        assert "shufflekit/_native.abi3.so,sha256=VpTQii5T_8rgwxA-Wtb2B2q9lg6x-KVldwQLwQKPcCs,4" in record
        assert record[-1] == "shufflekit-0.1.0.dist-info/RECORD,,"
        assert sorted(line.split(",")[0] for line in record) == sorted(archive.namelist())
    assert script.check_content(wheel, script.TARGETS["manylinux-x86_64"], ()) == "content, no paths"


def test_the_same_files_give_the_same_bytes(make: Callable[..., Path]) -> None:
    assert make(WINDOWS).read_bytes() == make(WINDOWS).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"content": b"code of /home/me/shufflekit/x.cpp"}, r"^.*\.whl: shufflekit/_native\.pyd holds the path /home/me$"),
        ({"suffix": ".so"}, r"^.*\.whl: must have shufflekit/_native\.pyd, found \['shufflekit/_native\.so'\]$"),
        ({"python": "3.11", "suffix": ".pyd"}, r"^.*\.whl: must have shufflekit/_native\.cp311-win_amd64\.pyd, found "),
    ],
)
def test_wrong_content_is_named(
    script: ModuleType, make: Callable[..., Path], arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(script.WheelError, match=message):
        script.check_content(make(WINDOWS, **arguments), script.TARGETS[WINDOWS], (Path("/home/me"),))


def test_a_record_that_says_something_else_is_seen(script: ModuleType, make: Callable[..., Path], tmp_path: Path) -> None:
    with zipfile.ZipFile(make(WINDOWS)) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    for name, changed in (("shufflekit/_native.pyd", b"c0de"), ("shufflekit/beside.py", b"")):
        wheel = tmp_path / "shufflekit-0.1.0-cp312-abi3-win_amd64.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for each, content in {**contents, name: changed}.items():
                archive.writestr(each, content)
        with pytest.raises(script.WheelError, match="RECORD does not say what is in it$"):
            script.check_content(wheel, script.TARGETS[WINDOWS], ())


@pytest.mark.parametrize(
    ("family", "has", "lacks"),
    [
        (
            "manylinux",
            ["libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2"],
            ["libstdc++.so.6", "libc.musl-x86_64.so.1", "libpython3.11.so.1.0"],
        ),
        ("musllinux", ["libc.so", "libc.musl-aarch64.so.1"], ["libc.so.6"]),
        ("macos", ["/usr/lib/libSystem.B.dylib"], ["/usr/lib/libc++.1.dylib", "@rpath/libpython3.12.dylib"]),
        (
            "windows",
            ["KERNEL32.dll", "api-ms-win-crt-heap-l1-1-0.dll", "python3.dll", "python311.dll"],
            ["libgcc_s_seh-1.dll", "python312.dll"],
        ),
    ],
)
def test_libraries_of_a_system(script: ModuleType, family: str, has: list[str], lacks: list[str]) -> None:
    assert script.strangers(family, has) == []
    assert script.strangers(family, [*has, *lacks]) == lacks


def test_a_function_that_windows_lacks_is_named_with_its_library(script: ModuleType) -> None:
    has = {"kernel32.dll": {"CreateFileW"}, "api-ms-win-crt-heap-l1-1-0.dll": {"free", "malloc"}}
    asked = {"kernel32.dll": {"CreateFileW"}, "api-ms-win-crt-heap-l1-1-0.dll": {"free"}, "python3.dll": {"PyList_New"}}
    assert script.lacking(asked, has.__getitem__) == []
    asked["api-ms-win-crt-heap-l1-1-0.dll"] = {"free", "aligned_alloc"}
    assert script.lacking(asked, has.__getitem__) == ["api-ms-win-crt-heap-l1-1-0.dll: aligned_alloc"]


def test_the_module_here_is_no_module_of_another_system(script: ModuleType) -> None:
    pytest.importorskip("lief", reason="needs lief: scripts/set_up.sh all,dev,wheels")
    native = pytest.importorskip("shufflekit._native", reason="the compiled part is not built")
    for name in ("musllinux-x86_64", "manylinux-aarch64"):
        with pytest.raises(script.WheelError, match="^_native.*(which musllinux-x86_64 need not have|must be of aarch64)"):
            script.check_binary(Path(native.__file__), name)


def test_what_a_module_asks_of_the_system_is_not_what_it_asks_of_python(script: ModuleType) -> None:
    lief = pytest.importorskip("lief", reason="needs lief: scripts/set_up.sh all,dev,wheels")
    native = pytest.importorskip("shufflekit._native", reason="the compiled part is not built")
    asked = script.functions_asked(lief.parse(native.__file__))
    assert "aligned_alloc" in asked
    assert not [name for name in asked if name.startswith(("Py", "_Py"))]
    assert "__cxa_finalize" not in asked  # only where it is there


def test_programs_of_other_systems_are_started_by_what_runs_them(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script.shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(script.os, "uname", lambda: SimpleNamespace(machine="x86_64"))
    assert script.runner("windows-x86_64") == (["/bin/wine"], " under Wine")
    assert script.runner("musllinux-aarch64") == (["/bin/qemu-aarch64-static"], " under qemu")
    assert script.runner("musllinux-x86_64") == ([], "")
    monkeypatch.setattr(script.shutil, "which", lambda name: None)
    for name, message in (("wine", "needs wine: "), ("qemu-aarch64-static", "needs .*: apt-get install qemu-user-static$")):
        with pytest.raises(script.WheelError, match=message):
            script.tool(name)


def test_wheels_of_others_are_of_the_system_that_is_tried(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said: list[str] = []
    monkeypatch.setattr(script, "pip_install", lambda _, *arguments: said.extend(arguments))
    script.pip_for("3.13", "musllinux", "aarch64", tmp_path, "a.whl")
    assert {"--python-version=3.13", "--abi=cp313", "--abi=abi3", "--platform=musllinux_1_2_aarch64", "a.whl"} <= set(said)
    assert not [word for word in said if "manylinux" in word]
    script.pip_for("3.11", "manylinux", "x86_64", tmp_path, "a.whl")
    assert {f"--platform=manylinux{name}_x86_64" for name in ("2014", "_2_17", "_2_28", "_2_36")} <= set(said)


def test_a_python_that_does_not_start_is_passed_over(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for folder, name, code in (
        ("a", "python3.12", 127),
        ("a", "python3.13", 0),
        ("b", "python3.12", 0),
        ("b", "python3.11", 127),
    ):
        program = tmp_path / folder / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\nexit {code}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'a'}:{tmp_path / 'b'}")
    assert script.interpreter_for("3.12") == tmp_path / "b" / "python3.12"
    assert script.interpreter_for("3.11") is None


def test_a_photo_must_get_the_same_classes_and_scores(script: ModuleType) -> None:
    needed = [{"file": "a.jpg", "predictions": [{"label": "cat", "score": 0.9}, {"label": "dog", "score": 0.1}]}]
    script.same(json.dumps(needed), needed, "wheel")
    for first in ({"label": "dog", "score": 0.9}, {"label": "cat", "score": 0.9003}):
        found = [{"file": "a.jpg", "predictions": [first, {"label": "dog", "score": 0.1}]}]
        with pytest.raises(script.WheelError, match="^wheel: a photo must be "):
            script.same(json.dumps(found), needed, "wheel")


def test_a_wheel_bears_the_last_commit_of_what_it_is_made_of(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(script, "ROOT", tmp_path)
    script.run("git", "init", "-q")
    commits = []
    for name in ("src/a.py", "docs/a.md"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("first")
        script.run("git", "add", name)
        script.run("git", "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-q", "-m", name)
        commits.append(script.run("git", "rev-parse", "--short=7", "HEAD").strip())
    (tmp_path / "docs" / "a.md").write_text("second")
    assert script.commit_of_sources() == commits[0]
    (tmp_path / "src" / "a.py").write_text("second")
    assert script.commit_of_sources() == f"{commits[0]}-dirty"


def test_the_page_and_the_summary_say_what_was_not_tested(script: ModuleType, tmp_path: Path) -> None:
    found = [script.Found("a.whl", 1_250_000, "2026-11-30, 1234567", ["content", "abi3audit"], "not loaded")]
    page = tmp_path / "install.md"
    page.write_text(f"before\n{script.BEGIN}old\n{script.END}after\n")
    for _ in range(2):
        script.write_page(script.page_of(found), page)
    row = "| `a.whl` | 1.25 | 2026-11-30, 1234567 | content; abi3audit | not loaded |"
    other = row.replace("a.whl", "b.whl")
    assert script.page_of(found, f"head\n| `a.whl` | 1.00 |\n{other}\n").splitlines()[2:] == [row, other]
    assert row in page.read_text()
    assert page.read_text().startswith("before\n")
    assert page.read_text().endswith("after\n")
    assert "old" not in page.read_text()
    (tmp_path / "a.whl").write_bytes(b"")
    said = script.summary(found, tmp_path)
    assert "\n  untested: not loaded\n" in said
    assert said.endswith("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a.whl\n")  # of nothing


def test_a_target_that_is_none_is_wrong_usage(script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        script.main(["linux"])
    assert stopped.value.code == 2
    assert "TARGET: must be of manylinux-x86_64, " in capsys.readouterr().err
