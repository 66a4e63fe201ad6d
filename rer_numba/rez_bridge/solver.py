"""A drop-in for `rez.solver.Solver`: the same constructor, the same attributes, the same answers, by our kernels.

What is not native is done by rez's own solver, as a whole: with a reason that is counted (`rer_numba.rez_bridge.stats`)
and logged. Then everything here hands through to it. The same happens when something goes wrong in our code, also when
an answer is read later (`rer_numba.rez_bridge.refusals`, `rer_numba.rez_bridge.handing_over`).

Invariants
----------
- While a solve is ours, `_native` is set; when rez does it, `_rez` is, and nothing of ours is left on the object.
- Attributes of rez's solver that nobody has written here are made when somebody reads them: phases from our work
  arrays (`rer_numba.rez_bridge.phases`), rez's inner counters by letting rez solve the same once more.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from inspect import signature
from typing import Any

from rez.exceptions import ResolveError
from rez.solver import PackageVariant, SolverCallbackReturn, SolverState, SolverStatus, _Printer
from rez.version import Requirement
from rez.version import RequirementList as RezRequirementList

from rer_numba import state
from rer_numba.rez_bridge.callbacks import PhaseOfStep, says_something
from rer_numba.rez_bridge.commands import spare_what_is_there
from rer_numba.rez_bridge.handing_over import HandingOver
from rer_numba.rez_bridge.lazy_graph import LazyGraph
from rer_numba.rez_bridge.phases import Phases, conflict_phase, readable
from rer_numba.rez_bridge.refusals import OUR_PART, NotNativeError, attempt, require_native
from rer_numba.rez_bridge.solving import NativeSolve, options_of
from rer_numba.rez_bridge.stats import record

_STATUS = {
    state.PENDING: SolverStatus.unsolved,
    state.PAUSED: SolverStatus.unsolved,
    state.ERROR: SolverStatus.unsolved,
    state.SOLVED: SolverStatus.solved,
    state.FAILED: SolverStatus.failed,
    state.CYCLIC: SolverStatus.failed,
}

_ARGUMENTS = signature(HandingOver.__init__)


class Solver(HandingOver):
    """Solves a request. See `rez.solver.Solver` for the parameters and for everything it offers.

    Raises
    ------
    PackageFamilyNotFoundError, PackageNotFoundError, ...
        As rez raises them: here for the request, in `solve` for what packages require.
    FallbackError
        Only rez can do this solve, and ``RER_NUMBA=strict`` forbids that.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        bound = _ARGUMENTS.bind(self, *args, **kwargs)
        bound.apply_defaults()
        self._given = {name: value for name, value in bound.arguments.items() if name != "self"}
        self._native: NativeSolve | None = None
        vars(self).update(self._given)  # rez keeps most of them under these names
        del self.package_requests, self.verbosity, self.suppress_passive
        self.abort_reason: str | None = None
        self.callback_return: SolverCallbackReturn | None = None
        self._begin_counting()
        self._is_counted = False
        self._native, refusal = attempt(self._begin)
        if refusal is not None:
            self._fall_back(refusal, 0)

    def _make_late(self, name: str) -> Callable[[], Any] | None:
        make = _MADE_LATE.get(name)
        return None if make is None else lambda: make(self)

    def _begin_counting(self) -> None:
        self.solve_begun = False
        self.solve_time = 0.0
        self.load_time = 0.0  # rez's is always 0.0

    def _begin(self) -> NativeSolve:
        given = self._given
        with OUR_PART:
            require_native(given)
            options = options_of(
                given["package_filter"], given["package_orderers"], given["building"], given["package_paths"]
            )
        native = self._native = NativeSolve(
            given["package_requests"], given["package_paths"], options, given["context"], given["package_load_callback"]
        )
        if not native.request.conflict:
            self._run(state.BEFORE_FIRST)
        return native

    # --- solving

    def _run(self, to_step: int = 0) -> None:
        native = self._native
        assert native is not None
        vars(self).pop("_phases", None)
        try:
            status = native.run(to_step)
        except NotNativeError:
            raise
        except Exception:
            self._count()
            if native.solve.status == state.ERROR:
                self._leave()
            raise
        if status != state.PAUSED:
            self._count()

    def _count(self) -> None:
        if not self._is_counted:
            self._is_counted = True
            record(True, None)
            spare_what_is_there()

    @property
    def _conflict(self) -> bool:
        """The request is in conflict with itself: there is nothing to solve."""
        return self._native is not None and self._native.request.conflict is not None

    def solve(self) -> None:
        """Solve. See `rez.solver.Solver.solve`."""
        if self._native is None:
            self._rez.solve()
            return
        if self.solve_begun:
            raise ResolveError("cannot run solve() on a solve that has already been started")
        start = time.time()
        _, refusal = attempt(self._solve)
        if refusal is not None:
            self._fall_back(refusal, 0)
            self._rez.solve()
            return
        self.solve_time = time.time() - start

    def _solve(self) -> None:
        native = self._native
        assert native is not None
        if self._conflict:
            self._count()
            return
        self.solve_begun = True
        native.configure()
        if not says_something(self.callback):
            self._run()
            return
        while self.status == SolverStatus.unsolved:
            self._run(native.solve.num_solves + 1)
            if self.status == SolverStatus.unsolved and not self._do_callback():
                self._count()
                break

    def solve_step(self) -> None:
        """Do one step. See `rez.solver.Solver.solve_step`."""
        if self._native is None:
            self._rez.solve_step()
            return
        self.solve_begun = True
        if self.status != SolverStatus.unsolved:
            return
        native = self._native
        step = native.solve.num_solves + 1
        native.configure()
        _, refusal = attempt(lambda: self._run(step))
        if refusal is not None:
            self._fall_back(refusal, step)

    def _do_callback(self) -> bool:
        """Ask the callback. Ports: rez.solver.Solver._do_callback (rez 3.4.0)."""
        native = self._native
        assert native is not None
        solve = native.solve
        phase: Any = PhaseOfStep(native, self, self.rez_at)
        ask: Any = self.callback
        answer, reason = ask(SolverState(solve.num_solves, solve.num_fails, phase))
        native.steps_told += 1
        if answer == SolverCallbackReturn.abort:
            self.abort_reason = reason
            return False
        if answer == SolverCallbackReturn.fail and solve.num_fails:
            self.abort_reason = reason
            self.callback_return = answer
            vars(self).pop("_phases", None)
            return False
        return True

    def reset(self) -> None:
        """Begin again. See `rez.solver.Solver.reset`."""
        if self._native is None:
            self._rez.reset()
            return
        if self._conflict:
            return
        self._begin_counting()
        self._is_counted = False
        _, refusal = attempt(self._begin_again)
        if refusal is not None:
            self._fall_back(refusal, 0)

    def _begin_again(self) -> None:
        assert self._native is not None
        with OUR_PART:
            self._native.begin_again()
        self._run(state.BEFORE_FIRST)

    # --- what came of it

    @property
    def status(self) -> SolverStatus:
        """Where the solve stands: unsolved, solved or failed."""
        if self._native is None:
            return self._rez.status
        if self._conflict or self.callback_return == SolverCallbackReturn.fail:
            return SolverStatus.failed
        return _STATUS[self._native.solve.status]

    @property
    def num_solves(self) -> int:
        """Steps done."""
        if self._native is None:
            return int(self._rez.num_solves)
        return 0 if self._conflict else self._native.solve.num_solves

    @property
    def num_fails(self) -> int:
        """Steps that failed; 1 for a request that is in conflict with itself."""
        if self._native is None:
            return int(self._rez.num_fails)
        return 1 if self._conflict else self._native.solve.num_fails

    @property
    def cyclic_fail(self) -> bool:
        """Whether it failed because of a cycle."""
        if self._native is None:
            return bool(self._rez.cyclic_fail)
        return not self._conflict and self._native.solve.status == state.CYCLIC

    @property
    def resolved_packages(self) -> list[PackageVariant] | None:
        """The resolved variants in order; None unless solved."""
        return self._read(self._resolved_packages, lambda rez: rez.resolved_packages)

    def _resolved_packages(self) -> list[PackageVariant] | None:
        assert self._native is not None
        return list(self._native.variants()) if self.status == SolverStatus.solved else None

    @property
    def resolved_ephemerals(self) -> list[Requirement] | None:
        """The resolved ephemerals in order; None unless solved."""
        if self._native is None:
            found: list[Requirement] | None = self._rez.resolved_ephemerals
            return found
        if self.status != SolverStatus.solved:
            return None
        return [Requirement(text) for text in self._native.ephemerals]

    @property
    def solve_stats(self) -> dict[str, dict[str, Any]]:
        """rez's counters. The inner ones are rez's: it solves the same again for them."""
        if self._native is None:
            return self._rez.solve_stats
        found: dict[str, dict[str, Any]] = dict(self._rez_beside().solve_stats)
        found["global"] = {
            "num_solves": self.num_solves,
            "num_fails": self.num_fails,
            "solve_time": self.solve_time,
            "load_time": self.load_time,
        }
        return found

    # --- why it failed, graphs

    def _made_phases(self) -> Phases:
        native = self._native
        assert native is not None
        phases: Phases | None = vars(self).get("_phases")
        if phases is None:
            wants_last = self.callback_return == SolverCallbackReturn.fail
            phases = self._phases = Phases(native.solve, self, native.variant_of, wants_last)
        return phases

    def failure_description(self, failure_index: int | None = None) -> str:
        """A failure in words. See `rez.solver.Solver.failure_description`."""
        self._require_failure(failure_index)
        return self._read(
            lambda: self._failure_description(failure_index), lambda rez: str(rez.failure_description(failure_index))
        )

    def _failure_description(self, index: int | None) -> str:
        native = self._native
        assert native is not None
        if self._conflict:
            return str(self._failed_phase(index).failure_reason.description())
        number = self._failure_number(index)
        is_told = number == 1 or (self.cyclic_fail and number == self.num_fails)
        # the order of reductions in a later failure depends on what rez sorted in those before
        text = native.solve.failure_text(number) if is_told else self._made_phases().failure_description(number - 1)
        has_reason = index is None and self.callback_return == SolverCallbackReturn.fail
        return f"{self.abort_reason}:\n{text}" if has_reason and self.abort_reason else text

    def _require_failure(self, index: int | None) -> None:
        if self._native is not None:
            self._failure_number(index)

    def _failure_number(self, index: int | None) -> int:
        """Number of a failure, from 1. Ports: rez.solver.Solver._get_failed_phase (rez 3.4.0)."""
        n = self.num_fails
        if index is None:
            index = -1 if self.cyclic_fail or self.callback_return == SolverCallbackReturn.fail else 0
        number = index + n + 1 if index < 0 else index + 1
        if not 1 <= number <= n:
            raise IndexError("failure index out of range")
        return number

    def _failed_phase(self, index: int | None) -> Any:
        return conflict_phase(self) if self._conflict else self._made_phases().failed(index)

    def failure_reason(self, failure_index: int | None = None) -> Any:
        """rez's object that says why. See `rez.solver.Solver.failure_reason`."""
        self._require_failure(failure_index)
        return self._read(
            lambda: self._failed_phase(failure_index).failure_reason,
            lambda rez: rez.failure_reason(failure_index),
        )

    def failure_packages(self, failure_index: int | None = None) -> list[Requirement] | None:
        """The requirements that are involved in a failure."""
        reason = self.failure_reason(failure_index)
        return reason.involved_requirements() if reason else None

    def get_graph(self) -> Any:
        """The graph of the solve, of an ended one made when somebody looks. See `rez.solver.Solver.get_graph`."""
        return self._read(self._get_graph, lambda rez: rez.get_graph())

    def _get_graph(self) -> Any:
        if self._conflict:
            return conflict_phase(self).get_graph()
        phases = self._made_phases()
        if self.status == SolverStatus.unsolved:
            return phases.graph()
        steps, ended = self.num_solves, self._how_it_ended()

        def ours() -> Any:
            with OUR_PART:
                return phases.graph()

        def make() -> Any:
            graph, refusal = attempt(ours)
            if refusal is None:
                return graph
            record(False, refusal.reason, refusal)
            rez = self.rez_at(steps)
            vars(rez).update(ended)
            return rez.get_graph()

        return LazyGraph(make)

    def get_fail_graph(self, failure_index: int | None = None) -> Any:
        """The graph of a failure. See `rez.solver.Solver.get_fail_graph`."""
        self._require_failure(failure_index)
        return self._read(
            lambda: self._failed_phase(failure_index).get_graph(),
            lambda rez: rez.get_fail_graph(failure_index),
        )

    def _latest_nonfailed_phase(self) -> Any:
        return self._read(
            lambda: None if self.status == SolverStatus.failed else readable([self._made_phases().latest()])[0],
            lambda rez: rez._latest_nonfailed_phase(),
        )


def _failed_phases(solver: Solver) -> list[Any]:
    """The failed phases that rez has put aside: all but one that is still on the stack."""
    if solver._conflict:
        return []
    phases = solver._made_phases()
    failed, stack = phases.all_failed(), phases.stack()
    return failed[:-1] if stack[-1].status in (SolverStatus.failed, SolverStatus.cyclic) else failed


_MADE_LATE: dict[str, Callable[[Any], Any]] = {
    "request_list": lambda solver: vars(solver).setdefault(
        "request_list", RezRequirementList(solver._given["package_requests"])
    ),
    "pr": lambda solver: _Printer(0, solver.buf, solver._given["suppress_passive"]),
    "solve_count": lambda solver: solver.num_solves,
    "phase_stack": lambda solver: (
        [conflict_phase(solver)] if solver._conflict else readable(solver._made_phases().stack())
    ),
    "failed_phase_list": _failed_phases,
    "depth_counts": lambda solver: {0: 0} if solver._conflict else solver._made_phases().depth_counts(),
}
"""Attributes of rez's solver that are made when somebody reads them."""
