"""A solver that hands over to rez's own: before it begins, on the way, or when its answers are read.

Invariants
----------
- Nobody who was told of a package or a step is told again.
- What was handed over stays there: from then on `_rez` is set, and `_native` is not.
- After an error rez's solver is what it is then, a stack without a phase and all: it is made when somebody looks.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar, cast

from rez.solver import SolverCallbackReturn

from rer_numba.rez_bridge import hook
from rer_numba.rez_bridge.callbacks import silent
from rer_numba.rez_bridge.refusals import OUR_PART, NotNativeError, attempt
from rer_numba.rez_bridge.solving import NativeSolve
from rer_numba.rez_bridge.stats import record

if TYPE_CHECKING:
    from rez.solver import Solver as RezSolver
else:
    RezSolver = hook.rez_solver()  # rez's own, also while it is hooked

_HOW_IT_ENDED = ("abort_reason", "callback_return", "solve_begun", "solve_time", "load_time")
_T = TypeVar("_T")


class HandingOver(RezSolver):
    """What our solver and rez's have to do with each other. See `rer_numba.rez_bridge.solver.Solver`."""

    _given: dict[str, Any]
    _native: NativeSolve | None
    _rez: RezSolver

    def _fall_back(self, refusal: NotNativeError, steps: int) -> None:
        """Let rez solve, as a whole, up to where this solve had come; nobody is told twice."""
        loads, told = (0, 0) if self._native is None else (self._native.loads_told, self._native.steps_told)
        record(False, refusal.reason, refusal)
        given = self._given
        ended = self._how_it_ended()
        self._leave()
        self._rez = RezSolver(
            **{
                **given,
                "callback": silent(given["callback"], told, (SolverCallbackReturn.keep_going, "")),
                "package_load_callback": silent(given["package_load_callback"], loads, None),
            }
        )
        for _ in range(steps):
            self._rez.solve_step()
        if steps:
            vars(self._rez).update(ended)

    def _leave(self) -> None:
        """Keep nothing of ours."""
        self._native = None
        for name in set(vars(self)) - {"_given", "_native"}:
            del vars(self)[name]

    def _rez_that_raised(self) -> RezSolver:
        """rez's solver after the error with which our solve has ended."""
        solver = self.rez_at(0)
        with suppress(Exception):
            solver.solve()
        return solver

    def _make_late(self, name: str) -> Callable[[], Any] | None:
        """How to make an attribute that nobody has written here."""
        raise NotImplementedError

    def _how_it_ended(self) -> dict[str, Any]:
        return {name: vars(self)[name] for name in _HOW_IT_ENDED}

    def _read(self, ours: Callable[[], _T], theirs: Callable[[RezSolver], _T]) -> _T:
        """Ask us, or rez, which is also asked when something goes wrong with us."""
        if self._native is not None:

            def read() -> _T:
                with OUR_PART:
                    return ours()

            found, refusal = attempt(read)
            if refusal is None:
                return cast(_T, found)
            self._fall_back(refusal, self.num_solves)
        return theirs(self._rez)

    def rez_at(self, step: int) -> RezSolver:
        """rez's solver, come to a step: for what goes wrong with us later on."""
        solver = RezSolver(**{**self._given, "callback": None, "package_load_callback": None})
        for _ in range(step):
            solver.solve_step()
        return solver

    def __getattr__(self, name: str) -> Any:
        if name == "_rez" and vars(self).get("_native", self) is None:
            self._rez = self._rez_that_raised()
            return self._rez
        if name in ("_given", "_native", "_rez", "_shadow") or name.startswith("__"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        if self._native is None:
            return getattr(self._rez, name)
        make = self._make_late(name)
        if make is not None:
            return self._read(make, lambda rez: getattr(rez, name))
        return getattr(self._rez_beside(), name)

    def _rez_beside(self) -> RezSolver:
        """rez's solver, come to the same point: for what we do not count."""
        shadow: RezSolver | None = vars(self).get("_shadow")
        if shadow is None or shadow.solve_count > self.num_solves:
            shadow = self._shadow = self.rez_at(0)
        while shadow.solve_count < self.num_solves:
            shadow.solve_step()
        return shadow
