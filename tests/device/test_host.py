from __future__ import annotations

import ctypes
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from shufflekit.device import Cache, host


def test_cpu_name_of_an_x86(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Some CPU @ 3 GHz\n\nprocessor\t: 1\nmodel name\t: Other\n")
    assert host.cpu_name(tmp_path / "cpuinfo") == "Some CPU @ 3 GHz"


def test_cpu_name_of_an_arm(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n")
    assert host.cpu_name(tmp_path / "cpuinfo") == "implementer 0x41, part 0xd0c"


def test_cpu_name_is_never_empty(tmp_path: Path) -> None:
    assert host.cpu_name(tmp_path / "absent")


def test_caches_as_linux_describes_them(tmp_path: Path) -> None:
    for index, (kind, level, size, shared) in enumerate(
        [
            ("Data", "1", "48K", "0"),
            ("Instruction", "1", "32K", "0"),
            ("Unified", "2", "2M", "0,4"),
            ("Unified", "3", "36864K", "0-3,8"),
            ("Unified", "4", "unknown", "0"),  # left out
        ]
    ):
        folder = tmp_path / f"index{index}"
        folder.mkdir()
        for name, value in zip(("type", "level", "size", "shared_cpu_list"), (kind, level, size, shared)):
            (folder / name).write_text(f"{value}\n")
    (tmp_path / "index9").mkdir()  # nothing in it: left out
    assert host.caches(tmp_path) == (Cache(1, 49152, 1), Cache(2, 2 << 20, 2), Cache(3, 36864 << 10, 5))
    assert host.caches(tmp_path / "absent") == ()


def test_cores_are_those_this_process_may_use() -> None:
    assert 1 <= host.usable_cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(("there", "found"), [(6, 6), (None, 1)])
def test_where_no_core_is_kept_from_a_process_all_are_usable(
    monkeypatch: pytest.MonkeyPatch, there: int | None, found: int
) -> None:
    monkeypatch.setattr(host, "os", SimpleNamespace(cpu_count=lambda: there))  # as on macOS and Windows
    assert host.usable_cores() == found


def test_memory_is_that_of_psutil() -> None:
    import psutil

    assert host.memory_bytes() == psutil.virtual_memory().total


def test_the_name_and_memory_where_the_system_is_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The systems' own calls, faked; what they are given is checked where it says how long it is."""
    monkeypatch.setattr(host, "sys", SimpleNamespace(platform="darwin"))
    monkeypatch.setattr(host.ctypes, "CDLL", lambda _: SimpleNamespace(sysctlbyname=sysctlbyname))
    monkeypatch.setattr(host.platform, "processor", lambda: "arm")
    assert host.cpu_name(tmp_path / "absent") == "Apple M1"

    monkeypatch.setattr(host, "os", SimpleNamespace(name="nt"))
    monkeypatch.setattr(host.ctypes, "CDLL", {"kernel32": SimpleNamespace(GlobalMemoryStatusEx=memory_status)}.get)
    assert host.memory_bytes() == 8 << 30


def sysctlbyname(name: bytes, found: Any, size: Any, new: None, new_size: ctypes.c_size_t) -> int:
    if name != b"machdep.cpu.brand_string" or size._obj.value < 9:
        return -1
    found.value, size._obj.value = b"Apple M1", 9
    return 0


def refused(name: bytes, found: Any, *_: Any) -> int:
    found.value = b"a part of it"  # of a name that is longer than there is room for
    return -1


def memory_status(reference: Any) -> int:
    if reference._obj.length != 64 or ctypes.sizeof(reference._obj) != 64:  # as Windows' headers have it
        return 0
    reference._obj.total = 8 << 30
    return 1


def test_a_system_that_says_nothing_is_named_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "sys", SimpleNamespace(platform="darwin"))
    monkeypatch.setattr(host.ctypes, "CDLL", lambda _: SimpleNamespace(sysctlbyname=refused))
    monkeypatch.setattr(host.platform, "processor", lambda: "arm")
    assert host.cpu_name(tmp_path / "absent") == "arm"
