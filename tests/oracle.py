"""What live rez answers: the truth that every solver test compares with.

`RezOracle` puts packages into a rez *memory* repository and runs `rez.solver.Solver` itself on them, so an answer is
never a memory of what rez used to say. Invariants:

- The packages keep the order in which they were handed in. rez walks a family in that order, and the text of a total
  reduction depends on it.
- rez sees a locked configuration: no home config, no ``REZ_*`` variables, no filter and no orderer.
- Nothing stays behind in rez's process-wide caches after `RezOracle.close` (or after the oracle is collected), so that
  thousands of small repositories may follow each other in one process.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import re
import weakref
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from rez.config import Config, _create_locked_config, _replace_config
from rez.exceptions import RezError
from rez.package_order import PackageOrderList
from rez.package_repository import package_repository_manager
from rez.plugin_managers import plugin_manager
from rez.solver import Solver, SolverStatus
from rez.utils.resources import ResourcePool
from rez.version import Requirement, VersionError

VERSION_PRIORITY = "version_priority"
INTERSECTION_PRIORITY = "intersection_priority"

UNVERSIONED_KEY = "_NO_VERSION"
PATHS_PLACEHOLDER = "<paths>"

# The failure kinds whose text depends on more than the request and the set of packages.
TIER_B_FAILURES = ("TotalReduction", "Cycle")

_KIND_BY_TEXT = {
    "The following package conflicts occurred: ": "DependencyConflicts",
    "A package was completely reduced: ": "TotalReduction",
    "A cyclic dependency was detected: ": "Cycle",
}
_SEARCHED = re.compile(r"\(searched: [^()]*\)")

_location_counter = itertools.count()


class PackageLike(Protocol):
    """The attributes that the oracle reads; `rer_numba.PackageData` has them."""

    name: str
    version: str
    requires: Sequence[str] | None
    variants: Sequence[Sequence[str]] | None
    build_requires: Sequence[str] | None
    timestamp: int | None


class ResultLike(Protocol):
    """The attributes of `rer_numba.SolveResult` that `Answer.of` reads."""

    status: str
    resolved: Sequence[tuple[str, str, int | None]]
    resolved_ephemerals: Sequence[str]
    failure_description: str | None
    error_type: str | None
    num_solves: int
    num_fails: int


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of rez.

    Attributes
    ----------
    status
        "solved", "failed" or "error" (rez raised an exception).
    resolved
        (name, version as spelled, variant index or None), in rez's order; empty unless solved.
    resolved_ephemerals
        Requirement strings, in rez's order; empty unless solved.
    failure_description
        rez's own text of a failure, or ``str(exception)``; the search paths in it are replaced by ``<paths>``.
    error_type
        Class name of the exception, None unless status is "error".
    num_solves, num_fails
        rez's counters. Of an error: the steps completed, and the failed phases met, before the exception.
    internal
        rez died of a defect of its own (not of bad input): the product answers with good sense, not with this.
    failure_kind
        Class name of rez's failure reason; None where rez has none ("unknown reason").
    """

    status: str
    resolved: tuple[tuple[str, str, int | None], ...] = ()
    resolved_ephemerals: tuple[str, ...] = ()
    failure_description: str | None = None
    error_type: str | None = None
    num_solves: int = 0
    num_fails: int = 0
    internal: bool = False
    failure_kind: str | None = None

    @classmethod
    def of(cls, result: ResultLike) -> Answer:
        """Make an Answer from a result of the product, to compare by tier.

        The failure kind is read from rez's text, and the product's own search paths become the placeholder too.
        """
        text = result.failure_description
        return cls(
            result.status,
            tuple((name, str(version), index) for name, version, index in result.resolved),
            tuple(map(str, result.resolved_ephemerals)),
            None if text is None else _SEARCHED.sub(f"(searched: {PATHS_PLACEHOLDER})", text),
            result.error_type,
            result.num_solves,
            result.num_fails,
            failure_kind=failure_kind_of(text) if result.status == "failed" else None,
        )

    def tier_a(self) -> tuple[Any, ...]:
        """What must be equal whatever order the packages were listed in."""
        text = None if self.failure_kind in TIER_B_FAILURES else self.failure_description
        return (*self._counted(), text)

    def tier_b(self) -> tuple[Any, ...]:
        """Tier A and the texts that depend on package order (total reduction) or on the process (cycle)."""
        return (*self._counted(), self.failure_description)

    def _counted(self) -> tuple[Any, ...]:
        return (
            self.status,
            self.resolved,
            self.resolved_ephemerals,
            self.error_type,
            self.num_solves,
            self.num_fails,
        )


class RezOracle:
    """rez's solver over a fixed list of packages (or, made by `at_paths`, over package trees).

    Parameters
    ----------
    packages
        In the order rez shall list them. Of two packages with the same name and version string the first one counts, as
        it does for rez when they lie on two paths.

    Notes
    -----
    Use it as a context manager, or drop it: both remove its repository from rez.
    """

    def __init__(self, packages: Iterable[PackageLike]) -> None:
        location = f"rer-oracle-{next(_location_counter)}"
        # A pool of its own: rez's shared pool keeps every resource for the life of the process.
        repository = _repository_class()(location, ResourcePool(cache_size=None))
        repository.data = repository_data(packages)
        path = f"memory@{location}"
        package_repository_manager.repositories[path] = repository
        self._use([path])

    @classmethod
    def at_paths(cls, paths: Sequence[str]) -> RezOracle:
        """Make an oracle over package trees on disk, in rez's order of precedence.

        rez lists the versions of a family from a set there, so tier B needs a fixed ``PYTHONHASHSEED``.
        """
        oracle = cls.__new__(cls)
        oracle._use([str(path) for path in paths])
        return oracle

    def _use(self, paths: list[str]) -> None:
        self.paths = paths
        self._finalizer = weakref.finalize(self, _forget, paths)

    def __enter__(self) -> RezOracle:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the repository from rez. The oracle cannot be used afterwards."""
        self._finalizer()

    def solve(
        self,
        requests: Sequence[str],
        *,
        variant_select_mode: str = VERSION_PRIORITY,
        building: bool = False,
        error_on_missing_variant_requires: bool = True,
    ) -> Answer:
        """Ask rez.

        Parameters
        ----------
        requests
            Strings of `rez.version.Requirement`: wider than a package request, ``!.feat`` is allowed. A string that rez
            cannot parse gives status "error", as it gives a user of rez an exception.
        """
        if not self._finalizer.alive:
            raise RuntimeError("this oracle is closed")
        with _rez_settings(variant_select_mode, error_on_missing_variant_requires):
            return self._ask(requests, building)

    def _ask(self, requests: Sequence[str], building: bool) -> Answer:
        try:
            requirements = [Requirement(text) for text in requests]
        except VersionError as error:
            return self._error_answer(error, None, internal=False)
        # Made in two steps so that the counters survive an exception inside solve().
        solver = Solver.__new__(Solver)
        try:
            solver.__init__(requirements, self.paths, building=building, package_orderers=PackageOrderList())
            solver.solve()
            return self._read(solver)
        except Exception as error:  # noqa: BLE001  (rez's own deaths are recorded too)
            return self._error_answer(error, solver, internal=not isinstance(error, RezError))

    def _read(self, solver: Solver) -> Answer:
        counters = {"num_solves": solver.num_solves, "num_fails": solver.num_fails}
        if solver.status == SolverStatus.solved:
            return Answer(
                "solved",
                resolved=tuple((v.name, str(v.version), v.index) for v in solver.resolved_packages),
                resolved_ephemerals=tuple(map(str, solver.resolved_ephemerals)),
                **counters,
            )
        assert solver.status == SolverStatus.failed, solver.status
        reason = solver.failure_reason()
        return Answer(
            "failed",
            failure_description=self._without_location(solver.failure_description()),
            failure_kind=None if reason is None else type(reason).__name__,
            **counters,
        )

    def _error_answer(self, error: Exception, solver: Solver | None, *, internal: bool) -> Answer:
        # While a step runs its phase is off the stack, so rez's own num_fails would raise here.
        failed = getattr(solver, "failed_phase_list", None) or ()
        return Answer(
            "error",
            failure_description=self._without_location(str(error)),
            error_type=type(error).__name__,
            num_solves=getattr(solver, "solve_count", 0),
            num_fails=len(failed),
            internal=internal,
        )

    def _without_location(self, text: str) -> str:
        return text.replace("; ".join(self.paths), PATHS_PLACEHOLDER)


def ask_rez(packages: Iterable[PackageLike], requests: Sequence[str], **options: Any) -> Answer:
    """Ask rez once and drop the repository; `options` are those of `RezOracle.solve`."""
    with RezOracle(packages) as oracle:
        return oracle.solve(requests, **options)


def failure_kind_of(text: str | None) -> str | None:
    """Class name of the rez failure reason that a failure text comes from; None for "unknown reason"."""
    return next((kind for start, kind in _KIND_BY_TEXT.items() if (text or "").startswith(start)), None)


def repository_data(packages: Iterable[PackageLike]) -> dict[str, dict[str, dict[str, Any]]]:
    """Make the dict of a rez memory repository: family name -> version string -> package attributes."""
    data: dict[str, dict[str, dict[str, Any]]] = {}
    for package in packages:
        family = data.setdefault(package.name, {})
        family.setdefault(package.version or UNVERSIONED_KEY, _package_attributes(package))
    return data


def _package_attributes(package: PackageLike) -> dict[str, Any]:
    attributes: dict[str, Any] = {"name": package.name}
    if package.version:
        attributes["version"] = package.version
    for key in ("requires", "build_requires"):
        value = getattr(package, key, None)
        if value:
            attributes[key] = list(value)
    if package.variants:
        attributes["variants"] = [list(variant) for variant in package.variants]
    timestamp = getattr(package, "timestamp", None)
    if timestamp is not None:
        attributes["timestamp"] = timestamp
    return attributes


def _forget(paths: Sequence[str]) -> None:
    """Remove repositories, and what rez remembers of their files, from the process."""
    for path in paths:
        key = path if "@" in path else f"filesystem@{os.path.abspath(path)}"
        repository = package_repository_manager.repositories.pop(key, None)
        if repository is not None:
            repository.clear_caches()


@cache
def _locked_config(variant_select_mode: str, error_on_missing_variant_requires: bool) -> Config:
    # One config per combination, swapped in whole: an override on one config makes rez load and copy everything again.
    return _create_locked_config(
        overrides={
            "variant_select_mode": variant_select_mode,
            "error_on_missing_variant_requires": error_on_missing_variant_requires,
            "packages_path": [],
            "package_filter": None,
            "package_orderers": None,
            "implicit_packages": [],
            "warn_none": True,
            "debug_none": True,
        }
    )


@contextlib.contextmanager
def _rez_settings(variant_select_mode: str, error_on_missing_variant_requires: bool) -> Iterator[None]:
    """Run rez under a locked config, without its message about a missing family on stderr."""
    locked = _locked_config(variant_select_mode, error_on_missing_variant_requires)
    with _replace_config(locked), contextlib.redirect_stderr(io.StringIO()):
        yield


@cache
def _repository_class() -> type:
    with _rez_settings(VERSION_PRIORITY, True):
        return plugin_manager.get_plugin_class("package_repository", "memory")
