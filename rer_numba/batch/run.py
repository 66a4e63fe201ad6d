"""Batches: requests are read and encoded here, in the caller's thread, while other threads solve them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sized
from typing import TYPE_CHECKING, Any

from rer_numba.batch.encoder import MOST_ROWS, Encoder, Place
from rer_numba.batch.results import BatchInterrupted, SolveBatch
from rer_numba.batch.workers import Watch, Workers, usable_processors
from rer_numba.progress import OnProgress, reported

if TYPE_CHECKING:
    from rer_numba.options import SolveOptions
    from rer_numba.repository import Repository
    from rer_numba.results import SolveResult
    from rer_numba.stepping import Limits

_BLOCK_SECONDS = 0.05
"""How long a block should keep one thread busy."""
_HELD = 4 * MOST_ROWS
"""Requests that an iterator has read and not given out."""


def solve_many(
    repository: Repository,
    requests: Iterable[Any],
    options: SolveOptions,
    limits: Limits | None,
    threads: int | None,
    reuse: bool,
    progress: bool | OnProgress | None,
    cancel: Any,
) -> SolveBatch:
    """See `Repository.solve_many`; options and limits are checked here."""
    n_threads = _checked_threads(threads)
    if cancel is not None and not callable(getattr(cancel, "is_set", cancel)):
        raise TypeError(f"cancel must be an event or a function, not {cancel!r}")
    items = _iterated(requests)
    encoder = Encoder(repository, options, reuse, limits)
    batch = SolveBatch(len(requests) if isinstance(requests, Sized) else None)
    workers = Workers(repository, limits, n_threads, encoder.intern)
    try:
        with reported(progress or False) as on_progress, workers, Watch(workers, cancel):

            def tell() -> None:
                on_progress("solving", max(batch.n_taken - workers.n_rows_left(), 0), batch.n_known or 0)

            blocks = _hand_in(encoder, workers, items, batch, tell)
            for block in blocks:
                workers.wait_for(block, tell)
            if not workers.is_cancelled():
                on_progress("solving", batch.n_taken, batch.n_taken)
    except KeyboardInterrupt as interrupt:
        workers.close()  # which may itself have been interrupted
        batch.end(is_cancelled=True)
        raise BatchInterrupted(batch) from interrupt
    batch.end(is_cancelled=workers.is_cancelled())
    return batch


def _hand_in(encoder: Encoder, workers: Workers, items: Iterator[Any], batch: SolveBatch, tell: Any) -> list[Any]:
    """Encode all requests and hand them in; returns the blocks that may not be solved yet."""
    pace = _Pace(encoder)
    for item in items:
        batch.add(encoder.place(item))
        if encoder.full or pace.is_due():
            pace.submit(workers)
            tell()
            if workers.is_cancelled():
                return []
    encoder.seal_all()
    pace.submit(workers)
    return pace.unfinished


class _Pace:
    """Hands in blocks, and finds out how many rows they should have."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._last = time.monotonic()
        self.unfinished: list[Any] = []

    def is_due(self) -> bool:
        """Whether rows have waited long enough for more: requests may come slowly. Then they wait no longer."""
        if time.monotonic() - self._last < _BLOCK_SECONDS:
            return False
        self._encoder.seal_all()
        return True

    def submit(self, workers: Workers) -> None:
        """Hand in the blocks that are full."""
        self._last = time.monotonic()
        full, self._encoder.full = self._encoder.full, []
        for block in full:
            workers.submit(block)
            self.unfinished.append(block)
        finished = [block for block in self.unfinished if block.is_packed]
        if finished:
            self.unfinished = [block for block in self.unfinished if not block.is_packed]
            seconds = max(sum(finished[-1].milliseconds) / finished[-1].n_rows / 1000, 1e-6)
            wanted = min(int(_BLOCK_SECONDS / seconds), 2 * self._encoder.rows_wanted)
            self._encoder.rows_wanted = min(max(wanted, 16), MOST_ROWS)


def solve_iter(
    repository: Repository,
    requests: Iterable[Any],
    options: SolveOptions,
    limits: Limits | None,
    threads: int | None,
    reuse: bool,
) -> Iterator[SolveResult]:
    """See `Repository.solve_iter`; options and limits are checked here."""
    n_threads = _checked_threads(threads)
    return _results(Encoder(repository, options, reuse, limits), repository, limits, n_threads, _iterated(requests))


def _results(
    encoder: Encoder, repository: Repository, limits: Limits | None, n_threads: int, items: Iterator[Any]
) -> Iterator[SolveResult]:
    held: deque[Place] = deque()
    with Workers(repository, limits, n_threads, encoder.intern) as workers:
        pace = _Pace(encoder)
        for item in items:
            held.append(encoder.place(item))
            if encoder.full or pace.is_due():
                pace.submit(workers)
            while held and (held[0][0].is_packed or len(held) >= _HELD):
                yield _first(held, encoder, pace, workers)
        while held:
            yield _first(held, encoder, pace, workers)


def _first(held: deque[Place], encoder: Encoder, pace: _Pace, workers: Workers) -> SolveResult:
    """The result of the request that has waited longest."""
    block, row = held.popleft()
    if not block.is_packed:
        encoder.seal_all()
        pace.submit(workers)
        workers.wait_for(block)
    return block.result(row)


def _iterated(requests: Iterable[Any]) -> Iterator[Any]:
    if isinstance(requests, (str, bytes)):
        raise TypeError(f"requests must be a list of requests, not the text {requests!r}")
    return iter(requests)


def _checked_threads(threads: int | None) -> int:
    if threads is None:
        return usable_processors()
    if isinstance(threads, bool) or not isinstance(threads, int):
        raise TypeError(f"threads must be a whole number, not {threads!r}")
    if threads < 1:
        raise ValueError(f"threads must be 1 or more, not {threads}")
    return threads
