"""Keeps the record of this machine in the user's cache folder."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable
from pathlib import Path

from shufflekit.device import host
from shufflekit.device.measure import BENCHMARK, measure_device
from shufflekit.device.record import Device
from shufflekit.environment import cache_folder
from shufflekit.errors import InputError, one_line
from shufflekit.files import write_atomic


def record_path() -> Path:
    """The file for this machine; its name holds a hash of processor, cores and version of the benchmark."""
    machine = f"{host.cpu_name()}|{platform.machine()}|{host.usable_cores()} cores|benchmark {BENCHMARK}"
    return cache_folder() / "device" / f"{hashlib.sha256(machine.encode()).hexdigest()[:16]}.json"


def load_device(
    refresh: bool = False, tell: Callable[[str], None] = lambda _: None, warn: Callable[[str], None] = lambda _: None
) -> Device:
    """The record of this machine: as kept from an earlier call, else measured now and kept.

    Args:
        refresh: measure even if there is a record.
        tell: called with what is measured next.
        warn: called with one line when a record cannot be read or written; neither stops the call.

    Returns:
        The record; rates per second.

    Raises:
        NotBuiltError: nothing is kept and the package was installed without its compiled part.
    """
    path = record_path()
    if not refresh and path.exists():
        try:
            found = Device.from_json(path.read_text(encoding="utf-8"))
            here = (host.cpu_name(), platform.machine(), host.usable_cores())
            if (found.cpu, found.architecture, found.cores) != here:
                raise InputError(f"is of {found.cpu} with {found.cores} cores, this is {here[0]} with {here[2]}")
            return found
        except (InputError, OSError, UnicodeDecodeError) as error:
            warn(f"{path}: {error}; measuring anew")
    device = measure_device(tell)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, device.to_json().encode())
    except OSError as error:
        warn(f"{path}: not kept ({error.strerror or one_line(error)})")
    return device
