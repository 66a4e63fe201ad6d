"""Package orderers as integers, for the kernel.

The main key of a version (see `rer_numba.orderers.keys`) is one of six *kinds*: a version, a reversed version, nothing,
or a pair that begins with 1 (preferred) or 0 and goes on with a version or a reversed one. Keys of one kind are in a
total order, and so are the three sets of kinds in `_TOTAL`; a number for each main key of each kind is then all there
is to compare, and a range is the list of the numbers of its ends.

Where a solve may compare keys of other mixtures, there is no total order (it is a *mixed* order), and it must ask about
pairs. Two mains of different kinds are different, and the versions say which is less: so for two ranges under different
orderers the lower ends of their first intervals decide, except between a `VersionSplitOrder` and a
`SoftTimestampOrder`, and for orderers of somebody else's class.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from rer_numba.orderers import Leaf, Orderers, PackagesOf
from rer_numba.orderers.keys import EQUAL, LESS, OrderKeys, first_after
from rer_numba.orderers.orders import CustomOrder, NoOrder, SoftTimestampOrder, SortedOrder, VersionSplitOrder
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
    RequirementPairs,
    first_ranks,
    have_one_order,
    mixed_packages,
)
from rer_numba.reader import Reader
from rer_numba.schema import CUT_INF, CUT_SHIFT, NONE, IntArray, Tables
from rer_numba.version_order import Version, version_key

_TOKEN = re.compile(r"[A-Za-z0-9_]+")

# how the orderer of a family makes main keys
_DESCENDING, _ASCENDING, _NO_ORDER, _SPLIT, _TIMESTAMP, _CUSTOM = range(6)


@dataclass(frozen=True, eq=False)
class OrderTables:
    """What package orderers say about a repository.

    Attributes
    ----------
    package_place : array of int32, (packages,)
        Place of each package in its family, preferred ones first.
    family_reordered : array of uint8, (families,)
        1 when these places are not the order of the tables, newest first.
    requirement_rank : array of int32, (requirements,)
        Place of the key of each requirement: greater keys have greater ones, equal keys share one. NONE without a
        range, which is less than any. To be believed between requirements whose `requirement_kinds` together are in a
        total order, always between those on one family (unless UNORDERED).
    requirement_kinds : array of int64, (requirements,)
        Bits of `rer_numba.orderers.pairs`: the kinds of main keys in its key.
    requirement_group : array of uint8, (requirements,)
        The same made short for BY_FIRST_VERSION: 0 plain, 1 reversed, 2 nothing, 3 pairs, 4 of somebody else's class.
    requirement_first_rank : array of int32, (requirements,)
        Rank of the version at the lower end of its first interval; NONE without a range.
    package_mixed : array of uint8, (packages,)
        How the requirements of its variants are compared when the variants are sorted.
        NOT_MIXED: by `requirement_rank`.
        BY_FIRST_VERSION: by that within a group. Requirements of two groups are never equal; by
        `requirement_first_rank` one is less, or neither is where these are equal.
        BY_PAIR: as `pairs` says.
    pairs : RequirementPairs
        Compares any two requirements.
    """

    package_place: IntArray
    family_reordered: IntArray
    requirement_rank: IntArray
    requirement_kinds: IntArray
    requirement_group: IntArray
    requirement_first_rank: IntArray
    package_mixed: IntArray
    pairs: RequirementPairs

    @property
    def mixed(self) -> bool:
        """Whether some package has variants that ranks do not sort."""
        return bool(self.package_mixed.any())


def tabulate(
    orderers: Orderers | None, tables: Tables, reader: Reader, packages_of: PackagesOf | None = None
) -> OrderTables:
    """Put orderers into integers.

    Parameters
    ----------
    orderers : Orderers or None
        None, like none at all: newest first.
    tables, reader
        The repository; the reader says whether build_requires count.
    packages_of : callable, optional
        Name of a family -> version and release time of its packages. By default those of the tables.

    Returns
    -------
    OrderTables

    Raises
    ------
    Exception
        Whatever an orderer of somebody else's class raises when it is asked for a key.

    Notes
    -----
    rez's benchmark repository (18,226 packages, 5,313 requirements) takes 2 ms for the default order, 4 to 12 ms for
    another one, 27 ms for a `SoftTimestampOrder` with a rank, 0.3 s for an orderer of somebody else's class, which is
    asked once for each package and each distinct range of its families (2026-11-20).
    """
    orderers = Orderers([]) if orderers is None else orderers
    keys = orderers.keys(table_packages(tables, reader) if packages_of is None else packages_of)
    leaves = [orderers.leaf(reader.family_name(family)) for family in range(reader.n_families)]
    mains = _Mains(leaves, tables, reader, None if packages_of is None else keys)
    place, reordered = _package_places(mains, tables, reader, keys)
    rank, kinds = _built_in_ranks(mains, tables)
    first_rank = first_ranks(tables)
    pairs = RequirementPairs(tables, reader, keys, rank, kinds, first_rank)
    _add_custom_ranks(leaves, tables, pairs, rank, kinds)
    mixed = mixed_packages(tables, reader, kinds)
    return OrderTables(place, reordered, rank, kinds, _groups(kinds), first_rank, mixed, pairs)


def table_packages(tables: Tables, reader: Reader) -> PackagesOf:
    """Give the packages of a family in the tables, with their release times."""

    def packages_of(name: str) -> Iterable[tuple[Version, int]]:
        family = reader.family(name)
        start, end = tables.family_package_offsets[family : family + 2].tolist() if family >= 0 else (0, 0)
        times = tables.package_timestamp[start:end].tolist()
        versions = [reader.version_of(package) for package in range(start, end)]
        return zip(versions, times, strict=True)

    return packages_of


def _groups(kinds: IntArray) -> IntArray:
    conditions = [kinds >= CUSTOM, kinds >= FIRST, kinds == NOTHING, kinds == REVERSED]
    return np.select(conditions, [4, 3, 2, 1], 0).astype(np.uint8)


# --------------------------------------------------------------------------------------- main keys of built-in orderers


class _Mains:
    """A number for each main key; numbers of kinds that are in a total order are in that order.

    The kinds lie one after the other: plain, reversed, nothing, later, later reversed, first. There are `n` versions,
    infinity among them with the last rank.

    Parameters
    ----------
    leaves : list of Leaf
        The orderer of each family.
    tables, reader
        The repository.
    keys : OrderKeys or None
        Knows what is in time for a `SoftTimestampOrder`; None: the tables do.

    Attributes
    ----------
    how : array of int64, (families,)
        What makes its main keys.
    """

    def __init__(self, leaves: list[Leaf], tables: Tables, reader: Reader, keys: OrderKeys | None) -> None:
        self._tables = tables
        self._reader = reader
        self._keys = keys
        self.n = len(tables.version_text) + 1
        orders = [leaf.order for leaf in leaves]
        ranks = sorted({order.rank for order in orders if isinstance(order, SoftTimestampOrder)})
        self._after = _after_places(ranks, tables, reader)
        self.how = np.array([_how(order) for order in orders], np.int64)
        # versions below this rank are the first ones of a VersionSplitOrder or a SoftTimestampOrder
        self._limit = np.zeros(len(orders), np.int64)
        self._column = np.zeros(len(orders), np.int64)
        for family, order in enumerate(orders):
            if isinstance(order, VersionSplitOrder):
                self._limit[family] = self._rank_after(order.first_version)
            elif isinstance(order, SoftTimestampOrder):
                self._limit[family] = self._first_late_rank(family, order)
                self._column[family] = ranks.index(order.rank)

    def _rank_after(self, version: Version) -> int:
        if version == Version.inf:
            return self.n
        rank, known = self._reader.version_rank(version.key)
        return rank + known

    def _first_late_rank(self, family: int, order: SoftTimestampOrder) -> int:
        if self._keys is not None:
            found = self._keys.first_after(self._reader.family_name(family))
            return self.n if found is None else self._reader.version_rank(found.key)[0]
        start, end = self._tables.family_package_offsets[family : family + 2].tolist()
        place = first_after(
            self._tables.package_timestamp[start:end].tolist(),
            # equal versions have equal tokens
            lambda place: _TOKEN.findall(self._reader.package_version(start + place))[: order.rank - 1],
            order.timestamp,
            order.rank,
        )
        return self.n if place is None else int(self._tables.package_version_rank[start + place])

    def of(self, families: IntArray, ranks: IntArray) -> tuple[IntArray, IntArray]:
        """Give number and kind of the main keys of versions, by their ranks, of families; 0 for a custom orderer."""
        n = self.n
        how = self.how[families]
        ranks = ranks.astype(np.int64)
        conditions = [how == _DESCENDING, how == _ASCENDING, how == _NO_ORDER, how == _CUSTOM]
        conditions += [ranks < self._limit[families], how == _SPLIT]
        after = self._after[self._column[families], ranks]
        later, first = 4 * n + after, (4 + len(self._after)) * n + ranks
        numbers = [ranks, 2 * n - ranks, np.array(2 * n + 1), np.array(0), first, 3 * n + ranks]
        kinds = [np.array(kind) for kind in (PLAIN, REVERSED, NOTHING, 0, FIRST, LATER)]
        return np.select(conditions, numbers, later), np.select(conditions, kinds, LATER_REVERSED)


def _how(order: object) -> int:
    if isinstance(order, SortedOrder):
        return _DESCENDING if order.descending else _ASCENDING
    if isinstance(order, CustomOrder):
        return _CUSTOM
    return {NoOrder: _NO_ORDER, VersionSplitOrder: _SPLIT, SoftTimestampOrder: _TIMESTAMP}[type(order)]


def _after_places(ranks: list[int], tables: Tables, reader: Reader) -> IntArray:
    """Give the order of versions that are not in time.

    Parameters
    ----------
    ranks : list of int
        The different ``rank`` settings of the orderers.

    Returns
    -------
    array of int64, (settings, versions)
        Places in one order for all of them, the last version being infinity.
    """
    n = len(tables.version_text) + 1
    if not any(ranks):
        return np.arange(n)[None, ::-1]
    spelled = [_TOKEN.findall(reader.text(text_id)) for text_id in tables.version_text.tolist()]
    key_of = {token: version_key(token) for token in {token for tokens in spelled for token in tokens}}
    versions = [[key_of[token] for token in tokens] for tokens in spelled]
    entries = [_after_key(tokens, rank) for rank in ranks for tokens in [*versions, None]]
    # versions are in ascending order, so there is little to sort
    ordered = sorted(dict.fromkeys(entries))
    ordered.sort(key=lambda entry: entry[0], reverse=True)
    place_of = {entry: place for place, entry in enumerate(ordered)}
    return np.array([place_of[entry] for entry in entries], np.int64).reshape(len(ranks), n)


def _after_key(tokens: list[bytes] | None, rank: int) -> tuple[bytes, bool, bytes]:
    """Key of what follows the 0 in a main key: a version, to be reversed, and with a `rank` a list of tokens.

    Parameters
    ----------
    tokens : list of bytes or None
        Of a version; None is infinity.
    """
    if tokens is None:
        return Version.inf.key, bool(rank), b""
    if not rank:
        return b"".join(tokens), False, b""
    return b"".join(tokens[: rank - 1]), True, b"".join(tokens[rank - 1 :])


# ------------------------------------------------------------------------------------------------------------- packages


def _package_places(mains: _Mains, tables: Tables, reader: Reader, keys: OrderKeys) -> tuple[IntArray, IntArray]:
    """Give `package_place` and `family_reordered`."""
    starts = tables.family_package_offsets.astype(np.int64)
    families = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    by_default = np.arange(len(families)) - starts[families]
    if (mains.how == _DESCENDING).all():
        return by_default.astype(np.int32), np.zeros(len(starts) - 1, np.uint8)
    numbers, _ = mains.of(families, tables.package_version_rank)
    place = np.empty(len(families), np.int32)
    place[np.lexsort((tables.package_given_rank, -numbers, families))] = by_default
    for family in np.flatnonzero(mains.how == _CUSTOM).tolist():
        start, end = starts[family : family + 2].tolist()
        place[_custom_package_order(family, range(start, end), tables, reader, keys)] = np.arange(end - start)
    reordered = np.zeros(len(starts) - 1, np.uint8)
    reordered[families[place != by_default]] = 1
    return place, reordered


def _custom_package_order(
    family: int, packages: range, tables: Tables, reader: Reader, keys: OrderKeys
) -> Sequence[int]:
    """Sort the packages of a family as rez does. Keys that cannot be compared kill rez: then newest first."""
    name = reader.family_name(family)
    key_of = {package: keys.version_key(name, reader.version_of(package)) for package in packages}
    given = sorted(packages, key=tables.package_given_rank.__getitem__)
    try:
        return sorted(given, key=key_of.__getitem__, reverse=True)
    except Exception:  # noqa: BLE001 - a key of somebody else's class may raise anything
        return packages


# --------------------------------------------------------------------------------------------------------- requirements


def _built_in_ranks(mains: _Mains, tables: Tables) -> tuple[IntArray, IntArray]:
    """Give `requirement_rank` and `requirement_kinds`, for custom orderers as if they had no range."""
    rank = np.full(len(tables.requirement_range), NONE, np.int32)
    kinds = np.zeros(len(rank), np.int64)
    has_range = tables.requirement_range != NONE
    if (mains.how == _DESCENDING).all():
        kinds[has_range] = PLAIN
        return tables.requirement_range, kinds
    rows = np.flatnonzero(has_range & (mains.how[tables.requirement_family] != _CUSTOM))
    if len(rows):
        offsets, families, cuts = _cuts_of(rows, tables)
        infinite = cuts == CUT_INF
        numbers, of_cuts = mains.of(families, np.where(infinite, mains.n - 1, cuts >> CUT_SHIFT))
        rank[rows] = _dense_ranks(offsets, 2 * numbers + (infinite | (cuts & 1)))
        kinds[rows] = np.bitwise_or.reduceat(of_cuts, offsets[:-1])
    return rank, kinds


def _cuts_of(rows: IntArray, tables: Tables) -> tuple[IntArray, IntArray, IntArray]:
    """Give the cuts of requirements one after the other: offsets, and the family and the cut of each."""
    ranges = tables.requirement_range[rows]
    starts = tables.range_offsets[ranges].astype(np.int64)
    sizes = tables.range_offsets[ranges + 1] - starts
    offsets = np.concatenate(([0], np.cumsum(sizes)))
    cuts = tables.range_cut[np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], sizes)]
    return offsets, np.repeat(tables.requirement_family[rows], sizes), cuts


def _dense_ranks(offsets: IntArray, values: IntArray) -> IntArray:
    """Rank sequences of numbers as tuples compare; equal ones share a rank.

    Numbers of eight bytes, the greatest byte first, compare like their bytes, and so do sequences of them.
    """
    joined = values.astype(">u8").tobytes()
    sequences = [joined[8 * start : 8 * end] for start, end in pairwise(offsets.tolist())]
    place_of = {sequence: place for place, sequence in enumerate(sorted(set(sequences)))}
    return np.array([place_of[sequence] for sequence in sequences], np.int32)


def _add_custom_ranks(
    leaves: list[Leaf], tables: Tables, pairs: RequirementPairs, rank: IntArray, kinds: IntArray
) -> None:
    """Rank the requirements under custom orderers, each of them by itself, above all others; writes both arrays."""
    if not any(isinstance(leaf.order, CustomOrder) for leaf in leaves):
        return
    # requirements on one family with one range have one key
    by_order: dict[tuple[int, bool], dict[tuple[int, int], list[int]]] = {}
    for row, (family, range_id) in enumerate(
        zip(tables.requirement_family.tolist(), tables.requirement_range.tolist(), strict=True)
    ):
        order, nested = leaves[family]
        if isinstance(order, CustomOrder) and range_id != NONE:
            alike = by_order.setdefault((id(order), nested), {})
            alike.setdefault((family, range_id), []).append(row)
    following = int(rank.max(initial=NONE)) + 1
    for number, alike in enumerate(by_order.values()):
        in_order = number < N_CUSTOM and have_one_order([pairs.key(rows[0]) for rows in alike.values()])
        ordered = sorted(alike.values(), key=lambda rows: _Asked(rows[0], pairs))
        for place, rows in enumerate(ordered):
            if place and pairs.ask(ordered[place - 1][0], rows[0]) != EQUAL:
                following += 1
            rank[rows] = following
            kinds[rows] = CUSTOM << number if in_order else UNORDERED
        following += 1


class _Asked:
    """A requirement that is sorted by asking."""

    def __init__(self, row: int, pairs: RequirementPairs) -> None:
        self.row = row
        self.pairs = pairs

    def __lt__(self, other: _Asked) -> bool:
        return self.pairs.ask(self.row, other.row) == LESS
