"""Package orderers as integers, for the kernel.

The main key of a version (see `rer_numba.orderers.keys`) is one of six *kinds*: a version, a reversed version, nothing,
or a pair that begins with 1 (preferred) or 0 and goes on with a version or a reversed one. Keys of one kind are in a
total order, and so are those of the sets of kinds in `pairs._TOTAL`; a value for each main key of each kind is then all
there is to compare, and a range is the list of the values of its ends.

Where a solve may compare keys of other mixtures, there is no total order (it is a *mixed* order), and it must ask about
pairs. Two mains of different kinds are different, and the versions say which is less: so for two ranges under different
orderers the lower ends of their first intervals decide, except between a `VersionSplitOrder` and a
`SoftTimestampOrder`, and for orderers of somebody else's class.

A solve compares packages of one family, and the ranges that variants of one package require. So nothing is worked out
for the repository: the order of a family is when a solve first splits it, that of the ranges of a package when its
variants are first sorted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import total_ordering
from itertools import takewhile
from typing import Any, NamedTuple

from rer_numba.orderers import Leaf, Orderers, OrderMeaning, PackagesOf
from rer_numba.orderers.keys import EQUAL, LESS, OrderKeys, first_after
from rer_numba.orderers.orders import (
    ALL_PACKAGES,
    CustomOrder,
    NoOrder,
    PackageOrder,
    SoftTimestampOrder,
    SortedOrder,
    VersionSplitOrder,
)
from rer_numba.orderers.pairs import (
    CUSTOM,
    FIRST,
    LATER,
    LATER_REVERSED,
    N_CUSTOM,
    NOTHING,
    PLAIN,
    REVERSED,
    UNORDERED,
    RangeKey,
    RequirementPairs,
    have_one_order,
    is_total,
)
from rer_numba.reader import Reader
from rer_numba.schema import CONFLICT, CUT_INF, CUT_SHIFT, NONE, Tables
from rer_numba.version_order import Version, version_key
from rer_numba.views import Views, views_of

_TOKEN = re.compile(r"[A-Za-z0-9_]+")
_NO_KEY = RangeKey(0, ())

Main = Callable[[int], tuple[int, Any]]
"""Rank of a version of some family -> kind and value of its main key."""


def places_of(ordered: Sequence[int], packages: range) -> list[int] | None:
    """The place of each package of a family in an order; None if that is the order of the tables."""
    if ordered == list(packages):
        return None
    places = [0] * len(ordered)
    for place, package in enumerate(ordered):
        places[package - packages.start] = place
    return places


class RangeOrder(NamedTuple):
    """How the ranges compare that the variants of one package require.

    Attributes
    ----------
    places : list of int
        For each entry of `variant_requirement` of the package. Without a square: places in one order, equal ones for
        equal keys, NONE without a range. With one: rows of the square.
    n_rows : int
        Of the square; 0 without.
    square : list of int
        Comparisons of row with column, row by row: LESS, EQUAL, GREATER or NEITHER.
    """

    places: list[int]
    n_rows: int
    square: list[int]


class CompiledOrders:
    """Package orderers for one repository. Families, packages and requirements are rows of the tables.

    Parameters
    ----------
    orderers : Orderers
    tables, reader
        The repository; the reader says whether build_requires count.

    Attributes
    ----------
    pairs : RequirementPairs
        Compares any two requirements.
    asks : bool
        It holds orderers of somebody else's class.
    reads_times : bool
        The order of a family may depend on the release times of its packages.

    Notes
    -----
    An orderer of somebody else's class is asked once for each version and each range that is compared. What it raises
    is passed on when packages are sorted.
    """

    def __init__(self, orderers: Orderers, tables: Tables | Views, reader: Reader) -> None:
        self._views = views_of(tables)
        self._reader = reader
        self._orderers = orderers
        self._keys = orderers.keys(table_packages(self._views, reader))
        leaves = list(orderers.leaves())
        self.asks = any(isinstance(order, CustomOrder) for order in leaves)
        soft = [order for order in leaves if isinstance(order, SoftTimestampOrder)]
        self.reads_times = bool(soft)
        self._has_ranks = any(order.rank for order in soft)
        self._infinity = len(self._views.version_text)
        self._named = self.named_families()
        self._mains: dict[int, Main] = {}
        self._range_keys: dict[int, RangeKey] = {}
        self._custom_bits: dict[tuple[int, bool], int] = {}
        raises = orderers.meaning is OrderMeaning.RAISING_KEYS
        self.pairs = RequirementPairs(self._views, reader, self._keys, self.range_key, raises=raises)

    def _leaf(self, family: int) -> Leaf:
        return self._orderers.leaf(self._reader.family_name(family))

    def named_families(self) -> set[int] | None:
        """The families with an order of their own, when all others are tried newest first; else None."""
        names = {name for order in self._orderers for name in order.packages}
        return None if ALL_PACKAGES in names else {self._reader.family(name) for name in names} - {NONE}

    # --- packages

    def package_places(self, family: int) -> list[int] | None:
        """Give the place of each package of a family, preferred ones first; None when they are tried newest first.

        Raises
        ------
        Exception
            Whatever an orderer of somebody else's class raises when it is asked for a key.
        """
        order = self._leaf(family).order
        if isinstance(order, SortedOrder) and order.descending:
            return None
        views = self._views
        packages = range(*views.family_package_offsets[family : family + 2])
        given = sorted(packages, key=views.package_given_rank.__getitem__)
        if isinstance(order, CustomOrder):
            ordered = _custom_package_order(family, given, self._reader, self._keys)
        else:
            main, ranks = self._main(family), views.package_version_rank
            ordered = sorted(given, key=lambda package: main(ranks[package]), reverse=True)
        return places_of(ordered, packages)

    # --- main keys of built-in orderers

    def _main(self, family: int) -> Main:
        """What makes the main keys of a family; none of a `CustomOrder`."""
        main = self._mains.get(family)
        if main is None:
            main = self._mains[family] = self._make_main(family, self._leaf(family).order)
        return main

    def _make_main(self, family: int, order: PackageOrder) -> Main:
        match order:
            case SortedOrder():
                return (lambda rank: (PLAIN, rank)) if order.descending else (lambda rank: (REVERSED, -rank))
            case NoOrder():
                return lambda _: (NOTHING, 0)
            case VersionSplitOrder():
                split = self._rank_after(order.first_version)
                return lambda rank: (FIRST, rank) if rank < split else (LATER, rank)
            case SoftTimestampOrder():
                first_late = self._first_late_rank(family, order)
                late = self._late(order.rank)
                return lambda rank: (FIRST, rank) if rank < first_late else (LATER_REVERSED, late(rank))
        raise TypeError(f"no built-in orderer: {order!r}")

    def _rank_after(self, version: Version) -> int:
        """The rank from which on versions are greater."""
        if version == Version.inf:
            return self._infinity + 1
        rank, known = self._reader.version_rank(version.key)
        return rank + known

    def _first_late_rank(self, family: int, order: SoftTimestampOrder) -> int:
        """The rank from which on versions of a family are not in time."""
        views, reader = self._views, self._reader
        start, end = views.family_package_offsets[family : family + 2]
        place = first_after(
            views.package_timestamp[start:end].tolist(),
            # equal versions have equal tokens
            lambda place: _TOKEN.findall(reader.package_version(start + place))[: order.rank - 1],
            order.timestamp,
            order.rank,
        )
        return self._infinity + 1 if place is None else views.package_version_rank[start + place]

    def _late(self, token_rank: int) -> Callable[[int], Any]:
        """What makes the values of versions that are not in time, for an orderer with that setting ``rank``."""
        if not self._has_ranks:
            return lambda rank: -rank

        def late(rank: int) -> _Late:
            if rank == self._infinity:  # rez dies here: infinity cannot be trimmed
                return _Late(Version.inf.key, bool(token_rank), b"")
            tokens = [version_key(token) for token in _TOKEN.findall(self._reader.text(self._views.version_text[rank]))]
            if not token_rank:
                return _Late(b"".join(tokens), False, b"")
            return _Late(b"".join(tokens[: token_rank - 1]), True, b"".join(tokens[token_rank - 1 :]))

        return late

    # --- ranges

    def range_key(self, requirement: int) -> RangeKey:
        """What the orderer of its family says about the range of a requirement."""
        found = self._range_keys.get(requirement)
        if found is None:
            found = self._range_keys[requirement] = self._make_range_key(requirement)
        return found

    def _make_range_key(self, requirement: int) -> RangeKey:
        views = self._views
        range_id = views.requirement_range[requirement]
        if range_id == NONE:
            return _NO_KEY
        family = views.requirement_family[requirement]
        leaf = self._leaf(family)
        if isinstance(leaf.order, CustomOrder):
            bit = self._custom_bits.setdefault((id(leaf.order), leaf.nested), len(self._custom_bits))
            return RangeKey(CUSTOM << bit if bit < N_CUSTOM else UNORDERED, ())
        main = self._main(family)
        kinds = 0
        key: list[Any] = []
        for cut in views.range_cut[views.range_offsets[range_id] : views.range_offsets[range_id + 1]].tolist():
            kind, value = main(self._infinity if cut == CUT_INF else cut >> CUT_SHIFT)
            kinds |= kind
            key += (kind, value, 1 if cut == CUT_INF else cut & 1)
        return RangeKey(kinds, tuple(key))

    def range_order(self, package: int) -> RangeOrder:
        """Compare the ranges that the variants of a package require.

        Notes
        -----
        Takes 10 us for a package with 20 distinct requirements, 100 us where they must be compared pair by pair
        (2026-11).
        """
        reader = self._reader
        first, end = self._views.package_variant_offsets[package : package + 2]
        low, high = reader.variant_requirement_offsets[first], reader.variant_requirement_offsets[end]
        entries = reader.variant_requirement[low:high].tolist()
        rows = sorted(set(entries))
        if self._named is not None and self._named.isdisjoint(map(self._views.requirement_family.__getitem__, rows)):
            ranges = self._views.requirement_range  # which are numbered in rez's order
            return RangeOrder([ranges[row] for row in entries], 0, [])
        kinds = {row: self.range_key(row).kinds for row in rows}
        custom = self._custom_rows(rows, kinds)
        if self._is_mixed(range(first, end), kinds):
            places = {row: place for place, row in enumerate(rows)}
            return RangeOrder([places[row] for row in entries], len(rows), self.pairs.square(rows))
        places = self._ranks([row for row in rows if 0 < kinds[row] < CUSTOM], custom)
        return RangeOrder([places.get(row, NONE) for row in entries], 0, [])

    def _custom_rows(self, rows: list[int], kinds: dict[int, int]) -> list[list[int]]:
        """The rows under each orderer of somebody else's class; `kinds` is told of those that are in no total order."""
        by_kind: dict[int, list[int]] = {}
        for row in rows:
            if kinds[row] >= CUSTOM:
                by_kind.setdefault(kinds[row], []).append(row)
        for alike in by_kind.values():
            if not have_one_order(map(self.pairs.key, alike)):
                kinds.update(dict.fromkeys(alike, UNORDERED))
        return list(by_kind.values())

    def _ranks(self, built_in: Sequence[int], custom: Iterable[list[int]]) -> dict[int, int]:
        """Rank requirements; those of each custom orderer by themselves, above all others."""
        keys = sorted({self.range_key(row).key for row in built_in})
        place_of = {key: place for place, key in enumerate(keys)}
        ranks = {row: place_of[self.range_key(row).key] for row in built_in}
        following = len(keys)
        for alike in custom:
            ordered = sorted(alike, key=lambda row: _Asked(row, self.pairs))
            for place, row in enumerate(ordered):
                if place and self.pairs.ask(ordered[place - 1], row) != EQUAL:
                    following += 1
                ranks[row] = following
            following += 1
        return ranks

    def _is_mixed(self, variants: range, kinds: dict[int, int]) -> bool:
        """Tell whether variants of one package cannot be sorted by ranks.

        Requirements are compared place by place. As far as all variants name the same families, these are comparisons
        within a family, whatever families the request takes out.
        """
        flags, families = self._views.requirement_flags, self._views.requirement_family
        # conflicts are compared with requirements on the same family only, which is only a question of unordered keys
        compared = {row: kind & UNORDERED if flags[row] & CONFLICT else kind for row, kind in kinds.items()}
        if is_total(_together(compared.values())):
            return False
        lists = [
            [row for row in self._reader.variant_requirement_ids(variant) if compared[row]] for variant in variants
        ]
        places = zip(*[[families[row] for row in rows] for rows in lists], strict=False)
        shared = sum(1 for _ in takewhile(lambda place: len(set(place)) == 1, places))
        return not is_total(
            _together(
                compared[row] if place >= shared else compared[row] & UNORDERED
                for rows in lists
                for place, row in enumerate(rows)
            )
        )


def _together(kinds: Iterable[int]) -> int:
    together = 0
    for kind in kinds:
        together |= kind
    return together


def table_packages(views: Views, reader: Reader) -> PackagesOf:
    """Give the packages of a family in the tables, with their release times."""

    def packages_of(name: str) -> Iterable[tuple[Version, int]]:
        family = reader.family(name)
        start, end = views.family_package_offsets[family : family + 2] if family >= 0 else (0, 0)
        times = views.package_timestamp[start:end].tolist()
        versions = [reader.version_of(package) for package in range(start, end)]
        return zip(versions, times, strict=True)

    return packages_of


@total_ordering
class _Late:
    """What follows the 0 in a main key: a version, to be reversed, and with a setting ``rank`` a list of tokens."""

    __slots__ = ("_more", "_start")

    def __init__(self, start: bytes, has_more: bool, more: bytes) -> None:
        self._start = start
        self._more = (has_more, more)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Late) and (self._start, self._more) == (other._start, other._more)

    def __lt__(self, other: _Late) -> bool:
        return self._start > other._start if self._start != other._start else self._more < other._more

    def __hash__(self) -> int:
        return hash((self._start, self._more))


def _custom_package_order(family: int, given: list[int], reader: Reader, keys: OrderKeys) -> list[int]:
    """Sort the packages of a family as rez does. Keys that cannot be compared kill rez: then newest first."""
    name = reader.family_name(family)
    key_of = {package: keys.version_key(name, reader.version_of(package)) for package in sorted(given)}
    try:
        return sorted(given, key=key_of.__getitem__, reverse=True)
    except Exception:  # noqa: BLE001 - a key of somebody else's class may raise anything
        return sorted(given)


class _Asked:
    """A requirement that is sorted by asking."""

    def __init__(self, row: int, pairs: RequirementPairs) -> None:
        self.row = row
        self.pairs = pairs

    def __lt__(self, other: _Asked) -> bool:
        return self.pairs.ask(self.row, other.row) == LESS
