"""Tells whether rez has forgotten what it knew of a repository, since somebody cleared its caches."""

from __future__ import annotations

from typing import Any

from rez.package_repository import package_repository_manager

_SENTINEL = "rer_numba_asks_whether_rez_has_forgotten"
"""A name that no package has and nobody else asks for."""


class Watch:
    """Tells whether a repository of rez still remembers what it knew.

    Parameters
    ----------
    path : str
        As rez's solver takes it.
    place : rez.package_repository.PackageRepository
    """

    def __init__(self, path: str, place: Any) -> None:
        self._path = path
        self._place = place
        self._lookup = getattr(place, "get_family", None)
        self._has_forgotten()

    def is_current(self) -> bool:
        """Look; what rez has forgotten once stays forgotten."""
        return package_repository_manager.get_repository(self._path) is self._place and not self._has_forgotten()

    def _has_forgotten(self) -> bool:
        """Ask for a name that only we ask for: rez remembers the answer until its caches are cleared."""
        if self._lookup is None or not hasattr(self._lookup, "cache_info"):
            return False
        before = self._lookup.cache_info().misses
        self._lookup(_SENTINEL)
        return bool(self._lookup.cache_info().misses != before)
