"""rez's own phases of a solve, made when somebody looks at a graph or asks why it failed.

    phases = Phases(solve, solver, variant_of)     # a `rer_numba.snapshot.Solve` that has ended or is paused
    phases.graph()              # as rez.solver.Solver.get_graph
    phases.fail_graph(index)    # as get_fail_graph; None: the failure that says most, as rez chooses it
    phases.failure_reason(index), phases.failure_packages(index), phases.failure_description(index)
    phases.failed(index), phases.solved(), phases.latest()     # the `rez.solver._ResolvePhase` objects themselves
    phases.stack(), phases.all_failed(), phases.depth_counts() # what rez's dump() and str(solver) print

    conflict_phase(solver)      # the one phase of a request that contradicts itself, which is never solved

A solve keeps nothing for these. The request is solved again up to the moment in question, which takes less time than
making the graph, and what the work arrays hold then is read into rez's objects (`rez_bridge.reading`). From there on it
is rez's code that makes the graph, so colours, labels, numbers and pruning are rez's. No package file is read.

`solver` is what rez's code finds as `phase.solver`: it needs `request_list` (of rez, merged), `prune_unfailed`, `pr`.
`variant_of` gives rez's variant for a row of `variant_package`; it is called when somebody wants more of a package than
its name, version, index and requirements. The phases are for looking at: they cannot be solved on.

Ports: rez.solver.Solver.get_graph, _get_failed_phase, _latest_nonfailed_phase and _push_phase (rez 3.4.0).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from typing import Any

from rez.solver import DependencyConflict, DependencyConflicts, FailureReason, SolverStatus, _ResolvePhase
from rez.vendor.pygraph.classes.digraph import digraph
from rez.version import Requirement

from rer_numba import state
from rer_numba.explain import UNKNOWN_REASON
from rer_numba.rez_bridge.lists import TableSlice, VariantOf
from rer_numba.rez_bridge.reading import EarlierFailures, Reading
from rer_numba.snapshot import Solve

_FAILS = (state.FAILED, state.CYCLIC)


def conflict_phase(solver: Any) -> _ResolvePhase:
    """The failed phase of a request that contradicts itself: `solver.request_list.conflict` is set."""
    phase = _ResolvePhase(solver=solver)
    phase.failure_reason = DependencyConflicts([DependencyConflict(*solver.request_list.conflict)])
    phase.status = SolverStatus.failed
    return phase


def readable(phases: list[_ResolvePhase]) -> list[_ResolvePhase]:
    """Make sure that phases can be printed.

    Raises
    ------
    Exception
        One holds packages that rez cannot read, which it raises when it prints them.
    """
    for phase in phases:
        for scope in phase.scopes:
            if isinstance(scope.variant_slice, TableSlice):
                scope.variant_slice.extractable  # noqa: B018 - a property that raises
    return phases


class Phases:
    """The phases of one solve; see the top of this file.

    Parameters
    ----------
    solve : Solve
        Not yet closed; it may be closed afterwards, since it is run again for whatever is asked here.
    solver : object
        What rez's code finds as `phase.solver`.
    variant_of : callable
        Gives rez's variant for a row of `variant_package`.
    wants_last : bool
        A callback ended the solve with its latest failure, so that is the one to show.

    Notes
    -----
    Phases are remembered. Not for several threads at once.
    """

    def __init__(self, solve: Solve, solver: Any, variant_of: VariantOf, wants_last: bool = False) -> None:
        self._solve = solve
        self._solver = solver
        self._variant_of = variant_of
        self._status = solve.status
        self._is_new = solve.status == state.PENDING
        self._num_solves = 0 if self._is_new else solve.num_solves
        self._num_fails = 0 if self._is_new else solve.num_fails
        self._wants_last = wants_last or solve.status == state.CYCLIC
        self._failed: dict[int, _ResolvePhase] = {}
        self._latest: _ResolvePhase | None = None

    # --- what rez's Solver is asked

    def graph(self) -> digraph:
        """The graph of the solution, of a failure, or of how far it has come."""
        if self._status in _FAILS or self._wants_last:
            return self.fail_graph()
        return self.latest().get_graph()

    def fail_graph(self, index: int | None = None) -> digraph:
        """The graph of a failure."""
        return self.failed(index).get_graph()

    def failure_reason(self, index: int | None = None) -> FailureReason | None:
        """Why a phase failed; None when a family is missing."""
        return self.failed(index).failure_reason

    def failure_packages(self, index: int | None = None) -> list[Requirement] | None:
        """The requirements that are involved in a failure."""
        reason = self.failure_reason(index)
        return reason.involved_requirements() if reason else None

    def failure_description(self, index: int | None = None) -> str:
        """A failure in words, without what a callback has said."""
        reason = self.failure_reason(index)
        return reason.description() if reason else UNKNOWN_REASON

    # --- phases

    def failed(self, index: int | None = None) -> _ResolvePhase:
        """A failed phase, counted from the first or, below zero, from the last.

        Raises
        ------
        IndexError
            There is no such failure.
        """
        if index is None:
            index = -1 if self._wants_last else 0
        number = index + self._num_fails if index < 0 else index
        if not 0 <= number < self._num_fails:
            raise IndexError("failure index out of range")
        if number not in self._failed:
            is_cycle = self._status == state.CYCLIC and number == self._num_fails - 1
            self._failed[number] = self._find_cycle() if is_cycle else self._find_failed(number)
        return self._failed[number]

    def all_failed(self) -> list[_ResolvePhase]:
        """Every failed phase, in the order in which they failed."""
        return [self.failed(number) for number in range(self._num_fails)]

    def latest(self) -> _ResolvePhase:
        """The final phase of a solve that is solved, else the latest that has not failed."""
        if self._latest is None:
            self._latest = self.solved() if self._status == state.SOLVED else self._find_latest()
        return self._latest

    def solved(self) -> _ResolvePhase:
        """The final phase."""
        with self._run() as reading:
            return reading.solved()

    def stack(self) -> list[_ResolvePhase]:
        """The phase stack, lowest first."""
        with self._here() as reading:
            waiting = reading.waiting()
            if reading.is_failed:
                return [*waiting, self.failed(-1)]
        return [*waiting, self.latest()]

    def depth_counts(self) -> dict[int, int]:
        """How many phases were pushed at each depth of the stack so far, less one."""
        counts = {0: 0}
        depth = 1
        before = state.PENDING
        for outcome, _ in self._steps():
            depth -= 2 if before == state.FAILED else 1
            pushes = 2 if before == state.EXHAUSTED else 1
            for _ in range(pushes):
                counts[depth] = counts.get(depth, -1) + 1
                depth += 1
            before = outcome
        return counts

    # --- finding them

    @contextmanager
    def _run(self, to_step: int = 0, to_fail: int = 0) -> Iterator[Reading]:
        """Solve again up to a moment."""
        again = self._solve.again()
        try:
            again.run(to_step, to_fail)
            yield Reading(again, self._solver, self._variant_of)
        finally:
            again.close()

    @contextmanager
    def _here(self) -> Iterator[Reading]:
        """Solve again as far as the solve has come."""
        is_over = self._status not in (state.PENDING, state.PAUSED)
        with self._run(0 if is_over else self._num_solves or state.BEFORE_FIRST) as reading:
            yield reading

    def _find_cycle(self) -> _ResolvePhase:
        with self._run() as reading:
            return reading.phase(SolverStatus.solved).finalise()

    def _find_failed(self, number: int) -> _ResolvePhase:
        with self._run(to_fail=number + 1) as reading:
            family = reading.emptied_family
            return reading.failed(self._before(number, family) if number and family is not None else None)

    def _before(self, number: int, family: int) -> EarlierFailures | None:
        """What the phases did to a family that failed before that failure."""
        found = None
        with closing(self._steps()) as steps:
            for outcome, solve in steps:
                if outcome == state.FAILED:
                    found = found or EarlierFailures(solve, family)
                    found.note(solve.session.work)
                    number -= 1
                    if not number:
                        break
        return found

    def _find_latest(self) -> _ResolvePhase:
        with self._here() as reading:
            if not reading.is_failed:
                status = SolverStatus.exhausted if self._num_solves else SolverStatus.pending
                return reading.phase(status)
            phase = reading.waiting()[-1]
            step = self._step_that_pushed(reading.depth)
        # what waits is a copy of the phase that was split, extractions and all
        with self._run(to_step=step) as reading:
            phase.extractions = reading.extractions()
        return phase

    def _step_that_pushed(self, depth: int) -> int:
        """The latest step whose phase was split when one less than that many phases waited."""
        found = 0
        for step, (outcome, solve) in enumerate(self._steps(), start=1):
            if outcome == state.EXHAUSTED and int(solve.session.head[state.STACK_DEPTH]) == depth - 1:
                found = step
        return found

    def _steps(self) -> Generator[tuple[int, Solve], None, None]:
        """What each step so far came to, and the solve after it. It is solved again, step by step."""
        again = self._solve.again()
        try:
            for step in range(1, self._num_solves + 1):
                status = again.run(to_step=step)
                yield int(again.session.head[state.PHASE_STATUS]) if status == state.PAUSED else status, again
        finally:
            again.close()
