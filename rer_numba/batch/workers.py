"""Threads that solve blocks. All of them are at one block until its last row is taken, then at the next.

Compiled code runs without the GIL and takes rows one by one, so whoever is done sooner solves more. Ending: `signal` is
read by compiled code within every solve, so threads come back from it within milliseconds.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rer_numba import forking, state
from rer_numba.batch.blocks import ALONE, Block
from rer_numba.clock import CLOCK
from rer_numba.engine import NO_LIMIT, Session
from rer_numba.errors import ConfigurationError, RerError, SolveLimitError
from rer_numba.results import SolveResult
from rer_numba.schema import NONE
from rer_numba.views import zeros

if TYPE_CHECKING:
    from rer_numba.repository import Repository
    from rer_numba.state import Rows
    from rer_numba.stepping import Limits

_AHEAD = 2
"""Blocks that wait while others are being solved."""
_WAIT = 0.05
"""Seconds: a lock that is waited for without end would not let Ctrl-C through on Windows."""
_LEAST_FOUND = 1 << 15
_WATCH_EVERY = 0.01


def usable_processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


class Workers:
    """Threads for one batch. A context manager: at its end no thread is left.

    Parameters
    ----------
    repository : Repository
    limits : Limits or None
        Of each solve.
    threads : int
    intern : callable
        Gives one object for equal texts.

    Attributes
    ----------
    signal : view of one int64
        What compiled code heeds, see `rer_numba.calling_off`.
    """

    def __init__(
        self, repository: Repository, limits: Limits | None, threads: int, intern: Callable[[Any], Any]
    ) -> None:
        self._repository = repository
        self._limits = limits
        self._most_threads = threads
        self._intern = intern
        has_time = limits is not None and limits.time_limit != NO_LIMIT
        self.signal = zeros("int64", 1)
        self.signal[0] = state.WATCH_CLOCK if has_time else state.NO_SIGNAL
        self._changed = forking.condition()
        self._generation = forking.generation()
        self._waiting: deque[Block] = deque()
        self._unpacked: list[Block] = []
        self._threads: list[threading.Thread] = []
        self._is_closed = False
        self._error: BaseException | None = None

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close()
        if kind is None and self._error is not None:
            raise self._error

    # --- the thread that hands out work

    def submit(self, block: Block) -> None:
        """Hand in a sealed block. Waits while enough of them wait."""
        self._wait(lambda: len(self._waiting) < _AHEAD)
        with self._changed:
            self._unpacked.append(block)
            self._waiting.append(block)
            self._changed.notify_all()
        self._start_threads(block.n_rows)

    def _start_threads(self, n_rows: int) -> None:
        while len(self._threads) < min(self._most_threads, n_rows):
            thread = threading.Thread(target=self._run, name=f"rer-numba {len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def wait_for(self, block: Block, tell: Callable[[], None] | None = None) -> None:
        """Wait until a block is packed."""
        self._wait(lambda: block.is_packed, tell)

    def _wait(self, is_true: Callable[[], bool], tell: Callable[[], None] | None = None) -> None:
        """Wait for something, or for the end of everything. Raises what a thread raised."""
        while True:
            self._make_whole()
            with self._changed:
                self._changed.wait_for(lambda: is_true() or self._error or self.is_cancelled(), _WAIT)
                if self._error is not None:
                    raise self._error
                if is_true() or self.is_cancelled():
                    return
            if tell is not None:
                tell()

    def _make_whole(self) -> None:
        """In a child of fork: the threads are gone, so take back what they had taken, and start others."""
        if self._generation == forking.generation():
            return
        self._generation = forking.generation()
        self._threads.clear()
        self._unpacked = [block for block in self._unpacked if not block.is_packed]
        for block in self._unpacked:
            block.n_workers = 0
            block.rows.next_row[0] = 0  # rows that are done are passed over
        self._waiting = deque(self._unpacked)
        self._start_threads(sum(block.n_rows for block in self._unpacked))

    def n_rows_left(self) -> int:
        """How many rows are not done, of all blocks handed in."""
        with self._changed:
            blocks = list(self._unpacked)
        return sum(block.n_rows - block.n_done() for block in blocks)

    def cancel(self) -> None:
        """End everything. Threads return within milliseconds."""
        self.signal[0] = state.END_NOW
        with self._changed:
            self._changed.notify_all()

    def is_cancelled(self) -> bool:
        """Whether everything is ending."""
        return self.signal[0] == state.END_NOW

    def fail(self, error: BaseException) -> None:
        """End everything with an error, which the handing thread raises."""
        with self._changed:
            self._error = self._error or error
            self.cancel()
            self._changed.notify_all()

    def close(self) -> None:
        """End everything that is not done, and every thread. Each block that was handed in is packed then."""
        if self._generation != forking.generation():
            self._threads.clear()
        with self._changed:
            if self._unpacked:
                self.cancel()
            self._is_closed = True
            self._changed.notify_all()
        for thread in self._threads:
            while thread.is_alive():
                thread.join(_WAIT)
        for block in self._unpacked:
            if not block.is_packed:
                block.pack()
        self._unpacked.clear()

    # --- the threads

    def _run(self) -> None:
        try:
            while (block := self._next_block()) is not None:
                try:
                    self._solve_rows(block)
                except BaseException as error:  # before the block is left, which would be done else
                    self.fail(error)
                    raise
                finally:
                    self._leave(block)
        except BaseException as error:  # noqa: BLE001 - the thread that waits raises it
            self.fail(error)

    def _next_block(self) -> Block | None:
        """A block to work at, together with others; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closed or self.is_cancelled())
            if self.is_cancelled() or not self._waiting:
                return None
            block = self._waiting[0]
            block.n_workers += 1
            return block

    def _leave(self, block: Block) -> None:
        """No row is left in a block, for this thread. The last one packs it."""
        with self._changed:
            if self._waiting and self._waiting[0] is block:
                self._waiting.popleft()
                self._changed.notify_all()
            block.n_workers -= 1
            if block.n_workers or self.is_cancelled():
                return
        block.pack()
        with self._changed:
            self._unpacked.remove(block)
            self._changed.notify_all()

    def _solve_rows(self, block: Block) -> None:
        plan = block.plan
        assert plan is not None
        try:
            session = plan.view.take()
        except SolveLimitError:  # not even the smallest work arrays are allowed: let each row say so
            return self._solve_each_alone(block)
        try:
            rows = self._own_rows(block, session, NONE)
            while (status := self._call(block, session, rows)) not in (state.NO_ROW_LEFT, state.CANCELLED):
                if status == state.FOUND_FULL:
                    rows = self._own_rows(block, session, rows.call[state.ROW], rows.call[state.GOES_ON])
                elif status == state.HAND_BACK or (status == state.NEED_ROOM and not _grows(session, rows)):
                    row = rows.call[state.ROW]
                    rows.call[state.ROW] = NONE
                    ended = rows.call[state.ENDED] if status == state.HAND_BACK else NONE
                    if ended == NONE:
                        self._solve_alone(block, row)
                    elif ended == state.ERROR or not self._finish(block, row, session, ended):
                        block.rows.row_ticks[row] = 0  # it was in time, and is solved from the start
                        self._solve_alone(block, row)
                elif status not in (state.OUT_OF_TIME, state.NEED_ROOM):
                    raise RerError(f"the compiled solver ended with the unknown status {status}")
        finally:
            plan.view.give_back(session)

    def _call(self, block: Block, session: Session, rows: Rows) -> int:
        plan, limits = block.plan, self._limits
        assert plan is not None
        if plan.snapshot.guard is not None:
            families, variants = plan.snapshot.guard.known.views(session)
            # another thread may replace both: what they are now stays alive here until the call ends
            rows = rows._replace(known_family=families, known_variant=variants)
        return session.run_rows(
            rows,
            intersection_priority=block.options.variant_select_mode == "intersection_priority",
            error_on_missing=block.options.error_on_missing_variant_requires,
            policy=plan.policy,
            max_fails=NO_LIMIT if limits is None else limits.max_fails,
            time_limit=NO_LIMIT if limits is None else limits.time_limit,
            signal=self.signal,
        )

    def _own_rows(self, block: Block, session: Session, first: int, goes_on: int = 0) -> Rows:
        """The arrays of a block, with new ones for what belongs to one thread.

        It begins with the row `first`, which is under way if `goes_on` is 1; or, NONE, with one that it takes.
        """
        plan = block.plan
        assert plan is not None
        call = zeros("int64", state.CALL_SIZE)
        found = zeros("int32", max(_LEAST_FOUND, 4 * session.sizes.groups["scope"]))
        call[state.N_ROWS] = block.n_rows
        call[state.ROW] = first
        call[state.GOES_ON] = goes_on
        call[state.CHECKS_KNOWN] = plan.snapshot.guard is not None
        call[state.FOUND_ROOM] = len(found)
        call[state.FOUND_NUMBER] = block.add_found(call, found)
        return block.rows._replace(call=call, found_variant=found)

    def _solve_each_alone(self, block: Block) -> None:
        """Solve the rows that nobody has taken. One that is taken twice gets the same answer twice."""
        while not self.is_cancelled():
            with self._changed:
                row = block.rows.next_row[0]
                block.rows.next_row[0] = row + 1
            if row >= block.n_rows:
                return
            if block.status[row] in (state.NOT_DONE, ALONE):
                self._solve_alone(block, row)

    def _finish(self, block: Block, row: int, session: Session, ended: int) -> bool:
        """Finish a row whose solve has ended, and tell whether that could be done.

        Compiled code has handed it back with what only Python can say: a text, or whether what it touched is as it was.
        It needs another solve only when something has changed.
        """
        assert block.plan is not None
        seconds = block.rows.row_ticks[row] / CLOCK.ticks
        result = self._repository.finish_merged(
            block.plan.snapshot, block.merged(row), block.options, session, ended, seconds
        )
        if result is not None:
            block.put(row, result, self._intern)
        return result is not None

    def _solve_alone(self, block: Block, row: int) -> None:
        """Solve a row as `Repository.solve` does."""
        limits = self._limits
        if limits is not None:
            limits = limits.begun(block.rows.row_ticks[row] / CLOCK.ticks)
        try:
            result = self._repository.solve_merged(block.merged(row), block.options, limits, self.signal)
        except ConfigurationError as error:  # an orderer that cannot be followed for what this one comes to
            result = SolveResult("error", failure=str(error), error_type=type(error).__name__)
        block.put(row, result, self._intern)


def _grows(session: Session, rows: Rows) -> bool:
    """Make work arrays larger, unless that is too large: the row then goes alone, and says so."""
    deadline = session.head[state.DEADLINE]
    try:
        session.grow()
    except SolveLimitError:
        return False
    session.head[state.DEADLINE] = deadline
    rows.call[state.GOES_ON] = 1
    return True


class Watch:
    """A thread that looks whether a batch shall end. A context manager.

    Parameters
    ----------
    workers : Workers
    cancel : threading.Event, callable or None
        None: there is nothing to look at, and no thread.
    """

    def __init__(self, workers: Workers, cancel: Any) -> None:
        self._workers = workers
        self._asks = getattr(cancel, "is_set", cancel)
        self._is_over = False
        self._thread = threading.Thread(target=self._run, name="rer-numba watch", daemon=True)

    def __enter__(self) -> Watch:
        if self._asks is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        if self._asks is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._is_over:
                if self._asks():
                    self._workers.cancel()
                    return
                time.sleep(_WATCH_EVERY)
        except BaseException as error:  # noqa: BLE001 - the thread that waits raises it
            self._workers.fail(error)
