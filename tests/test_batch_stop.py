"""Batches that end before they are done: Ctrl-C, a signal of one's own, and time limits within one long step.

Measured on two shared cores (2026-11-21), within a step of 2 s: Ctrl-C 12 ms, `cancel` 21 ms, time limits overrun by
14 ms. The bounds here are wide, since a loaded machine must not fail them.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rer_numba import BatchInterrupted, PackageData, Repository
from rer_numba.engine import uses_jit

SLOW_MACHINE = 1.0
"""Seconds. The goals are 0.1 for an end, 0.05 beyond a time limit."""

pytestmark = pytest.mark.skipif(uses_jit(), reason="uncompiled or checked code is slow")


def ratchet(n: int) -> list[PackageData]:
    """Two families that take the newest version from each other in turn: one step of 2 n reductions, each of n."""
    sides = (("a", "b", "<="), ("b", "a", "<"))
    return [PackageData(x, str(v), [f"{y}{sign}{v}"]) for x, y, sign in sides for v in range(1, n + 1)]


@pytest.fixture(scope="module")
def long() -> Repository:
    """A repository in which one step takes seconds."""
    return Repository.from_packages([*ratchet(3000), PackageData("quick", "1")])


LONG = ["a", "b"]


def test_the_step_is_long(long: Repository) -> None:
    start = time.perf_counter()
    result = long.solve(LONG, time_limit=0.5)
    assert (result.status, result.num_solves, result.num_fails) == ("aborted", 1, 0)
    assert result.failure_description == "time limit exceeded"
    assert time.perf_counter() - start >= 0.5


@pytest.mark.parametrize("limit", [0.02, 0.1, 0.3])
def test_a_time_limit_within_a_step(long: Repository, limit: float) -> None:
    start = time.perf_counter()
    assert long.solve(LONG, time_limit=limit).status == "aborted"
    assert limit <= time.perf_counter() - start < limit + SLOW_MACHINE
    batch = long.solve_many([LONG, ["quick"], LONG], time_limit=limit, threads=1, reuse=False)
    assert [one.status for one in batch] == ["aborted", "solved", "aborted"]
    assert all(limit <= one.solve_time_ms / 1000 < limit + SLOW_MACHINE for one in batch[::2])
    assert long.solve(["quick"]).status == "solved"


def cancel_by(stop: Callable[[], Any]) -> list[float]:
    """Do something in a while; the list gets the time when it was done."""
    done: list[float] = []

    def run() -> None:
        time.sleep(0.2)
        done.append(time.perf_counter())
        stop()

    threading.Thread(target=run).start()
    return done


@pytest.mark.parametrize("kind", ["event", "function"])
def test_cancel(long: Repository, kind: str) -> None:
    event = threading.Event()
    cancelled = cancel_by(event.set)
    requests = [["quick"], *([LONG] * 10), ["quick"]]
    batch = long.solve_many(requests, threads=2, reuse=False, cancel=event if kind == "event" else event.is_set)
    assert time.perf_counter() - cancelled[0] < SLOW_MACHINE
    assert [one.status for one in batch][:2] == ["solved", "cancelled"]
    assert batch.is_cancelled
    assert len(batch) == len(requests)
    assert batch.counts["cancelled"] >= 10
    assert batch[5].failure_description == "the solve was cancelled"
    table = batch.to_arrow()
    assert table["status"].to_pylist() == [one.status for one in batch]
    assert long.solve_many([["quick"]] * 3)[2].status == "solved"


def test_cancel_while_requests_are_read(long: Repository) -> None:
    """A generator is asked for nothing more; the batch is as long as what was read."""
    event = threading.Event()

    def requests() -> Iterator[list[str]]:
        for n in range(1_000_000):
            if n == 3000:
                event.set()
                time.sleep(0.05)
            yield ["quick", f"!none-{n}"]

    batch = long.solve_many(requests(), cancel=event)
    assert batch.is_cancelled
    assert 3000 <= len(batch) < 20_000
    assert len(batch) == batch.n_taken
    assert batch.counts["solved"] + batch.counts["cancelled"] == len(batch)
    assert len(batch.to_arrow()) == len(batch)


def test_cancelled_before_it_begins(long: Repository) -> None:
    batch = long.solve_many([LONG] * 5, cancel=lambda: True)
    assert [one.status for one in batch] == ["cancelled"] * 5
    assert batch.counts == {"cancelled": 5}


def test_cancelled_when_all_is_done(long: Repository) -> None:
    """Nothing is missing, so it is not cancelled."""
    assert not long.solve_many([["quick"]] * 5, cancel=lambda: False).is_cancelled


def test_a_function_that_raises(long: Repository) -> None:
    def fails() -> bool:
        raise ZeroDivisionError

    before = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        long.solve_many([LONG] * 5, cancel=fails)
    assert threading.active_count() == before


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
@pytest.mark.parametrize("where", ["solving", "reading"])
def test_interrupt(long: Repository, where: str) -> None:
    def requests() -> Iterator[list[str]]:
        yield from [["quick", f"!none-{n}"] for n in range(100)]
        if where == "reading":
            time.sleep(30)
        yield from [LONG] * 10

    before = threading.active_count()
    interrupted = cancel_by(lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt) as caught:
        long.solve_many(requests(), threads=2, reuse=False)
    assert time.perf_counter() - interrupted[0] < SLOW_MACHINE
    assert isinstance(caught.value, BatchInterrupted)
    batch = caught.value.batch
    assert batch.is_cancelled
    assert batch[0].status == "solved"
    assert batch[-1].status == "cancelled" or where == "reading"
    assert batch.n_done >= 32
    assert threading.active_count() <= before + 1  # the one that sent the signal may be about to end
    assert long.solve(["quick"]).status == "solved"
    assert len(batch.to_arrow()) == len(batch)


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_interrupt_of_an_iterator(long: Repository) -> None:
    interrupted = cancel_by(lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        list(long.solve_iter([LONG] * 10, reuse=False))
    assert time.perf_counter() - interrupted[0] < SLOW_MACHINE
    assert long.solve(["quick"]).status == "solved"


def test_an_iterator_that_is_dropped(long: Repository) -> None:
    before = threading.active_count()
    results = long.solve_iter([["quick"], LONG, LONG], threads=1, reuse=False)
    start = time.perf_counter()
    results.close()  # type: ignore[attr-defined]
    del results
    assert time.perf_counter() - start < SLOW_MACHINE
    assert threading.active_count() == before
