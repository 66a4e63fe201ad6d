"""Where a solve crosses into compiled code, once.

The kernel is loaded as machine code without Numba (`rer_numba.native`). With ``RER_NUMBA_ENGINE=jit`` the same
functions run through Numba's ``@njit`` instead, on bundles of arrays: for development, bounds checks and coverage.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Any

from rer_numba import hearing, schema, state
from rer_numba.clock import CLOCK
from rer_numba.environment import bytes_setting, uses_jit
from rer_numba.errors import SolveLimitError
from rer_numba.needed import require
from rer_numba.policy import Policy
from rer_numba.requests import EncodedRequest
from rer_numba.schema import Tables
from rer_numba.state import CALLED_OFF, GROUP_BIT, GROUPS, NEEDED_ROOM, ROWS, WORK, Rows, Sizes, Work, WorkArray
from rer_numba.views import Views, addresses, kernel_columns, views_of, zeros

_SIGNAL = Work._fields.index("signal")
MAX_WORK_BYTES = bytes_setting("RER_NUMBA_MAX_WORK_BYTES", 8 << 30)


class Engine:
    """The columns of a repository, ready for the kernel, and the kernel.

    Parameters
    ----------
    tables : Tables or Views
        Checked ones: the kernel believes them.
    building : bool
        Which of the two sets of requirements is used.
    """

    def __init__(self, tables: Tables | Views, building: bool) -> None:
        self.views = views_of(tables)
        self.columns = kernel_columns(self.views, building)
        self.default_policy = Policy(self.views)
        self.sizes = _sizes(self.views)
        self.solve = _jit_solve(self) if uses_jit() else _native_solve()


def _sizes(views: Views) -> Sizes:
    max_words = schema.words_for(views.longest.family)
    groups = dict(GROUPS)
    for name in ("word", "accumulator_word"):
        groups[name] = max(groups[name], 64 * max_words)
    request = 64
    return Sizes(
        family=len(views.family_text) + request,
        package=len(views.package_version_rank),
        variant=len(views.variant_package),
        max_words=max_words,
        max_package_variants=views.longest.package,
        request=request,
        groups=groups,
    )


def make_work(sizes: Sizes) -> Work:
    """Zeroed work arrays. Untouched pages cost nothing, so room for a large repository is free until it is used."""
    work = Work(*[zeros(kind.dtype, length) for kind, length in zip(WORK, sizes.lengths(), strict=True)])
    work.room[:] = array("q", sizes.groups.values())
    return work


Solve = Callable[[Policy, Work, Rows, int], int]
"""Runs the kernel under a policy on work arrays and rows; the last argument is where the table of all addresses is."""


def _native_solve() -> Solve:
    from rer_numba.native import load_native

    function = load_native()
    return lambda _policy, _work, _rows, table: function(table)


def _jit_solve(engine: Engine) -> Solve:
    require("RER_NUMBA_ENGINE=jit", "numba", "numpy")
    import numpy as np

    from rer_numba import kernels, rows
    from rer_numba.policy_arrays import POLICY_DTYPES

    def copied(columns: list[Any], dtypes: list[str]) -> list[Any]:
        # what cannot be written is another type to Numba: copies keep one signature for each kernel
        return [np.array(column, dtype) for column, dtype in zip(columns, dtypes, strict=True)]

    def shared(bundle: Any, kinds: tuple[WorkArray, ...]) -> Any:
        views = zip(bundle, kinds, strict=True)
        return type(bundle)(*[np.ndarray(len(view), kind.dtype, view) for view, kind in views])

    columns = copied(engine.columns, [column.dtype for column in schema.KERNEL_COLUMNS])

    def solve(policy: Policy, work: Work, many: Rows, _table: int) -> int:
        read_only = kernels.Columns(*columns, *copied([*policy.arrays], POLICY_DTYPES))
        return int(rows.enter(read_only, shared(work, WORK), shared(many, ROWS)))

    return solve


NO_ROWS = Rows(*[zeros(kind.dtype, 0) for kind in ROWS])
NO_LIMIT = -1
_LONGEST = 1 << 61
GRACE = 0.01
"""Seconds that a step may go on after the time limit of its solve."""


class Session:
    """Work arrays for one solve at a time, with the request in them. They grow when a solve needs room.

    Attributes
    ----------
    work, head
        What the kernel left; see `rer_numba.state`.
    request, policy
        Of the last solve.
    """

    request: EncodedRequest

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._rows = NO_ROWS
        self._allocate(engine.sizes)

    def _allocate(self, sizes: Sizes) -> None:
        needed = sizes.bytes_needed()
        if needed > MAX_WORK_BYTES:
            raise SolveLimitError("bytes of work arrays", needed, MAX_WORK_BYTES)
        self.work = make_work(sizes)  # there may be no memory for it
        self.sizes = sizes
        self.own_signal = self.work.signal
        self.head = self.work.head
        self.head[state.CLOCK_FUNCTION] = CLOCK.function
        self.head[state.CLOCK_ARGUMENT] = CLOCK.argument
        self.head[state.GRACE] = int(GRACE * CLOCK.ticks)
        self.head[state.HEAR_EVERY] = int(hearing.EVERY * CLOCK.ticks)
        self.head[state.N_FAMILIES] = sizes.family - sizes.request
        self.head[state.MAX_WORDS] = sizes.max_words
        self.head[state.REQUEST_ROOM] = sizes.request
        self.policy = self.engine.default_policy
        self._policy_arrays = self.policy.arrays
        arrays = [*self.engine.columns, *self._policy_arrays, *self.work, *self._rows]
        self._table = array("q", addresses(arrays))
        self._place = self._table.buffer_info()[0]

    def _renew(self) -> None:
        """Make the work arrays anew after a solve that was broken off within a step; its counts stay."""
        kept = {place: self.head[place] for place in (state.NUM_SOLVES, state.NUM_FAILS, state.DEADLINE)}
        self._allocate(self.sizes)
        for place, value in kept.items():
            self.head[place] = value

    def _listen(self, signal: memoryview[int] | None, time_limit: float) -> None:
        """Let the kernel heed a signal that others may write, and watch the clock if there is a limit."""
        if signal is None:
            signal = self.own_signal
            signal[0] = state.NO_SIGNAL if time_limit == NO_LIMIT else state.WATCH_CLOCK
        if signal is not self.work.signal:
            self.work = self.work._replace(signal=signal)
            place = len(self.engine.columns) + len(self.policy.arrays) + _SIGNAL
            (self._table[place],) = addresses([signal])
        if time_limit != NO_LIMIT:
            self.head[state.TIME_LIMIT] = int(min(max(time_limit, 0.0) * CLOCK.ticks, _LONGEST))

    def _use(self, policy: Policy) -> None:
        """Put a policy's arrays and flags where the kernel finds them."""
        self.policy = policy
        arrays = policy.arrays
        if arrays is not self._policy_arrays:
            first = len(self.engine.columns)
            self._table[first : first + len(arrays)] = array("q", addresses(arrays))
            self._policy_arrays = arrays  # they stay alive, should the policy get larger ones
        self.head[state.FILTERS] = policy.filters
        self.head[state.ORDERS] = policy.orders

    def run(
        self,
        request: EncodedRequest,
        *,
        intersection_priority: bool = False,
        error_on_missing: bool = True,
        stop_at_fail: int = 0,
        stop_at_step: int = 0,
        resume: bool = False,
        policy: Policy | None = None,
        max_fails: int = NO_LIMIT,
        time_limit: float = NO_LIMIT,
        signal: memoryview[int] | None = None,
        goes_on: bool = False,
    ) -> int:
        """Solve; returns a status of `rer_numba.state`. The work arrays hold the answer until the next call.

        Parameters
        ----------
        request : EncodedRequest
        intersection_priority, error_on_missing : bool
            The options of the solve.
        stop_at_fail : int
            End at that failed phase, STOPPED; 0: never.
        stop_at_step : int
            End after that many steps, PAUSED, unless the solve is over by then; 0: never; `state.BEFORE_FIRST`: when
            the packages of the request have been looked up.
        resume : bool
            Go on with the solve that was PAUSED by the last call, which had the same request, options and policy. When
            it needs room it runs again from the start, to the same place.
        policy : Policy, optional
        max_fails, time_limit
            When to give up, in failed steps and seconds, see `stepping.Limits`; NO_LIMIT: never.
        signal : view of one int64, optional
            Tells the kernel from outside to end, or to watch the clock; see `state`.
        goes_on : bool
            It is the solve of the last call, which starts again: its time runs already.

        Raises
        ------
        SolveLimitError
            The solve needs more memory than `MAX_WORK_BYTES`.
        BaseException
            What a signal handler has raised, as KeyboardInterrupt.
        """
        deadline = self.head[state.DEADLINE] if goes_on or resume else 0
        while True:
            if not resume:
                self._put(request)
            self._listen(signal, time_limit)
            head = self.head
            head[state.MANY] = 0
            head[state.HEAR_BY] = hearing.address()
            head[state.MAX_FAILS] = max_fails
            head[state.DEADLINE] = deadline
            head[state.RESUME] = resume
            head[state.STOP_AT_STEP] = stop_at_step
            head[state.INTERSECTION_PRIORITY] = intersection_priority
            head[state.ERROR_ON_MISSING] = error_on_missing
            head[state.STOP_AT_FAIL] = stop_at_fail
            self._use(policy or self.engine.default_policy)
            status = self.engine.solve(self.policy, self.work, self._rows, self._place)
            if status == state.NEED_POLICY:
                resume, deadline = self.policy.compile(self.work), head[state.DEADLINE]
                continue
            if status != state.NEED_ROOM:
                if head[NEEDED_ROOM] & CALLED_OFF:
                    self._renew()
                    hearing.raise_heard(head)
                return status
            deadline = head[state.DEADLINE]
            self.grow()
            resume = False

    def grow(self) -> None:
        """Make the work arrays larger after NEED_ROOM.

        Raises
        ------
        SolveLimitError
            That would be more memory than `MAX_WORK_BYTES`.
        """
        self._allocate(self.sizes.grown(self.head[NEEDED_ROOM]))

    def run_rows(
        self,
        rows: Rows,
        *,
        intersection_priority: bool,
        error_on_missing: bool,
        policy: Policy | None,
        max_fails: int,
        time_limit: float,
        signal: memoryview[int],
    ) -> int:
        """Solve rows of a block until the kernel needs something; returns why, see `rows.solve_rows`.

        Parameters
        ----------
        rows : Rows
            With `call` filled in. Other threads may be at the same block.
        intersection_priority, error_on_missing, policy, max_fails, time_limit, signal
            As for `run`.
        """
        self._listen(signal, time_limit)
        self._use(policy or self.engine.default_policy)
        self._rows = rows
        self._table[-len(rows) :] = array("q", addresses(rows))
        head = self.head
        head[state.MANY] = 1
        head[state.HEAR_BY] = 0  # the thread that waits for the threads of a batch hears signals
        head[state.MAX_FAILS] = max_fails
        head[state.RESUME] = head[state.STOP_AT_STEP] = head[state.STOP_AT_FAIL] = 0
        head[state.INTERSECTION_PRIORITY] = intersection_priority
        head[state.ERROR_ON_MISSING] = error_on_missing
        while (status := self.engine.solve(self.policy, self.work, rows, self._place)) == state.NEED_POLICY:
            head[state.RESUME] = self.policy.compile(self.work)
            self._use(self.policy)
        if status != state.NEED_ROOM and head[NEEDED_ROOM] & CALLED_OFF:
            self._renew()
        return status

    def _put(self, request: EncodedRequest) -> None:
        """Copy the request into the work arrays."""
        self.request = request
        n = len(request.families)
        sizes = self.sizes
        if n > sizes.request:
            more = max(n, 2 * sizes.request)
            sizes = sizes._replace(family=sizes.family - sizes.request + more, request=more)
        while len(request.cuts) * 2 > sizes.groups["cut"]:
            sizes = sizes.grown(GROUP_BIT["cut"])
        if sizes is not self.sizes:
            self._allocate(sizes)
        work, head = self.work, self.head
        work.request_family[:n] = array("i", request.families)
        work.request_flags[:n] = array("i", request.flags)
        work.request_cut_offsets[: n + 1] = array("i", request.cut_offsets)
        work.cut[: len(request.cuts)] = array("q", request.cuts)
        head[state.N_REQUESTS] = n
        head[state.N_CUTS] = len(request.cuts)
