"""Ending a solve before its time: somebody calls it off, or its time is up.

A solve asks between steps, and within a step wherever the step could be long. There an end is told like a lack of room:
`CALLED_OFF` in `NEEDED_ROOM`, which everything returns for already. What the work arrays hold then is good for nothing.
rez looks at the time between steps only, and a solve whose last step takes too long is solved: so a step may take a
little longer before it is broken off.

Nothing is paid for what is not set but a load and a branch where it is asked: 692.5 million instructions for the 188,
693.8 without the question (valgrind, 2026-11-21).
"""

from __future__ import annotations

from rer_numba._jit import inlined, kernel, load_shared, read_clock
from rer_numba.state import (
    CALLED_OFF,
    CANCELLED,
    CLOCK_ARGUMENT,
    CLOCK_FUNCTION,
    DEADLINE,
    END_NOW,
    FAIL_LIMIT,
    GRACE,
    MAX_FAILS,
    NEED_ROOM,
    NEEDED_ROOM,
    NUM_FAILS,
    OUT_OF_TIME,
    PENDING,
    POLLS,
    TIME_LIMIT,
)

_POLLS_PER_LOOK = 8
"""The clock takes as long as a small reduction, so within a step only some of the polls look at it."""


@inlined
def now(w):
    """Ticks of the clock."""
    return read_clock(w.head[CLOCK_FUNCTION], w.head[CLOCK_ARGUMENT])


@kernel
def set_deadline(w):
    """Let the time begin, unless it has begun before the solve had to start again."""
    if load_shared(w.signal) and not w.head[DEADLINE]:
        w.head[DEADLINE] = now(w) + w.head[TIME_LIMIT]


@inlined
def is_called_off(w):
    """Tell whether the step has to end here. If so, NEEDED_ROOM says it too."""
    return load_shared(w.signal) != 0 and _heed_signal(w)


@kernel
def _heed_signal(w):
    if load_shared(w.signal) != END_NOW:
        w.head[POLLS] += 1
        if w.head[POLLS] % _POLLS_PER_LOOK or now(w) <= w.head[DEADLINE] + w.head[GRACE]:
            return False
    w.head[NEEDED_ROOM] |= CALLED_OFF
    return True


@inlined
def verdict_between_steps(w):
    """PENDING, or why the solve ends after a step that left it undecided: FAIL_LIMIT, OUT_OF_TIME, CANCELLED.

    Ports: rez.resolved_context.ResolvedContext.Callback (rez 3.4.0).
    REZ-QUIRK: the fail limit comes first, and is not heeded before there is a failure. So with a limit of 0 nobody
    looks at the time until there is one (tests/test_stepping.py::test_limits_of_compiled_code).
    """
    if w.head[MAX_FAILS] != -1 and w.head[NUM_FAILS] >= w.head[MAX_FAILS]:
        return FAIL_LIMIT if w.head[NUM_FAILS] else _end_now(w)
    signal = load_shared(w.signal)
    if signal == 0:
        return PENDING
    if signal == END_NOW:
        return CANCELLED
    return OUT_OF_TIME if now(w) > w.head[DEADLINE] else PENDING


@inlined
def _end_now(w):
    return CANCELLED if load_shared(w.signal) == END_NOW else PENDING


@kernel
def why_broken_off(w):
    """Why a step was broken off: NEED_ROOM, CANCELLED or OUT_OF_TIME."""
    if not w.head[NEEDED_ROOM] & CALLED_OFF:
        return NEED_ROOM
    return CANCELLED if load_shared(w.signal) == END_NOW else OUT_OF_TIME
