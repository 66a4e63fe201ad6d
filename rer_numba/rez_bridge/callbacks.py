"""What a callback of rez's solver is given, and whether it needs to be asked at all."""

from __future__ import annotations

import sys
from typing import Any

from rer_numba import stepping
from rer_numba.rez_bridge.phases import Phases
from rer_numba.rez_bridge.solving import NativeSolve


class PhaseOfStep:
    """The phase after a step. It reads as rez's does; for more than its text, rez's phase is made.

    Parameters
    ----------
    native : NativeSolve
        PAUSED.
    solver : object
        What rez's phase knows as its solver.
    """

    def __init__(self, native: NativeSolve, solver: Any) -> None:
        self._text = stepping.Phase(native.solve)
        self._phases = Phases(native.solve, solver, native.variant_of)

    def __str__(self) -> str:
        return str(self._text)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._phases.latest(), name)


def says_something(callback: Any) -> bool:
    """Whether a callback may do anything: rez's contexts always pass one, mostly with nothing set."""
    contexts = sys.modules.get("rez.resolved_context")
    if callback is None or contexts is None or type(callback) is not contexts.ResolvedContext.Callback:
        return callback is not None
    return (callback.max_fails, callback.time_limit, callback.callback) != (-1, -1, None)


def silent(callback: Any, times: int, answer: Any) -> Any:
    """A callback that is not asked for the first so many times."""
    if callback is None or not times:
        return callback
    left = times

    def ask(about: Any) -> Any:
        nonlocal left
        if left:
            left -= 1
            return answer
        return callback(about)

    return ask
