"""Package orderers as integers: the same sorted packages and the same sorted variants as rez itself.

`RER_TEST_SCALE` multiplies the number of random cases.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import cmp_to_key, partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import rez.package_order
from rez.config import config
from rez.package_order import PackageOrderList
from rez.solver import _PackageEntry

from rer_numba import PackageData
from rer_numba.encode import encode
from rer_numba.orderers import (
    NoOrder,
    PerFamilyOrder,
    SoftTimestampOrder,
    SortedOrder,
    VersionSplitOrder,
    as_package_orderers,
)
from rer_numba.orderers.keys import EQUAL, LESS, NEITHER
from rer_numba.orderers.pairs import BY_FIRST_VERSION, BY_PAIR, MAX_SORTED, NOT_MIXED, UNORDERED, is_total, python_sort
from rer_numba.orderers.tables import OrderTables, tabulate
from rer_numba.reader import Reader
from rer_numba.schema import NONE, Tables
from tests.order_cases import (
    AS_RELATION,
    FAMILIES,
    RAISED,
    ByMinor,
    OddFirst,
    in_places,
    packages_of,
    random_case,
    random_packages,
    random_pod,
    random_tables,
    relation,
    rez_key,
    told_packages,
)
from tests.version_texts import times


def test_packages_are_sorted() -> None:
    for seed in times(400):
        with random_case(seed) as (rng, packages, ours, theirs):
            tables, reader = random_tables(rng, packages)
            given = packages_of(packages) if seed % 2 else None
            found = tabulate(ours, tables, reader, given)
            for name, listed in packages.items():
                texts = [text for text, _ in listed]
                expected = sorted(texts, key=lambda v: rez_key(theirs, name, rez.version.Version(v)), reverse=True)
                assert in_places(tables, reader, found, name) == expected, (seed, name)


def test_requirements_are_compared() -> None:
    levels = set()
    for seed in times(150):
        with random_case(seed) as (rng, packages, ours, theirs):
            tables, reader = random_tables(rng, packages)
            found = tabulate(ours, tables, reader)
            rows = range(len(tables.requirement_family))
            his = [rez.version.Requirement(reader.requirement_text(row)) for row in rows]
            for a, b in ((rng.choice(rows), rng.choice(rows)) for _ in range(150)):
                expected = relation(partial(rez_key, theirs), *[(r.name, r.range) for r in (his[a], his[b])])
                if expected == RAISED:
                    continue
                assert AS_RELATION[found.pairs.compare(a, b)] == expected[:3], (seed, str(his[a]), str(his[b]))
                assert found.pairs.ask(a, b) == found.pairs.compare(a, b)
                if is_total(int(found.requirement_kinds[a] | found.requirement_kinds[b])):
                    ranks = found.requirement_rank[[a, b]].tolist()
                    assert expected[:3] == (ranks[0] == ranks[1], ranks[0] < ranks[1], ranks[1] < ranks[0])
            used = set(found.requirement_rank.tolist()) - {NONE}
            assert used == set(range(len(used)))
            levels.update(found.package_mixed.tolist())
    assert levels == {NOT_MIXED, BY_FIRST_VERSION, BY_PAIR}


def variant_less(
    tables: Tables, found: OrderTables, package: int, lists: list[list[int]], request: Sequence[int], overlap: bool
) -> Callable[[int, int], bool]:
    """Whether the sort key of a variant is less than another's, as a kernel would find out from the tables."""
    level = int(found.package_mixed[package])
    local, table = found.pairs.pair_table(package)
    family_of, flags = tables.requirement_family, tables.requirement_flags
    name_rank = tables.family_rank[family_of]
    rank, group, first = found.requirement_rank, found.requirement_group, found.requirement_first_rank

    def compare(a: int, b: int) -> int:
        if level == BY_PAIR:
            return int(table[local.searchsorted(a), local.searchsorted(b)])
        if level == BY_FIRST_VERSION and group[a] != group[b]:
            return int(np.sign(first[a] - first[b])) or NEITHER
        return int(np.sign(rank[a] - rank[b]))

    def key(rows: list[int]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        requested = [(-i, row) for i, family in enumerate(request) for row in rows if family_of[row] == family]
        others = [row for row in rows if not flags[row] & 1 and family_of[row] not in request]
        return requested, [(row, int(name_rank[row])) for row in others]

    keys = [key(rows) for rows in lists]

    def less(i: int, j: int) -> bool:
        (one, more), (two, others) = keys[i], keys[j]
        if overlap and len(one) != len(two):
            return len(one) < len(two)
        for (at, a), (place, b) in zip(one, two, strict=False):
            if at != place:
                return at < place
            if compare(a, b) != EQUAL:
                return compare(a, b) == LESS
        if len(one) != len(two) or len(more) != len(others):
            return len(one) < len(two) if len(one) != len(two) else len(more) > len(others)
        for (a, family), (b, other) in zip(more, others, strict=True):
            if compare(a, b) != EQUAL:
                return compare(a, b) == LESS
            if family != other:
                return family < other
        return i < j

    return less


def is_weak_order(n: int, less: Callable[[int, int], bool]) -> bool:
    below = [sum(less(j, i) for j in range(n)) for i in range(n)]
    return all(less(i, j) == (below[i] < below[j]) for i in range(n) for j in range(n))


def test_variants_are_sorted(monkeypatch: pytest.MonkeyPatch) -> None:
    """rez's own _PackageEntry.sort, on every package of random repositories, against ranks and pairs."""
    levels = []
    for seed in times(250):
        overlap = seed % 3 == 0
        monkeypatch.setattr(config, "variant_select_mode", "intersection_priority" if overlap else "version_priority")
        with random_case(seed, by_pair=seed % 5 == 1) as (rng, packages, ours, theirs):
            tables, reader = random_tables(rng, packages)
            found = tabulate(ours, tables, reader)
            for package in np.flatnonzero(np.diff(tables.package_variant_offsets) > 1).tolist():
                first, end = tables.package_variant_offsets[package : package + 2].tolist()
                variants = [v for v in range(first, end) if reader.variant_error(v) == NONE]
                lists = [reader.variant_requirement_ids(v) for v in variants]
                request = rng.sample(FAMILIES, rng.randint(0, 2))
                less = variant_less(tables, found, package, lists, [reader.family(name) for name in request], overlap)
                try:
                    expected = sorted_by_rez(reader, lists, request, theirs)
                except RuntimeError:
                    continue  # a soft_timestamp with a rank, and infinity: see test_where_rez_dies
                assert python_sort(len(lists), less) == expected, (seed, package, request)
                weak = is_weak_order(len(lists), less)
                levels.append((int(found.package_mixed[package]), weak))
                if weak:  # then it does not matter who asks what
                    places = [
                        sum(less(i, j) or (j < i and not less(j, i)) for j in range(len(lists)))
                        for i in range(len(lists))
                    ]
                    assert [places.index(place) for place in range(len(lists))] == expected
    assert (NOT_MIXED, False) not in levels
    assert {(NOT_MIXED, True), (BY_FIRST_VERSION, True), (BY_FIRST_VERSION, False), (BY_PAIR, True)} <= set(levels)


def sorted_by_rez(
    reader: Reader, lists: list[list[int]], request: Sequence[str], orderers: PackageOrderList
) -> list[int]:
    variants = [
        SimpleNamespace(
            index=number,
            requires_list=rez.version.RequirementList(
                [rez.version.Requirement(reader.requirement_text(row)) for row in rows]
            ),
        )
        for number, rows in enumerate(lists)
    ]
    solver = SimpleNamespace(
        request_list=[rez.version.Requirement(name) for name in request], package_orderers=orderers
    )
    entry = _PackageEntry(None, variants, solver)
    entry.sort()
    return [variant.index for variant in entry.variants]


def test_default_order_is_that_of_the_tables() -> None:
    rng = random.Random(5)
    tables, reader = random_tables(rng, random_packages(rng))
    whole = [None, [], [SortedOrder(True)], [PerFamilyOrder({"ape": SortedOrder(True)})], [NoOrder("unknown")]]
    for given in whole:
        found = tabulate(as_package_orderers(given), tables, reader)
        assert found.requirement_rank.tolist() == tables.requirement_range.tolist()
        assert not found.family_reordered.any() and not found.mixed
    one_late = as_package_orderers([SoftTimestampOrder(100, packages=["ape"]), VersionSplitOrder("9", ["bee"])])
    found = tabulate(one_late, tables, reader)
    of_cats = np.flatnonzero(tables.requirement_family == reader.family("cat"))
    expected = tables.requirement_range[of_cats]
    assert found.requirement_rank[of_cats].argsort().tolist() == expected.argsort().tolist()


def test_same_families_in_all_variants_are_not_mixed() -> None:
    """An orderer for one family only matters where variants compare it with another."""
    aligned = [["ape-1", "bee-1"], ["ape-2", "bee-1"]]
    crossed = [["ape-1", "bee-1"], ["bee-2", "ape-1"]]
    data = [PackageData("aligned", "1", ["cat"], aligned), PackageData("crossed", "1", ["cat"], crossed)]
    tables = encode([*data, PackageData("one", "1", ["ape", "bee"])])
    reader = Reader(tables)
    found = tabulate(as_package_orderers([SortedOrder(False, "ape")]), tables, reader)
    levels = {reader.package_family_name(package): int(level) for package, level in enumerate(found.package_mixed)}
    assert levels == {"aligned": NOT_MIXED, "crossed": BY_FIRST_VERSION, "one": NOT_MIXED}
    assert found.mixed


# ------------------------------------------------------------------------------------------------------ somebody else's


class Shouting(rez.package_order.SortedOrder):
    def sort_key_implementation(self, package_name: str, version: Any) -> Any:
        return version if str(version) < "2" else -len(str(version))


def custom_lists(rng: random.Random) -> list[rez.package_order.PackageOrder]:
    custom = rng.choice([ByMinor, lambda packages: Shouting(True, packages)])
    built_in = PackageOrderList.from_pod([random_pod(rng, True)])[0]
    built_in.packages = rng.choice([["bee"], None])
    if rng.random() < 0.4:
        return [rez.package_order.PerFamilyOrder({"ape": custom(None), "bee": built_in}, None)]
    return [custom(rng.choice([["ape", "cat"], ["ape"], None])), built_in]


def test_custom_rez_orderers() -> None:
    for seed in times(150):
        rng = random.Random(seed)
        packages = random_packages(rng)
        theirs = PackageOrderList(custom_lists(rng))
        ours = as_package_orderers(theirs)
        assert ours is not None and ours.use_rez() and ours.key() is None
        with told_packages(packages):
            tables, reader = random_tables(rng, packages)
            found = tabulate(ours, tables, reader)
            for name, listed in packages.items():
                texts = [text for text, _ in listed]
                expected = sorted(texts, key=lambda v: rez_key(theirs, name, rez.version.Version(v)), reverse=True)
                assert in_places(tables, reader, found, name) == expected, (seed, name)
            rows = range(len(tables.requirement_family))
            his = [rez.version.Requirement(reader.requirement_text(row)) for row in rows]
            for a, b in ((rng.choice(rows), rng.choice(rows)) for _ in range(60)):
                expected = relation(partial(rez_key, theirs), *[(r.name, r.range) for r in (his[a], his[b])])
                if expected != RAISED:
                    assert AS_RELATION[found.pairs.compare(a, b)] == expected[:3], (seed, str(his[a]), str(his[b]))


class Incomparable(OddFirst):
    def sort_key(self, package_name: str, version_like: Any) -> Any:
        return object()


def test_orderers_that_need_no_rez() -> None:
    data = [PackageData("ape", text) for text in ("1", "2", "3", "4")]
    data.append(PackageData("user", "1", variants=[["ape-1"], ["ape-2"], ["bee-2"], ["!ape"], ["~ape"]]))
    tables = encode(data)
    reader = Reader(tables)
    found = tabulate(as_package_orderers(OddFirst()), tables, reader)
    assert in_places(tables, reader, found, "ape") == ["3", "1", "4", "2"]
    assert found.package_mixed.tolist() == [0] * len(found.package_mixed)
    rank = {reader.requirement_text(row): int(r) for row, r in enumerate(found.requirement_rank)}
    assert rank == {"ape-1": 2, "!ape": 1, "ape-2": 0, "bee-2": 0, "~ape": NONE}
    # beside another orderer it is asked pair by pair; what cannot be compared is newest first
    found = tabulate(as_package_orderers([OddFirst("ape"), SortedOrder(False)]), tables, reader)
    assert found.package_mixed.max() == BY_PAIR
    row = {reader.requirement_text(row): row for row in range(len(tables.requirement_family))}
    assert found.pairs.compare(row["ape-1"], row["bee-2"]) == LESS
    assert found.pairs.compare(row["~ape"], row["ape-1"]) == LESS
    assert found.pairs.compare(row["~ape"], row["~ape"]) == EQUAL
    found = tabulate(as_package_orderers([Incomparable()]), tables, reader)
    assert in_places(tables, reader, found, "ape") == ["4", "3", "2", "1"]
    assert found.pairs.compare(row["ape-1"], row["ape-2"]) == LESS
    assert found.requirement_kinds[row["ape-1"]] == UNORDERED


# -------------------------------------------------------------------------------------------------------- Python's sort


class Relation:
    """A random "less than" of n things: an order with ties for every third seed, else no order at all."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.n = n = int(rng.integers(0, MAX_SORTED))
        if seed % 3 == 0:
            scores = rng.integers(0, max(n // 2, 1), n)
            self.matrix = scores[:, None] < scores[None, :]
        else:
            self.matrix = rng.random((n, n)) < rng.choice([0.1, 0.45, 0.8])
        if seed % 3 == 1:  # long runs, up or down, with exceptions
            numbers = np.arange(n) * rng.choice([-1, 1])
            self.matrix &= ~self.matrix.T
            self.matrix |= np.subtract.outer(numbers, numbers) > rng.integers(1, n + 2)

    def less(self, i: int, j: int) -> bool:
        return bool(self.matrix[i, j])

    def sorted(self) -> list[int]:
        return sorted(range(self.n), key=cmp_to_key(lambda i, j: -self.less(i, j)), reverse=True)


def test_sort_is_that_of_python() -> None:
    for seed in times(1500):
        relation = Relation(seed)
        assert python_sort(relation.n, relation.less) == relation.sorted(), seed


def test_sort_of_an_order_is_the_same_in_every_python() -> None:
    for seed in times(100):
        relation = Relation(3 * seed)
        assert python_sort(relation.n, relation.less, True) == python_sort(relation.n, relation.less, False)


def test_long_lists_are_not_sorted() -> None:
    with pytest.raises(ValueError, match="64"):
        python_sort(MAX_SORTED, lambda i, j: i < j)
