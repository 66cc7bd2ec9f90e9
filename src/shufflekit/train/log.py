"""What a run records: metrics.jsonl and TensorBoard events in its folder, and lines for whoever watches."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from shufflekit.files import write_atomic


class Watcher(Protocol):
    """Who is told how a run goes; the command line draws bars, a test keeps lists."""

    def note(self, line: str) -> None: ...

    def begin(self, title: str, total: int, done: int) -> None:
        """Training (all of the run's images, each epoch anew) or a validation begins: `done` of `total` images are behind."""
        ...

    def advance(self, images: int) -> None: ...

    def end(self) -> None: ...


class Silent:
    """A watcher who does not care."""

    def note(self, line: str) -> None:
        pass

    def begin(self, title: str, total: int, done: int) -> None:
        pass

    def advance(self, images: int) -> None:
        pass

    def end(self) -> None:
        pass


class Metrics:
    """Appends to metrics.jsonl and to TensorBoard event files.

    Args:
        folder: of the run.
        step: what lies after it is removed, because a resumed run does that part again.
    """

    def __init__(self, folder: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        path = folder / "metrics.jsonl"
        if path.exists():
            lines = [line for line in path.read_text(encoding="utf-8").splitlines() if _step_of(line) <= step]
            write_atomic(path, "".join(f"{line}\n" for line in lines).encode())
        self._events = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1 if step else None)
        try:
            self._lines = path.open("a", encoding="utf-8")
        except OSError:
            self._events.close()
            raise

    def write(self, step: int, values: dict[str, Any]) -> None:
        """Records numbers at an update."""
        self._lines.write(json.dumps({"step": step, **values}) + "\n")
        self._lines.flush()
        for name, value in values.items():
            if isinstance(value, int | float) and name != "epoch":
                self._events.add_scalar(name, value, step)

    def close(self) -> None:
        # What is lost here on a full disk has been reported by the write that met it.
        with suppress(OSError):
            self._lines.close()
        with suppress(OSError):
            self._events.close()


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")  # a line cut by a crash
