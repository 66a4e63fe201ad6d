"""Watches rez sort variants: are the keys that one package's variants have in an order at all?

The keys of ranges that different orderers speak for can be less than each other in a circle. What Python's sort makes
of that depends on which variants are left when rez sorts them, and in which order they stand.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import rez.solver

from tests.case import Case
from tests.oracle import ask_rez


def sorts_without_order(case: Case) -> bool:
    """Tell whether rez, solving this case, sorts variants of a package whose keys are in no weak order."""
    with _watched() as found:
        ask_rez(case.packages, case.requests, **case.options)
    return any(found)


@contextmanager
def _watched() -> Iterator[list[bool]]:
    found: list[bool] = []
    entry_class = rez.solver._PackageEntry
    sort = entry_class.sort

    def watched_sort(self: Any) -> None:
        variants = self.variants
        if not self.sorted:
            self.variants = spy = _Spy(variants)
            try:
                sort(self)
            finally:
                self.variants, self.sorted = variants, False
            assert spy.key is not None
            found.append(not is_weak_order([spy.key(variant) for variant in spy]))
        sort(self)

    entry_class.sort = watched_sort
    try:
        yield found
    finally:
        entry_class.sort = sort


class _Spy(list[Any]):
    """A list that is not sorted, but keeps the key."""

    key: Callable[[Any], Any] | None = None

    def sort(self, *, key: Any = None, reverse: bool = False) -> None:
        self.key = key


def is_weak_order(keys: list[Any]) -> bool:
    """Tell whether "less" orders these keys, ties allowed. Keys that cannot be compared are in no order."""
    n = range(len(keys))
    try:
        less = [[bool(a < b) for b in keys] for a in keys]
    except Exception:  # noqa: BLE001  (whatever a key raises)
        return False
    tied = [[not less[a][b] and not less[b][a] for b in n] for a in n]
    return not any(
        (less[a][b] and less[b][c] and not less[a][c]) or (tied[a][b] and tied[b][c] and not tied[a][c])
        for a, b, c in itertools.product(n, repeat=3)
    ) and not any(less[a][b] and less[b][a] for a, b in itertools.product(n, repeat=2))
