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

    before : Guard, optional
        Of the tables that these replace, in which it has found some families to be stale: what it has looked at
        otherwise stays as it is.

    Attributes
    ----------
    known : Known
        What solves touched that were found to be fresh.
    stale : set of str
        Families that were found to be stale.
    is_moved : bool
        A path leads elsewhere, so that nothing in the tables counts any more.
    """

    def __init__(
        self,
        tables: Tables | Views,
        settings: PathSettings,
        level: str,
        paths: Iterable[str],
        before: Guard | None = None,
    ) -> None:
        self._tables = tables
        self._freshness = Freshness(tables, settings)
        self._checks_files = level == STRICT
        self._paths: Iterable[str] = paths
        self._families: set[str] = set()
        self._packages: dict[str, set[int]] = {}
        self.known = Known()
        self.stale: set[str] = set()
        self.is_moved = False
        if before is not None:
            self._families = before._families - before.stale
            self._packages = {name: own for name, own in before._packages.items() if name not in before.stale}

    def stale_path(self, families: Iterable[str], packages: Iterable[int]) -> str | None:
        """The first path that has changed of what a solve touched, or None. All of it is looked at."""
        moved = self._freshness.other_location(self._paths)
        if moved is not None:
            self.is_moved = True
            return moved
        self._paths = ()
        paths = [path for name in families if (path := self._changed_family(name)) is not None]
        if self._checks_files:
            touches = Touches(self._tables, packages, self._freshness.family_name)
            found = (self._changed_package(*touched) for touched in touches.by_family())
            paths += [path for path in found if path is not None]
        return paths[0] if paths else None

    def _changed_family(self, name: str) -> str | None:
        if name in self._families:
            return None
        path = self._freshness.changed_family(name)
        if path is not None:
            self.stale.add(name)
            return path
        if len(self._families) >= REMEMBERED:  # requests may name ever more that do not exist
            self._families.clear()
        self._families.add(name)
        return None

    def _changed_package(self, name: str, first: int, packages: list[int]) -> str | None:
        """The first changed file of some packages of a family, of which `first` is the first."""
        known = self._packages.setdefault(name, set())
        new = [package for package in packages if package - first not in known]
        path = self._freshness.changed_package(new)
        if path is None:
            known.update(package - first for package in new)
        else:
            self.stale.add(name)
        return path


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
