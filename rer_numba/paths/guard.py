"""Looks, for each solve, whether what it touched is still what was encoded."""

from __future__ import annotations

from collections.abc import Iterable

from rer_numba.paths.freshness import STRICT, Freshness
from rer_numba.paths.settings import PathSettings
from rer_numba.requests import REMEMBERED
from rer_numba.schema import Tables
from rer_numba.touched import Known
from rer_numba.views import Views


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
