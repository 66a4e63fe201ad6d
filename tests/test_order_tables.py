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
    Orderers,
    PerFamilyOrder,
    SoftTimestampOrder,
    SortedOrder,
    VersionSplitOrder,
    as_package_orderers,
)
from rer_numba.orderers.keys import EQUAL, LESS
from rer_numba.orderers.pairs import MAX_SORTED, is_total, python_sort
from rer_numba.orderers.tables import CompiledOrders, RangeOrder
from rer_numba.reader import Reader
from rer_numba.schema import NONE, Tables
from tests.order_cases import (
    AS_RELATION,
    FAMILIES,
    RAISED,
    ByMinor,
    OddFirst,
    in_places,
    makes_keys,
    random_case,
    random_packages,
    random_pod,
    random_tables,
    relation,
    rez_key,
    told_packages,
)
from tests.version_texts import times


def orderers_of(given: Any) -> Orderers:
    found = as_package_orderers(given)
    assert found is not None
    return found


@makes_keys
def test_packages_are_sorted() -> None:
    for seed in times(400):
        with random_case(seed) as (rng, packages, ours, theirs):
            tables, reader = random_tables(rng, packages)
            found = CompiledOrders(ours, tables, reader)
            for name, listed in packages.items():
                texts = [text for text, _ in listed]
                expected = sorted(texts, key=lambda v: rez_key(theirs, name, rez.version.Version(v)), reverse=True)
                assert in_places(tables, reader, found, name) == expected, (seed, name)


@makes_keys
def test_requirements_are_compared() -> None:
    levels = set()
    for seed in times(150):
        with random_case(seed) as (rng, packages, ours, theirs):
            tables, reader = random_tables(rng, packages)
            found = CompiledOrders(ours, tables, reader)
            rows = range(len(tables.requirement_family))
            his = [rez.version.Requirement(reader.requirement_text(row)) for row in rows]
            for a, b in ((rng.choice(rows), rng.choice(rows)) for _ in range(150)):
                expected = relation(partial(rez_key, theirs), *[(r.name, r.range) for r in (his[a], his[b])])
                if expected == RAISED:
                    continue
                assert AS_RELATION[found.pairs.compare(a, b)] == expected[:3], (seed, str(his[a]), str(his[b]))
                assert found.pairs.ask(a, b) == found.pairs.compare(a, b)
                one, two = found.range_key(a), found.range_key(b)
                if is_total(one.kinds | two.kinds):
                    assert expected[:3] == (one.key == two.key, one.key < two.key, two.key < one.key)
            levels.update(is_compared(tables, reader, found, package) for package in range(len(tables.package_error)))
    assert levels == {True, False}


def is_compared(tables: Tables, reader: Reader, found: CompiledOrders, package: int) -> bool:
    """Whether the ranges of a package are compared pair by pair. Checks what must hold of the answer."""
    order = found.range_order(package)
    first, end = tables.package_variant_offsets[package : package + 2].tolist()
    entries = [row for variant in range(first, end) for row in reader.variant_requirement_ids(variant)]
    assert len(order.places) == len(entries)
    if order.n_rows:
        rows = sorted(set(entries))
        assert [rows[place] for place in order.places] == entries and order.n_rows == len(rows)
        assert order.square == [found.pairs.compare(a, b) for a in rows for b in rows]
        return True
    assert order.square == []
    assert [place == NONE for place in order.places] == [tables.requirement_range[row] == NONE for row in entries]
    return False


def variant_less(
    tables: Tables, order: RangeOrder, entries: list[int], lists: list[list[int]], request: Sequence[int], overlap: bool
) -> Callable[[int, int], bool]:
    """Whether the sort key of a variant is less than another's, as a kernel finds out from what orderers say."""
    family_of, flags = tables.requirement_family, tables.requirement_flags
    name_rank = tables.family_rank[family_of]
    place_of = dict(zip(entries, order.places, strict=True))

    def compare(one: int, two: int) -> int:
        a, b = place_of[one], place_of[two]
        return order.square[a * order.n_rows + b] if order.n_rows else (a > b) - (a < b)

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


@makes_keys
def test_variants_are_sorted(monkeypatch: pytest.MonkeyPatch) -> None:
    """rez's own _PackageEntry.sort, on every package of random repositories, against ranks and pairs."""
    levels = []
    for seed in times(250):
        overlap = seed % 3 == 0
        monkeypatch.setattr(config, "variant_select_mode", "intersection_priority" if overlap else "version_priority")
        with random_case(seed, by_pair=seed % 5 == 1) as (rng, packages, ours, theirs):
            tables, reader = random_tables(rng, packages)
            found = CompiledOrders(ours, tables, reader)
            for package in np.flatnonzero(np.diff(tables.package_variant_offsets) > 1).tolist():
                first, end = tables.package_variant_offsets[package : package + 2].tolist()
                variants = [v for v in range(first, end) if reader.variant_error(v) == NONE]
                lists = [reader.variant_requirement_ids(v) for v in variants]
                request = rng.sample(FAMILIES, rng.randint(0, 2))
                order = found.range_order(package)
                entries = [row for v in range(first, end) for row in reader.variant_requirement_ids(v)]
                asked = [reader.family(name) for name in request]
                less = variant_less(tables, order, entries, lists, asked, overlap)
                try:
                    expected = sorted_by_rez(reader, lists, request, theirs)
                except (RuntimeError, TypeError):
                    continue  # a soft_timestamp with a rank, and infinity: see test_where_rez_dies
                assert python_sort(len(lists), less) == expected, (seed, package, request)
                weak = is_weak_order(len(lists), less)
                levels.append((order.n_rows > 0, weak))
                if weak:  # then it does not matter who asks what
                    places = [
                        sum(less(i, j) or (j < i and not less(j, i)) for j in range(len(lists)))
                        for i in range(len(lists))
                    ]
                    assert [places.index(place) for place in range(len(lists))] == expected
    assert set(levels) == {(False, True), (True, True), (True, False)}


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
    rows = range(len(tables.requirement_family))
    default = tables.requirement_range.tolist()
    for given in [[], [SortedOrder(True)], [PerFamilyOrder({"ape": SortedOrder(True)})], [NoOrder("unknown")]]:
        found = CompiledOrders(orderers_of(given), tables, reader)
        assert sorted(rows, key=lambda row: found.range_key(row).key) == sorted(rows, key=default.__getitem__)
        assert all(found.package_places(family) is None for family in range(reader.n_families))
        assert not any(found.range_order(package).n_rows for package in range(len(tables.package_error)))
    one_late = [SoftTimestampOrder(100, packages=["ape"]), VersionSplitOrder("9", ["bee"])]
    found = CompiledOrders(orderers_of(one_late), tables, reader)
    of_cats = np.flatnonzero(tables.requirement_family == reader.family("cat")).tolist()
    assert sorted(of_cats, key=lambda row: found.range_key(row).key) == sorted(of_cats, key=default.__getitem__)


def test_same_families_in_all_variants_are_not_mixed() -> None:
    """An orderer for one family only matters where variants compare it with another."""
    aligned = [["ape-1", "bee-1"], ["ape-2", "bee-1"]]
    crossed = [["ape-1", "bee-1"], ["bee-2", "ape-1"]]
    data = [PackageData("aligned", "1", ["cat"], aligned), PackageData("crossed", "1", ["cat"], crossed)]
    tables = encode([*data, PackageData("one", "1", ["ape", "bee"])])
    reader = Reader(tables)
    found = CompiledOrders(orderers_of([SortedOrder(False, "ape")]), tables, reader)
    levels = {reader.package_family_name(row): is_compared(tables, reader, found, row) for row in range(3)}
    assert levels == {"aligned": False, "crossed": True, "one": False}


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


@makes_keys
def test_custom_rez_orderers() -> None:
    for seed in times(150):
        rng = random.Random(seed)
        packages = random_packages(rng)
        theirs = PackageOrderList(custom_lists(rng))
        ours = as_package_orderers(theirs)
        assert ours is not None and ours.use_rez() and ours.key() is None
        with told_packages(packages):
            tables, reader = random_tables(rng, packages)
            found = CompiledOrders(ours, tables, reader)
            assert found.asks
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
    found = CompiledOrders(orderers_of(OddFirst()), tables, reader)
    assert in_places(tables, reader, found, "ape") == ["3", "1", "4", "2"]
    user = int(tables.family_package_offsets[reader.family("user")])
    entries = [row for variant in range(len(tables.variant_package)) for row in reader.variant_requirement_ids(variant)]
    order = found.range_order(user)
    assert not order.n_rows
    rank = dict(zip(map(reader.requirement_text, entries), order.places, strict=True))
    assert rank == {"ape-1": 2, "!ape": 1, "ape-2": 0, "bee-2": 0, "~ape": NONE}
    # beside another orderer it is asked pair by pair; what cannot be compared is newest first
    found = CompiledOrders(orderers_of([OddFirst("ape"), SortedOrder(False)]), tables, reader)
    assert is_compared(tables, reader, found, user)
    row = {reader.requirement_text(row): row for row in range(len(tables.requirement_family))}
    assert found.pairs.compare(row["ape-1"], row["bee-2"]) == LESS
    assert found.pairs.compare(row["~ape"], row["ape-1"]) == LESS
    assert found.pairs.compare(row["~ape"], row["~ape"]) == EQUAL
    found = CompiledOrders(orderers_of([Incomparable()]), tables, reader)
    assert in_places(tables, reader, found, "ape") == ["4", "3", "2", "1"]
    assert found.pairs.compare(row["ape-1"], row["ape-2"]) == LESS
    assert is_compared(tables, reader, found, user)


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
