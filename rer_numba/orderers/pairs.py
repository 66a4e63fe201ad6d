"""Mixed orders: comparing requirements under different orderers, and sorting by such comparisons as Python does.

The keys of two requirements may be different with neither less than the other, and three may be less than each other in
a circle. What list.sort makes of that depends on the order in which it asks, so it is ported too (`python_sort`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from rer_numba.orderers.keys import NEITHER, OrderKeys, compare_keys
from rer_numba.reader import Reader
from rer_numba.schema import CUT_SHIFT, NONE
from rer_numba.views import Views

# kinds of main keys, see rer_numba.orderers.tables; those of the last three that are compared are in this order
PLAIN, REVERSED, NOTHING, LATER, LATER_REVERSED, FIRST = (1 << bit for bit in range(6))
CUSTOM = 1 << 6
"""Keys of the first `CustomOrder`; the next ones have the bits above."""
N_CUSTOM = 56
UNORDERED = 1 << 62
"""Keys of somebody else's class that nobody knows to be in a total order."""

PAIRS = FIRST | LATER | LATER_REVERSED
_TOTAL = (PLAIN, REVERSED, NOTHING, FIRST | LATER, FIRST | LATER_REVERSED)

MAX_SORTED = 64
"""From this length on list.sort merges runs."""


def is_total(kinds: int) -> bool:
    """Tell whether keys of these kinds, a bit each, are in a total order."""
    if kinds >= CUSTOM:
        return kinds < UNORDERED and kinds & (kinds - 1) == 0
    return any(kinds & ~total == 0 for total in _TOTAL)


class RangeKey(NamedTuple):
    """What the orderers say about the range of a requirement.

    Attributes
    ----------
    kinds : int
        Kinds of main keys in it; 0 without a range.
    key : tuple
        The kind, the value and the side of each end in turn. Keys of kinds that are in a total order compare as rez's.
        Empty without a range, and under a `CustomOrder`, whose keys must be asked for.
    """

    kinds: int
    key: tuple[Any, ...]


class RequirementPairs:
    """Compares requirements as rez compares their keys.

    Parameters
    ----------
    views, reader
        The repository.
    keys : OrderKeys
        Asked where `range_key` does not say it.
    range_key : callable
        Row of a requirement -> RangeKey.
    raises : bool
        A reversed version raises when it meets another kind, and the versions are then compared for being equal too.
    """

    def __init__(
        self,
        views: Views,
        reader: Reader,
        keys: OrderKeys,
        range_key: Callable[[int], RangeKey],
        *,
        raises: bool = False,
    ) -> None:
        self._views = views
        self._reader = reader
        self._keys = keys
        self._range_key = range_key
        self._raises = raises
        self._known: dict[int, Any] = {}
        self._asked: dict[tuple[int, int], int] = {}

    def compare(self, a: int, b: int) -> int:
        """Compare two requirements: LESS, EQUAL, GREATER, or NEITHER, when they differ and yet none is less."""
        one, two = self._range_key(a), self._range_key(b)
        both = one.kinds | two.kinds
        if a == b or not (one.kinds and two.kinds):
            return _sign(bool(one.kinds), bool(two.kinds))
        if both < CUSTOM:
            if is_total(both):
                return _sign(one.key, two.key)
            if not self._raises and not (one.kinds & PAIRS and two.kinds & PAIRS):
                return _sign(self._first_rank(a), self._first_rank(b)) or NEITHER
        found = self._asked.get((a, b))
        if found is None:
            found = self._asked[a, b] = self.ask(a, b)
        return found

    def ask(self, a: int, b: int) -> int:
        """Compare the keys themselves. Where they raise, rez dies: then newer ranges are greater, as by default."""
        try:
            return compare_keys(self.key(a), self.key(b))
        except Exception:  # noqa: BLE001 - a key of somebody else's class may raise anything
            default = self._views.requirement_range
            return _sign(default[a], default[b])

    def key(self, row: int) -> Any:
        """The key of a requirement."""
        if row not in self._known:
            family = self._reader.family_name(self._views.requirement_family[row])
            range_ = None if self._views.requirement_range[row] == NONE else self._reader.requirement(row).range
            self._known[row] = self._keys.range_key(family, range_)
        return self._known[row]

    def square(self, rows: list[int]) -> list[int]:
        """Compare each of some requirements with each, row by row."""
        return [self.compare(a, b) for a in rows for b in rows]

    def _first_rank(self, row: int) -> int:
        """Rank of the version at the lower end of the first interval of a requirement that has a range."""
        views = self._views
        return views.range_cut[views.range_offsets[views.requirement_range[row]]] >> CUT_SHIFT


def _sign(a: Any, b: Any) -> int:
    return int(a > b) - int(a < b)


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
