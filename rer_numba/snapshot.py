"""Tables that can be solved from: one state of a repository, which never changes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rer_numba import state
from rer_numba.engine import Engine, Session
from rer_numba.errors import RerError, SolveLimitError, UnreadablePackageError
from rer_numba.options import SolveOptions
from rer_numba.reader import Reader
from rer_numba.requests import EncodedRequest
from rer_numba.requirements import RequirementList
from rer_numba.results import SolveResult
from rer_numba.schema import Tables

if TYPE_CHECKING:
    from rer_numba.compile_policy import Policies
    from rer_numba.explain import Explainer
    from rer_numba.paths.guard import Guard
    from rer_numba.policy import Policy


class _View:
    """A repository as one kind of solve sees it: with or without build_requires."""

    def __init__(self, tables: Tables, building: bool) -> None:
        self.reader = Reader(tables, building)
        self.engine = Engine(tables, building)
        self.tables = tables
        self._idle: list[Session] = []
        self._policies: Policies | None = None

    def policy(self, options: SolveOptions) -> Policy | None:
        """What these options hide and prefer; None for nothing."""
        if options.is_plain():
            return None
        if self._policies is None:
            from rer_numba.compile_policy import Policies

            self._policies = Policies(self.tables, self.reader)
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


class Snapshot:
    """One state of a repository. Solves may run in several threads at once.

    Parameters
    ----------
    tables : Tables
        Checked ones.
    guard : Guard, optional
        Looks whether what a solve touches is still as it was encoded.
    """

    def __init__(self, tables: Tables, guard: Guard | None = None) -> None:
        self.tables = tables
        self.guard = guard
        self._views: dict[bool, _View] = {}

    def view(self, building: bool) -> _View:
        """The repository with or without build_requires."""
        building = building and bool(len(self.tables.building_variant_requirement_offsets))
        view = self._views.get(building)
        if view is None:
            view = self._views[building] = _View(self.tables, building)
        return view

    def solve(
        self, request: RequirementList, options: SolveOptions, searched: Sequence[str]
    ) -> tuple[SolveResult, str | None]:
        """Solve a merged request that is not in conflict with itself.

        Returns
        -------
        result : SolveResult
        stale_path : str or None
            Something the solve touched that is not what it was when it was encoded.
        """
        view = self.view(options.building)
        solve = _Solve(view, view.reader.encode(request.requirements), "; ".join(searched), options, self.guard)
        try:
            return solve.result(), solve.stale_path
        except RerError as error:
            return SolveResult("error", failure=str(error), error_type=type(error).__name__), solve.stale_path


class _Solve:
    """One solve: runs the kernel and decodes what it left."""

    def __init__(
        self, view: _View, request: EncodedRequest, paths: str, options: SolveOptions, guard: Guard | None
    ) -> None:
        self.view = view
        self.request = request
        self.paths = paths
        self.options = options
        self.policy = view.policy(options)
        self.guard = guard
        self.asked_packages: set[int] = set()
        self.stale_path: str | None = None

    def _run(self, session: Session, stop_at_fail: int = 0) -> int:
        """Run the kernel, again whenever the filter had to be asked for packages it had not seen yet."""
        while True:
            status = session.run(
                self.request,
                intersection_priority=self.options.variant_select_mode == "intersection_priority",
                error_on_missing=self.options.error_on_missing_variant_requires,
                stop_at_fail=stop_at_fail,
                policy=self.policy,
            )
            if status != state.ERROR or session.head[state.REASON] != state.UNASKED_FILTER:
                return status
            family = int(session.head[state.REASON_FAMILY])
            variants = self.view.reader.mask_variants(family, session.work.scratch, 0)
            self.asked_packages = set(self.view.tables.variant_package[variants].tolist())
            assert self.policy is not None
            self.policy.ask(variants)

    def result(self) -> SolveResult:
        """Solve, and read the answer off the work arrays before somebody else uses them."""
        session = self.view.take()
        start = time.perf_counter()
        refused = None
        try:
            status = self._run(session)
        except UnreadablePackageError as error:
            status, refused = state.ERROR, (error.error_type, error.text)
        milliseconds = (time.perf_counter() - start) * 1000
        if self.guard is not None:
            self.stale_path = self._stale_path(session)
        head = session.head
        counts: dict[str, Any] = {
            "num_solves": int(head[state.NUM_SOLVES]),
            "num_fails": int(head[state.NUM_FAILS]),
            "solve_time_ms": milliseconds,
        }
        if status == state.SOLVED:
            result = SolveResult(
                "solved", variants=self._variants(session), ephemerals=self._ephemerals(session), **counts
            )
        elif status == state.CYCLIC:
            result = SolveResult("failed", failure=self._explainer(session).cycle(), **counts)
        elif status == state.FAILED:
            result = SolveResult("failed", failure=self._explain_failure, **counts)
        else:
            kind, text = refused or self._explainer(session).error()
            result = SolveResult("error", failure=text, error_type=kind, **counts)
        self.view.give_back(session)
        return result

    def _stale_path(self, session: Session) -> str | None:
        """Something that the solve touched and that is not what it was when it was encoded."""
        from rer_numba.touched import touched

        assert self.guard is not None
        times_matter = self.policy is not None and self.policy.orders_by_time
        if self.guard.known.has_all_of(session) and not (self.asked_packages or times_matter):
            return None
        found = touched(session)
        names = [one if isinstance(one, str) else self.view.reader.family_name(one) for one in found.families]
        packages = {*found.packages, *found.hidden, *self.asked_packages}
        if times_matter:
            offsets = self.view.tables.family_package_offsets
            for family in found.families:
                if not isinstance(family, str):
                    packages.update(range(*offsets[family : family + 2].tolist()))
        path = self.guard.stale_path(names, packages)
        if path is None:
            self.guard.known.note(session)
        return path

    def _explainer(self, session: Session) -> Explainer:
        from rer_numba.explain import Explainer  # most solves have nothing to explain

        places = None if self.policy is None else self.policy.places()
        return Explainer(self.view.reader, self.request, session.work, self.paths, places)

    def _variants(self, session: Session) -> tuple[Reader, list[int]]:
        n = session.head[state.N_RESULTS]
        return self.view.reader, [variant for variant in session.work.result_variant[:n].tolist() if variant >= 0]

    def _ephemerals(self, session: Session) -> list[str]:
        n = session.head[state.N_RESULTS]
        variants = session.work.result_variant[:n]
        if n == 0 or variants.min() >= 0:
            return []
        explainer = self._explainer(session)
        positions = session.work.result_scope[:n][variants < 0].tolist()
        return [str(explainer.ephemeral(position)) for position in positions]

    def _explain_failure(self) -> str:
        """Solve again up to the first failure, which is the one rez reports, and describe it."""
        session = self.view.take()
        try:
            self._run(session, stop_at_fail=1)
        except SolveLimitError as error:  # describing sorts more variants than solving did
            return f"There is no solution; to say why needs more memory than is allowed: {error}"
        text = self._explainer(session).failure()
        self.view.give_back(session)
        return text
