"""Where a solve crosses into compiled code, once.

The kernel is loaded as machine code without Numba (`rer_numba.native`). With ``RER_NUMBA_ENGINE=jit`` the same
functions run through Numba's ``@njit`` instead, on bundles of arrays: for development, bounds checks and coverage.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np

from rer_numba import schema, state
from rer_numba.errors import SolveLimitError
from rer_numba.policy import Policy
from rer_numba.requests import EncodedRequest
from rer_numba.schema import IntArray, Tables
from rer_numba.state import GROUP_BIT, GROUPS, NEEDED_ROOM, Sizes, Work

MAX_WORK_BYTES = int(os.environ.get("RER_NUMBA_MAX_WORK_BYTES") or 8 << 30)


def uses_jit() -> bool:
    """True when kernels run through Numba's dispatcher instead of loaded machine code."""
    return os.environ.get("RER_NUMBA_ENGINE", "native") == "jit"


class Engine:
    """The columns of a repository, ready for the kernel, and the kernel.

    Parameters
    ----------
    tables : Tables
        Checked ones: the kernel believes them.
    building : bool
        Which of the two sets of requirements is used.
    """

    def __init__(self, tables: Tables, building: bool) -> None:
        self.tables = tables
        self.columns = schema.kernel_arrays(tables, building)
        self.default_policy = Policy(tables)
        self.sizes = _sizes(tables)
        self.solve = _jit_solve(self) if uses_jit() else _native_solve()


def _sizes(tables: Tables) -> Sizes:
    most_variants = _longest_row(tables.family_variant_offsets)
    max_words = schema.words_for(most_variants)
    groups = dict(GROUPS)
    for name in ("word", "accumulator_word"):
        groups[name] = max(groups[name], 64 * max_words)
    request = 64
    return Sizes(
        family=len(tables.family_text) + request,
        package=len(tables.package_version_rank),
        variant=len(tables.variant_package),
        max_words=max_words,
        # of the family, since looking at every package would make the first solve of a large repository slower
        max_package_variants=most_variants,
        request=request,
        groups=groups,
    )


def _longest_row(offsets: IntArray) -> int:
    """The most values that a row has, at least 1. In pieces, since new memory costs more than looking."""
    pieces = range(0, len(offsets) - 1, 1 << 12)
    return max((int(np.diff(offsets[start : start + (1 << 12) + 1]).max()) for start in pieces), default=1) or 1


def _addresses(arrays: list[IntArray]) -> list[int]:
    return [array.__array_interface__["data"][0] for array in arrays]


Solve = Callable[[Policy, Work, IntArray], int]
"""Runs the kernel under a policy on work arrays; the last argument is the table of all addresses."""


def _native_solve() -> Solve:
    from rer_numba.native import load_native

    function = load_native()
    return lambda _policy, _work, table: function(table.__array_interface__["data"][0])


def _jit_solve(engine: Engine) -> Solve:
    from rer_numba import kernels

    # mapped columns are read-only, which is another type to Numba: copies keep one signature for each kernel
    columns = [np.array(array) for array in engine.columns]

    def solve(policy: Policy, work: Work, _table: IntArray) -> int:
        return int(kernels.solve(kernels.Columns(*columns, *map(np.array, policy.arrays)), work))

    return solve


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
        self._allocate(engine.sizes)

    def _allocate(self, sizes: Sizes) -> None:
        needed = sizes.bytes_needed()
        if needed > MAX_WORK_BYTES:
            raise SolveLimitError("bytes of work arrays", needed, MAX_WORK_BYTES)
        self.sizes = sizes
        self.work = state.make_work(sizes)
        self.head = self.work.head
        self.policy = self.engine.default_policy
        arrays = [*self.engine.columns, *self.policy.arrays, *self.work]
        self._table = np.array(_addresses(arrays), np.int64)

    def _use(self, policy: Policy) -> None:
        """Put a policy's arrays and flags where the kernel finds them."""
        if policy is not self.policy or policy.orders_pairs:  # the pairs of a policy grow
            first = len(self.engine.columns)
            self._table[first : first + len(policy.arrays)] = _addresses([*policy.arrays])
            self.policy = policy
        self.head[state.FILTERS] = policy.filters
        self.head[state.ASKS_FILTER] = policy.asks_filter
        self.head[state.ORDERS_PAIRS] = policy.orders_pairs

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

        Raises
        ------
        SolveLimitError
            The solve needs more memory than `MAX_WORK_BYTES`.
        """
        while True:
            if not resume:
                self._put(request)
            head = self.head
            head[state.RESUME] = resume
            head[state.STOP_AT_STEP] = stop_at_step
            head[state.INTERSECTION_PRIORITY] = intersection_priority
            head[state.ERROR_ON_MISSING] = error_on_missing
            head[state.STOP_AT_FAIL] = stop_at_fail
            self._use(policy or self.engine.default_policy)
            status = self.engine.solve(self.policy, self.work, self._table)
            if status != state.NEED_ROOM:
                return status
            self._allocate(self.sizes.grown(int(head[NEEDED_ROOM])))
            resume = False

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
        work.request_family[:n] = request.families
        work.request_flags[:n] = request.flags
        work.request_cut_offsets[: n + 1] = request.cut_offsets
        work.cut[: len(request.cuts)] = request.cuts
        head[state.N_FAMILIES] = sizes.family - sizes.request
        head[state.MAX_WORDS] = sizes.max_words
        head[state.N_REQUESTS] = n
        head[state.N_CUTS] = len(request.cuts)
