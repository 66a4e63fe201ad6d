"""Ending a solve before its time: it is called off from outside, its time is up, or a signal handler has raised.

A solve asks between steps, and within a step wherever the step could be long. There an end is told like a lack of room:
`CALLED_OFF` in `NEEDED_ROOM`, which everything returns for already. What the work arrays hold then is good for nothing.
rez looks at the time between steps only, and a solve whose last step takes too long is solved: so a step may take a
little longer before it is broken off.

Asking is counting down. Only when the count is used up does anybody look at the clock and at what others may have
written, and then the next count is made such that the looks are about a millisecond apart, whatever a question stands
for. Of the 188 that takes one percent more instructions than not asking, and no time that could be measured
(2026-11-27).

Python runs the handlers of signals in its main thread, between two of its own instructions: so while compiled code has
that thread, it has to let Python do so now and then (`rer_numba.hearing`).
"""

from __future__ import annotations

from rer_numba._jit import hear_signals, inlined, kernel, load_shared, read_clock
from rer_numba.state import (
    CALLED_OFF,
    CANCELLED,
    CLOCK_ARGUMENT,
    CLOCK_FUNCTION,
    DEADLINE,
    END_NOW,
    FAIL_LIMIT,
    GRACE,
    HEAR_AT,
    HEAR_BY,
    HEAR_EVERY,
    HEARD,
    LOOKED_AT,
    MAX_FAILS,
    NEED_ROOM,
    NEEDED_ROOM,
    NUM_FAILS,
    OUT_OF_TIME,
    PENDING,
    POLLS,
    POLLS_LEFT,
    TIME_LIMIT,
    WATCH_CLOCK,
)

_FIRST_POLLS = 32
_MOST_POLLS = 1024
_LOOKS_PER_HEARING = 32
"""A hearing is about that many looks after the last one, if each question stands for little."""


@inlined
def now(w):
    """Ticks of the clock."""
    return read_clock(w.head[CLOCK_FUNCTION], w.head[CLOCK_ARGUMENT])


@kernel
def start_clock(w):
    """Let the time begin, unless it has begun before the solve had to start again."""
    time = now(w)
    if load_shared(w.signal) == WATCH_CLOCK and not w.head[DEADLINE]:
        w.head[DEADLINE] = time + w.head[TIME_LIMIT]
    w.head[HEAR_AT] = time + w.head[HEAR_EVERY]
    w.head[LOOKED_AT] = time
    w.head[POLLS] = w.head[POLLS_LEFT] = _FIRST_POLLS


@inlined
def is_called_off(w):
    """Tell whether the step has to end here. If so, NEEDED_ROOM says it too."""
    w.head[POLLS_LEFT] -= 1
    return w.head[POLLS_LEFT] < 0 and _must_end(w)


@kernel
def _must_end(w):
    time = now(w)
    _set_pace(w, time - w.head[LOOKED_AT])
    w.head[LOOKED_AT] = time
    signal = load_shared(w.signal)
    if (
        signal == END_NOW
        or (signal == WATCH_CLOCK and time > w.head[DEADLINE] + w.head[GRACE])
        or (w.head[HEAR_BY] and time > w.head[HEAR_AT] and _has_raised(w, time))
    ):
        w.head[NEEDED_ROOM] |= CALLED_OFF
        return True
    return False


@inlined
def _set_pace(w, ticks):
    """Count more questions to the next look when the last ones took little time, fewer when they took much."""
    if ticks * _LOOKS_PER_HEARING > w.head[HEAR_EVERY]:
        w.head[POLLS] = max(w.head[POLLS] >> 2, 1)
    elif w.head[POLLS] < _MOST_POLLS:
        w.head[POLLS] <<= 1
    w.head[POLLS_LEFT] = w.head[POLLS]


@inlined
def _has_raised(w, time):
    w.head[HEAR_AT] = time + w.head[HEAR_EVERY]
    return hear_signals(w.head[HEAR_BY], w.head, HEARD) != 0


@inlined
def verdict_between_steps(w):
    """PENDING, or why the solve ends after a step that left it undecided: FAIL_LIMIT, OUT_OF_TIME, CANCELLED.

    Ports: rez.resolved_context.ResolvedContext.Callback (rez 3.4.0).
    REZ-QUIRK: the fail limit comes first, and is not heeded before there is a failure. So with a limit of 0 nobody
    looks at the time until there is one (tests/test_stepping.py::test_limits_of_compiled_code).
    """
    signal = load_shared(w.signal)
    if w.head[MAX_FAILS] != -1 and w.head[NUM_FAILS] >= w.head[MAX_FAILS]:
        if w.head[NUM_FAILS]:
            return FAIL_LIMIT
    elif signal == WATCH_CLOCK and now(w) > w.head[DEADLINE]:
        return OUT_OF_TIME
    if signal == END_NOW:
        return CANCELLED
    return why_broken_off(w) if is_called_off(w) else PENDING


@kernel
def why_broken_off(w):
    """Why a step was broken off: NEED_ROOM, CANCELLED or OUT_OF_TIME."""
    if not w.head[NEEDED_ROOM] & CALLED_OFF:
        return NEED_ROOM
    return OUT_OF_TIME if load_shared(w.signal) == WATCH_CLOCK and not w.head[HEARD] else CANCELLED
