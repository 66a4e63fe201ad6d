"""`solve(requests, packages)`: the function form, as users of pyrer know it.

Packages do not change, so a list that is equal to one of an earlier call is not encoded again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rer_numba.errors import PackageRequestError, VersionError
from rer_numba.options import SolveOptions
from rer_numba.packages import PackageData
from rer_numba.repository import Repository
from rer_numba.requests import TimeIsUpError, parse_requests
from rer_numba.results import SolveResult
from rer_numba.snapshot import out_of_time
from rer_numba.stepping import ABORT, KEEP_GOING, Limits, SolveState

_REMEMBERED = 4
_remembered: list[tuple[list[PackageData], Repository]] = []
"""The latest ones first. Lists are safe between threads, and nothing in one of the pairs changes."""

Filters = Sequence[tuple[str, str]]


def solve(
    requests: Iterable[Any],
    packages: Iterable[PackageData] | None = None,
    *,
    load_family: Callable[..., Iterable[PackageData]] | None = None,
    variant_select_mode: str = "version_priority",
    filters: Filters | None = None,
    max_iterations: int | None = None,
    max_fails: int = -1,
    time_limit: float = -1,
    **options: Any,
) -> SolveResult:
    """Solve a request against packages, or against what a function loads.

    Parameters
    ----------
    requests : iterable of str or requirement
        What is wanted.
    packages : iterable of PackageData, optional
        In the order in which rez would list them. A list that is equal to one of the latest is not encoded again.
    load_family : callable, optional
        ``load_family(name)`` gives the packages of a family that `packages` does not hold; nothing when there are none.
        It is asked for the families that the solve comes to, at each call, and for those that it will probably come to
        when they are not known. What it said before is not encoded again. If it takes a ``version_range`` it gets one
        as text, and may leave out packages outside of it; None is the whole family. It may be asked again for a wider
        one. What it raises becomes the result's error, KeyboardInterrupt and the like pass through.
    variant_select_mode : str
        "version_priority" or "intersection_priority".
    filters : sequence of (str, str), optional
        ("exclude", pattern) or ("include", pattern), as in rez's package filters; `package_filter` can do more.
    max_iterations : int, optional
        Give up ("aborted") after so many solve steps.
    max_fails, time_limit
        As for `Repository.solve`.
    **options
        Options of `SolveOptions`: package_orderers, package_filter, timestamp, building, ...

    Returns
    -------
    SolveResult
        Failures and bad requests too; see its `status`. A package that is there twice is an error.

    Raises
    ------
    TypeError, ValueError, ConfigurationError, VersionError
        Wrong types of arguments, an option that is unknown or cannot be used, or neither packages nor load_family.

    See Also
    --------
    Repository : encodes once, for many solves.
    """
    if packages is None and load_family is None:
        raise TypeError("solve needs packages or load_family")
    if filters is not None:
        options["package_filter"] = _filter_of(filters, options.get("package_filter"))
    options["variant_select_mode"] = variant_select_mode
    checked = SolveOptions().with_overrides(options).read()
    limits = _limits(max_fails, time_limit, max_iterations)
    look = None if limits.end is None else limits.look
    try:
        merged = parse_requests(requests, checked.implicit_packages, look)
    except (PackageRequestError, VersionError) as error:
        return SolveResult("error", failure=str(error), error_type=type(error).__name__)
    except TimeIsUpError:
        return out_of_time()
    given = [] if packages is None else _checked_packages(packages)
    if merged.conflict or load_family is None:
        return _solve_given(given, merged, checked, limits)
    from rer_numba import on_demand

    try:
        return on_demand.solve(on_demand.Loader(load_family, _by_family(given), look), merged, checked, limits)
    except on_demand.LoaderError as error:
        return _error(str(error))
    except TimeIsUpError:
        return out_of_time()


def _solve_given(packages: list[PackageData], merged: Any, options: SolveOptions, limits: Limits) -> SolveResult:
    """Solve with the packages of a call, encoded unless equal ones were encoded lately."""
    for known, repository in tuple(_remembered):
        if known == packages:
            return repository.solve_merged(merged, options, limits)
    from rer_numba.on_demand import duplicate

    twice = duplicate(packages)
    if twice is not None:
        return _error(f"duplicate package: {twice.name}-{twice.version}")
    repository = Repository.from_packages(packages)
    _remembered.insert(0, (packages, repository))
    del _remembered[_REMEMBERED:]
    return repository.solve_merged(merged, options, limits)


def _error(text: str) -> SolveResult:
    return SolveResult("error", failure=text, error_type="ResolveError")


def _checked_packages(packages: Iterable[PackageData]) -> list[PackageData]:
    given = list(packages)
    if {*map(type, given)} <= {PackageData}:
        return given
    for package in given:
        if not isinstance(package, PackageData):
            raise TypeError(f"packages must hold PackageData, not {type(package).__name__}: {package!r}")
    return given


def _by_family(packages: list[PackageData]) -> dict[str, list[PackageData]]:
    families: dict[str, list[PackageData]] = {}
    for package in packages:
        families.setdefault(package.name, []).append(package)
    return families


def _limits(max_fails: int, time_limit: float, max_iterations: int | None) -> Limits:
    """The limits of a solve, whose time runs from now on."""
    if max_iterations is None:
        return Limits(max_fails, time_limit).checked().begun()
    if isinstance(max_iterations, bool) or not isinstance(max_iterations, int):
        raise TypeError(f"max_iterations must be a whole number or None, not {max_iterations!r}")

    def verdict(state: SolveState) -> tuple[str, str]:
        return (ABORT, "iteration limit exceeded") if state.num_solves >= max_iterations else (KEEP_GOING, "")

    return Limits(max_fails, time_limit, verdict).checked().begun()


def _filter_of(filters: Filters, package_filter: Any) -> dict[str, list[str]]:
    if package_filter is not None:
        raise TypeError("solve takes filters or package_filter, not both")
    rules: dict[str, list[str]] = {}
    for kind, pattern in filters:
        if kind not in ("exclude", "include"):
            raise ValueError(f"a filter is 'exclude' or 'include', not {kind!r}")
        rules.setdefault(f"{kind}s", []).append(pattern)
    return rules
