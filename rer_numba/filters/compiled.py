"""Filters over the tables of a repository: which of its packages a solve may see.

Rules of ours are answered for many packages at once: times by comparing the column, ranges by comparing ranks, patterns
on a list of names. A rule of one family looks at the packages of that family only.

Invariants
----------
- The answer is that of `PackageFilter.excludes` for each package by itself, with two exceptions, in which the package
  counts as allowed: *undecided* packages, whose family some rule of the user's own is about, until they are asked
  about; and packages that cannot be loaded, if rez would have to load them to read their time. A solve that reaches
  one of those meets the error of loading it, as in rez.
- Nothing is worked out before somebody asks, and everything once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from rer_numba.filters import AnyFilter, CustomFilter, PackageFilter, PackageFilterList
from rer_numba.filters.package import FilteredPackage, PackageLoadingError, prevents_loading
from rer_numba.filters.rules import GlobRule, PatternRule, RangeRule, TimestampRule, is_custom
from rer_numba.forking import Lock
from rer_numba.reader import Reader
from rer_numba.schema import NONE, IntArray, Tables
from rer_numba.version_order import Version

BoolArray = IntArray

# Packages in one go, so that the names of two million are never in memory together.
_CHUNK = 1 << 17

_INT64 = np.iinfo(np.int64)


NamesTest = Callable[[list[str]], list[bool]]


class _Filed(NamedTuple):
    """Rules with the packages they are about: rows from `start` up to `stop`.

    `by_column` are answered by a column of the tables, `by_name` by the names of the packages.
    """

    start: int
    stop: int
    by_column: list[RangeRule | TimestampRule]
    by_name: list[NamesTest]
    has_custom: bool

    @classmethod
    def of(cls, start: int, stop: int, rules: list[Any]) -> _Filed:
        """Sort rules by how they are answered. For a yes or no their order makes no difference."""
        ours = [rule for rule in rules if not is_custom(rule)]
        by_column = [rule for rule in ours if not isinstance(rule, PatternRule)]
        by_name = _names_tests([rule for rule in ours if isinstance(rule, PatternRule)])
        return cls(start, stop, by_column, by_name, len(ours) < len(rules))


class _Sides(NamedTuple):
    excludes: list[_Filed]
    includes: list[_Filed]


class _Chunk:
    """Packages from `start` up to `stop`, and their qualified names once a rule wants them."""

    def __init__(self, tables: Tables, reader: Reader, start: int, stop: int) -> None:
        self.tables = tables
        self.reader = reader
        self.start = start
        self.stop = stop
        self._names: list[str] | None = None

    def names(self, start: int, stop: int) -> list[str]:
        """Qualified names of the packages from `start` up to `stop`."""
        if self._names is None:
            made = self._made_names(start, stop)
            if (start, stop) != (self.start, self.stop):
                return made
            self._names = made
        return self._names[start - self.start : stop - self.start]

    def _made_names(self, start: int, stop: int) -> list[str]:
        # each version is read once, though many packages have it
        text_ids, of_package = np.unique(self.tables.package_version_text[start:stop], return_inverse=True)
        ends = [f"-{text}" if text else "" for text in map(self.reader.text, text_ids.tolist())]
        offsets = self.tables.family_package_offsets
        first = int(offsets.searchsorted(start, side="right")) - 1
        last = int(offsets.searchsorted(stop, side="left"))
        counts = np.diff(offsets[first : last + 1].clip(start, stop))
        (present,) = counts.nonzero()
        families = np.array([self.reader.family_name(first + row) for row in present.tolist()], dtype=object)
        return [
            family + ends[end]
            for family, end in zip(families.repeat(counts[present]).tolist(), of_package.tolist(), strict=True)
        ]


class CompiledFilter:
    """A filter for one repository.

    Packages are rows of the tables. Threads may share it.

    Parameters
    ----------
    package_filter : AnyFilter or None
        A copy of what matters is taken. None, or a filter without exclusions, allows everything.
    tables : Tables
    reader : Reader
    view : callable, optional
        Called with a row; what it gives is handed to rules of the user's own. Without it they see `FilteredPackage`.

    Attributes
    ----------
    is_lazy : bool
        Some packages are undecided until `ask` is called.
    """

    def __init__(
        self,
        package_filter: AnyFilter | None,
        tables: Tables,
        reader: Reader,
        view: Callable[[int], Any] | None = None,
    ) -> None:
        filters = _filters_of(package_filter)
        self._filters = filters
        self._tables = tables
        self._reader = reader
        self._view = view or self._package
        self._n_packages = len(tables.package_version_rank)
        self._sides = [self._file(filter_) for filter_ in filters if isinstance(filter_, PackageFilter) and filter_]
        filed = [filed for sides in self._sides for side in sides for filed in side]
        self._reads_times = any(isinstance(rule, TimestampRule) for rules in filed for rule in rules.by_column)
        self._lazy_spans = self._find_lazy(any(isinstance(filter_, CustomFilter) for filter_ in filters))
        self._lazy_spans += self._find_bad_times()
        self.is_lazy = bool(self._lazy_spans)
        self._lock = Lock()
        self._asked: dict[int, bool] = {}
        self._deaths: set[int] = set()
        self._masks: dict[int, int] = {}
        self._all: BoolArray | None = None
        self._timeless: IntArray | None = None

    def _package(self, package: int) -> FilteredPackage:
        return FilteredPackage(self._tables, self._reader, package)

    # --- answers

    def allowed(self, family: int) -> int:
        """Give the packages of a family that a solve may see.

        Returns
        -------
        int
            Bit `i` stands for package `family_package_offsets[family] + i`. Undecided ones count as allowed.
        """
        mask = self._masks.get(family)
        if mask is None:
            start, stop = self._tables.family_package_offsets[family : family + 2].tolist()
            allowed = self._allowed(start, stop) if self._all is None else self._all[start:stop]
            mask = int.from_bytes(np.packbits(allowed, bitorder="little").tobytes(), "little")
            self._masks[family] = mask
        return mask

    def allowed_packages(self) -> BoolArray:
        """Give for each package whether a solve may see it. Undecided ones count as allowed.

        Returns
        -------
        (package,) bool
            Read-only.

        Notes
        -----
        Cost, on 18,226 packages of rez's benchmark: 0.05 ms for five ranges of one family each, 0.2 ms for a time, 4 ms
        as soon as a pattern is about all families, and 1 to 3 ms more for each regular expression; 20 rules of all
        kinds 7 ms. With 1.8 million packages 0.8 s, five regular expressions 2.3 s (2026-11-20).
        """
        if self._all is None:
            chunks = range(0, self._n_packages, _CHUNK)
            parts = [self._allowed(start, min(start + _CHUNK, self._n_packages)) for start in chunks]
            found = np.concatenate([np.ones(0, np.bool_), *parts])
            found.flags.writeable = False
            self._all = found
        return self._all

    def undecided_packages(self) -> BoolArray:
        """Give for each package whether only `ask` knows.

        Returns
        -------
        (package,) bool
        """
        undecided = np.zeros(self._n_packages, np.bool_)
        for start, stop in self._lazy_spans:
            undecided[start:stop] = True
        return undecided

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

    # --- what the rules are about

    def _file(self, filter_: PackageFilter) -> _Sides:
        return _Sides(self._file_side(filter_.exclusions), self._file_side(filter_.inclusions))

    def _file_side(self, rules: dict[str | None, list[Any]]) -> list[_Filed]:
        """Look up the families; those that the repository does not have are left out."""
        filed = []
        for name, of_family in rules.items():
            if name is None:
                filed.append(_Filed.of(0, self._n_packages, of_family))
                continue
            family = self._reader.family(name) if isinstance(name, str) else NONE
            if family != NONE:
                start, stop = self._tables.family_package_offsets[family : family + 2].tolist()
                filed.append(_Filed.of(start, stop, of_family))
        return filed

    def _find_lazy(self, everything: bool) -> list[tuple[int, int]]:
        """Spans of packages that a rule of the user's own is about. Inclusions are asked about what may be excluded."""
        if everything:
            return [(0, self._n_packages)]
        spans = []
        for excludes, includes in self._sides:
            asked = [(filed, filed) for filed in excludes if filed.has_custom]
            asked += [(one, other) for one in includes if one.has_custom for other in excludes]
            spans += [(max(one.start, other.start), min(one.stop, other.stop)) for one, other in asked]
        return [(start, stop) for start, stop in spans if start < stop]

    def _find_bad_times(self) -> list[tuple[int, int]]:
        """Packages whose release time rez refuses: the solve that asks for it first ends in an error."""
        if not self._reads_times:
            return []
        tables = self._tables
        refused = tables.package_timestamp_error
        rows = ((refused != NONE) & (refused != tables.package_error)).nonzero()[0].tolist()  # equal: cannot be loaded
        return [(row, row + 1) for row in rows]

    # --- many packages at once

    def _allowed(self, start: int, stop: int) -> BoolArray:
        chunk = _Chunk(self._tables, self._reader, start, stop)
        allowed = np.ones(stop - start, np.bool_)
        for sides in self._sides:
            hidden = _matched(sides.excludes, chunk, allowed)
            if sides.includes and hidden.any():
                hidden &= ~_matched(sides.includes, chunk, hidden)
            allowed &= ~hidden
        for package in self._timeless_packages(start, stop):
            allowed[package - start] = self._ask(package, self._package(package))
        for first, end in self._lazy_spans:
            allowed[max(first - start, 0) : max(end - start, 0)] = True
        return allowed

    def _timeless_packages(self, start: int, stop: int) -> list[int]:
        """Packages that rez would have to load, and cannot, and that are not undecided anyway."""
        if not self._reads_times:
            return []
        if self._timeless is None:
            error = self._tables.package_error
            known = [row for row in np.unique(error).tolist() if row != NONE]
            bad = [row for row in known if prevents_loading(self._reader, row)]
            self._timeless = (np.isin(error, bad) & ~self.undecided_packages()).nonzero()[0]
        first, last = self._timeless.searchsorted((start, stop)).tolist()
        return self._timeless[first:last].tolist()  # type: ignore[no-any-return]


def compile_filter(
    package_filter: AnyFilter | None,
    tables: Tables,
    reader: Reader,
    view: Callable[[int], Any] | None = None,
) -> CompiledFilter:
    """Prepare a filter for one repository (see `CompiledFilter`)."""
    return CompiledFilter(package_filter, tables, reader, view)


def _filters_of(package_filter: AnyFilter | None) -> list[Any]:
    """Filters that a package must pass, as they are now. Objects of the user's own are not copied."""
    if not package_filter:
        return []
    filters = package_filter.filters if isinstance(package_filter, PackageFilterList) else [package_filter]
    return [filter_.copy() if isinstance(filter_, PackageFilter) else filter_ for filter_ in filters]


def _matched(side: list[_Filed], chunk: _Chunk, wanted: BoolArray) -> BoolArray:
    """Packages of a chunk that some rule matches. Where `wanted` is false, any answer will do."""
    matched = np.zeros(len(wanted), np.bool_)
    for filed in side:
        start, stop = max(filed.start, chunk.start), min(filed.stop, chunk.stop)
        if start >= stop:
            continue
        span = slice(start - chunk.start, stop - chunk.start)
        found = matched[span]
        for rule in filed.by_column:
            found |= _column_matches(rule, chunk, start, stop)
        if filed.by_name and (wanted[span] & ~found).any():
            _match_names(filed.by_name, chunk.names(start, stop), found, wanted[span])
    return matched


def _column_matches(rule: RangeRule | TimestampRule, chunk: _Chunk, start: int, stop: int) -> BoolArray:
    if isinstance(rule, TimestampRule):
        return _time_matches(rule, chunk.tables.package_timestamp[start:stop])
    return _range_matches(rule, chunk.tables.package_version_rank[start:stop], chunk.reader)


def _time_matches(rule: TimestampRule, released: IntArray) -> BoolArray:
    limit = rule.timestamp
    if not math.isinf(limit):
        limit = math.floor(limit)
    # times are int64: nothing is later than the last of them, and what is as early as the first one has no meaning
    later = released > np.int64(min(max(limit, int(_INT64.min)), int(_INT64.max)))
    return np.where(released == 0, bool(rule.match_untimestamped), later if rule.reverse else ~later)


def _range_matches(rule: RangeRule, ranks: IntArray, reader: Reader) -> BoolArray:
    range_, refused = rule.requirement.range, rule.requirement.conflict
    if range_ is None:
        return np.ones(len(ranks), np.bool_)
    inside = np.zeros(len(ranks), np.bool_)
    for bound in range_.bounds:
        first, known = reader.version_rank(bound.lower_version.key)
        within = ranks >= first + (known and not bound.lower_inclusive)
        if bound.upper_version is not Version.inf:
            end, known = reader.version_rank(bound.upper_version.key)
            within &= ranks < end + (known and bound.upper_inclusive)
        inside |= within
    return ~inside if refused else inside


def _match_names(tests: list[NamesTest], names: list[str], found: BoolArray, wanted: BoolArray) -> None:
    """Set `found` for the names that some test accepts. Those found already, or not wanted, are left out."""
    for test in tests:
        (rows,) = (wanted & ~found).nonzero()
        found[rows] = test(names if len(rows) == len(names) else [names[row] for row in rows.tolist()])


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
        yield lambda names: [name in whole for name in names]
    if starts:
        yield lambda names: [name.startswith(starts) for name in names]
    if ends:
        yield lambda names: [name.endswith(ends) for name in names]


def _part_test(text: str) -> NamesTest:
    return lambda names: [text in name for name in names]


def _regex_test(rule: PatternRule) -> NamesTest:
    match = rule.regex.match
    return lambda names: [match(name) is not None for name in names]
