"""Tells whether rez has forgotten what it knew of a repository, since somebody cleared its caches.

A token lies in rez's own cache of families, and nothing else refers to it: it dies at the moment in which rez forgets,
by whatever call, and however many ask. What else must die then is kept in it.
"""

from __future__ import annotations

from typing import Any
from weakref import ref

from rez.package_repository import package_repository_manager

_TOKEN = "_rer_numba_token"
"""Attribute of a repository of rez: the token that was put into its cache last."""


class Token(str):
    """A name for which no package is found, and which is equal to nothing else.

    Attributes
    ----------
    kept : dict
        What is forgotten together with what rez knows. It must not lead back to the repository.
    """

    __slots__ = ("__weakref__", "kept")

    kept: dict[str, Any]

    def __new__(cls) -> Token:
        """All have the same letters."""
        token = super().__new__(cls, "rer_numba_asks_whether_rez_has_forgotten")
        token.kept = {}
        return token

    __eq__ = object.__eq__
    __hash__ = object.__hash__


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
        self._token = token_in(place)

    def is_current(self) -> bool:
        """Look; what rez has forgotten once stays forgotten."""
        is_there = package_repository_manager.get_repository(self._path) is self._place
        return is_there and (self._token is None or self._token() is not None)


def is_cache(lookup: Any) -> bool:
    """Tell whether a function remembers its answers: by Python's `lru_cache`, or by that which rez had up to 3.0."""
    return hasattr(lookup, "cache_clear")


def token_in(place: Any) -> ref[Token] | None:
    """The token in the cache of a repository; None if it has no such cache, and remembers nothing."""
    lookup: Any = getattr(place, "get_family", None)
    if not is_cache(lookup):
        return None
    known: ref[Token] | None = vars(place).get(_TOKEN)
    if known is not None and known() is not None:
        return known
    token = Token()
    found = vars(place)[_TOKEN] = ref(token)
    lookup(token)
    return found
