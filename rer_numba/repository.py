"""A repository of packages, encoded once and solved many times."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, cast

from rer_numba.errors import PackageRequestError, RerError, StaleRepositoryError, VersionError
from rer_numba.forking import Lock
from rer_numba.needed import require
from rer_numba.options import Overrides, SolveOptions
from rer_numba.packages import LATE, PROCESS, PackageData
from rer_numba.paths.trust import FILE, Given, Trust
from rer_numba.requests import TimeIsUpError, parse_requests
from rer_numba.results import SolveResult
from rer_numba.snapshot import Snapshot, out_of_time
from rer_numba.views import views_of

if TYPE_CHECKING:
    from threading import Event

    from typing_extensions import Unpack  # in `typing` since Python 3.11

    from rer_numba.batch import SolveBatch
    from rer_numba.broken import Broken
    from rer_numba.engine import Session
    from rer_numba.paths.guard import Guard
    from rer_numba.paths.settings import PathSettings
    from rer_numba.progress import OnProgress
    from rer_numba.requests import MergedRequest
    from rer_numba.requirements import RequirementList
    from rer_numba.schema import Tables
    from rer_numba.stepping import Limits
    from rer_numba.storage import Refreshed
    from rer_numba.store import OpenedFile
    from rer_numba.views import Views

Check = Literal["strict", "release", "frozen"]
OnStale = Literal["refresh", "warn", "error"]

_TRIES = 3
"""How often a solve is done again because packages change all the time."""


class StaleRepositoryWarning(UserWarning):
    """Packages have changed since the repository was encoded, and a solve did not heed it."""


class Repository:
    """Packages encoded into tables.

    Make one with `from_paths`, `from_packages` or `open`. Solves may run in several threads at once, also while it is
    refreshed.

    Attributes
    ----------
    paths : tuple of str
        What rez's messages say was searched.
    path : str or None
        The file, or folder of generations, that it was saved to or opened from.
    file : str or None
        The file with this very content.
    fingerprint : str or None
        Of the content, once saved or opened.
    options : SolveOptions
        What `solve` uses when it is told nothing else. May be set; `save` keeps them in the file.
    path_settings : PathSettings or None
        How the packages were found; None when they were handed in.
    trust : Trust
        Whose definitions may be run, see `open`.
    refused : bool
        Some were not, since they were read again: it is not saved.
    """

    def __init__(
        self,
        tables: Tables | Views,
        *,
        paths: Sequence[str] = (),
        options: SolveOptions | None = None,
        path_settings: PathSettings | None = None,
        check: Check = "frozen",
        on_stale: OnStale = "refresh",
    ) -> None:
        self.paths = tuple(paths)
        self.path: str | None = None
        self.file: str | None = None
        self.fingerprint: str | None = None
        self.metadata: dict[str, str] = {}
        self.options = options or SolveOptions()
        self.path_settings = path_settings
        self.trust = FILE
        self.refused = False
        self._check = check
        self._on_stale = on_stale
        self._refreshing = Lock()
        self._snapshot = self._snapshot_of(tables)

    @property
    def tables(self) -> Tables:
        """The columns as numpy arrays, read-only."""
        return self._snapshot.tables

    @property
    def guard(self) -> Guard | None:
        """What looks whether packages are still as they were; None if nothing has to be looked at any more."""
        return cast("Guard | None", self._snapshot.guard)

    @property
    def views(self) -> Views:
        """The columns as memoryviews."""
        return self._snapshot.views

    def _snapshot_of(self, tables: Tables | Views, checked: Check = "frozen", before: Guard | None = None) -> Snapshot:
        """Tables to solve from; `checked` is how they have been compared with the folders just now."""
        tables = views_of(tables)
        tables.file = tables.file or self.file
        if self.path_settings is None or self._check == "frozen" or checked in ("strict", self._check):
            return Snapshot(tables)
        from rer_numba.paths.guard import Guard

        return Snapshot(tables, Guard(tables, self.path_settings, self._check, self.paths, before))

    def use(self, tables: Tables | Views, checked: Check = "frozen", before: Guard | None = None) -> None:
        """Solve from other tables from now on. Solves that have begun go on with the old ones.

        Parameters
        ----------
        tables : Tables or Views
        checked : {"strict", "release", "frozen"}
            How they have been compared with the folders just now. As in rez, what a process has looked at once does not
            change for it.
        before : Guard, optional
            Of the tables that are replaced, if only what it has found to be stale was read again.
        """
        self._snapshot = self._snapshot_of(tables, checked, before)

    def adopt(self, opened: OpenedFile, file: str) -> None:
        """Take what another process has written to our path."""
        self.use(opened.views)
        self.file, self.fingerprint, self.metadata = file, opened.fingerprint, opened.metadata

    # --- making

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
        require("encoding packages", "numpy")
        from rer_numba.encode import encode

        packages = list(packages)
        for package in packages:
            if not isinstance(package, PackageData):
                raise TypeError(f"packages must be PackageData, not {type(package).__name__}: {package!r}")
        return cls(encode(packages), paths=paths, options=None if options is None else options.read())

    @classmethod
    def from_paths(
        cls,
        paths: Sequence[str | os.PathLike[str]],
        *,
        path_settings: PathSettings | None = None,
        options: SolveOptions | None = None,
        processes: int | None = None,
        progress: bool | OnProgress = False,
    ) -> Repository:
        """Read packages from folders as rez does, and encode them.

        Files that say it all themselves are read without running them. Of those that ask their process (for an
        environment variable, say) nothing is kept: they are evaluated by rez in each process whose solves come to
        them. If it is not installed (the extra ``rez``), such a solve ends in an error that says so.

        Parameters
        ----------
        paths : sequence of path
            As in rez's packages_path: of two packages with equal name and version the one on the earlier path counts.
        path_settings : PathSettings, optional
            rez's settings about reading folders; `PathSettings.from_rez()` for what rez is configured to do.
        options : SolveOptions, optional
            What `solve` uses when it is told nothing else; `SolveOptions.from_rez()` for what rez is configured to do.
        processes : int, optional
            How many processes read; default: as many as there are processors, and as pays.
        progress : bool or callable
            True: show how it goes on, on a terminal, if it takes longer than two seconds. Or a function that is told
            what is going on, how much is done and how much there is.

        Raises
        ------
        TypeError
            `paths` is a single text.
        ValueError, ConfigurationError, VersionError
            An option or a path cannot be used; the text names it. What is wrong with a package is kept for the solve
            that meets it.
        OSError
            A path cannot be listed. One that does not exist is empty, as in rez.
        """
        require("encoding packages", "numpy")
        from rer_numba.paths.build import tables_of_paths
        from rer_numba.paths.settings import PathSettings
        from rer_numba.progress import reported

        if isinstance(paths, (str, bytes, os.PathLike)):
            raise TypeError(f"paths must be a list of paths, not {paths!r}")
        texts = [os.fspath(path) for path in paths]
        settings = (path_settings or PathSettings()).checked()
        with reported(progress) as on_progress:
            tables = tables_of_paths(texts, settings, processes=processes, on_progress=on_progress)
        return cls(tables, paths=texts, options=None if options is None else options.read(), path_settings=settings)

    # --- saving, opening

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one Arrow file; it appears whole or not at all. `options` are stored with it.

        Parameters
        ----------
        path : path
            A file, or a folder (one that exists, or a text that ends with a separator): then the file gets a name by
            its content, the folder's pointer ``current`` names it, and readers keep the ones they have opened. Shared
            folders want the latter.

        Raises
        ------
        OSError
            It can't be written; what was there stays.
        ConfigurationError
            An orderer or a filter of `options` cannot be stored; the text says which. Nothing is written.
        """
        require("saving a repository", "numpy", "pyarrow")
        from rer_numba import storage

        storage.save(self, path)

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        check: Check = "strict",
        on_stale: OnStale = "refresh",
        verify: Literal["once", "always", "never"] = "once",
        trust: Given = None,
    ) -> Repository:
        """Map a saved repository. Costs about a millisecond, whatever its size, and more when it is new to this user.

        Parameters
        ----------
        path : path
            A file, or a folder of generations.
        check : {"strict", "release", "frozen"}
            What is looked at, for packages that came from folders, to tell whether they are still as they were encoded.
            "strict": the folders of the families and the files of the packages that a solve touches, each once: what
            rez would read. "release": the folders only. "frozen": nothing.
        on_stale : {"refresh", "warn", "error"}
            What to do about a change: read the changed families again (and save them, where that is allowed), warn
            (`StaleRepositoryWarning`), or end the solve in an error (`StaleRepositoryError`).
        verify : {"once", "always", "never"}
            Whether all checksums are looked at: once for each file and user, always, or never.
        trust : "file", "rez" or sequence of path, optional
            Whose package definitions may be run, where a solve or a refresh meets one that is not plain, or a late
            requirement: those on the paths that the file names, those on rez's `packages_path`, or those at or below
            these paths (none: an empty list). A solve that needs another one ends in an `UntrustedPathError`. Default:
            "file"; with the check "frozen" solves run nothing.

        Raises
        ------
        RepositoryFileError
            The file is damaged, not ours, or of another format, or an option that is stored in it cannot be used; the
            text names it and says what to do.
        FileNotFoundError
            There is no such file.
        ValueError
            `check`, `on_stale`, `verify` or `trust` is none of the above.
        """
        from rer_numba import storage

        for name, value, known in (
            ("check", check, ("strict", "release", "frozen")),
            ("on_stale", on_stale, ("refresh", "warn", "error")),
        ):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, not {value!r}")
        return storage.open_repository(cls, path, check, on_stale, verify, trust=trust)

    def refresh(
        self,
        *,
        check: Check = "strict",
        save: bool | None = None,
        force: bool = False,
        processes: int | None = None,
        progress: bool | OnProgress = False,
    ) -> Refreshed:
        """Read the families again that have changed since they were encoded, and use them from now on.

        Parameters
        ----------
        check : {"strict", "release", "frozen"}
            What is looked at, see `open`: all folders and files, all folders, or nothing.
        save : bool, optional
            Write the new content to `path`. Default: if it was saved or opened, and may be written. Several processes
            do not do the same work: who comes second takes what the first one has written.
        force : bool
            Read all families again, whatever their files look like; `check` has no meaning then. For what leaves no
            trace in times and sizes: a module that package files import, a file system that keeps no times.
        processes, progress
            As for `from_paths`.

        Raises
        ------
        RerError
            The packages were handed in, so there is nothing to compare with.
        OSError
            A path cannot be listed, or the file cannot be written though `save` is True.
        LockedError
            Another process is writing, and does not end. Nothing has changed.
        RepositoryCorruptError
            The file was written over, instead of replaced, with something else.
        """
        writes = self.path is not None and save is not False
        require("refreshing a repository", "numpy", *(["pyarrow"] if writes else []))
        from rer_numba import storage
        from rer_numba.progress import reported

        self.whole_snapshot()
        with self._refreshing, reported(progress) as on_progress:
            return storage.refresh(self, check, save, processes, on_progress, force=force)

    def __reduce__(self) -> tuple[Callable[..., Repository], tuple[Any, ...]]:
        if self.path is None or self.file is None or self.fingerprint is None:
            raise TypeError("a repository can be pickled once it is saved: call save(path) first")
        arguments = self.path, self.file, self.fingerprint, self.options, self._check, self._on_stale, self.trust
        return _reopen, arguments

    def __repr__(self) -> str:
        views = self.views
        return f"<Repository {len(views.package_version_rank)} packages, {len(views.variant_package)} variants>"

    def broken(self) -> list[Broken]:
        """List what a solve raises when it touches it: families, packages and variants."""
        from rer_numba.broken import broken_parts

        return broken_parts(self.whole_snapshot().views)

    # --- solving

    def solve(
        self,
        requests: Iterable[Any],
        options: SolveOptions | None = None,
        *,
        max_fails: int = -1,
        time_limit: float = -1,
        **overrides: Unpack[Overrides],
    ) -> SolveResult:
        """Solve one request.

        Parameters
        ----------
        requests : iterable of str or requirement
            What is wanted, as rez's command line takes it. Requirement objects of rez are taken too.
        options : SolveOptions, optional
            How; by default the repository's own (`Repository.options`).
        max_fails : int
            Give up ("failed") once there are so many failed steps; -1: never.
        time_limit : float
            Give up ("aborted") after so many seconds; -1: never.
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
            The request is not a list of texts and requirements, or there is no such option, or a limit is no number.
        ValueError, ConfigurationError, VersionError
            An option has a value that cannot be used; the text names it.
        """
        options = self.checked_options(options, overrides)
        limits = _limits(max_fails, time_limit)
        try:
            merged = parse_requests(requests, options.implicit_packages, None if limits is None else limits.look)
        except (PackageRequestError, VersionError) as error:
            return _error(error)
        except TimeIsUpError:
            return out_of_time()
        return self.solve_merged(merged, options, limits)

    def checked_options(self, options: SolveOptions | None, overrides: Mapping[str, Any]) -> SolveOptions:
        """The options of a solve; raises what `solve` says."""
        options = self.options if options is None else options
        if not isinstance(options, SolveOptions):
            raise TypeError(f"options must be SolveOptions, not {type(options).__name__}: {options!r}")
        return options.with_overrides(overrides).checked()

    def solve_merged(
        self,
        merged: MergedRequest,
        options: SolveOptions,
        limits: Limits | None = None,
        signal: memoryview[int] | None = None,
    ) -> SolveResult:
        """Solve a request that has been parsed and merged, with options that have been checked.

        Parameters
        ----------
        merged : MergedRequest
        options : SolveOptions
        limits : Limits, optional
        signal : int64 array of length 1, optional
            Ends the solve from outside, see `Snapshot.solve`.
        """
        if merged.conflict:
            from rer_numba.explain import dependency_conflict

            return SolveResult("failed", num_fails=1, failure=dependency_conflict(*merged.conflict))
        result = self._solve_fresh(merged, options, limits, signal)
        if result.error_type in (LATE, PROCESS) and self.path_settings is not None:
            from rer_numba.late import solve_with_rez

            reason = str(result.failure_description)
            try:
                self.trust.require(self.paths, reason)
            except RerError as error:
                return _error(error)
            if limits is not None:
                limits = replace(limits, time_limit=limits.left())
            return solve_with_rez(merged, options, self.paths, self.path_settings, reason, limits)
        return result

    def finish_merged(
        self,
        snapshot: Snapshot,
        merged: RequirementList,
        options: SolveOptions,
        session: Session,
        status: int,
        seconds: float,
    ) -> SolveResult | None:
        """Read the answer of a solve that has ended in a session, see `Snapshot.finish`.

        Returns
        -------
        SolveResult or None
            None when it has to be solved by `solve_merged` after all: something has changed, or it ended in an error,
            and then rez may have to do it.
        """
        result, stale_path = snapshot.finish(merged, options, self.paths, session, status, seconds)
        return None if stale_path is not None or result.status == "error" else result

    def _solve_fresh(
        self, merged: RequirementList, options: SolveOptions, limits: Limits | None, signal: memoryview[int] | None
    ) -> SolveResult:
        """Solve, again when something that was touched had to be read again."""
        renewed: set[str] = set()
        tries = _TRIES
        while tries:
            try:
                snapshot = self.whole_snapshot()
            except (OSError, RerError) as error:
                return _error(error)
            result, stale_path = snapshot.solve(merged, options, self.paths, limits, signal)
            if snapshot.is_overwritten():  # the answer is that of a mixture
                result = _error(snapshot.overwritten_error())
                tries -= 1
                continue
            if stale_path is None:
                break
            if self._on_stale == "warn":
                warnings.warn(f"{StaleRepositoryError(stale_path)}", StaleRepositoryWarning, stacklevel=4)
                return result
            if self._on_stale == "error":
                return _error(StaleRepositoryError(stale_path))
            try:
                stale = self._renew(snapshot)
            except (OSError, RerError) as error:
                return _error(error)
            tries -= not stale - renewed
            renewed |= stale
        if renewed:
            self._keep_renewed(renewed)
        return result

    def _renew(self, snapshot: Snapshot) -> set[str]:
        """Read again what was found to be stale, unless another thread has done so; give the families."""
        from rer_numba import storage
        from rer_numba.progress import tell_nobody

        guard = cast("Guard", snapshot.guard)  # of a repository it is none of another kind
        with self._refreshing:
            if self._snapshot is not snapshot:
                return set()
            if not guard.is_moved:
                storage.renew(self, guard)
                return set(guard.stale)
            storage.refresh(self, self._check, None, None, tell_nobody)
        return set()

    def _keep_renewed(self, names: set[str]) -> None:
        """Save what solves have read again, where that is allowed; the next process finds it there."""
        from rer_numba import storage

        with self._refreshing:
            storage.save_renewed(self, names)

    def whole_snapshot(self) -> Snapshot:
        """What to solve from now. The file is read again if somebody has written over it, instead of replacing it.

        Raises
        ------
        OSError, RepositoryFileError
            It is no repository of the same packages any more, or half of one.
        """
        snapshot = self._snapshot
        if snapshot.was_overwritten():
            from rer_numba import storage

            with self._refreshing:
                if self._snapshot is snapshot:
                    storage.read_overwritten(self)
            snapshot = self._snapshot
        return snapshot

    def solve_many(
        self,
        requests: Iterable[Any],
        options: SolveOptions | None = None,
        *,
        threads: int | None = None,
        progress: bool | OnProgress | None = None,
        max_fails: int = -1,
        time_limit: float = -1,
        cancel: Event | Callable[[], bool] | None = None,
        reuse: bool = True,
        **overrides: Unpack[Overrides],
    ) -> SolveBatch:
        """Solve many requests, in several threads.

        Parameters
        ----------
        requests : iterable
            Each as `solve` takes it, or a `Request` with options of its own. They are asked for as they are needed.
        options, max_fails, time_limit, **overrides
            As for `solve`; the limits are those of each request.
        threads : int, optional
            How many; default: as many as there are processors for this process.
        progress : bool or callable, optional
            True: show it on a terminal if it takes longer than two seconds. Or a function that is told what is going
            on, how many are done, and how many there are (0: not known).
        cancel : threading.Event or callable, optional
            Once it is set, or answers True, the batch ends, with what is done so far. It is asked in a thread of its
            own, a hundred times a second.
        reuse : bool
            Solve equal requests once.

        Returns
        -------
        SolveBatch
            A `SolveResult` for each request, in order. What is wrong with a request is in its own result: also what
            `solve` would raise for it.

        Raises
        ------
        TypeError, ValueError, ConfigurationError, VersionError
            An argument of the whole batch cannot be used; the text names it.
        BatchInterrupted
            Ctrl-C. It is a KeyboardInterrupt, and its `batch` has what is done so far.
        RepositoryFileError
            The file was written over, instead of replaced, before or meanwhile.
        Exception
            What the iterable, `cancel`, `progress` or a filter of one's own class raises.
        """
        from rer_numba.batch.run import solve_many

        plan = self.checked_options(options, overrides), _limits(max_fails, time_limit)
        self.whole_snapshot()
        batch = solve_many(self, requests, *plan, threads, reuse, progress, cancel)
        if self._snapshot.is_overwritten():
            raise self._snapshot.overwritten_error()
        return batch

    def solve_iter(
        self,
        requests: Iterable[Any],
        options: SolveOptions | None = None,
        *,
        threads: int | None = None,
        max_fails: int = -1,
        time_limit: float = -1,
        reuse: bool = True,
        **overrides: Unpack[Overrides],
    ) -> Iterator[SolveResult]:
        """Solve requests without end: results in order, of which only some are held at a time.

        Parameters
        ----------
        requests, options, threads, max_fails, time_limit, reuse, **overrides
            As for `solve_many`. The iterable is read some thousand requests ahead of what has been given out, or less
            when they take long.

        Yields
        ------
        SolveResult

        Raises
        ------
        As `solve_many`; Ctrl-C as KeyboardInterrupt. Closing the iterator ends everything.
        """
        from rer_numba.batch.run import solve_iter

        plan = self.checked_options(options, overrides), _limits(max_fails, time_limit)
        self.whole_snapshot()
        return solve_iter(self, requests, *plan, threads, reuse)


def _limits(max_fails: int, time_limit: float) -> Limits | None:
    """The limits of a solve; None when there are none."""
    if max_fails == -1 and time_limit == -1 and not isinstance(max_fails, float):
        return None
    from rer_numba.stepping import Limits

    return Limits(max_fails, time_limit).checked().begun()


def _error(error: Exception) -> SolveResult:
    return SolveResult("error", failure=str(error), error_type=type(error).__name__)


def _reopen(
    path: str,
    file: str,
    fingerprint: str,
    options: SolveOptions,
    check: Check,
    on_stale: OnStale,
    trust: Trust = FILE,
) -> Repository:
    from rer_numba import storage

    repository = storage.open_repository(Repository, path, check, on_stale, "once", file=file)
    if repository.fingerprint != fingerprint:
        raise RerError(f"{path} was written again since this repository was pickled: open it anew")
    repository.options, repository.trust = options, trust
    return repository
