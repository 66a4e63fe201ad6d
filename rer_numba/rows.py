"""Many solves in one call: the rows of a block, one after the other.

Several threads may call at once with the same block, each with work arrays of its own: every row is taken once, by
whoever comes first. A row that compiled code cannot finish alone is handed back: one that met an error, whose
text is made outside; one with ephemerals, which are texts; a very large one; and one that touched something which
nobody has compared with the folders yet.
"""

from __future__ import annotations

import numpy as np

from rer_numba._jit import inlined, kernel, load_shared, take_number
from rer_numba.calling_off import now
from rer_numba.kernels import solve
from rer_numba.schema import NONE
from rer_numba.state import (
    CANCELLED,
    CHECKS_KNOWN,
    DEADLINE,
    END_NOW,
    ENDED,
    ERROR,
    FOUND_FULL,
    FOUND_NUMBER,
    FOUND_ROOM,
    GOES_ON,
    GROUPS,
    HAND_BACK,
    HANDED,
    MANY,
    N_CUTS,
    N_FAMILIES,
    N_FOUND,
    N_LOADS,
    N_REQUESTS,
    N_RESULTS,
    N_ROWS,
    NEED_POLICY,
    NEED_ROOM,
    NEEDED_ROOM,
    NO_ROW_LEFT,
    NOT_DONE,
    NUM_FAILS,
    NUM_SOLVES,
    OUT_OF_TIME,
    REQUEST_ROOM,
    RESUME,
    ROW,
    SOLVED,
)

_SCOPE = list(GROUPS).index("scope")
_CUT = list(GROUPS).index("cut")


@kernel
def enter(t, w, r):
    """What compiled code begins with: one solve, or many when `MANY` is set."""
    return solve_rows(t, w, r) if w.head[MANY] else solve(t, w)


@kernel
def solve_rows(t, w, r):
    """Solve rows until none is left, or until one needs what only the caller has.

    Returns
    -------
    int
        NO_ROW_LEFT. Or one of these, with the row in `ROW`, to begin with in the next call: NEED_ROOM, as `solve`
        does; NEED_POLICY, likewise, and the next call goes on within the row if `RESUME` is set; FOUND_FULL:
        `found_variant` may be too short for the answer. Or, and the row is not done: HAND_BACK: the caller solves it,
        or finishes what `ENDED` says; CANCELLED.

        Needs what `solve` needs, but for the request.
    """
    row = np.int64(r.call[ROW])
    while True:
        if row == NONE:
            row = take_number(r.next_row)
        r.call[ROW] = row
        r.call[ENDED] = NONE
        if row >= r.call[N_ROWS]:
            return NO_ROW_LEFT
        if load_shared(w.signal) == END_NOW:
            return CANCELLED
        if r.row_status[row] == HANDED:
            return HAND_BACK
        if r.row_status[row] != NOT_DONE:
            row = np.int64(NONE)
            continue
        if r.call[N_FOUND] + w.room[_SCOPE] > r.call[FOUND_ROOM]:
            return FOUND_FULL
        if not w.head[RESUME] and not _put_request(w, r, row):
            return HAND_BACK
        start = now(w)
        status = solve(t, w)
        w.head[RESUME] = 0
        if status == NEED_POLICY:
            r.row_ticks[row] += now(w) - start
        if status in (NEED_ROOM, CANCELLED, NEED_POLICY):
            return status
        if status == ERROR or not _is_plain(w, status) or (r.call[CHECKS_KNOWN] and not _is_known(w, r)):
            r.call[ENDED] = status
            r.row_ticks[row] += now(w) - start
            return HAND_BACK
        _write_row(w, r, row, status, now(w) - start)
        if w.head[NEEDED_ROOM]:  # it was broken off, and the work arrays are good for nothing
            r.call[ROW] = NONE
            return OUT_OF_TIME
        row = np.int64(NONE)


@inlined
def _put_request(w, r, row):
    """Copy the request of a row into the work arrays. Returns False when it is too large for them."""
    first = np.int64(r.row_request_offsets[row])
    n = r.row_request_offsets[row + 1] - first
    first_cut = np.int64(r.row_cut_offsets[first])
    n_cuts = r.row_cut_offsets[first + n] - first_cut
    if n > w.head[REQUEST_ROOM] or 2 * n_cuts > w.room[_CUT]:
        return False
    for k in range(n):
        w.request_family[k] = r.row_family[first + k]
        w.request_flags[k] = r.row_flags[first + k]
        w.request_cut_offsets[k] = r.row_cut_offsets[first + k] - first_cut
    w.request_cut_offsets[n] = n_cuts
    for k in range(n_cuts):
        w.cut[k] = r.row_cut[first_cut + k]
    w.head[N_REQUESTS] = n
    w.head[N_CUTS] = n_cuts
    if not r.call[GOES_ON]:
        w.head[DEADLINE] = 0
    r.call[GOES_ON] = 0
    return True


@inlined
def _is_plain(w, status):
    """True when the answer is variants only, or none at all."""
    if status == SOLVED:
        for k in range(w.head[N_RESULTS]):
            if w.result_variant[k] < 0:
                return False
    return True


@kernel
def _is_known(w, r):
    """True when all that the solve touched has been noted: what `touched.Known.has_all_of` tells of a session."""
    for n in range(w.head[N_LOADS]):
        family = w.load_family[n]
        if family >= w.head[N_FAMILIES] or not r.known_family[family]:
            return False
        word = w.load_word[n]
        if word != NONE and w.load_bits[n] & ~r.known_variant[word]:
            return False
    return True


@kernel
def _write_row(w, r, row, status, ticks):
    """Write the answer of a row; its status last, since others may look."""
    found = r.call[N_FOUND]
    count = w.head[N_RESULTS] if status == SOLVED else np.int64(0)
    for k in range(count):
        r.found_variant[found + k] = w.result_variant[k]
    r.call[N_FOUND] = found + count
    r.row_found_number[row] = r.call[FOUND_NUMBER]
    r.row_found_first[row] = found
    r.row_found_count[row] = count
    r.row_num_solves[row] = w.head[NUM_SOLVES]
    r.row_num_fails[row] = w.head[NUM_FAILS]
    r.row_ticks[row] += ticks
    r.row_status[row] = status
