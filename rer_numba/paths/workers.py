"""Families read by several processes.

Reading is Python code that parses Python code: threads do not help. Each worker is a fresh interpreter that talks
through its pipes; this process reads families too. Whoever is free takes the next few, so that nobody waits for a slow
one. `multiprocessing` is not used, since it runs the caller's main module again, or copies a process with threads.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from threading import Thread
from typing import Any, BinaryIO

from rer_numba import forking
from rer_numba.errors import RerError
from rer_numba.paths.read import FamilyPlaces, Reading, read_families
from rer_numba.paths.settings import PathSettings

_MAX_PROCESSES = 8
"""More have not much to do: the files come from one disk."""
_FAMILIES_AT_A_TIME = 16
_WORTH_A_PROCESS = 150
"""Families that take as long to read as a process takes to start: 0.2 s."""

_WORK = "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); import rer_numba.paths.workers as w; w.work()"


def process_count(wanted: int | None, families: int) -> int:
    """How many processes read so many families, this one included."""
    if wanted is None:
        wanted = min(_cpus(), _MAX_PROCESSES, 1 + families // _WORTH_A_PROCESS)
    return wanted if _is_python(sys.executable) else 1


def _cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _is_python(executable: str | None) -> bool:
    """Tell whether the interpreter can be started by its name; inside an application that name is the application."""
    return os.path.basename(executable or "").lower().startswith(("python", "pypy"))


def read_in_processes(
    families: Sequence[FamilyPlaces], settings: PathSettings, processes: int, on_progress: Callable[[int], None]
) -> list[Reading]:
    """Read families without a loader.

    Parameters
    ----------
    families : sequence of FamilyPlaces
    settings : PathSettings
    processes : int
        At most so many, this one included.
    on_progress : callable
        Called in this thread with the number of families read so far.

    Returns
    -------
    list of Reading
        In no particular order.
    """
    shares, generation = _Shares(families), forking.generation()
    workers = [_Worker(shares, settings) for _ in range(processes - 1)]
    try:
        for share in shares:
            shares.done(read_families(share, settings), len(share))
            on_progress(shares.count)
        for worker in workers:
            while worker.is_alive():
                worker.join(0.1)
                on_progress(shares.count)
    finally:
        shares.close()
        for worker in workers:
            worker.stop()
    if generation != forking.generation():
        raise RerError("a child that was forked while packages were read cannot go on with that: it lacks the readers")
    for share in shares.given_back:  # of workers that died
        shares.done(read_families(share, settings), len(share))
    return shares.readings


class _Shares:
    """Hands out families, a few at a time, and collects what was read. Used by several threads."""

    def __init__(self, families: Sequence[FamilyPlaces]) -> None:
        self._lock = forking.Lock()
        size = _FAMILIES_AT_A_TIME
        self._left = [families[start : start + size] for start in range(0, len(families), size)]
        self.readings: list[Reading] = []
        self.given_back: list[Sequence[FamilyPlaces]] = []
        self.count = 0

    def __iter__(self) -> Iterator[Sequence[FamilyPlaces]]:
        while True:
            with self._lock:
                if not self._left:
                    return
                share = self._left.pop()
            yield share

    def close(self) -> None:
        """Hand out nothing more."""
        with self._lock:
            self._left.clear()

    def done(self, reading: Reading, families: int) -> None:
        """Take what was read."""
        with self._lock:
            self.readings.append(reading)
            self.count += families


class _Worker(Thread):
    """A process, and the thread that feeds it."""

    def __init__(self, shares: _Shares, settings: PathSettings) -> None:
        super().__init__(daemon=True)
        self._shares = shares
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def run(self) -> None:
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _WORK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            self._feed(self._process.stdin, self._process.stdout)
        except OSError:
            pass  # a process that cannot be started, or has died: the others do its work

    def _feed(self, to_process: Any, from_process: Any) -> None:
        _send(to_process, sys.path)
        _send(to_process, self._settings)
        for share in self._shares:
            try:
                _send(to_process, share)
                reading = pickle.load(from_process)
            except Exception:  # noqa: BLE001 - half an answer of a process that died can be anything
                self._shares.given_back.append(share)
                return
            self._shares.done(reading, len(share))
        to_process.close()

    def stop(self) -> None:
        """End the process, whatever it is doing. The shares must be closed."""
        if self._process is not None:
            self._process.kill()  # so that the thread does not wait for it
        self.join()
        if self._process is not None:  # perhaps only since then
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                with contextlib.suppress(OSError):  # what was not sent to a process that died
                    stream.close()  # type: ignore[union-attr]


def _send(stream: BinaryIO, thing: object) -> None:
    pickle.dump(thing, stream, protocol=pickle.HIGHEST_PROTOCOL)
    stream.flush()


def work() -> None:
    """Be a worker: read what comes through stdin until it ends."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the first process ends us
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    settings = pickle.load(stdin)
    while True:
        try:
            share = pickle.load(stdin)
        except EOFError:
            return
        _send(stdout, read_families(share, settings))
