"""Batches that end before they are done: Ctrl-C, a signal of one's own, and time limits within one long step.

Measured on two shared cores (2026-11-21), within a step of 2 s: Ctrl-C 12 ms, `cancel` 21 ms, time limits overrun by
14 ms. The bounds here are wide, and count the time that this process had of its processors, not what others had: a
loaded machine must not fail them.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from rer_numba import BatchInterrupted, PackageData, Repository
from rer_numba.environment import uses_jit
from tests.process import PATIENCE, wait_until, work_for

MOST_WORK = 2.0
"""Seconds of work, of two threads, until the end. The goals are 0.1 for an end, 0.05 beyond a time limit."""

pytestmark = pytest.mark.skipif(uses_jit(), reason="uncompiled or checked code is slow")


def ratchet(n: int) -> list[PackageData]:
    """Two families that take the newest version from each other in turn: one step of 2 n reductions, each of n."""
    sides = (("a", "b", "<="), ("b", "a", "<"))
    return [PackageData(x, str(v), [f"{y}{sign}{v}"]) for x, y, sign in sides for v in range(1, n + 1)]


@pytest.fixture(scope="module")
def long() -> Repository:
    """A repository in which one step takes many seconds, however fast the machine is."""
    repository = Repository.from_packages([*ratchet(8000), PackageData("quick", "1")])
    assert repository.solve(["quick"]).status == "solved"  # kernels are loaded
    return repository


LONG = ["a", "b"]


def test_the_step_is_long(long: Repository) -> None:
    start = time.monotonic()
    result = long.solve(LONG, time_limit=0.5)
    assert (result.status, result.num_solves, result.num_fails) == ("aborted", 1, 0)
    assert result.failure_description == "time limit exceeded"
    assert time.monotonic() - start >= 0.5


@pytest.mark.parametrize("limit", [0.02, 0.1, 0.3])
def test_a_time_limit_within_a_step(long: Repository, limit: float) -> None:
    start, begun = time.monotonic(), time.process_time()
    assert long.solve(LONG, time_limit=limit).status == "aborted"
    assert time.monotonic() - start >= limit
    assert time.process_time() - begun < limit + MOST_WORK
    start = time.monotonic()
    batch = long.solve_many([LONG, ["quick"], LONG], time_limit=limit, threads=1, reuse=False)
    assert time.monotonic() - start >= 2 * limit
    assert [one.status for one in batch] == ["aborted", "solved", "aborted"]
    assert time.process_time() - begun < 3 * (limit + MOST_WORK)
    assert long.solve(["quick"]).status == "solved"


class Stop:
    """Does something once it has been asked for what is long, and has worked at that for a while.

    Parameters
    ----------
    stop : callable
        What it does, in a thread of its own.
    after : float
        Seconds of work until then.

    Attributes
    ----------
    begun : threading.Event
        To be set when the last request has been asked for.
    """

    def __init__(self, stop: Callable[[], object], after: float = 0.2) -> None:
        self.begun = threading.Event()
        self._stop, self._after = stop, after
        self._worked = 0.0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        assert self.begun.wait(PATIENCE)
        work_for(self._after)
        self._worked = time.process_time()
        self._stop()

    def requests(self, *requests: list[str]) -> Iterator[list[str]]:
        """All of these requests, after which `begun` is set."""
        yield from requests
        self.begun.set()

    def check(self) -> None:
        """Compare how much has been done since with what may be."""
        self._thread.join()
        assert time.process_time() - self._worked < MOST_WORK


def interrupt() -> None:
    """Send Ctrl-C to this process."""
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("kind", ["event", "function"])
def test_cancel(long: Repository, kind: str) -> None:
    event = threading.Event()
    stop = Stop(event.set)
    requests = [["quick"], *([LONG] * 10), ["quick"]]
    stop.begun.set()
    batch = long.solve_many(requests, threads=2, reuse=False, cancel=event if kind == "event" else event.is_set)
    stop.check()
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
    before = threading.active_count()
    stop = Stop(interrupt, after=0.0 if where == "reading" else 0.2)
    n_solved = [0]

    def requests() -> Iterator[list[str]]:
        yield from [["quick", f"!none-{n}"] for n in range(100)]
        if where == "reading":
            while n_solved[0] < 32:
                time.sleep(0.06)  # then what has been read is handed in
                yield ["quick"]
            stop.begun.set()
            wait_until(lambda: False, "Ctrl-C")  # one long sleep misses a signal that comes just before it
        yield from stop.requests(*[LONG] * 10)

    def progress(what: str, done: int, total: int) -> None:
        n_solved[0] = done

    with pytest.raises(KeyboardInterrupt) as caught:
        long.solve_many(requests(), threads=2, reuse=False, progress=progress)
    stop.check()
    assert isinstance(caught.value, BatchInterrupted)
    batch = caught.value.batch
    assert batch.is_cancelled
    assert batch[0].status == "solved"
    assert batch[-1].status == "cancelled" or where == "reading"
    assert batch.n_done >= 32
    assert threading.active_count() == before
    assert long.solve(["quick"]).status == "solved"
    assert len(batch.to_arrow()) == len(batch)


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_interrupt_of_an_iterator(long: Repository) -> None:
    stop = Stop(interrupt)
    with pytest.raises(KeyboardInterrupt):
        list(long.solve_iter(stop.requests(*[LONG] * 10), reuse=False))
    stop.check()
    assert long.solve(["quick"]).status == "solved"


def test_an_iterator_that_is_dropped(long: Repository) -> None:
    before = threading.active_count()
    results = long.solve_iter([["quick"], LONG, LONG], threads=1, reuse=False)
    begun = time.process_time()
    results.close()  # type: ignore[attr-defined]
    del results
    assert time.process_time() - begun < MOST_WORK
    assert threading.active_count() == before
