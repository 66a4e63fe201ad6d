"""A published repository as this process has come to know it.

What a solve has touched stays as it was then, as in rez: it is *pinned*. What was no longer what had been encoded when
a solve came to it is read by rez, and by rez's rules, from then on: a family whose folder has changed, or a single
package whose file has. All lists of paths share it, until rez forgets one of its paths.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from threading import RLock
from typing import Any

from rer_numba.errors import RerError
from rer_numba.paths.freshness import Freshness
from rer_numba.progress import tell_nobody
from rer_numba.repository import Repository
from rer_numba.requests import Lookup
from rer_numba.rez_bridge import memory
from rer_numba.rez_bridge.watch import token_in
from rer_numba.schema import NONE
from rer_numba.tell import warn_once
from rer_numba.views import family_of_package

_BEGAN_NS = time.time_ns() - 60 * 1_000_000_000
"""When this process began, at the latest, and a minute for clocks that differ: what is older has not changed since."""

_kept: dict[str, Pinned] = {}
_lock = RLock()


class Pinned:
    """See the head of this module.

    Parameters
    ----------
    repository : Repository
    places : sequence of rez.package_repository.PackageRepository
        One for each of its locations.

    Attributes
    ----------
    stale : set of str
        Families that have changed since they were encoded.
    changed : dict
        Package -> (family, version as spelled) of those whose file has changed, in families that have not.
    """

    def __init__(self, repository: Repository, places: Sequence[Any]) -> None:
        settings = repository.path_settings
        assert settings is not None
        self.repository = repository
        self.stale: set[str] = set()
        self.changed: dict[int, tuple[str, str]] = {}
        self._places = list(places)
        self._tokens = [token_in(place) for place in places]
        self._views = repository.views
        self._lookup = Lookup(self._views)
        self._freshness = Freshness(self._views, settings)
        self._families: set[str] = set()
        self._packages: set[int] = set()
        self._lock = RLock()
        self._is_renewed = False
        self.begin()

    def begin(self) -> None:
        """Begin another solve: what was looked at and is not pinned may have changed since."""
        with self._lock:
            self._freshness.look_again()
            self._fresh_families: set[str] = set()
            self._fresh_packages: set[int] = set()

    def is_for(self, places: Sequence[Any]) -> bool:
        """Tell whether rez remembers what it knew of these places since this was made for them."""
        return self.is_alive() and [token_in(place) for place in places] == self._tokens

    def is_alive(self) -> bool:
        """Tell whether rez remembers what it knew of all its places."""
        return all(token is None or token() is not None for token in self._tokens)

    def look(self, families: Iterable[str], packages: Iterable[int]) -> bool:
        """Look at what a solve touched; tell whether any of it was found to have changed."""
        with self._lock:
            before = len(self.stale), len(self.changed)
            for name in families:
                if name not in self._families and name not in self._fresh_families and name not in self.stale:
                    is_stale = self._freshness.changed_family(name) is not None or self._rez_knows_otherwise(name)
                    (self.stale if is_stale else self._fresh_families).add(name)
            self._look_at_packages(packages)
            return before != (len(self.stale), len(self.changed))

    def pin(self, families: Iterable[str], packages: Iterable[int]) -> None:
        """Keep as it is what a solve touched that counts. A package that cannot be loaded is tried again, as by rez."""
        errors = self._views.package_error
        with self._lock:
            self._families.update(name for name in families if name not in self.stale)
            self._packages.update(package for package in packages if errors[package] == NONE)

    def _look_at_packages(self, packages: Iterable[int]) -> None:
        new = [
            package
            for package in packages
            if package not in self._packages and package not in self._fresh_packages and package not in self.changed
        ]
        if self.stale:
            new = [package for package in new if self._family_name(package) not in self.stale]
        if self._freshness.changed_package(new) is not None:
            for package in new:
                if self._freshness.changed_package([package]) is not None:
                    self._change(package)
        self._fresh_packages.update(package for package in new if package not in self.changed)

    def _change(self, package: int) -> None:
        version = self._lookup.text(self._views.package_version_text[package])
        self.changed[package] = self._family_name(package), version

    def _family_name(self, package: int) -> str:
        return self._lookup.family_name(family_of_package(self._views, package))

    # --- what rez itself has listed or loaded in this process, for another than a solve of ours

    def _rez_knows_otherwise(self, name: str) -> bool:
        """Whether rez lists a family otherwise. Packages that it has loaded and that are young are read by it."""
        family = self._lookup.family(name)
        rows = range(*self._views.family_package_offsets[family : family + 2]) if family >= 0 else range(0)
        for location, place in enumerate(self._places):
            known = memory.remembered(place, name)
            if known is None:
                continue
            own = {
                self._lookup.text(self._views.package_version_text[row]): row
                for row in rows
                if self._views.package_location[row] == location
            }
            if {resource.get("version") or "" for resource in known} != set(own):
                return True
            for resource in known:
                row = own[resource.get("version") or ""]
                if "_data" in vars(resource) and self._views.package_mtime[row] >= _BEGAN_NS:
                    self._change(row)
        return False

    # --- for processes to come

    def renew(self) -> None:
        """Bring the file up to date, once, where that is allowed. This process goes on with what it knows."""
        path = self.repository.path
        assert path is not None
        folder = path if os.path.isdir(path) else os.path.dirname(path)
        if self._is_renewed or not os.access(folder, os.W_OK):
            return
        self._is_renewed = True
        from rer_numba import storage

        try:
            storage.refresh(Repository.open(path, check="frozen"), "strict", None, None, tell_nobody)
        except (OSError, RerError) as error:
            warn_once(f"rer-numba: {path} is out of date and cannot be refreshed: {error}")


def pinned(path: str, places: Callable[[Repository], Sequence[Any] | None], opened: Callable[[], Any]) -> Pinned | None:
    """Give what this process knows of a published repository.

    Parameters
    ----------
    path : str
    places : callable
        Gives rez's repository for each location of one, None if it answers for none of them.
    opened : callable
        Opens it; None if it cannot be used.
    """
    with _lock:
        for key in [key for key, one in _kept.items() if not one.is_alive()]:
            del _kept[key]
        found = _kept.get(path)
        if found is not None:
            its = places(found.repository)
            if its is None:
                return None
            if found.is_for(its):
                return found
        repository = opened()
        its = None if repository is None else places(repository)
        if its is None:
            return None
        found = _kept[path] = Pinned(repository, its)
        return found
