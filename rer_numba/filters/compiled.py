"""Filters over the tables of a repository: which packages of a family a solve may see.

A family is answered for at once, when a solve first comes to it: times by their column, ranges by ranks, patterns on a
list of names.

Invariants
----------
- The answer is that of `PackageFilter.excludes` for each package by itself, with two exceptions, in which the package
  counts as allowed: *undecided* packages, which some rule of the user's own is about or whose release time rez refuses,
  until they are asked about; and packages that cannot be loaded, if rez would have to load them to read their time. A
  solve that reaches one of those meets the error of loading it, as in rez.
- Nothing is worked out before somebody asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from rer_numba.filters import AnyFilter, CustomFilter, PackageFilter, PackageFilterList
from rer_numba.filters.package import FilteredPackage, PackageLoadingError, prevents_loading
from rer_numba.filters.rules import GlobRule, PatternRule, RangeRule, TimestampRule, is_custom
from rer_numba.forking import Lock
from rer_numba.reader import Reader
from rer_numba.requests import REMEMBERED
from rer_numba.schema import NONE, Tables
from rer_numba.version_order import Version
from rer_numba.views import Views, views_of

NamesTest = Callable[[list[str]], list[int]]
"""Places of the names that some rules match."""


class Names:
    """Qualified names of the packages of a family, remembered for the next filter."""

    def __init__(self, views: Views, reader: Reader) -> None:
        self._views = views
        self._reader = reader
        self._known: dict[int, list[str]] = {}
        self._n_known = 0

    def of_family(self, family: int) -> list[str]:
        """In the order of the packages."""
        names = self._known.get(family)
        if names is None:
            name, text = self._reader.family_name(family), self._reader.text
            start, stop = self._views.family_package_offsets[family : family + 2]
            versions = map(text, self._views.package_version_text[start:stop])
            names = [f"{name}-{version}" if version else name for version in versions]
            if self._n_known + len(names) > REMEMBERED:
                self._known.clear()
                self._n_known = 0
            self._known[family] = names
            self._n_known += len(names)
        return names


class FamilyAnswer(NamedTuple):
    """What a filter says of the packages of a family: masks, bit `i` for its `i`-th package.

    Attributes
    ----------
    hidden : int
        Those that no solve sees.
    undecided : int
        Those that only `CompiledFilter.ask` knows about; none of them is in `hidden`.
    """

    hidden: int
    undecided: int


class _Span(NamedTuple):
    """The packages of a family: rows from `start` up to `stop`."""

    family: int
    start: int
    stop: int

    @property
    def everything(self) -> int:
        """The mask of all of them."""
        return (1 << (self.stop - self.start)) - 1


class _Rules:
    """Rules that are about the same packages, by how they are answered. For a yes or no their order does not matter."""

    def __init__(self, rules: list[Any]) -> None:
        ours = [rule for rule in rules if not is_custom(rule)]
        self.ranges = [rule for rule in ours if isinstance(rule, RangeRule)]
        self.times = [rule for rule in ours if isinstance(rule, TimestampRule)]
        self.by_name = _names_tests([rule for rule in ours if isinstance(rule, PatternRule)])
        self.has_custom = len(ours) < len(rules)


class _Side:
    """Exclusions or inclusions of one filter; rules about families that the repository does not have are left out."""

    def __init__(self, filed: dict[str | None, list[Any]], reader: Reader) -> None:
        self._everywhere = [_Rules(rules) for name, rules in filed.items() if name is None]
        named = {reader.family(name): rules for name, rules in filed.items() if isinstance(name, str)}
        self._about = {family: [_Rules(rules), *self._everywhere] for family, rules in named.items() if family != NONE}
        all_rules = [rules for about in (self._everywhere, *self._about.values()) for rules in about]
        self.is_about_all = bool(self._everywhere)
        self.reads_times = any(rules.times for rules in all_rules)
        self.has_custom = any(rules.has_custom for rules in all_rules)

    def about(self, family: int) -> list[_Rules]:
        """The rules about a family."""
        return self._about.get(family, self._everywhere)

    def families(self) -> Iterable[int]:
        """The families that have rules of their own."""
        return self._about


class _Sides(NamedTuple):
    excludes: _Side
    includes: _Side


class CompiledFilter:
    """A filter for one repository.

    Packages and families are rows of the tables. Threads may share it.

    Parameters
    ----------
    package_filter : AnyFilter or None
        A copy of what matters is taken. None, or a filter without exclusions, allows everything.
    tables : Tables or Views
    reader : Reader
    names : Names, optional
        Those of the repository, which filters share.
    view : callable, optional
        Called with a row; what it gives is handed to rules of the user's own. Without it they see `FilteredPackage`.

    Attributes
    ----------
    asks : bool
        It holds rules or filters of the user's own, for families that are there.
    may_ask : bool
        Some packages may be undecided.
    """

    def __init__(
        self,
        package_filter: AnyFilter | None,
        tables: Tables | Views,
        reader: Reader,
        names: Names | None = None,
        view: Callable[[int], Any] | None = None,
    ) -> None:
        self._views = views_of(tables)
        self._reader = reader
        self._names = names or Names(self._views, reader)
        self._view = view or self._package
        self._filters = _filters_of(package_filter)
        ours = [filter_ for filter_ in self._filters if isinstance(filter_, PackageFilter) and filter_]
        self._sides = [_Sides(_Side(one.exclusions, reader), _Side(one.inclusions, reader)) for one in ours]
        self._has_own_filter = any(isinstance(filter_, CustomFilter) for filter_ in self._filters)
        sides = [side for both in self._sides for side in both]
        self.asks = self._has_own_filter or any(side.has_custom for side in sides)
        self._meets_errors = any(side.reads_times for side in sides) and bool(len(self._views.error_type_text))
        self.may_ask = self.asks or self._meets_errors
        self._lock = Lock()
        self._asked: dict[int, bool] = {}
        self._deaths: set[int] = set()

    def _package(self, package: int) -> FilteredPackage:
        return FilteredPackage(self._views, self._reader, package)

    # --- which families

    def named_families(self) -> list[int] | None:
        """The families whose packages may be hidden; None when they may be any."""
        if self._has_own_filter or any(sides.excludes.is_about_all for sides in self._sides):
            return None
        return sorted({family for sides in self._sides for family in sides.excludes.families()})

    # --- answers

    def of_family(self, family: int) -> FamilyAnswer:
        """Give the packages of a family that are hidden, and those that are undecided.

        Notes
        -----
        Takes 2 us for a time or a glob, 20 us for five regular expressions, for a family of 14 packages, once its names
        are known (2026-11).
        """
        offsets = self._views.family_package_offsets
        span = _Span(family, offsets[family], offsets[family + 1])
        if self.asks and self._is_undecided(family):
            return FamilyAnswer(0, span.everything)
        hidden = 0
        for sides in self._sides:
            out = self._matched(sides.excludes.about(family), span)
            if out:
                out &= ~self._matched(sides.includes.about(family), span)
            hidden |= out
        return self._without_times(span, hidden) if self._meets_errors else FamilyAnswer(hidden, 0)

    def ask(self, package: int) -> bool:
        """Tell whether a solve may see a package, by asking each rule that rez would ask.

        The answer is kept: a rule is asked once about a package. What a rule of the user's own raises is passed on.
        """
        with self._lock:
            allowed = self._asked.get(package)
            if allowed is None:
                allowed = self._asked[package] = self._ask(package, self._view(package))
            return allowed

    def _ask(self, package: int, seen: Any) -> bool:
        try:
            return not any(filter_.excludes(seen) for filter_ in self._filters)
        except PackageLoadingError:
            self._deaths.add(package)
            return True

    def dies_of(self, package: int) -> bool:
        """Tell whether answering for a package met the error of loading it. To be asked after the answer."""
        return package in self._deaths

    def loading_error(self, package: int) -> tuple[str, str] | None:
        """Class name and text of what loading a package raises, or None."""
        error = self._reader.package_error(package)
        return None if error == NONE else self._reader.error(error)

    def _is_undecided(self, family: int) -> bool:
        """Tell whether a rule of the user's own is about a family. An inclusion is, where something is excluded."""
        if self._has_own_filter:
            return True
        for sides in self._sides:
            excludes = sides.excludes.about(family)
            if excludes and any(rules.has_custom for rules in (*excludes, *sides.includes.about(family))):
                return True
        return False

    def _without_times(self, span: _Span, hidden: int) -> FamilyAnswer:
        """Answer for the packages of which rez cannot read the time, if a rule asks for it."""
        about = [rules for sides in self._sides for side in sides for rules in side.about(span.family)]
        if not any(rules.times for rules in about):
            return FamilyAnswer(hidden, 0)
        undecided = 0
        errors = self._views.package_error[span.start : span.stop].tolist()
        time_errors = self._views.package_timestamp_error[span.start : span.stop].tolist()
        for place, (error, time_error) in enumerate(zip(errors, time_errors, strict=True)):
            if time_error not in (NONE, error):  # the solve that asks for it first ends in an error
                undecided |= 1 << place
                hidden &= ~(1 << place)
            elif error != NONE and prevents_loading(self._reader, error):
                package = span.start + place
                allowed = self._ask(package, self._package(package))
                hidden = hidden & ~(1 << place) if allowed else hidden | 1 << place
        return FamilyAnswer(hidden, undecided)

    # --- all packages of a family at once

    def _matched(self, about: list[_Rules], span: _Span) -> int:
        """Packages that some rule matches."""
        found = 0
        for rules in about:
            for of_range in rules.ranges:
                found |= self._in_range(of_range, span)
            if rules.times:
                released = self._views.package_timestamp[span.start : span.stop].tolist()
                for of_time in rules.times:
                    found |= _at_time(of_time, released)
            if rules.by_name:
                names = self._names.of_family(span.family)
                for test in rules.by_name:
                    for place in test(names):
                        found |= 1 << place
        return found

    def _in_range(self, rule: RangeRule, span: _Span) -> int:
        range_, refused = rule.requirement.range, rule.requirement.conflict
        if range_ is None:
            return span.everything
        ranks = self._views.package_version_rank[span.start : span.stop].tolist()
        inside = 0
        for bound in range_.bounds:
            first, known = self._reader.version_rank(bound.lower_version.key)
            first += known and not bound.lower_inclusive
            end = len(self._views.version_text)
            if bound.upper_version is not Version.inf:
                end, known = self._reader.version_rank(bound.upper_version.key)
                end += known and bound.upper_inclusive
            for place, rank in enumerate(ranks):
                if first <= rank < end:
                    inside |= 1 << place
        return span.everything & ~inside if refused else inside


def compile_filter(
    package_filter: AnyFilter | None,
    tables: Tables | Views,
    reader: Reader,
    names: Names | None = None,
    view: Callable[[int], Any] | None = None,
) -> CompiledFilter:
    """Prepare a filter for one repository (see `CompiledFilter`)."""
    return CompiledFilter(package_filter, tables, reader, names, view)


def _filters_of(package_filter: AnyFilter | None) -> list[Any]:
    """Filters that a package must pass, as they are now. Objects of the user's own are not copied."""
    if not package_filter:
        return []
    filters = package_filter.filters if isinstance(package_filter, PackageFilterList) else [package_filter]
    return [filter_.copy() if isinstance(filter_, PackageFilter) else filter_ for filter_ in filters]


def _at_time(rule: TimestampRule, released: list[int]) -> int:
    """Packages that a rule matches, by their release times; 0: unknown."""
    if rule.reverse and not rule.match_untimestamped and max(released, default=0) <= rule.timestamp:
        return 0  # most families, for the time of a solve
    found = 0
    for place, time in enumerate(released):
        if (time > rule.timestamp) is rule.reverse if time else rule.match_untimestamped:
            found |= 1 << place
    return found


def _names_tests(rules: list[PatternRule]) -> list[NamesTest]:
    """Tests that together accept what the rules match.

    A glob with stars at its ends only needs no regular expression: for '*.beta' and a name that is 0.03 us instead of
    0.3, and several such globs cost as much as one.
    """
    whole: list[str] = []
    starts: list[str] = []
    ends: list[str] = []
    tests: list[NamesTest] = []
    for rule in rules:
        text = rule.txt.strip("*")
        open_start, open_end = rule.txt.startswith("*"), rule.txt.endswith("*")
        if type(rule) is not GlobRule or any(sign in text for sign in "*?["):
            tests.append(_regex_test(rule))
        elif open_start and open_end:
            tests.append(_part_test(text))
        else:
            (ends if open_start else starts if open_end else whole).append(text)
    return [*_edge_tests(whole, tuple(starts), tuple(ends)), *tests]


def _edge_tests(whole: list[str], starts: tuple[str, ...], ends: tuple[str, ...]) -> Iterator[NamesTest]:
    if whole:
        yield lambda names: [place for place, name in enumerate(names) if name in whole]
    if starts:
        yield lambda names: [place for place, name in enumerate(names) if name.startswith(starts)]
    if ends:
        yield lambda names: [place for place, name in enumerate(names) if name.endswith(ends)]


def _part_test(text: str) -> NamesTest:
    return lambda names: [place for place, name in enumerate(names) if text in name]


def _regex_test(rule: PatternRule) -> NamesTest:
    match = rule.regex.match
    return lambda names: [place for place, name in enumerate(names) if match(name) is not None]
