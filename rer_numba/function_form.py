"""`solve(requests, packages)`: the function form, as users of pyrer know it.

Packages do not change, so a list that holds the same objects as in an earlier call is not encoded again.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rer_numba.forking import Lock
from rer_numba.packages import BrokenValue, PackageData
from rer_numba.repository import Repository
from rer_numba.requests import parse_requests
from rer_numba.results import SolveResult

_REMEMBERED = 4
_remembered: list[tuple[list[PackageData], Repository]] = []
_guard = Lock()


def solve(
    requests: Iterable[Any],
    packages: Iterable[PackageData] | None = None,
    *,
    load_family: Callable[..., Sequence[PackageData]] | None = None,
    variant_select_mode: str = "version_priority",
) -> SolveResult:
    """Solve a request against packages, or against what a function loads.

    Parameters
    ----------
    requests : iterable of str or requirement
        What is wanted.
    packages : iterable of PackageData, optional
        In the order in which rez would list them.
    load_family : callable, optional
        ``load_family(name)`` gives the packages of a family that `packages` does not hold; an empty sequence when there
        are none. It is asked once for each family that the request can reach; if it takes a ``version_range`` it gets
        None, the whole family. What it raises becomes the result's error, KeyboardInterrupt and the like pass through.
    variant_select_mode : str
        "version_priority" or "intersection_priority".

    Returns
    -------
    SolveResult
        Failures and bad requests too; see its `status`.

    Raises
    ------
    TypeError, ValueError
        Wrong types of arguments, an unknown mode, or neither packages nor load_family.

    See Also
    --------
    Repository : encodes once, for many solves.
    """
    if packages is None and load_family is None:
        raise TypeError("solve needs packages or load_family")
    requests = list(requests) if not isinstance(requests, (str, bytes)) else requests
    given = [] if packages is None else list(packages)
    for package in given:
        if not isinstance(package, PackageData):
            raise TypeError(f"packages must hold PackageData, not {type(package).__name__}: {package!r}")
    if load_family is None:
        return _repository(given).solve(requests, variant_select_mode=variant_select_mode)
    try:
        given = _load_reachable(requests, given, load_family)
    except _LoaderError as error:
        return SolveResult("error", failure=str(error), error_type="ResolveError")
    return Repository.from_packages(given).solve(requests, variant_select_mode=variant_select_mode)


def _repository(packages: list[PackageData]) -> Repository:
    """Encode packages, unless the very same objects were encoded lately."""
    with _guard:
        for known, repository in _remembered:
            if len(known) == len(packages) and all(map(_is, known, packages)):
                return repository
    repository = Repository.from_packages(packages)
    with _guard:
        _remembered.insert(0, (packages, repository))
        del _remembered[_REMEMBERED:]
    return repository


def _is(one: object, two: object) -> bool:
    return one is two


class _LoaderError(Exception):
    """The user's loader raised."""


def _load_reachable(
    requests: Any, packages: list[PackageData], load_family: Callable[..., Sequence[PackageData]]
) -> list[PackageData]:
    """The given packages and those of every family that can be reached from the request."""
    from rer_numba.errors import PackageRequestError, VersionError

    families: dict[str, list[PackageData]] = {}
    for package in packages:
        families.setdefault(package.name, []).append(package)
    try:
        waiting = [requirement.name for requirement in parse_requests(requests)]
    except (PackageRequestError, VersionError):
        return packages  # the solve will say so
    takes_range = _takes_range(load_family)
    seen = set()
    while waiting:
        name = waiting.pop()
        if name in seen or name.startswith("."):
            continue
        seen.add(name)
        if name not in families:
            families[name] = _load(load_family, name, takes_range)
        for package in families[name]:
            waiting += _mentioned(package)
    return [package for family in families.values() for package in family]


def _takes_range(load_family: Callable[..., Any]) -> bool:
    try:
        return "version_range" in inspect.signature(load_family).parameters
    except (TypeError, ValueError):  # a builtin without a signature
        return False


def _load(load_family: Callable[..., Sequence[PackageData]], name: str, takes_range: bool) -> list[PackageData]:
    try:
        found = load_family(name, version_range=None) if takes_range else load_family(name)
        return [package for package in found if package.name == name]
    except Exception as error:
        raise _LoaderError(f"load_family({name!r}) raised {type(error).__name__}: {error}") from error


def _mentioned(package: PackageData) -> Iterable[str]:
    """Names that a package may pull in; what cannot be parsed is left to the solve that meets it."""
    from rer_numba.errors import PackageRequestError, VersionError

    requires, variants, *_ = package.found
    lists = [requires, *([variants] if isinstance(variants, BrokenValue) else variants)]
    for text in (text for texts in lists if not isinstance(texts, BrokenValue) for text in texts):
        try:
            yield parse_requests([text]).requirements[0].name
        except (PackageRequestError, VersionError):
            continue
