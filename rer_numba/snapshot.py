"""Tables that can be solved from: one state of a repository, which never changes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from rer_numba import state
from rer_numba.engine import NO_LIMIT, Engine, Session
from rer_numba.errors import (
    ConfigurationError,
    RepositoryCorruptError,
    RerError,
    SolveLimitError,
    UnreadablePackageError,
)
from rer_numba.forking import cached_property
from rer_numba.options import SolveOptions
from rer_numba.packages import PROCESS
from rer_numba.reader import Reader
from rer_numba.requests import EncodedRequest, TimeIsUpError
from rer_numba.requirements import RequirementList
from rer_numba.results import SolveResult
from rer_numba.views import Views, tables_of, views_of

if TYPE_CHECKING:
    from rer_numba.explain import Explainer
    from rer_numba.policies import Policies
    from rer_numba.policy import Policy
    from rer_numba.schema import Tables
    from rer_numba.stepping import Limits
    from rer_numba.touched import Known, Touched


class _View:
    """A repository as one kind of solve sees it: with or without build_requires."""

    def __init__(self, views: Views, building: bool) -> None:
        self.reader = Reader(views, building)
        self.engine = Engine(views, building)
        self.views = views
        self._idle: list[Session] = []
        self._policies: Policies | None = None

    def policy(self, options: SolveOptions) -> Policy | None:
        """What these options hide and prefer; None for nothing."""
        if options.is_plain():
            return None
        if self._policies is None:
            from rer_numba.policies import Policies

            self._policies = Policies(self.views, self.reader)
        return self._policies.get(options)

    def take(self) -> Session:
        """Work arrays nobody else uses. Lists are safe between threads."""
        try:
            return self._idle.pop()
        except IndexError:
            return Session(self.engine)

    def give_back(self, session: Session) -> None:
        """Let the next solve use them."""
        self._idle.append(session)


class StaleCheck(Protocol):
    """Looks whether what a solve touched is still as it was encoded: `rer_numba.paths.guard.Guard`, and the like.

    Attributes
    ----------
    known : Known
        What solves touched that was found to be so.
    """

    known: Known

    def stale_path(self, families: Iterable[str], packages: Iterable[int]) -> str | None:
        """Something of what a solve touched that is not so, or None."""


class Snapshot:
    """One state of a repository. Solves may run in several threads at once.

    Parameters
    ----------
    tables : Tables or Views
        Checked ones.
    guard : StaleCheck, optional
        Looks whether what a solve touches is still as it was encoded.
    """

    def __init__(self, tables: Tables | Views, guard: StaleCheck | None = None) -> None:
        self.views = views_of(tables)
        self.guard = guard
        self._kinds: dict[bool, _View] = {}

    @cached_property
    def tables(self) -> Tables:
        """The columns as numpy arrays."""
        return tables_of(self.views)

    @cached_property
    def marks(self) -> frozenset[int]:
        """Errors that stand for packages which only the process that asks knows: rows of ``error_type_text``."""
        text = self.view(False).reader.text
        return frozenset(row for row, kind in enumerate(self.views.error_type_text) if text(kind) == PROCESS)

    def was_overwritten(self) -> bool:
        """Tell whether somebody has written over the file since it was mapped, for who is about to solve.

        Not asked again within 2 ms; so many solves in a row look at the file once each, see `is_overwritten`.
        """
        origin = self.views.origin
        return origin is not None and origin.was_overwritten()

    def is_overwritten(self) -> bool:
        """The same for who has solved. Takes 2 us; nothing for what is not mapped."""
        origin = self.views.origin
        return origin is not None and origin.is_overwritten()

    def overwritten_error(self) -> RepositoryCorruptError:
        """What to say then."""
        return self.views.overwritten_error()

    def view(self, building: bool) -> _View:
        """The repository with or without build_requires."""
        building = building and bool(len(self.views.building_variant_requirement_offsets))
        view = self._kinds.get(building)
        if view is None:
            view = self._kinds[building] = _View(self.views, building)
        return view

    def begin(
        self,
        request: RequirementList,
        options: SolveOptions,
        searched: Sequence[str],
        limits: Limits | None = None,
    ) -> Solve:
        """Prepare to solve a merged request that is not in conflict with itself. Nothing runs yet.

        Raises
        ------
        TimeIsUpError
            The limits end before the request has been looked up.
        RezError, VersionError
            An orderer or a filter of the options cannot be used; the text names the value.
        """
        view = self.view(options.building)
        look = None if limits is None else limits.look
        return Solve(view, view.reader.encode(request.requirements, look), "; ".join(searched), options)

    def solve(
        self,
        request: RequirementList,
        options: SolveOptions,
        searched: Sequence[str],
        limits: Limits | None = None,
        signal: memoryview[int] | None = None,
    ) -> tuple[SolveResult, str | None]:
        """Solve a merged request that is not in conflict with itself.

        Parameters
        ----------
        request : RequirementList
        options : SolveOptions
        searched : sequence of str
            What messages say was searched.
        limits : Limits, optional
            When to give up. A solve that is stopped has the status "aborted", or "failed" with the latest failure.
        signal : int64 array of length 1, optional
            Ends the solve from outside, see `Session.run`. Its status is "cancelled" then.

        Returns
        -------
        result : SolveResult
        stale_path : str or None
            Something the solve touched that is not what it was when it was encoded.
        """
        stale_path = None
        try:
            solve = self.begin(request, options, searched, limits)
            solve.signal = signal
            try:
                stopped = _run(solve, limits)
                if self.guard is not None:
                    stale_path = _stale_path(solve, self.guard)
                unknown = self.unknown_time(solve)
                if unknown is not None:
                    return SolveResult("error", failure=unknown[1], error_type=unknown[0]), stale_path
                return _result(solve, *stopped), stale_path
            finally:
                solve.close()
        except TimeIsUpError:
            return out_of_time(), stale_path
        except RerError as error:
            return SolveResult("error", failure=str(error), error_type=type(error).__name__), stale_path

    def unknown_time(self, solve: Solve) -> tuple[str, str] | None:
        """See `rer_numba.process_packages.unknown_time`."""
        if solve.policy is None or not solve.policy.orders_by_time:
            return None
        from rer_numba.process_packages import unknown_time

        return unknown_time(self.marks, solve)

    def finish(
        self,
        request: RequirementList,
        options: SolveOptions,
        searched: Sequence[str],
        session: Session,
        status: int,
        seconds: float,
    ) -> tuple[SolveResult, str | None]:
        """Read the answer of a solve that compiled code has done among others, see `rer_numba.rows`.

        Parameters
        ----------
        request, options, searched
            As for `solve`.
        session : Session
            As the solve left it. It is the caller's again afterwards.
        status : int
            How the solve has ended.
        seconds : float
            How long it took.

        Returns
        -------
        result, stale_path
            As of `solve`.
        """
        solve = self.begin(request, options, searched)
        with solve.taking_over(session, status, seconds):
            stale_path = None if self.guard is None else _stale_path(solve, self.guard)
            unknown = self.unknown_time(solve)
            if unknown is not None:
                kind, text = unknown
                return SolveResult("error", failure=text, error_type=kind), stale_path
            return _result(solve, *how_stopped(status, solve.num_fails)), stale_path


def _run(solve: Solve, limits: Limits | None) -> tuple[str | None, str]:
    """Run a solve to its end or to its limits. Returns how it was stopped, if it was, and why."""
    if limits is not None and limits.callback is not None:
        from rer_numba.stepping import run_within

        return run_within(solve, limits)
    if limits is not None:
        solve.max_fails, solve.time_limit = limits.max_fails, limits.left()
    return how_stopped(solve.run(), solve.num_fails)


def out_of_time() -> SolveResult:
    """The answer of a request whose time was up before it was read."""
    return SolveResult("aborted", failure=how_stopped(state.OUT_OF_TIME, 0)[1])


def how_stopped(status: int, num_fails: int) -> tuple[str | None, str]:
    """How a solve was stopped that ended with a status, and why; (None, "") when it came to its own end."""
    if status == state.FAIL_LIMIT:
        return "failed", f"fail limit reached: aborted after {num_fails} failures"
    if status == state.OUT_OF_TIME:
        return "aborted", "time limit exceeded"
    if status == state.CANCELLED:
        return "cancelled", "the solve was cancelled"
    return None, ""


class Solve:
    """One solve, run as far as one wants.

    It keeps work arrays to itself until it is closed, so that there is something to look at.

    Attributes
    ----------
    view, request, options, policy
        What it runs on.
    paths : str
        What messages say was searched.
    status : int
        Of `rer_numba.state`. PENDING before the first run.
    num_solves, num_fails : int
        Steps done, and those that failed, as rez counts them.
    seconds : float
        Time in the kernel, so far.
    asked_packages : set of int
        Packages that the filter had to be asked for, the last time it was.
    max_fails, time_limit
        When compiled code gives up, see `stepping.Limits`. May be set before the first run.
    signal : int64 array of length 1, or None
        Ends it from outside, see `Session.run`. May be set before the first run.
    """

    def __init__(self, view: _View, request: EncodedRequest, paths: str, options: SolveOptions) -> None:
        self.view = view
        self.request = request
        self.paths = paths
        self.options = options
        self.policy = view.policy(options)
        self.asked_packages: set[int] = set()
        self.max_fails = NO_LIMIT
        self.time_limit: float = NO_LIMIT
        self.signal: memoryview[int] | None = None
        self.status = state.PENDING
        self.num_solves = 0
        self.num_fails = 0
        self.seconds = 0.0
        self._session: Session | None = None
        self._refused: tuple[str, str] | None = None

    # --- running

    @property
    def session(self) -> Session:
        """The work arrays, as the last run left them."""
        if self._session is None:
            self._session = self.view.take()
        return self._session

    def run(self, to_step: int = 0, to_fail: int = 0) -> int:
        """Run, or go on when the last run was PAUSED.

        Parameters
        ----------
        to_step : int
            Pause after that many steps, counted from the start; 0: run to the end; `state.BEFORE_FIRST`: only look up
            the packages of the request.
        to_fail : int
            Stop at that failed phase.

        Returns
        -------
        int
            The status: PAUSED, STOPPED, or how it ended.
        """
        start = time.perf_counter()
        try:
            self.status = self._run(to_step, to_fail)
        except UnreadablePackageError as error:
            self.status, self._refused = state.ERROR, (error.error_type, error.text)
        except BaseException:  # whatever it was
            self._session = None  # nobody can go on from there, not even another solve
            raise
        self.seconds += time.perf_counter() - start
        self.num_solves = self.session.head[state.NUM_SOLVES]
        self.num_fails = self.session.head[state.NUM_FAILS]
        return self.status

    def _run(self, to_step: int, to_fail: int) -> int:
        """Run the kernel, again whenever the filter had to be asked for packages it had not seen yet."""
        resume = self.status == state.PAUSED and self._session is not None
        session = self.session
        goes_on = False
        while True:
            status = session.run(
                self.request,
                intersection_priority=self.options.variant_select_mode == "intersection_priority",
                error_on_missing=self.options.error_on_missing_variant_requires,
                stop_at_fail=to_fail,
                stop_at_step=to_step,
                resume=resume,
                policy=self.policy,
                max_fails=self.max_fails,
                time_limit=self.time_limit,
                signal=self.signal,
                goes_on=goes_on,
            )
            if status != state.ERROR or session.head[state.REASON] != state.UNASKED_FILTER:
                return status
            self._ask(session)
            resume, goes_on = False, True

    def _ask(self, session: Session) -> None:
        variants = self.view.reader.mask_variants(session.head[state.REASON_FAMILY], session.work.scratch, 0)
        self.asked_packages = set(map(self.view.reader.variant_package, variants))
        assert self.policy is not None
        self.policy.ask(variants)

    @contextmanager
    def taking_over(self, session: Session, status: int, seconds: float) -> Iterator[None]:
        """Be what was run in a session of somebody else, until it is theirs again."""
        session.request = self.request
        self._session, self.status, self.seconds = session, status, seconds
        self.num_solves, self.num_fails = session.head[state.NUM_SOLVES], session.head[state.NUM_FAILS]
        try:
            yield
        finally:
            self._session = None

    def again(self) -> Solve:
        """The same solve, to be run once more from the start, on work arrays of its own."""
        return Solve(self.view, self.request, self.paths, self.options)

    def close(self) -> None:
        """Let another solve use the work arrays; what they say is lost. A paused solve can go on, from the start."""
        if self._session is not None:
            self.view.give_back(self._session)
            self._session = None

    # --- reading

    def explainer(self) -> Explainer:
        """Reads why it failed, or what it met."""
        from rer_numba.explain import Explainer  # most solves have nothing to explain

        places = None if self.policy is None else self.policy.places()
        return Explainer(self.view.reader, self.request, self.session.work, self.paths, places)

    def error(self) -> tuple[str, str]:
        """(class name, text) of the exception that rez raises, after ERROR."""
        return self._refused or self.explainer().error()

    def touched(self) -> Touched:
        """What rez would have listed and loaded so far."""
        from rer_numba.touched import touched

        return touched(self.session)

    def looks_at_more(self) -> bool:
        """Tell whether orderers or filters may have looked at more than what rez would have loaded."""
        return bool(self.asked_packages) or (self.policy is not None and self.policy.orders_by_time)

    def looked_at(self) -> Touched:
        """What it depends on: what rez would have listed and loaded, and what orderers and filters have looked at."""
        found = self.touched()
        more = set(self.asked_packages)
        if self.policy is not None and self.policy.orders_by_time:
            offsets = self.view.views.family_package_offsets
            for family in found.families:
                if not isinstance(family, str):
                    more.update(range(*offsets[family : family + 2].tolist()))
        if not more:
            return found
        more.difference_update(found.packages, found.hidden)
        return found._replace(hidden=[*found.hidden, *sorted(more)])

    def variants(self) -> list[int]:
        """The resolved variants in rez's order, after SOLVED."""
        session = self.session
        n = session.head[state.N_RESULTS]
        return [variant for variant in session.work.result_variant[:n].tolist() if variant >= 0]

    def ephemerals(self) -> list[str]:
        """The resolved ephemerals in rez's order, after SOLVED."""
        session = self.session
        n = session.head[state.N_RESULTS]
        variants = session.work.result_variant[:n].tolist()
        if not variants or min(variants) >= 0:
            return []
        explainer = self.explainer()
        positions = session.work.result_scope[:n].tolist()
        return [
            str(explainer.ephemeral(position))
            for position, variant in zip(positions, variants, strict=True)
            if variant < 0
        ]

    def failure_text(self, number: int = 1) -> str:
        """The description of a failure, counted from 1; rez reports the first. It is solved again up to there.

        Raises
        ------
        RepositoryCorruptError
            The file has been written over since.
        """
        self.view.views.require_whole()
        again = self.again()
        try:
            status = again.run(to_fail=number)
            return again.explainer().cycle() if status == state.CYCLIC else again.explainer().failure()
        except SolveLimitError as error:  # describing sorts more variants than solving did
            return f"There is no solution; to say why needs more memory than is allowed: {error}"
        finally:
            again.close()


def _result(solve: Solve, stopped: str | None, reason: str) -> SolveResult:
    """The answer, read off the work arrays before somebody else uses them."""
    counts: dict[str, Any] = {
        "num_solves": solve.num_solves,
        "num_fails": solve.num_fails,
        "solve_time_ms": solve.seconds * 1000,
    }
    status = solve.status
    if stopped in ("aborted", "cancelled"):
        return SolveResult(stopped, failure=reason, **counts)
    if stopped == "failed":
        fails = solve.num_fails
        return SolveResult("failed", failure=lambda: f"{reason}:\n{why_failed(solve, fails)}", **counts)
    if status == state.SOLVED:
        return SolveResult(
            "solved", variants=(solve.view.reader, solve.variants()), ephemerals=solve.ephemerals(), **counts
        )
    if status == state.CYCLIC:
        return SolveResult("failed", failure=solve.explainer().cycle(), **counts)
    if status == state.FAILED:
        return SolveResult("failed", failure=lambda: why_failed(solve), **counts)
    kind, text = solve.error()
    return SolveResult("error", failure=text, error_type=kind, **counts)


def why_failed(solve: Solve, number: int = 1) -> str:
    """The text of a failure; or why there is none, where describing asks an orderer for more than solving did."""
    try:
        return solve.failure_text(number)
    except ConfigurationError as error:
        return f"There is no solution; to say why would take the order of more packages: {error}"


def _stale_path(solve: Solve, guard: StaleCheck) -> str | None:
    """Something that a solve touched and that is not what it was when it was encoded."""
    if solve.status == state.CANCELLED:
        return None  # its answer says nothing that could be stale
    if guard.known.has_all_of(solve.session) and not solve.looks_at_more():
        return None
    found = solve.looked_at()
    names = [one if isinstance(one, str) else solve.view.reader.family_name(one) for one in found.families]
    path = guard.stale_path(names, {*found.packages, *found.hidden})
    if path is None:
        guard.known.note(solve.session)
    return path
