"""Writers and readers of repository files, as processes of their own. Runs as ``python -m tests.publish_child``.

``kill TARGET COUNT SEED``
    Starts a writer COUNT times and kills each at a random moment. After each kill the target must be what the writer
    had published last, or what it was publishing. POSIX only, since writers are forked: there is no time for a new
    Python each.
``write TARGET LAST``
    Publishes the generations 0 to LAST, and removes superseded ones at once.
``read TARGET LAST``
    Opens the target until it is generation LAST. Each must be whole, and none older than the one before.

Each prints what it saw as JSON.
"""

from __future__ import annotations

import functools
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable

import numpy as np

from rer_numba import generations, store
from rer_numba.schema import Tables
from tests.tables_factory import small_tables

SMALL = small_tables(building=False)


def numbered(number: int) -> Tables:
    """Tables that contain their number."""
    return SMALL._replace(package_timestamp=np.full_like(SMALL.package_timestamp, number))


def publish(target: str, number: int, keep_seconds: float = 0.0) -> None:
    """Write one generation to a file or to a folder."""
    with generations.lock_target(target, wait_seconds=10):
        if not generations.is_folder(target):
            store.write(numbered(number), target, {"number": str(number)})
            return
        prepared = store.prepare(numbered(number), {"number": str(number)})
        generations.publish(target, prepared.fingerprint, prepared.fill, keep_seconds=keep_seconds)


def open_target(target: str) -> store.OpenedFile:
    """Open a file or a folder, and look at all of it."""

    def opener(path: str) -> store.OpenedFile:
        return store.read(path, verify="always")

    return generations.open_current(target, opener) if generations.is_folder(target) else opener(target)


def number_of(opened: store.OpenedFile) -> int:
    """The number of a whole generation."""
    number = int(opened.metadata["number"])
    assert (opened.tables.package_timestamp == number).all()
    return number


# ------------------------------------------------------------------------------------------------------------- kill
def kill(target: str, count: str, seed: str) -> dict[str, int]:
    import pyarrow.ipc  # noqa: F401 - once, for all writers

    rng = random.Random(int(seed))
    publish_first = _in_child(lambda tell: publish(target, 0))
    assert publish_first(30.0) == []
    last, published, litter = 0, 0, 0
    for _ in range(int(count)):
        done = _in_child(functools.partial(_publish_forever, target, last + 1))(rng.uniform(0, 0.1))
        published += len(done)
        newest = done[-1] if done else last
        last = number_of(open_target(target))
        assert last in (newest, newest + 1), (last, newest)
        litter += _temporary_files(target)
    assert _in_child(lambda tell: publish(target, last + 1))(30.0) == []
    assert number_of(open_target(target)) == last + 1
    return {"published": published, "temporary files": litter}


def _temporary_files(target: str) -> int:
    """How many files a writer left that it was still writing."""
    return sum(name.endswith(".tmp") for name in os.listdir(os.path.dirname(target)))


def _publish_forever(target: str, first: int, tell: Callable[[int], None]) -> None:
    number = first
    while True:
        publish(target, number)
        tell(number)
        number += 1


def _in_child(work: Callable[[Callable[[int], None]], None]) -> Callable[[float], list[int]]:
    """Start work in a forked child. The result waits so many seconds, kills it, and returns the numbers it told."""
    source, sink = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(source)
            work(lambda number: _tell(sink, number))
            status = 0
        finally:
            os._exit(status)
    os.close(sink)

    def end(seconds: float) -> list[int]:
        if seconds < 1:
            time.sleep(seconds)
            os.kill(pid, signal.SIGKILL)
        with os.fdopen(source, "rb") as told:
            numbers = [int(line) for line in told]
        status = os.waitpid(pid, 0)[1]
        assert status == (signal.SIGKILL if seconds < 1 else 0), status
        return numbers

    return end


def _tell(sink: int, number: int) -> None:
    os.write(sink, f"{number}\n".encode())


# --------------------------------------------------------------------------------------------------- write and read
def write(target: str, last: str) -> dict[str, int]:
    for number in range(int(last) + 1):
        publish(target, number)
    return {"published": int(last) + 1}


def read(target: str, last: str) -> dict[str, int]:
    numbers: list[int] = []
    before: store.OpenedFile | None = None
    while not numbers or numbers[-1] < int(last):
        opened = open_target(target)
        numbers.append(number_of(opened))
        assert numbers[-1] >= numbers[max(0, len(numbers) - 2)], numbers[-2:]
        if before is not None:  # it may have been removed meanwhile, and is still whole for those who have it
            assert store.fingerprint(before.tables) == before.fingerprint
        before = opened
        time.sleep(0.01)
    return {"opened": len(numbers), "generations": len(set(numbers))}


if __name__ == "__main__":
    actions: dict[str, Callable[..., dict[str, int]]] = {"kill": kill, "write": write, "read": read}
    print(json.dumps(actions[sys.argv[1]](*sys.argv[2:])))
