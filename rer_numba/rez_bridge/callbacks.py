"""What a callback of rez's solver is given, and whether it needs to be asked at all."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from rer_numba import stepping
from rer_numba.rez_bridge.phases import Phases
from rer_numba.rez_bridge.refusals import OUR_PART, attempt
from rer_numba.rez_bridge.solving import NativeSolve
from rer_numba.rez_bridge.stats import record


class PhaseOfStep:
    """The phase after a step. It reads as rez's does; for more than its text, rez's phase is made.

    Parameters
    ----------
    native : NativeSolve
        PAUSED.
    solver : object
        What rez's phase knows as its solver.
    rez_at : callable
        Gives rez's solver after a number of steps, for what goes wrong here.
    """

    def __init__(self, native: NativeSolve, solver: Any, rez_at: Callable[[int], Any]) -> None:
        self._text = stepping.Phase(native.solve)
        self._phases = Phases(native.solve, solver, native.variant_of)
        self._step = native.solve.num_solves
        self._rez_at = rez_at
        self._of_rez: Any = None

    def __str__(self) -> str:
        return str(self._read(lambda: str(self._text)))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "_of_rez" not in vars(self):
            raise AttributeError(name)
        return getattr(self._read(self._phases.latest), name)

    def _read(self, ours: Callable[[], Any]) -> Any:
        """What we have, or the phase of rez."""
        if self._of_rez is None:

            def read() -> Any:
                with OUR_PART:
                    return ours()

            found, refusal = attempt(read)
            if refusal is None:
                return found
            record(False, refusal.reason, refusal)
            self._of_rez = self._rez_at(self._step)._latest_nonfailed_phase()
        return self._of_rez


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
