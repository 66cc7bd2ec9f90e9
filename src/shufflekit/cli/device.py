"""`shufflekit device`: what this machine can do at most."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from shufflekit.cli._output import notice, print_json, stderr, stdout
from shufflekit.device import Device, PeakRate, Rate, load_device

_BUSY = 0.8  # medians this far below the best mean that something else was running


def device(*, json: bool = False, refresh: bool = False) -> None:
    """Measure what this machine can do at most: multiply-adds and bandwidth.

    Args:
        json: print the record as JSON.
        refresh: measure again, even if there is a record of this machine.
    """
    with stderr().status("measuring this machine") as status:
        found = load_device(refresh, tell=lambda what: status.update(f"measuring {what}"), warn=notice)
    if json:
        print_json(found.to_dict())
    else:
        stdout().print(_report(found))
    if _busy(found):
        notice("something else was running while this was measured; `shufflekit device --refresh` in a quiet minute")


def _report(found: Device) -> Group:
    caches = ", ".join(
        f"L{c.level} {_size(c.bytes)}" + (f" (shared by {c.shared_by})" if c.shared_by > 1 else "") for c in found.caches
    )
    facts = [
        f"{found.cpu} ({found.architecture}), {found.cores} cores, {found.memory_bytes / 2**30:.1f} GiB, {found.system}",
        f"caches: {caches or 'unknown'}",
        f"vector instructions: {' '.join(found.vector_features) or 'none known'}; fastest here: {found.peak.instruction_set}",
        f"measured on {found.measured_on}: best of short windows, (median)",
    ]
    peaks = [_peaks(found, "float32", found.peaks), *([_peaks(found, "int8", found.int8_peaks)] if found.int8_peaks else [])]
    return Group(*(Text(line) for line in facts), *peaks, _copies(found))


def _peaks(found: Device, kind: str, peaks: Sequence[PeakRate]) -> Table:
    table = Table("instruction set", title=f"{kind} multiply-adds, G/s", title_justify="left")
    for column in ("one core", f"all {found.cores} cores"):
        table.add_column(column, justify="right")
    for peak in peaks:
        table.add_row(peak.instruction_set, _giga(peak.one_core), _giga(peak.all_cores))
    return table


def _copies(found: Device) -> Table:
    table = Table("working set of each core", title="copies, GB/s read plus written", title_justify="left")
    for column in ("one core", f"all {found.cores} cores"):
        table.add_column(column, justify="right")
    for copy in found.copies:
        together = _giga(copy.all_cores) if copy.all_cores else "too little memory"
        table.add_row(_size(copy.working_set_bytes), _giga(copy.one_core), together)
    return table


def _busy(found: Device) -> bool:
    rates = [rate for peak in (*found.peaks, *found.int8_peaks) for rate in (peak.one_core, peak.all_cores)]
    return any(rate.median < _BUSY * rate.best for rate in rates)


def _giga(rate: Rate) -> str:
    return f"{rate.best / 1e9:.1f} ({rate.median / 1e9:.1f})"


def _size(count: int) -> str:
    return f"{count >> 20} MiB" if count >= 1 << 20 else f"{count >> 10} KiB"
