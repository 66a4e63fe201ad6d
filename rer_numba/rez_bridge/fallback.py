"""A whole solve by rez itself, for what only rez can do."""

from __future__ import annotations

import getpass
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import rez
from rez import module_root_path
from rez.config import config
from rez.exceptions import PackageRequestError
from rez.package_filter import PackageFilter, PackageFilterBase, PackageFilterList, TimestampRule
from rez.package_order import PackageOrderList, from_pod
from rez.package_repository import package_repository_manager
from rez.resolved_context import PatchLock, ResolvedContext
from rez.resolver import ResolverStatus
from rez.solver import SolverStatus
from rez.system import system
from rez.utils.formatting import PackageRequest
from rez.version import Requirement

from rer_numba.errors import ConfigurationError
from rer_numba.filters import CustomFilter, as_package_filter
from rer_numba.filters import PackageFilterList as OurFilterList
from rer_numba.forking import undone
from rer_numba.hearing import raised_by_handler
from rer_numba.options import SolveOptions
from rer_numba.orderers import CustomOrder, as_package_orderers
from rer_numba.paths.settings import PathSettings
from rer_numba.requests import MergedRequest
from rer_numba.results import ResolvedVariant, SolveResult
from rer_numba.rez_bridge.configured import PLUGIN_SETTINGS
from rer_numba.rez_bridge.hook import rez_solver
from rer_numba.rez_bridge.loaded import loaded_traits
from rer_numba.rez_versions import version_with

if TYPE_CHECKING:
    from rer_numba.stepping import Limits


def solve(
    request: MergedRequest,
    options: SolveOptions,
    paths: Sequence[str],
    settings: PathSettings,
    reason: str,
    limits: Limits | None = None,
) -> SolveResult:
    """Solve with rez, in this process.

    Parameters
    ----------
    request : MergedRequest
        Implicit packages are in it.
    options : SolveOptions
    paths : sequence of str
        Where rez shall search.
    settings : PathSettings
        How it shall do that.
    reason : str
        Why rez has to do it.
    limits : Limits, optional
        When rez gives up.

    Notes
    -----
    As always in rez, packages that this process has read with it are not read again. Late functions see a context, as
    they do in `rez-env`.
    """
    start = time.perf_counter()
    kind = rez_solver()
    solver = kind.__new__(kind)  # made in two steps, so that its counters are there when it raises
    try:
        _require_same_orders(options)
        with _configured(options, settings):
            context = unsolved_context(request, options, paths)
            package_filter, package_orderers = _with_time(context.package_filter, options), context.package_orderers
            solver.__init__(
                context.requested_packages(include_implicit=True),
                context.package_paths,
                context=context,
                package_filter=package_filter,
                package_orderers=package_orderers,
                building=options.building,
                callback=None if limits is None else _callback(limits),
            )
            solver.solve()
            found = _answer(solver)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever code in a package raises is the answer, an exit too
        if raised_by_handler(error):
            raise
        found = {"status": "error", "failure": str(error), "error_type": type(error).__name__}
        found["num_solves"] = getattr(solver, "solve_count", 0)
        found["num_fails"] = len(getattr(solver, "failed_phase_list", None) or ())
    milliseconds = (time.perf_counter() - start) * 1000
    return SolveResult(**found, solve_time_ms=milliseconds, fallback_reason=reason)


def _require_same_orders(options: SolveOptions) -> None:
    """Raise ConfigurationError if the orderers of some options mean something else to the rez that is loaded."""
    orderers = as_package_orderers(options.package_orderers, options.rez_version)
    traits = loaded_traits()
    if orderers and (traits is None or traits.orders is not orderers.meaning):
        raise ConfigurationError(
            f"package_orderers mean what they mean in rez {version_with(orderers.meaning)}, and only rez can do this "
            f"solve; rez {rez.__version__}, which is here, means something else"
        )


def unsolved_context(request: MergedRequest, options: SolveOptions, paths: Sequence[str]) -> ResolvedContext:
    """Make a context as it is while rez solves for it. Nothing is solved, tracked or cached.

    Ports: rez.resolved_context.ResolvedContext.__init__ (rez 3.4.0), up to the solve.
    """
    context = ResolvedContext.__new__(ResolvedContext)
    n_given = len(request.given) - len(options.implicit_packages)
    given = [_as_rez_takes_it(str(requirement)) for requirement in request.given]
    now = int(time.time())
    values: dict[str, Any] = {
        "load_path": None,
        "requested_timestamp": options.timestamp or None,
        "timestamp": options.timestamp or now,
        "building": options.building,
        "implicit_packages": given[n_given:],
        "caching": False,
        "verbosity": 0,
        "_package_requests": given[:n_given],
        "package_paths": list(dict.fromkeys(paths)),
        "package_filter": _filter(options),
        "package_orderers": _orderers(options),
        "append_sys_path": True,
        "package_caching": False,
        "default_patch_lock": PatchLock.no_lock,
        "patch_locks": {},
        "rez_version": rez.__version__,
        "rez_path": module_root_path,
        "user": getpass.getuser(),
        "host": system.hostname,
        "platform": system.platform,
        "arch": system.arch,
        "os": system.os,
        "created": now,
        "status_": ResolverStatus.pending,
        "_resolved_packages": None,
        "_resolved_ephemerals": None,
        "failure_description": None,
        "graph_string": None,
        "graph_": None,
        "from_cache": None,
        "solve_time": 0.0,
        "load_time": 0.0,
        "num_loaded_packages": 0,
        "pre_resolve_bindings": None,
        "parent_suite_path": None,
        "suite_context_name": None,
    }
    traits = loaded_traits()
    if traits is None or traits.knows_testing:
        values |= {"testing": False, "package_cache_async": config.package_cache_async}
    vars(context).update(values)
    return context


def _as_rez_takes_it(text: str) -> Requirement:
    """What rez makes of a text; a requirement that rez refuses as a text was handed in as an object."""
    try:
        request: Requirement = PackageRequest(text)
    except PackageRequestError:
        request = Requirement(text)
    return request


def _callback(limits: Limits) -> Any:
    """What rez itself gives its solver for these limits."""
    return ResolvedContext.Callback(limits.max_fails, limits.time_limit, None)  # type: ignore[arg-type]


def _answer(solver: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"num_solves": solver.num_solves, "num_fails": solver.num_fails}
    if solver.status == SolverStatus.unsolved:
        return {"status": "aborted", "failure": solver.abort_reason, **found}
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
def _configured(options: SolveOptions, settings: PathSettings) -> Iterator[None]:
    """Let rez's configuration say what the options and settings say, as far as a solve reads it there."""
    values = {
        "variant_select_mode": options.variant_select_mode,
        "error_on_missing_variant_requires": options.error_on_missing_variant_requires,
        "allow_unversioned_packages": options.allow_unversioned_packages and settings.allow_unversioned_packages,
    }
    before = {name: config.overrides[name] for name in values if config.is_overridden(name)}
    lists_otherwise = values["allow_unversioned_packages"] != config.allow_unversioned_packages

    def undo() -> None:
        for name in values:
            if name in before:
                config.override(name, before[name])
            else:
                config.remove_override(name)

    with undone(undo):
        for name, value in values.items():
            config.override(name, value)
        with _listing(settings, lists_otherwise):
            yield


@contextmanager
def _listing(settings: PathSettings, lists_otherwise: bool) -> Iterator[None]:
    """Let rez list folders as the settings say; if it has listed otherwise, what it remembers of that is no use."""
    configured = config.plugins.package_repository.filesystem
    names = [name for name in PLUGIN_SETTINGS if configured[name] != _as_configured(settings, name)]
    if not names and not lists_otherwise:
        yield
        return
    before = {name: configured[name] for name in names}

    def undo() -> None:
        for name, value in before.items():
            config.override(f"plugins.package_repository.filesystem.{name}", value)
        package_repository_manager.clear_caches()

    package_repository_manager.clear_caches()
    with undone(undo):
        for name in names:
            config.override(f"plugins.package_repository.filesystem.{name}", _as_configured(settings, name))
        yield


def _as_configured(settings: PathSettings, name: str) -> Any:
    value = getattr(settings, name)
    return list(value) if isinstance(value, tuple) else value


def _orderers(options: SolveOptions) -> PackageOrderList:
    orderers = PackageOrderList()
    for order in as_package_orderers(options.package_orderers) or ():
        orderers.append(order.given if isinstance(order, CustomOrder) else from_pod(order.to_pod()))
    return orderers


def _filter(options: SolveOptions) -> PackageFilterBase:
    given = as_package_filter(options.package_filter)
    if isinstance(given, CustomFilter):
        found: PackageFilterBase = given.given
    else:
        found = PackageFilterList()
        for one in () if given is None else given.filters if isinstance(given, OurFilterList) else (given,):
            found.add_filter(one.given if isinstance(one, CustomFilter) else PackageFilter.from_pod(one.to_pod()))
    return found


def _with_time(found: PackageFilterBase, options: SolveOptions) -> PackageFilterBase:
    """Ports: rez.resolver.Resolver.__init__ (rez 3.4.0)."""
    if not options.timestamp:
        return found
    found = found.copy() if found else PackageFilterList()  # type: ignore[attr-defined]
    found.add_exclusion(TimestampRule.after(options.timestamp))
    return found
