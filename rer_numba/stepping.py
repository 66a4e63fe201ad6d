"""Solving step by step: limits, and a callback after each step, as rez means them.

Ports: rez.solver.Solver.solve and _do_callback, rez.solver.SolverState, rez.resolved_context.ResolvedContext.Callback
(rez 3.4.0).

Invariants
----------
- A callback is asked after each step that leaves the solve undecided, never after the last one: neither a solution nor
  the last failure can be taken back. So a time limit of 0 lets a solve of one step through.
- "fail" is heeded only when there is a failure, which becomes the reason: so `max_fails` of 0 does what 1 does.
- A solve is deterministic, so a phase that is gone can be looked at again by solving up to it once more.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rer_numba import state
from rer_numba.clock import CLOCK
from rer_numba.engine import GRACE, NO_LIMIT
from rer_numba.errors import RerError
from rer_numba.requests import TimeIsUpError
from rer_numba.requirements import Requirement
from rer_numba.schema import NONE
from rer_numba.snapshot import how_stopped
from rer_numba.version_order import Version
from rer_numba.versions import VersionRange

if TYPE_CHECKING:
    from rer_numba.snapshot import Solve

KEEP_GOING, ABORT, FAIL = "keep_going", "abort", "fail"
"""What a callback may say."""


class SolveState:
    """Where a solve stands after a step.

    Attributes
    ----------
    num_solves, num_fails : int
        Steps done, and those that failed.
    phase : Phase
        The phase that the solve goes on with; its text is rez's.
    """

    def __init__(self, num_solves: int, num_fails: int, phase: Phase) -> None:
        self.num_solves = num_solves
        self.num_fails = num_fails
        self.phase = phase

    def __str__(self) -> str:
        return f"solve #{self.num_solves} ({self.num_fails} fails so far): {self.phase}"


Callback = Callable[[SolveState], tuple[str, str]]
"""Is told where a solve stands; answers KEEP_GOING, ABORT or FAIL, and the reason."""


@dataclass(frozen=True)
class Limits:
    """When a solve is given up.

    Attributes
    ----------
    max_fails : int
        It fails, with the latest failure, once there are so many failed steps; -1: never.
    time_limit : float
        It is aborted after a step when more seconds than that have passed since the first; -1: never. A step in which
        the time runs out is broken off, and counts.
    callback : Callback, optional
        Asked after each step that neither limit has ended.
    end : float, optional
        When the time is up, once it runs (`begun`): a reading of `time.perf_counter`.
    """

    max_fails: int = NO_LIMIT
    time_limit: float = NO_LIMIT
    callback: Callback | None = None
    end: float | None = None

    def begun(self, seconds: float = 0.0) -> Limits:
        """The same limits, whose time has been running for so many seconds.

        As in rez it runs from the request as it was handed in, whose reading and merging count.
        """
        if self.time_limit == NO_LIMIT:
            return self
        return replace(self, end=time.perf_counter() + self.time_limit - seconds)

    def left(self) -> float:
        """Seconds that are left, 0 or more; NO_LIMIT if there is no limit."""
        if self.end is None:
            return self.time_limit
        return max(self.end - time.perf_counter(), 0.0)

    def look(self) -> None:
        """Raise TimeIsUpError when the time has been up for a while: a step may go on as long, see `engine.GRACE`."""
        if self.end is not None and time.perf_counter() > self.end + GRACE:
            raise TimeIsUpError

    def checked(self) -> Limits:
        """The same limits, known to be numbers.

        Raises
        ------
        TypeError
            One is no number.
        ValueError
            The time is not a number of seconds (NaN).
        RerError
            There is no clock that compiled code can read, see `rer_numba.clock`.
        """
        if isinstance(self.max_fails, bool) or not isinstance(self.max_fails, int):
            raise TypeError(f"max_fails must be a whole number, not {self.max_fails!r}")
        if isinstance(self.time_limit, bool) or not isinstance(self.time_limit, (int, float)):
            raise TypeError(f"time_limit must be a number of seconds, not {self.time_limit!r}")
        if self.time_limit != self.time_limit:
            raise ValueError("time_limit must be a number of seconds, not NaN")
        if self.time_limit != NO_LIMIT and not CLOCK.function:
            raise RerError("there is no time_limit on this system, whose C library has no clock that is known")
        return self

    def verdict(self, solve_state: SolveState, seconds: float) -> tuple[str, str]:
        """What is to be done after a step."""
        if self.max_fails != NO_LIMIT and solve_state.num_fails >= self.max_fails:
            return FAIL, f"fail limit reached: aborted after {solve_state.num_fails} failures"
        if self.time_limit != NO_LIMIT and seconds > self.time_limit:
            return ABORT, "time limit exceeded"
        return (KEEP_GOING, "") if self.callback is None else self.callback(solve_state)


def run_within(solve: Solve, limits: Limits) -> tuple[str | None, str]:
    """Run a solve to its end or to its limits, of which one is a callback: compiled code heeds the others alone.

    Returns
    -------
    stopped : str or None
        "aborted", "failed", "cancelled", or None when it came to its own end.
    reason : str
        Why it was stopped.
    """
    solve.time_limit = limits.left()
    start = time.perf_counter() - (limits.time_limit - solve.time_limit)
    step = 0
    while True:
        step += 1
        status = solve.run(to_step=step)
        if status != state.PAUSED:
            return how_stopped(status, solve.num_fails)
        now = SolveState(solve.num_solves, solve.num_fails, Phase(solve))
        verdict, reason = limits.verdict(now, time.perf_counter() - start)
        if verdict == ABORT:
            return "aborted", reason
        if verdict == FAIL and now.num_fails:
            return "failed", reason


class Phase:
    """The phase that a paused solve goes on with. Its text is made when somebody reads it, also later.

    Parameters
    ----------
    solve : Solve
        PAUSED.
    """

    def __init__(self, solve: Solve) -> None:
        self._solve = solve
        self._step = solve.num_solves or state.BEFORE_FIRST
        self._text: str | None = None

    def __str__(self) -> str:
        if self._text is None:
            again = self._solve.again()
            try:
                again.run(to_step=self._step)
                self._text = phase_text(again)
            finally:
                again.close()
        return self._text


def phase_text(solve: Solve) -> str:
    """The scopes of the phase that a paused solve goes on with: after a failed step, of the one below on the stack.

    Ports: rez.solver._ResolvePhase.__str__ (rez 3.4.0).
    """
    work, head = solve.session.work, solve.session.head
    if head[state.PHASE_STATUS] == state.FAILED:
        return stacked_phase_text(solve, int(head[state.STACK_DEPTH]) - 1)
    n = int(head[state.N_SCOPES])
    is_new = head[state.PHASE_STATUS] == state.PENDING
    return _scopes_text(solve, work.scope_slot[:n].tolist(), set(range(n)) if is_new else set())


def stacked_phase_text(solve: Solve, depth: int) -> str:
    """The scopes of a phase on the stack, which waits to be solved; the lowest has depth 0."""
    work = solve.session.work
    record = work.stack[depth * state.STACK_RECORD : (depth + 1) * state.STACK_RECORD].tolist()
    first = record[state.STACK_FIRST_SLOT]
    slots = work.stack_slot[first : first + record[state.STACK_N_SCOPES]].tolist()
    return _scopes_text(solve, slots, {record[state.STACK_SPLIT]})


def _scopes_text(solve: Solve, slots: list[int], unextracted: set[int]) -> str:
    """The scopes with these slots; nothing has been extracted from the slices at the positions of `unextracted`."""
    families = solve.session.work.scope_family[: len(slots)].tolist()
    texts = [
        scope_text(solve, family, slot, position in unextracted)
        for position, (family, slot) in enumerate(zip(families, slots, strict=True))
    ]
    return " ".join(texts)


def scope_text(solve: Solve, family: int, slot: int, is_unextracted: bool) -> str:
    """What a scope still allows. Ports: rez.solver._PackageScope.__str__ (rez 3.4.0)."""
    work, request = solve.session.work, solve.request
    if work.slot_request[slot] != NONE:
        return str(request.requirements[int(work.slot_request[slot])])
    if work.slot_kind[slot] == state.SLICE:
        variants = solve.view.reader.mask_variants(family, work.word, int(work.slot_data[slot]))
        text = _slice_text(solve, solve.view.reader.family_name(family), variants)
        return f"{text}*" if is_unextracted and _have_common_families(solve, variants) else text
    n_known = solve.view.reader.n_families
    name = solve.view.reader.family_name(family) if family < n_known else request.requirements[family - n_known].name
    start = int(work.slot_data[slot])
    cuts = work.cut[start : start + int(work.slot_count[slot])].tolist()
    return str(Requirement.construct(name, solve.view.reader.range_of_cuts(cuts, request.unseen)))


def _slice_text(solve: Solve, name: str, variants: list[int]) -> str:
    """Ports: rez.solver._PackageVariantSlice.__str__ (rez 3.4.0), without its star."""
    reader = solve.view.reader
    packages = list(dict.fromkeys(map(reader.variant_package, variants)))
    if len(packages) == 1:
        indexes = [reader.variant_index(variant) for variant in variants]
        shown = "" if indexes == [None] else f"[{','.join(map(str, indexes))}]"
        return f"[{name}=={reader.package_version(packages[0])}{shown}]"
    packages.sort(key=reader.given_rank)  # of equal versions the first one gives the spelling
    versions = [Version(reader.package_version(package)) for package in packages]
    n_packages, n_variants = len(packages), len(variants)
    count = f"{n_packages}" if n_packages == n_variants else f"{n_packages}:{n_variants}"
    return f"{name}[{VersionRange.from_versions(versions).span()}({count})]"


def _have_common_families(solve: Solve, variants: list[int]) -> bool:
    """Whether there is a family that all of these variants require."""
    reader = solve.view.reader
    common: set[str] | None = None
    for variant in variants:
        names = {one.name for one in reader.variant_requirements(variant) if not one.conflict}
        common = names if common is None else common & names
        if not common:
            return False
    return True
