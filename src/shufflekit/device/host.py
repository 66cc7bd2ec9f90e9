"""What the operating system says of the machine; nothing is measured here."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import sys
from pathlib import Path

from shufflekit.device.record import Cache

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def cpu_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's model; on ARM, where Linux gives none, its implementer and part numbers."""
    fields: dict[str, str] = {}
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            fields.setdefault(key.strip(), value.strip())
    if "model name" in fields:
        return fields["model name"]
    if "CPU part" in fields:
        return f"implementer {fields.get('CPU implementer', '?')}, part {fields['CPU part']}"
    brand = _of_macos("machdep.cpu.brand_string").rstrip(b"\0").decode(errors="replace") if sys.platform == "darwin" else ""
    return brand or platform.processor() or platform.machine() or "unknown"


def usable_cores() -> int:
    """Cores that this process may run on, which can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_bytes() -> int:
    """Physical memory in bytes."""
    if os.name == "nt":
        status = _WindowsMemory(ctypes.sizeof(_WindowsMemory))
        if not ctypes.CDLL("kernel32").GlobalMemoryStatusEx(ctypes.byref(status)):
            raise OSError("GlobalMemoryStatusEx failed")
        return int(status.total)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def caches(folder: Path = Path("/sys/devices/system/cpu/cpu0/cache")) -> tuple[Cache, ...]:
    """Data caches of core 0 from the nearest on; empty where the system does not say."""
    found = []
    for entry in sorted(folder.glob("index*")):
        try:
            kind, level, size, shared = (
                (entry / name).read_text(encoding="utf-8").strip() for name in ("type", "level", "size", "shared_cpu_list")
            )
        except OSError:
            continue
        number = re.fullmatch(r"(\d+)([KMG]?)", size)
        if number and kind != "Instruction":
            found.append(Cache(int(level), int(number[1]) * _UNITS[number[2]], _count(shared)))
    return tuple(found)


class _WindowsMemory(ctypes.Structure):
    """`MEMORYSTATUSEX`, whose first field says how long it is."""

    _fields_ = (
        ("length", ctypes.c_uint32),
        ("load", ctypes.c_uint32),
        ("total", ctypes.c_uint64),
        ("others", ctypes.c_uint64 * 6),
    )


def _of_macos(name: str) -> bytes:
    """What `sysctl` says under a name; empty where it says nothing."""
    found, size = ctypes.create_string_buffer(256), ctypes.c_size_t(256)
    failed = ctypes.CDLL(None).sysctlbyname(name.encode(), found, ctypes.byref(size), None, ctypes.c_size_t(0))
    return b"" if failed else found.raw[: size.value]


def _count(cpu_list: str) -> int:
    """Cores in a list as Linux writes it: `0-3,8` has five."""
    ranges = (part.partition("-") for part in cpu_list.split(","))
    return sum(int(last or first) - int(first) + 1 for first, _, last in ranges)
