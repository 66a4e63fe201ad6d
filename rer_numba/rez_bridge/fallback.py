"""A whole solve by rez itself, for what only rez can do."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rez.config import config
from rez.package_filter import PackageFilter, PackageFilterBase, PackageFilterList, TimestampRule
from rez.package_order import PackageOrderList, from_pod
from rez.solver import Solver, SolverStatus
from rez.version import Requirement

from rer_numba.filters import CustomFilter, as_package_filter
from rer_numba.filters import PackageFilterList as OurFilterList
from rer_numba.options import SolveOptions
from rer_numba.orderers import CustomOrder, as_package_orderers
from rer_numba.requirements import RequirementList
from rer_numba.results import ResolvedVariant, SolveResult


def solve(request: RequirementList, options: SolveOptions, paths: Sequence[str], reason: str) -> SolveResult:
    """Solve with rez, in this process.

    Parameters
    ----------
    request : RequirementList
        Merged; implicit packages are in it.
    options : SolveOptions
    paths : sequence of str
        Where rez shall search.
    reason : str
        Why rez has to do it.

    Notes
    -----
    As always in rez, packages that this process has read with it are not read again. A late function sees no context,
    since there is none: the answer is that of `rez.solver.Solver`.
    """
    start = time.perf_counter()
    solver = Solver.__new__(Solver)  # made in two steps, so that its counters are there when it raises
    try:
        with _settings(options):
            solver.__init__(  # type: ignore[misc]
                [Requirement(str(requirement)) for requirement in request],
                list(paths),
                package_filter=_filter(options),
                package_orderers=_orderers(options),
                building=options.building,
            )
            solver.solve()
            found = _answer(solver)
    except Exception as error:  # noqa: BLE001 - whatever a late function raises is the answer
        found = {"status": "error", "failure": str(error), "error_type": type(error).__name__}
        found["num_solves"] = getattr(solver, "solve_count", 0)
        found["num_fails"] = len(getattr(solver, "failed_phase_list", None) or ())
    milliseconds = (time.perf_counter() - start) * 1000
    return SolveResult(**found, solve_time_ms=milliseconds, fallback_reason=reason)


def _answer(solver: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"num_solves": solver.num_solves, "num_fails": solver.num_fails}
    if solver.status != SolverStatus.solved:
        return {"status": "failed", "failure": solver.failure_description(), **found}
    packages = [
        ResolvedVariant(
            one.name, str(one.version), one.index, list(map(str, one.requires_list.requirements)), one.variant.uri
        )
        for one in solver.resolved_packages
    ]
    return {
        "status": "solved",
        "packages": packages,
        "ephemerals": list(map(str, solver.resolved_ephemerals)),
        **found,
    }


@contextmanager
def _settings(options: SolveOptions) -> Iterator[None]:
    """Let rez's configuration say what the options say, as far as the solver reads it there."""
    names = ("variant_select_mode", "error_on_missing_variant_requires", "allow_unversioned_packages")
    before = {name: config.overrides[name] for name in names if config.is_overridden(name)}
    try:
        for name in names:
            config.override(name, getattr(options, name))
        yield
    finally:
        for name in names:
            if name in before:
                config.override(name, before[name])
            else:
                config.remove_override(name)


def _orderers(options: SolveOptions) -> PackageOrderList | None:
    given = as_package_orderers(options.package_orderers)
    if given is None:
        return None
    orderers = PackageOrderList()
    for order in given:
        orderers.append(order.given if isinstance(order, CustomOrder) else from_pod(order.to_pod()))
    return orderers


def _filter(options: SolveOptions) -> PackageFilterBase:
    """Ports: rez.resolver.Resolver.__init__ (rez 3.4.0)."""
    given = as_package_filter(options.package_filter)
    if isinstance(given, CustomFilter):
        found: PackageFilterBase = given.given
    else:
        found = PackageFilterList()
        for one in () if given is None else given.filters if isinstance(given, OurFilterList) else (given,):
            found.add_filter(one.given if isinstance(one, CustomFilter) else PackageFilter.from_pod(one.to_pod()))
    if not options.timestamp:
        return found
    found = found.copy() if found else PackageFilterList()  # type: ignore[attr-defined]
    found.add_exclusion(TimestampRule.after(options.timestamp))
    return found
