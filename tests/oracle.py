"""What live rez answers: the truth that every solver test compares with.

`RezOracle` puts packages into a rez *memory* repository and runs `rez.solver.Solver` itself on them, so an answer is
never a memory of what rez used to say. Invariants:

- The packages keep the order in which they were handed in. rez walks a family in that order, and the text of a total
  reduction depends on it.
- rez sees a locked configuration: no home config, no ``REZ_*`` variables, and no filter and no orderer but those given.
- Its packages_path is where the packages are, since a soft_timestamp orderer looks there for release times.
- Nothing stays behind in rez's process-wide caches after `RezOracle.close` (or after the oracle is collected), so that
  thousands of small repositories may follow each other in one process.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import re
import traceback
import weakref
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from rez import package_order
from rez.config import Config, _create_locked_config, _replace_config
from rez.exceptions import RezError
from rez.package_filter import PackageFilterBase, PackageFilterList, TimestampRule
from rez.package_order import PackageOrderList
from rez.package_order import from_pod as orderer_from_pod
from rez.package_repository import package_repository_manager
from rez.plugin_managers import plugin_manager
from rez.solver import Solver, SolverStatus
from rez.utils.formatting import PackageRequest
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
        package_orderers: Sequence[Any] | None = None,
        package_filter: Any = None,
        timestamp: int | None = None,
        implicit_packages: Sequence[str] = (),
    ) -> Answer:
        """Ask rez.

        Parameters
        ----------
        requests
            Strings of `rez.version.Requirement`: wider than a package request, ``!.feat`` is allowed. A string that rez
            cannot parse gives status "error", as it gives a user of rez an exception.
        package_orderers
            Each in rez's configuration form, or an object with ``sort_key`` and ``packages``.
        package_filter
            A dict or a list of dicts as in rez's configuration, or a filter of rez's.
        timestamp
            Combined with the filter as `rez.resolver.Resolver` does it.
        implicit_packages
            Appended to the requests as `rez.resolved_context.ResolvedContext` does it.
        """
        if not self._finalizer.alive:
            raise RuntimeError("this oracle is closed")
        with _rez_settings(variant_select_mode, error_on_missing_variant_requires, self.paths):
            # new ones for each solve, since a soft_timestamp orderer remembers the packages it saw
            options = {
                "building": building,
                "package_orderers": _rez_orderers(package_orderers or ()),
                "package_filter": _rez_filter(package_filter, timestamp),
            }
            return self._ask(requests, implicit_packages, options)

    def _ask(self, requests: Sequence[str], implicit: Sequence[str], options: dict[str, Any]) -> Answer:
        try:
            requirements = [Requirement(text) for text in requests]
        except VersionError as error:
            return self._error_answer(error, None)
        requirements += map(PackageRequest, implicit)
        # Made in two steps so that the counters survive an exception inside solve().
        solver = Solver.__new__(Solver)
        try:
            solver.__init__(requirements, self.paths, **options)
            solver.solve()
            return self._read(solver)
        except Exception as error:  # noqa: BLE001  (rez's own deaths are recorded too)
            internal = not isinstance(error, RezError) or _raised_by_orderer(error)
            return self._error_answer(error, solver, internal=internal)

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

    def _error_answer(self, error: Exception, solver: Solver | None, *, internal: bool = False) -> Answer:
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


def _rez_orderers(given: Iterable[Any]) -> PackageOrderList:
    made = PackageOrderList()
    for item in given:
        made.append(orderer_from_pod(item) if isinstance(item, (dict, tuple, list)) else item)
    return made


def _rez_filter(given: Any, timestamp: int | None) -> PackageFilterBase:
    """Make the filter of a solve. Ports: rez.resolver.Resolver.__init__ (rez 3.4.0), which cannot be run alone."""
    pods = [given] if isinstance(given, dict) else given or []  # as rez.config.OptionalDictOrDictList
    made = given if isinstance(given, PackageFilterBase) else PackageFilterList.from_pod(pods)
    if not timestamp:
        return made
    made = made.copy() if made else PackageFilterList()
    made.add_exclusion(TimestampRule.after(timestamp))
    return made


def _raised_by_orderer(error: Exception) -> bool:
    """True when an orderer raised: also a RezError is a death then, as of a soft_timestamp asked for ephemerals."""
    return any(frame.filename == package_order.__file__ for frame in traceback.extract_tb(error.__traceback__))


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
def _rez_settings(
    variant_select_mode: str, error_on_missing_variant_requires: bool, paths: Sequence[str] = ()
) -> Iterator[None]:
    """Run rez under a locked config, without its message about a missing family on stderr."""
    locked = _locked_config(variant_select_mode, error_on_missing_variant_requires)
    vars(locked)["packages_path"] = list(paths)  # where rez keeps a setting it has read
    with _replace_config(locked), contextlib.redirect_stderr(io.StringIO()):
        yield


@cache
def _repository_class() -> type:
    with _rez_settings(VERSION_PRIORITY, True):
        return plugin_manager.get_plugin_class("package_repository", "memory")
