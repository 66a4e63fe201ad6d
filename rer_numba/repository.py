"""A repository of packages, encoded once and solved many times."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rer_numba import state
from rer_numba.engine import Engine, Session
from rer_numba.errors import PackageRequestError, RerError, SolveLimitError, VersionError
from rer_numba.options import SolveOptions
from rer_numba.packages import PackageData
from rer_numba.reader import Reader
from rer_numba.requests import EncodedRequest, parse_requests
from rer_numba.results import SolveResult
from rer_numba.schema import Tables

if TYPE_CHECKING:
    from rer_numba.compile_policy import Policies
    from rer_numba.explain import Explainer
    from rer_numba.policy import Policy

OPTIONS = "rer.options"
"""Entry of a file's metadata: `SolveOptions.to_json` of what its solves use; absent where they are the defaults."""


class _View:
    """A repository as one kind of solve sees it: with or without build_requires."""

    def __init__(self, tables: Tables, building: bool) -> None:
        self.reader = Reader(tables, building)
        self.engine = Engine(tables, building)
        self._tables = tables
        self._idle: list[Session] = []
        self._policies: Policies | None = None

    def policy(self, options: SolveOptions) -> Policy | None:
        """What these options hide and prefer; None for nothing."""
        if options.is_plain():
            return None
        if self._policies is None:
            from rer_numba.compile_policy import Policies

            self._policies = Policies(self._tables, self.reader)
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


class Repository:
    """Packages encoded into tables.

    Make one with `from_packages` or `open`. Solves may run in several threads at once.

    Attributes
    ----------
    tables : Tables
        The columns, read-only.
    paths : tuple of str
        What rez's messages say was searched.
    path : str or None
        The file it was saved to or opened from.
    fingerprint : str or None
        Of the content, once saved or opened.
    options : SolveOptions
        What `solve` uses when it is told nothing else. May be set; `save` keeps them in the file.
    """

    def __init__(
        self,
        tables: Tables,
        *,
        paths: Sequence[str] = (),
        path: str | None = None,
        fingerprint: str | None = None,
        metadata: dict[str, str] | None = None,
        options: SolveOptions | None = None,
    ) -> None:
        self.tables = tables
        self.paths = tuple(paths)
        self.path = path
        self.fingerprint = fingerprint
        self.metadata = metadata or {}
        self.options = options or SolveOptions()
        self._views: dict[bool, _View] = {}

    # --- making, saving, opening

    @classmethod
    def from_packages(
        cls,
        packages: Iterable[PackageData],
        *,
        paths: Sequence[str] = ("<packages>",),
        options: SolveOptions | None = None,
    ) -> Repository:
        """Encode packages.

        Parameters
        ----------
        packages : iterable of PackageData
            In the order in which rez would list them; of two with equal name and version the first counts.
        paths : sequence of str
            What messages say was searched.
        options : SolveOptions, optional
            What `solve` uses when it is told nothing else; `SolveOptions.from_rez()` for what rez is configured to do.

        Raises
        ------
        TypeError
            Something else than PackageData. What is wrong inside a package is kept for the solve that meets it.
        ValueError, ConfigurationError, VersionError
            An option has a value that cannot be used; the text names it.
        """
        from rer_numba.encode import encode

        packages = list(packages)
        for package in packages:
            if not isinstance(package, PackageData):
                raise TypeError(f"packages must be PackageData, not {type(package).__name__}: {package!r}")
        return cls(encode(packages), paths=paths, options=None if options is None else options.read())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one Arrow file; it appears whole or not at all. `options` are stored with it.

        Raises
        ------
        OSError
            It can't be written; what was there stays.
        ConfigurationError
            An orderer or a filter of `options` cannot be stored; the text says which. Nothing is written.
        """
        from rer_numba import store

        entries = {**self.metadata, "rer.paths": "\n".join(self.paths)}
        entries.pop(OPTIONS, None)
        if self.options != SolveOptions():
            entries[OPTIONS] = self.options.to_json()
        saved = store.write(self.tables, path, entries)
        self.path = os.fspath(os.path.abspath(path))
        self.fingerprint = saved

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Repository:
        """Map a saved repository. Costs a few milliseconds, whatever its size in use.

        Raises
        ------
        RepositoryFileError
            The file is damaged, not ours, or of another format; the text names it and says what to do.
        FileNotFoundError
            There is no such file.
        ConfigurationError
            An option that is stored in it is unknown or cannot be used; the text names it and the file.
        """
        from rer_numba import store

        opened = store.read(path)
        paths = opened.metadata.get("rer.paths", "")
        stored = opened.metadata.get(OPTIONS)
        return cls(
            opened.tables,
            paths=paths.split("\n") if paths else (),
            path=os.fspath(os.path.abspath(path)),
            fingerprint=opened.fingerprint,
            metadata=opened.metadata,
            options=None if stored is None else SolveOptions.from_json(stored, f"{os.fspath(path)}: stored options"),
        )

    def __reduce__(self) -> tuple[Callable[..., Repository], tuple[str, str, SolveOptions]]:
        if self.path is None or self.fingerprint is None:
            raise TypeError("a repository can be pickled once it is saved: call save(path) first")
        return _reopen, (self.path, self.fingerprint, self.options)

    def __repr__(self) -> str:
        tables = self.tables
        return f"<Repository {len(tables.package_version_rank)} packages, {len(tables.variant_package)} variants>"

    # --- solving

    def solve(self, requests: Iterable[Any], options: SolveOptions | None = None, **overrides: Any) -> SolveResult:
        """Solve one request.

        Parameters
        ----------
        requests : iterable of str or requirement
            What is wanted, as rez's command line takes it. Requirement objects of rez are taken too.
        options : SolveOptions, optional
            How; by default the repository's own (`Repository.options`).
        **overrides
            Single options that replace those: variant_select_mode, package_orderers, package_filter, timestamp,
            building, error_on_missing_variant_requires, allow_unversioned_packages, implicit_packages.

        Returns
        -------
        SolveResult
            Failures and bad requests too; see its `status`.

        Raises
        ------
        TypeError
            The request is not a list of texts and requirements, or there is no such option.
        ValueError, ConfigurationError, VersionError
            An option has a value that cannot be used; the text names it.
        """
        options = self.options if options is None else options
        if not isinstance(options, SolveOptions):
            raise TypeError(f"options must be SolveOptions, not {type(options).__name__}: {options!r}")
        options = options.with_overrides(overrides).checked()
        view = self._view(options.building)
        policy = view.policy(options)
        try:
            merged = parse_requests(requests, options.implicit_packages)
        except (PackageRequestError, VersionError) as error:
            return SolveResult("error", failure=str(error), error_type=type(error).__name__)
        if merged.conflict:
            from rer_numba.explain import dependency_conflict

            return SolveResult("failed", num_fails=1, failure=dependency_conflict(*merged.conflict))
        solve = _Solve(view, view.reader.encode(merged.requirements), "; ".join(self.paths), options, policy)
        try:
            return solve.result()
        except RerError as error:
            return SolveResult("error", failure=str(error), error_type=type(error).__name__)

    def solve_many(self, requests: Iterable[Iterable[Any]], **options: Any) -> list[SolveResult]:
        """Solve many requests, in order; the options are those of `solve`."""
        return [self.solve(request, **options) for request in requests]

    def _view(self, building: bool) -> _View:
        building = building and bool(len(self.tables.building_variant_requirement_offsets))
        view = self._views.get(building)
        if view is None:
            view = self._views[building] = _View(self.tables, building)
        return view


def _reopen(path: str, fingerprint: str, options: SolveOptions) -> Repository:
    repository = Repository.open(path)
    if repository.fingerprint != fingerprint:
        raise RerError(f"{path} was written again since this repository was pickled: open it anew")
    repository.options = options
    return repository


class _Solve:
    """One solve: runs the kernel and decodes what it left."""

    def __init__(
        self, view: _View, request: EncodedRequest, paths: str, options: SolveOptions, policy: Policy | None
    ) -> None:
        self.view = view
        self.request = request
        self.paths = paths
        self.options = options
        self.policy = policy

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
            assert self.policy is not None
            self.policy.ask(self.view.reader.mask_variants(family, session.work.scratch, 0))

    def result(self) -> SolveResult:
        """Solve, and read the answer off the work arrays before somebody else uses them."""
        session = self.view.take()
        start = time.perf_counter()
        status = self._run(session)
        milliseconds = (time.perf_counter() - start) * 1000
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
            kind, text = self._explainer(session).error()
            result = SolveResult("error", failure=text, error_type=kind, **counts)
        self.view.give_back(session)
        return result

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
