"""Mixed orders: comparing requirements under different orderers, and sorting by such comparisons as Python does.

The keys of two requirements may be different with neither less than the other, and three may be less than each other in
a circle. What list.sort makes of that depends on the order in which it asks, so it is ported too (`python_sort`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from itertools import takewhile
from typing import Any

import numpy as np

from rer_numba.forking import cached_property
from rer_numba.orderers.keys import NEITHER, OrderKeys, compare_keys
from rer_numba.reader import Reader
from rer_numba.schema import CONFLICT, CUT_SHIFT, NONE, IntArray, Tables

# kinds of main keys, see rer_numba.orderers.tables
PLAIN, REVERSED, NOTHING, FIRST, LATER, LATER_REVERSED = (1 << bit for bit in range(6))
CUSTOM = 1 << 6
"""Keys of the first `CustomOrder`; the next ones have the bits above."""
N_CUSTOM = 56
UNORDERED = 1 << 62
"""Keys of somebody else's class that nobody knows to be in a total order."""

PAIRS = FIRST | LATER | LATER_REVERSED
_TOTAL = (PLAIN, REVERSED, NOTHING, FIRST | LATER, FIRST | LATER_REVERSED)

# package_mixed
NOT_MIXED, BY_FIRST_VERSION, BY_PAIR = range(3)

MAX_SORTED = 64
"""From this length on list.sort merges runs."""


def is_total(kinds: Any) -> Any:
    """Tell whether keys of these kinds are in a total order; `kinds` is bits, or an array of them."""
    custom = (kinds >= CUSTOM) & (kinds < UNORDERED) & (kinds & (kinds - 1) == 0)
    found = custom | (kinds == 0)
    for total in _TOTAL:
        found = found | (kinds & ~total == 0)
    return found


def first_ranks(tables: Tables) -> IntArray:
    """Rank of the version at the lower end of each requirement's first interval, int32; NONE without a range."""
    ranges = tables.requirement_range
    lower = tables.range_cut[tables.range_offsets[np.maximum(ranges, 0)]] if len(tables.range_cut) else ranges
    return np.where(ranges == NONE, NONE, lower >> CUT_SHIFT).astype(np.int32)


class RequirementPairs:
    """Compares requirements as rez compares their keys.

    Parameters
    ----------
    tables, reader
        The repository.
    keys : OrderKeys
        Asked where the integers do not say it.
    order_rank, kinds, first_rank : array
        By requirement, see `rer_numba.orderers.tables.OrderTables`. They are read at the first `compare`, so that `ask`
        can be used to make them.
    """

    def __init__(
        self,
        tables: Tables,
        reader: Reader,
        keys: OrderKeys,
        order_rank: IntArray,
        kinds: IntArray,
        first_rank: IntArray,
    ) -> None:
        self._tables = tables
        self._reader = reader
        self._keys = keys
        self._arrays = order_rank, kinds, first_rank
        self._known: dict[int, Any] = {}
        self._asked: dict[tuple[int, int], int] = {}

    @cached_property
    def _lists(self) -> list[list[int]]:
        return [array.tolist() for array in self._arrays]

    def compare(self, a: int, b: int) -> int:
        """Compare two requirements: LESS, EQUAL, GREATER, or NEITHER, when they differ and yet none is less."""
        order_rank, kinds, first_rank = self._lists
        both = kinds[a] | kinds[b]
        if a == b or is_total(both):
            return _sign(order_rank[a], order_rank[b])
        if both < CUSTOM and not (kinds[a] & PAIRS and kinds[b] & PAIRS):
            return _sign(first_rank[a], first_rank[b]) or NEITHER
        found = self._asked.get((a, b))
        if found is None:
            found = self._asked[a, b] = self.ask(a, b)
        return found

    def ask(self, a: int, b: int) -> int:
        """Compare the keys themselves. Where they raise, rez dies: then newer ranges are greater, as by default."""
        try:
            return compare_keys(self.key(a), self.key(b))
        except Exception:  # noqa: BLE001 - a key of somebody else's class may raise anything
            default = self._tables.requirement_range
            return _sign(int(default[a]), int(default[b]))

    def key(self, row: int) -> Any:
        """The key of a requirement."""
        if row not in self._known:
            family = self._reader.family_name(int(self._tables.requirement_family[row]))
            range_ = None if self._tables.requirement_range[row] == NONE else self._reader.requirement(row).range
            self._known[row] = self._keys.range_key(family, range_)
        return self._known[row]

    def pair_table(self, package: int) -> tuple[IntArray, IntArray]:
        """Compare all requirements of the variants of a package.

        Returns
        -------
        requirements : array of int32, (n,)
            Their rows, ascending; the place of a row is its local id.
        comparisons : array of int8, (n, n)
            `compare` of the requirements with these local ids.
        """
        first, end = self._tables.package_variant_offsets[package : package + 2].tolist()
        rows = sorted({row for variant in range(first, end) for row in self._reader.variant_requirement_ids(variant)})
        comparisons = [[self.compare(a, b) for b in rows] for a in rows]
        return np.array(rows, np.int32), np.array(comparisons, np.int8).reshape(len(rows), len(rows))


def _sign(a: int, b: int) -> int:
    return (a > b) - (a < b)


def have_one_order(keys: Iterable[Any]) -> bool:
    """Tell whether keys of somebody else's class are surely in a total order.

    They are if at each place of their tuples there is one type of things that are.
    """
    types: dict[tuple[object, ...], object] = {}
    return all(_note_types(key, (), types) for key in keys)


def _note_types(key: Any, place: tuple[object, ...], types: dict[tuple[object, ...], object]) -> bool:
    """Note the types of a key and its parts by place; False for an unknown type or two at one place."""
    kind: object = type(key)
    if isinstance(key, (tuple, list)):
        parts = list(key)
    elif hasattr(key, "main_comparable"):  # ours or rez's: the name of the class does not matter
        kind, parts = "fallback", [key.main_comparable]
    elif type(key).__name__ in ("Reversed", "_ReversedComparable"):
        parts = [key.value]
    else:
        kind = "number" if isinstance(key, (int, float)) else kind
        parts = []
        if not (kind in ("number", str, bytes) or type(key).__name__ in ("OrderVersion", "Version")) or key != key:
            return False
    return types.setdefault(place, kind) == kind and all(
        _note_types(part, (*place, number), types) for number, part in enumerate(parts)
    )


# --------------------------------------------------------------------------------------- which packages it matters for


def mixed_packages(tables: Tables, reader: Reader, kinds: IntArray) -> IntArray:
    """Find the packages whose variants cannot be sorted by `requirement_range`.

    Parameters
    ----------
    kinds : array of int64, (requirements,)
        Kinds of main keys in the key of each requirement.

    Returns
    -------
    array of uint8, (packages,)
        NOT_MIXED, BY_FIRST_VERSION or BY_PAIR, see `rer_numba.orderers.tables.OrderTables`.
    """
    mixed = np.zeros(len(tables.package_version_rank), np.uint8)
    # conflicts are compared with requirements on the same family only, which is only a question of unordered keys
    compared = np.where(tables.requirement_flags & CONFLICT, kinds & UNORDERED, kinds)
    if is_total(int(np.bitwise_or.reduce(compared, initial=0))):
        return mixed
    found = np.zeros(len(mixed), np.int64)
    package_of = np.repeat(tables.variant_package, np.diff(reader.variant_requirement_offsets))
    np.bitwise_or.at(found, package_of, compared[np.asarray(reader.variant_requirement)])
    candidates = (np.diff(tables.package_variant_offsets) > 1) & ~is_total(found)
    families = tables.requirement_family.tolist()
    of_rows = compared.tolist()
    for package in np.flatnonzero(candidates).tolist():
        mixed[package] = _how_mixed(tables, reader, package, families, of_rows)
    return mixed


def _how_mixed(tables: Tables, reader: Reader, package: int, families: list[int], kinds: list[int]) -> int:
    """Look at what the variants of one package compare.

    Requirements are compared place by place. As far as all variants name the same families, these are comparisons
    within a family, whatever families the request takes out.
    """
    first, end = tables.package_variant_offsets[package : package + 2].tolist()
    lists = [[row for row in reader.variant_requirement_ids(variant) if kinds[row]] for variant in range(first, end)]
    places = zip(*[[families[row] for row in rows] for rows in lists], strict=False)
    shared = sum(1 for _ in takewhile(lambda place: len(set(place)) == 1, places))
    together = 0
    for rows in lists:
        for place, row in enumerate(rows):
            together |= kinds[row] if place >= shared else kinds[row] & UNORDERED
    if is_total(together):
        return NOT_MIXED
    return BY_PAIR if together >= CUSTOM or (together & LATER and together & LATER_REVERSED) else BY_FIRST_VERSION


# ------------------------------------------------------------------------------------------------------------- sorting


def python_sort(n: int, less: Callable[[int, int], bool], equal_runs: bool = sys.version_info >= (3, 13)) -> list[int]:
    """Sort 0 to n - 1 as ``list.sort(reverse=True)`` does, asking what it asks.

    Ports: list_sort_impl, count_run and binarysort of CPython's listobject.c, which is all that short lists meet.

    Parameters
    ----------
    n : int
        Below MAX_SORTED.
    less : callable
        Whether the key of one item is less than that of another. It need not be transitive.
    equal_runs : bool
        Runs are found as since Python 3.13, where equal items may be part of a descending run. The answer is another
        only if `less` is no order.

    Returns
    -------
    list of int
        The items, greatest first.

    Raises
    ------
    ValueError
        `n` is MAX_SORTED or more.
    """
    if n >= MAX_SORTED:
        raise ValueError(f"only lists of less than {MAX_SORTED} items are sorted in one run, not {n}")
    # a stable sort of the reversed list, reversed, keeps equal items in their order
    items = list(range(n))[::-1]
    sorted_end = (_count_run if equal_runs else _count_strict_run)(items, less)
    for place in range(sorted_end, n):
        pivot = items[place]
        low, high = 0, place
        while low < high:
            middle = (low + high) >> 1
            if less(pivot, items[middle]):
                high = middle
            else:
                low = middle + 1
        items[low : place + 1] = [pivot, *items[low:place]]
    return items[::-1]


def _ascending_end(items: list[int], less: Callable[[int, int], bool], start: int) -> int:
    end = start
    while end < len(items) and not less(items[end], items[end - 1]):
        end += 1
    return end


def _count_strict_run(items: list[int], less: Callable[[int, int], bool]) -> int:
    """Length of the first run, put in ascending order. Python 3.12 and before: a descending one is strictly so."""
    n = len(items)
    if n < 2 or not less(items[1], items[0]):
        return _ascending_end(items, less, min(n, 1))
    end = 2
    while end < n and less(items[end], items[end - 1]):
        end += 1
    items[:end] = items[:end][::-1]
    return end


def _count_run(items: list[int], less: Callable[[int, int], bool]) -> int:
    """Length of the first run, put in ascending order. Python 3.13 and later."""
    n = len(items)
    end = _ascending_end(items, less, min(n, 1))
    if end == n or (end > 1 and less(items[0], items[end - 1])):
        return end
    items[:end] = items[:end][::-1]
    end += 1
    equals = end - 1  # where the last items that are equal to each other begin
    while end < n:
        if less(items[end], items[end - 1]):
            items[equals:end] = items[equals:end][::-1]
            equals = end
        elif less(items[end - 1], items[end]):
            break
        end += 1
    items[equals:end] = items[equals:end][::-1]
    items[:end] = items[:end][::-1]
    return _ascending_end(items, less, end)
