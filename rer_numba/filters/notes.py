"""What a person who wrote a filter may have overlooked: a rule that matches nothing, a family of which nothing is left.

For the command line. rez says neither: a misspelled rule hides nothing, and of a family that is hidden as a whole rez
says that its packages are not found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from rer_numba.errors import RerError, RezError, VersionError
from rer_numba.filters import CustomFilter, PackageFilter, PackageFilterList, as_package_filter
from rer_numba.filters.package import FilteredPackage
from rer_numba.filters.rules import is_custom, rule_family
from rer_numba.filters.time import with_timestamp
from rer_numba.reader import Reader
from rer_numba.requirements import as_requirement
from rer_numba.schema import NONE

if TYPE_CHECKING:
    from rer_numba.options import SolveOptions
    from rer_numba.results import SolveResult
    from rer_numba.views import Views

_KINDS = {"excludes": "exclusion", "includes": "inclusion"}
_NAMES = re.compile(r"[\w.]+")


def on_rules(views: Views, options: SolveOptions) -> list[str]:
    """List the rules of a filter that match no package, each in a sentence.

    Looks at the packages of the families that rules are about; at all, only for a rule about all families that matches
    none.
    """
    catalogue = _Catalogue(views)
    rules = list(dict.fromkeys(_rules(as_package_filter(options.package_filter))))
    unused = [(kind, rule) for kind, rule in rules if not catalogue.is_matched(rule)]
    return [f"the {_KINDS[kind]} {str(rule)!r} of the filter matches no package" for kind, rule in unused]


def on_families(views: Views, options: SolveOptions, requests: Iterable[str], result: SolveResult | None) -> list[str]:
    """List the families of which a filter and a time hide every package, each in a sentence.

    Parameters
    ----------
    views : Views
        Of the repository.
    options : SolveOptions
    requests : iterable of str
        Its families are looked at, and those that exclusions are about.
    result : SolveResult, optional
        Those that its failure names are looked at, too.
    """
    catalogue = _Catalogue(views)
    rules = _rules(as_package_filter(options.package_filter))
    families = [*_requested(requests), *(rule_family(rule) for kind, rule in rules if kind == "excludes")]
    if result is not None and not result:
        families += _NAMES.findall(str(result.failure_description).replace("-", " "))
    return [text for name in dict.fromkeys(families) if name for text in _hidden(catalogue, name, options)]


def _rules(package_filter: Any) -> Iterator[tuple[str, Any]]:
    """("excludes" or "includes", rule) of each rule that is not an object of the user."""
    if isinstance(package_filter, PackageFilterList):
        for one in package_filter.filters:
            yield from _rules(one)
    elif isinstance(package_filter, PackageFilter):
        for kind, filed in (("excludes", package_filter.exclusions), ("includes", package_filter.inclusions)):
            yield from ((kind, rule) for rules in filed.values() for rule in rules if not is_custom(rule))


def _requested(requests: Iterable[str]) -> Iterator[str]:
    """The families that a request wants."""
    for text in requests:
        try:
            requirement = as_requirement(text)
        except (RezError, RerError, VersionError):  # the solve has said so
            continue
        if not requirement.conflict:
            yield requirement.name


def _hidden(catalogue: _Catalogue, name: str, options: SolveOptions) -> Iterator[str]:
    """Give a sentence if nothing is left of a family: whether the filter hides it, the time, or both."""
    found = catalogue.packages(name)
    package_filter = as_package_filter(options.package_filter)
    both = with_timestamp(package_filter, options.timestamp)
    if not found or not all(_is_hidden(both, package) for package in found):
        return
    count = f"all {len(found):,} packages" if len(found) > 1 else "the only package"
    if all(_is_hidden(package_filter, package) for package in found):
        yield f"the filter hides {count} of {name}"
    elif any(_is_hidden(package_filter, package) for package in found):
        yield f"the filter and the time hide {count} of {name}"
    else:
        yield f"{count} of {name} {'are' if len(found) > 1 else 'is'} later than the time asked for"


def _is_hidden(package_filter: Any, package: FilteredPackage) -> bool:
    if not package_filter or isinstance(package_filter, CustomFilter):
        return False
    try:
        return bool(package_filter.excludes(package))
    except (RezError, RerError):  # a time is asked for that cannot be loaded; the solve that meets it says so
        return False


class _Catalogue:
    """The packages of a repository, as rules see them."""

    def __init__(self, views: Views) -> None:
        self._views: Any = views  # single rows of the same columns
        self._reader = Reader(views)

    def packages(self, name: str) -> list[FilteredPackage]:
        """Those of a family."""
        family = self._reader.family(name)
        if family == NONE:
            return []
        first, last = self._views.family_package_offsets[family : family + 2]
        return [self._package(row) for row in range(first, last)]

    def _package(self, row: int) -> FilteredPackage:
        return FilteredPackage(self._views, self._reader, row)

    def is_matched(self, rule: Any) -> bool:
        """Whether a rule matches a package of its family, or of any if it is about all."""
        family = rule_family(rule)
        found = self.packages(family) if family is not None else map(self._package, range(self._n_packages()))
        return any(_matches(rule, package) for package in found)

    def _n_packages(self) -> int:
        return len(self._views.package_version_rank)


def _matches(rule: Any, package: FilteredPackage) -> bool:
    try:
        return bool(rule.match(package))
    except (RezError, RerError):
        return False
