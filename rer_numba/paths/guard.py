"""Looks, for each solve, whether what it touched is still what was encoded."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator

from rer_numba.paths.freshness import STRICT, Freshness
from rer_numba.paths.settings import PathSettings
from rer_numba.requests import REMEMBERED
from rer_numba.schema import Tables
from rer_numba.touched import Known
from rer_numba.views import Views, views_of


class Guard:
    """Checks families and packages, each once: as in rez, what a process has looked at does not change for it.

    Parameters
    ----------
    tables : Tables or Views
        Of packages that were found in folders.
    settings : PathSettings
        With which they were found.
    level : str
        "strict" or "release", see `rer_numba.paths.freshness`.
    paths : sequence of str
        That were searched, as given.

    Attributes
    ----------
    known : Known
        What solves touched that were found to be fresh.
    """

    def __init__(self, tables: Tables | Views, settings: PathSettings, level: str, paths: Iterable[str]) -> None:
        self._freshness = Freshness(tables, settings)
        self._checks_files = level == STRICT
        self._paths: Iterable[str] = paths
        self._families: set[str] = set()
        self._packages: set[int] = set()
        self.known = Known()

    def stale_path(self, families: Iterable[str], packages: Iterable[int]) -> str | None:
        """The first path that has changed of what a solve touched, or None."""
        moved = self._freshness.other_location(self._paths)
        if moved is not None:
            return moved
        self._paths = ()
        for name in families:
            if name not in self._families:
                path = self._freshness.changed_family(name)
                if path is not None:
                    return path
                if len(self._families) >= REMEMBERED:  # requests may name ever more that do not exist
                    self._families.clear()
                self._families.add(name)
        if self._checks_files:
            new = [package for package in packages if package not in self._packages]
            path = self._freshness.changed_package(new)
            if path is not None:
                return path
            self._packages.update(new)
        return None


class Touches:
    """The packages that a solve touched, by family.

    Parameters
    ----------
    tables : Tables or Views
        That were solved from.
    packages : iterable of int
        Rows.
    name_of : callable
        Gives the name of a family by its row.
    """

    def __init__(self, tables: Tables | Views, packages: Iterable[int], name_of: Callable[[int], str]) -> None:
        self._tables = views_of(tables)
        self._packages = sorted(packages)
        self._name_of = name_of

    def by_family(self) -> Iterator[tuple[str, int, list[int]]]:
        """(name, first package, packages that were touched) of each family."""
        offsets, packages, at = self._tables.family_package_offsets, self._packages, 0
        while at < len(packages):
            family = bisect_right(offsets, packages[at]) - 1
            first, last = offsets[family : family + 2]
            start = at
            while at < len(packages) and packages[at] < last:
                at += 1
            yield self._name_of(family), first, packages[start:at]
