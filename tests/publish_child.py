"""Writers and readers of repository files, as processes of their own. Runs as ``python -m tests.publish_child``.

``kill TARGET COUNT SEED``
    Starts a writer COUNT times and kills each at a random moment after it has begun, and some more if hardly any was
    in the middle of something. After each kill the target must be what the writer had published last, or what it was
    publishing. POSIX only, since writers are forked: there is no time for a new Python each.
``write TARGET LAST MARKS READERS``
    Publishes the generations 0 to LAST, and on until so many readers have seen enough, and removes superseded ones at
    once. MARKS is a folder in which they tell each other.
``read TARGET MARKS``
    Opens the target until it is the last generation. Each must be whole, and none older than the one before.

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
from tests.process import PATIENCE
from tests.tables_factory import small_tables

SMALL = small_tables(building=False)
ENOUGH = 6
"""Generations that a reader must have seen."""
MOST_KILLS = 50
"""How often a writer is killed, for each time that is asked for, to kill some in the middle of something."""
LAST = "last"
"""In the folder of marks: the last generation. Each reader that has seen enough, or failed, leaves its own mark."""


def numbered(number: int) -> Tables:
    """Tables that contain their number."""
    return SMALL._replace(package_timestamp=np.full_like(SMALL.package_timestamp, number))


def publish(target: str, number: int, keep_seconds: float = 0.0) -> None:
    """Write one generation to a file or to a folder."""
    with generations.lock_target(target, wait_seconds=PATIENCE):
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

    rng, asked = random.Random(int(seed)), int(count)
    started = time.monotonic()
    _Child(lambda tell: publish(target, 0)).finish()
    span = 2 * (time.monotonic() - started)
    last, published, litter, kills = 0, 0, 0, 0
    while kills < asked or ((not published or litter <= asked // 20) and kills < MOST_KILLS * asked):
        started = time.monotonic()
        done = _Child(functools.partial(_publish_forever, target, last + 1)).kill(rng.uniform(0, span))
        if done:  # so that the next one is killed within its first or second
            span = 2 * (time.monotonic() - started) / len(done)
        kills += 1
        published += len(done)
        newest = done[-1] if done else last
        last = number_of(open_target(target))
        assert last in (newest, newest + 1), (last, newest)
        litter += _temporary_files(target)
    _Child(lambda tell: publish(target, last + 1)).finish()
    assert number_of(open_target(target)) == last + 1
    return {"published": published, "temporary files": litter, "kills": kills}


def _temporary_files(target: str) -> int:
    """How many files a writer left that it was still writing."""
    return sum(name.endswith(".tmp") for name in os.listdir(os.path.dirname(target)))


def _publish_forever(target: str, first: int, tell: Callable[[int], None]) -> None:
    number = first
    while True:
        publish(target, number)
        tell(number)
        number += 1


class _Child:
    """Work in a forked child, which tells a number for each part that is done."""

    def __init__(self, work: Callable[[Callable[[int], None]], None]) -> None:
        source, sink = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            status = 1
            try:
                os.close(source)
                os.write(sink, b"begun\n")
                work(lambda number: _tell(sink, number))
                status = 0
            finally:
                os._exit(status)
        os.close(sink)
        self._told = os.fdopen(source, "rb")
        assert self._told.readline() == b"begun\n"

    def kill(self, seconds: float) -> list[int]:
        """Kill it after a while; return the numbers that it told."""
        time.sleep(seconds)
        os.kill(self._pid, signal.SIGKILL)
        return self._end(signal.SIGKILL)

    def finish(self) -> None:
        """Wait until it has done all, and told nothing."""
        assert self._end(0) == []

    def _end(self, expected: int) -> list[int]:
        with self._told:
            numbers = [int(line) for line in self._told]
        status = os.waitpid(self._pid, 0)[1]
        assert status == expected, status
        return numbers


def _tell(sink: int, number: int) -> None:
    os.write(sink, f"{number}\n".encode())


# --------------------------------------------------------------------------------------------------- write and read
def write(target: str, last: str, marks: str, readers: str) -> dict[str, int]:
    number = 0
    while number <= int(last) or len(os.listdir(marks)) < int(readers):
        publish(target, number)
        number += 1
    _mark(marks, LAST, number - 1)
    return {"published": number}


def read(target: str, marks: str) -> dict[str, int]:
    numbers: list[int] = []
    try:
        _read_all(target, marks, numbers)
    finally:
        _mark(marks, f"reader {os.getpid()}", 0)  # the writer must not wait for what failed
    return {"opened": len(numbers), "generations": len(set(numbers))}


def _read_all(target: str, marks: str, numbers: list[int]) -> None:
    before: store.OpenedFile | None = None
    while not numbers or numbers[-1] != _last(marks):
        opened = open_target(target)
        numbers.append(number_of(opened))
        assert numbers[-1] >= numbers[max(0, len(numbers) - 2)], numbers[-2:]
        if before is not None:  # it may have been removed meanwhile, and is still whole for those who have it
            assert store.fingerprint(before.tables) == before.fingerprint
        before = opened
        if len(set(numbers)) == ENOUGH:
            _mark(marks, f"reader {os.getpid()}", 0)
        time.sleep(0.01)


def _mark(marks: str, name: str, number: int) -> None:
    """Leave a mark, which is there with its number or not at all."""
    made = os.path.join(os.path.dirname(marks), f"{os.getpid()}.mark")
    with open(made, "w") as file:
        file.write(str(number))
    os.replace(made, os.path.join(marks, name))


def _last(marks: str) -> int | None:
    """The last generation, once it is known."""
    try:
        with open(os.path.join(marks, LAST)) as file:
            return int(file.read())
    except FileNotFoundError:
        return None


if __name__ == "__main__":
    actions: dict[str, Callable[..., dict[str, int]]] = {"kill": kill, "write": write, "read": read}
    print(json.dumps(actions[sys.argv[1]](*sys.argv[2:])))
