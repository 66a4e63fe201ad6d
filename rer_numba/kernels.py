"""The phase loop: rez's solver on integer arrays.

Ports: rez.solver.Solver.solve, solve_step and _ResolvePhase.solve (rez 3.4.0, SOLVER_VERSION 2). The steps have the
names of rez's SOLVER.md and a file each beside this one: extraction (extract, merge, intersect, add), reduction,
splitting, finalise; scopes holds what they work on, ranges the arithmetic of versions, state the work arrays.

`t` is always the bundle of the repository's columns (`schema.KERNEL_COLUMNS`), `w` the bundle of work arrays
(`state.WORK`). Neither holds strings: versions, families and requirements are ids, see `schema`.
"""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from rer_numba._jit import export_ir as _export_ir
from rer_numba._jit import kernel
from rer_numba.calling_off import start_clock, verdict_between_steps, why_broken_off
from rer_numba.extraction import extract, settle
from rer_numba.finalise import finalise
from rer_numba.lookup import forget_loads, lacks_filter, look_up
from rer_numba.policy_arrays import POLICY, POLICY_DTYPES
from rer_numba.ranges import mask_of_range
from rer_numba.reduction import reduce
from rer_numba.schema import CONFLICT, KERNEL_COLUMNS, NONE
from rer_numba.scopes import (
    add_scope,
    clear_set,
    family_words,
    first_of,
    is_empty,
    new_ephemeral,
    new_slice,
    pop_phase,
    set_bit,
)
from rer_numba.splitting import sort_all_variants, split, want
from rer_numba.state import (
    BEFORE_FIRST,
    CONFLICT_RANGE,
    CYCLIC,
    EPHEMERAL_REQUEST,
    ERROR,
    EXHAUSTED,
    FAILED,
    FRESH,
    MAX_WORDS,
    N_CONTRIBUTIONS,
    N_FAMILIES,
    N_LOCALS,
    N_PREVIOUS,
    N_REQUESTS,
    N_RESULTS,
    N_SCOPES,
    N_SLOTS,
    N_STACK_SLOTS,
    N_WORDS,
    NEED_POLICY,
    NEED_ROOM,
    NEEDED_ROOM,
    NO_RANGE,
    NUM_FAILS,
    NUM_SOLVES,
    PAUSED,
    PENDING,
    PHASE_STATUS,
    REASON,
    REASON_FAMILY,
    REASON_OTHER,
    REASON_SCOPE,
    REQUEST_FILTERS,
    REQUESTED,
    RESUME,
    ROUND_START,
    ROW_DTYPES,
    SOLVED,
    STACK_DEPTH,
    STAMP,
    STOP_AT_FAIL,
    STOP_AT_STEP,
    STOPPED,
    TOTAL_REDUCTION,
    WANTED,
    WORK_DTYPES,
    Rows,
    Work,
)

Columns = namedtuple(  # type: ignore[misc]
    "Columns", [*(column.name for column in KERNEL_COLUMNS), *(array.name for array in POLICY)]
)
COLUMN_DTYPES = [*(column.dtype for column in KERNEL_COLUMNS), *POLICY_DTYPES]


@kernel
def solve(t, w):
    """Solve the request in the work arrays.

    Returns
    -------
    int
        SOLVED: the answer stands in `result_variant` and `result_scope`. FAILED, CYCLIC, ERROR: the work arrays are
        left as they were at the last phase, `REASON` and its companions say why. STOPPED: the failed phase that
        `STOP_AT_FAIL` asked for is left to be looked at. PAUSED: the solve is not over, `PHASE_STATUS` says what the
        step came to that `STOP_AT_STEP` asked for; the next call goes on from there if `RESUME` is set. NEED_ROOM:
        `NEEDED_ROOM` says which arrays were too small, and there is nothing to go on from. FAIL_LIMIT, OUT_OF_TIME,
        CANCELLED: ended between two steps, or within a step, which then counts; after that the work arrays must be
        made anew, as `CALLED_OFF` in `NEEDED_ROOM` tells. NEED_POLICY: `WANTED` and `WANTED_ID` say what of the policy
        has to be compiled; then the next call goes on if `RESUME` is set, except for REQUEST_FILTERS and FAMILY_ORDERS.

        Needs the request's arrays and the `in` scalars of `head`; `N_CUTS` is the end of the request's cuts.
    """
    w.head[WANTED] = 0
    settles = w.head[RESUME] != 0 and w.head[PHASE_STATUS] == NEED_POLICY
    if settles:
        status = np.int64(PENDING)
    elif w.head[RESUME]:
        status = _go_on(t, w, np.int64(w.head[PHASE_STATUS]))
    else:
        _begin(t, w)
        start_clock(w)
        status = _first_phase(t, w)
    if w.head[NEEDED_ROOM]:
        return why_broken_off(w)
    if status == PENDING and w.head[STOP_AT_STEP] == BEFORE_FIRST:
        return _pause(w, PENDING)
    while status == PENDING:
        status = _step(t, w, settles)
        settles = False
        if w.head[NEEDED_ROOM]:
            return why_broken_off(w)
        if status == EXHAUSTED or (status == FAILED and w.head[STACK_DEPTH] > 0):
            if w.head[NUM_SOLVES] == w.head[STOP_AT_STEP]:
                return _pause(w, status)
            verdict = verdict_between_steps(w)
            if verdict != PENDING:
                return verdict
            status = _go_on(t, w, status)
            if w.head[NEEDED_ROOM]:
                return why_broken_off(w)
    return status


@kernel
def _step(t, w, settles):
    """Solve the current phase, and count it. Returns what `_solve_phase` does, STOPPED or CYCLIC."""
    status = _solve_phase(t, w, settles)
    if status == NEED_POLICY:
        w.head[PHASE_STATUS] = NEED_POLICY
        return status
    if status != ERROR:  # rez counts a step when it returns
        w.head[NUM_SOLVES] += 1
    if status == SOLVED:
        status = finalise(t, w)
        if status == CYCLIC:
            w.head[NUM_FAILS] += 1
    elif status == FAILED:
        w.head[NUM_FAILS] += 1
        if w.head[NUM_FAILS] == w.head[STOP_AT_FAIL]:
            status = STOPPED
            if w.head[REASON] == TOTAL_REDUCTION:
                if not sort_all_variants(t, w, np.int64(w.scope_family[w.head[REASON_SCOPE]])):
                    status = NEED_POLICY
    return status


@kernel
def _go_on(t, w, status):
    """Make the next phase: the better half of one that is exhausted, the one below one that failed.

    Returns PENDING, or NEED_POLICY, when it has to be called again.
    """
    if status == FAILED:
        pop_phase(t, w)
    elif status == EXHAUSTED and split(t, w) == NEED_POLICY:
        w.head[PHASE_STATUS] = EXHAUSTED
        return NEED_POLICY
    return PENDING


@kernel
def _pause(w, status):
    """Leave everything as it is after a step that came to `status`."""
    w.head[PHASE_STATUS] = status
    return PAUSED


@kernel
def _begin(t, w):
    """Take back what the last solve left, and make an empty phase."""
    for position in range(w.head[N_SCOPES]):
        w.family_scope[w.scope_family[position]] = 0
    for local in range(w.head[N_LOCALS]):
        w.family_local[w.local_family[local]] = 0
    forget_loads(w)
    w.head[STAMP] += 1
    for place in (
        NUM_SOLVES,
        NUM_FAILS,
        N_SCOPES,
        N_LOCALS,
        STACK_DEPTH,
        N_STACK_SLOTS,
        N_CONTRIBUTIONS,
        ROUND_START,
        NEEDED_ROOM,
        REASON,
        N_RESULTS,
    ):
        w.head[place] = 0
    # the first slot and the first words are what is handed out when there is no room
    w.head[N_SLOTS] = 1
    w.head[N_WORDS] = w.head[MAX_WORDS]
    clear_set(w, w.changed)
    clear_set(w, w.widened)
    clear_set(w, w.fresh)
    clear_set(w, w.unsolved)


@kernel
def _first_phase(t, w):
    """A scope for each request. Returns PENDING; ERROR for a package that is not there; NEED_ROOM; NEED_POLICY."""
    for request in range(w.head[N_REQUESTS]):
        family = np.int64(w.request_family[request])
        flags = w.request_flags[request]
        start = np.int64(w.request_cut_offsets[request])
        end = np.int64(w.request_cut_offsets[request + 1])
        if flags & CONFLICT:
            slot = _conflict_slot(t, w, family, request, start, end)
        elif flags & EPHEMERAL_REQUEST:
            slot = new_ephemeral(w, start, end, request, NONE, FRESH)
        else:
            if family < w.head[N_FAMILIES] and lacks_filter(t, w, family):
                return want(w, REQUEST_FILTERS, family)
            reason = look_up(t, w, family, start, end)
            if reason:
                w.head[REASON] = reason
                w.head[REASON_FAMILY] = family
                w.head[REASON_SCOPE] = request
                w.head[REASON_OTHER] = REQUESTED
                return ERROR
            slot = new_slice(w, w.scratch, np.int64(0), family_words(t, w, family), NONE, FRESH)
        add_scope(t, w, family, slot)
        if w.head[NEEDED_ROOM]:
            return NEED_ROOM
        set_bit(w.changed, 0, np.int64(request))
    return PENDING


@kernel
def _conflict_slot(t, w, family, request, start, end):
    """The slot of a conflict request, with the mask of what it forbids when the family has packages."""
    words = family_words(t, w, family)
    if w.request_flags[request] & NO_RANGE:
        end = start
    if words:
        mask_of_range(t, w, family, start, end, np.int64(0))
    slot = new_slice(w, w.scratch, np.int64(0), words, NONE, FRESH)
    w.slot_kind[slot] = CONFLICT_RANGE
    w.slot_request[slot] = request
    return slot


@kernel
def _solve_phase(t, w, settles):
    """Extract and reduce until nothing changes; begin with settling a round that is extracted when `settles` is set.

    Returns SOLVED when each slice is down to one variant, EXHAUSTED when one must be split; FAILED; ERROR; NEED_ROOM;
    NEED_POLICY, when the round has to be settled in the next call.
    """
    if not settles:
        w.head[N_CONTRIBUTIONS] = 0
    while True:
        if not settles:
            w.head[N_PREVIOUS] = w.head[N_SCOPES]
            clear_set(w, w.widened)
        while True:
            status = np.int64(PENDING) if settles else extract(t, w)
            settles = False
            if status == PENDING and w.head[N_CONTRIBUTIONS] > w.head[ROUND_START]:
                status = settle(t, w)
                if status == PENDING:
                    continue
            if status != PENDING:
                return status
            break
        n_previous = w.head[N_PREVIOUS]
        if w.head[N_SCOPES] == n_previous and is_empty(w, w.changed) and is_empty(w, w.widened):
            break
        status = reduce(t, w, n_previous)
        if status != PENDING:
            return status
        clear_set(w, w.changed)
    return SOLVED if first_of(w, w.unsolved) < 0 else EXHAUSTED


def export_ir() -> tuple[str, str]:
    """The LLVM IR of `rows.enter` behind one table of addresses, columns first, and the name of its C function."""
    from rer_numba.rows import enter

    return _export_ir(enter, (Columns, COLUMN_DTYPES), (Work, WORK_DTYPES), (Rows, ROW_DTYPES))
