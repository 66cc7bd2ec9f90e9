from __future__ import annotations

import os
from pathlib import Path

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


def test_memory_is_that_of_psutil() -> None:
    import psutil

    assert host.memory_bytes() == psutil.virtual_memory().total
