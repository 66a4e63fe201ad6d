"""A clock of the system that compiled code can read by itself, without Python.

Compiled code gets the address of the system's function and how to call it (`rer_numba._jit.read_clock`):
``clock_gettime(which, cells)`` writes seconds and nanoseconds, ``QueryPerformanceCounter(cells)`` of Windows writes
ticks. It never runs backwards.
"""

from __future__ import annotations

import ctypes
import sys
import time
from typing import Any, NamedTuple

CELLS_ONLY = -1
"""The argument of a function that takes nothing but the cells to write to."""


class Clock(NamedTuple):
    """A clock for compiled code.

    Attributes
    ----------
    function : int
        Address of the function; 0 when there is none: then time stands still at 0.
    argument : int
        Its first argument, or CELLS_ONLY.
    ticks : int
        Ticks a second.
    """

    function: int
    argument: int
    ticks: int


def _find_clock() -> Clock:
    try:
        if sys.platform == "win32":
            system: Any = ctypes.windll.kernel32
            ticks = ctypes.c_int64()
            system.QueryPerformanceFrequency(ctypes.byref(ticks))
            return Clock(_address(system.QueryPerformanceCounter), CELLS_ONLY, ticks.value)
        return Clock(_address(ctypes.CDLL(None).clock_gettime), int(time.CLOCK_MONOTONIC), 1_000_000_000)
    except (AttributeError, OSError, TypeError):
        return Clock(0, 0, 1_000_000_000)


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


CLOCK = _find_clock()
