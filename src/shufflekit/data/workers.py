"""Processes that read batches ahead; each hangs on a pipe of its own, so that whoever dies, the other side hears of it."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.util import Finalize
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shufflekit.data.samples import PixelReader, Pixels
from shufflekit.errors import ShufflekitError

_AHEAD = 2  # batches that each worker has in hand or on the way
_PATIENCE = 5.0  # seconds that a worker may take to end, before it is killed

Key = tuple[int, NDArray[np.int64]]


class WorkerError(ShufflekitError):
    """A worker process that is gone."""


class Workers:
    """Processes that read micro-batches, in the order in which they are asked for.

    A queue that all share would stand still when the one that writes to it is killed. Here a worker that dies closes its
    pipe, and a trainer that dies, in whatever way, closes all of them, which ends the workers and what started them.

    Args:
        reader: sent to each of them.
        count: of processes.
    """

    def __init__(self, reader: PixelReader, count: int) -> None:
        # A fork would copy this process in the middle of what its threads do; a fresh server process forks cleanly, and
        # imports torch once for all workers.
        method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
        context: Any = multiprocessing.get_context(method)
        if method == "forkserver":
            context.set_forkserver_preload([__name__])
        self._processes: list[Any] = []
        self._pipes: list[Connection] = []
        self._owed = [0] * count
        for _ in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, reader), daemon=True)
            process.start()
            theirs.close()  # the worker's copy is the only one: when it is gone, so is the other end of our pipe
            self._processes.append(process)
            self._pipes.append(ours)
        # Before multiprocessing's own exit, which waits for them.
        Finalize(self, _end, (self._pipes, self._processes), exitpriority=10)

    def batches(self, keys: Sequence[Key]) -> Iterator[Pixels]:
        """The micro-batch of each (epoch, positions).

        Raises:
            WorkerError: a worker is gone.
        """
        for worker, owed in enumerate(self._owed):  # what was asked for in an epoch that nobody finished
            for _ in range(owed):
                self._receive(worker)
        waiting, count = deque[int](), len(self._pipes)
        for number, key in enumerate(keys):
            if len(waiting) == count * _AHEAD:
                yield self._receive(waiting.popleft())
            waiting.append(number % count)
            self._send(number % count, key)
        while waiting:
            yield self._receive(waiting.popleft())

    def _send(self, worker: int, key: Key) -> None:
        try:
            self._pipes[worker].send(key)
        except OSError as error:
            raise self._gone(worker) from error
        self._owed[worker] += 1

    def _receive(self, worker: int) -> Pixels:
        try:
            found = self._pipes[worker].recv()
        except (EOFError, OSError) as error:
            raise self._gone(worker) from error
        self._owed[worker] -= 1
        if isinstance(found, BaseException):
            raise found
        return found

    def _gone(self, worker: int) -> WorkerError:
        process = self._processes[worker]
        process.join(_PATIENCE)
        code = process.exitcode
        how = f"was killed by {signal.Signals(-code).name}" if code is not None and code < 0 else f"ended with exit code {code}"
        hint = "; the system does that when memory runs out" if how.endswith(" SIGKILL") else ""  # which Windows does not know
        return WorkerError(f"workers: process {process.pid}, which decodes images, {how}{hint}")


def _work(pipe: Connection, reader: PixelReader) -> None:
    """What a worker does until the other end of its pipe is closed."""
    for number in (signal.SIGINT, signal.SIGTERM):  # meant for the trainer, which still finishes its update
        signal.signal(number, signal.SIG_IGN)
    try:
        while True:
            epoch, positions = pipe.recv()
            try:
                found: Pixels | Exception = reader.pixels(epoch, positions)
            except Exception as error:  # noqa: BLE001  # whatever it is, the trainer raises it
                found = error
            pipe.send(found)
    except (EOFError, OSError):
        pass


def _end(pipes: list[Connection], processes: list[Any]) -> None:
    for pipe in pipes:
        pipe.close()
    for process in processes:
        process.join(_PATIENCE)
        process.kill()
