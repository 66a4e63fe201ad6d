"""Tables that were encoded before, as this process has come to know them.

What a solve has touched stays as it was then, as in rez: it is *pinned*. What was no longer what had been encoded when
a solve came to it is read by rez, and by rez's rules, from then on: a family whose folder has changed, or a single
package whose file has. All lists of paths share it, until rez forgets one of its paths.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rer_numba.forking import Lock
from rer_numba.paths.freshness import Freshness
from rer_numba.paths.settings import PathSettings
from rer_numba.paths.states import FileState
from rer_numba.repository import Repository
from rer_numba.requests import Lookup
from rer_numba.rez_bridge import memory
from rer_numba.rez_bridge.watch import token_in
from rer_numba.schema import NONE
from rer_numba.views import Views, family_of_package

_BEGAN_NS = time.time_ns() - 60 * 1_000_000_000
"""When this process began, at the latest, and a minute for clocks that differ: what is older has not changed since."""

_kept: dict[str, PinnedRepository] = {}
_lock = Lock()


class Pinned:
    """See the head of this module.

    Parameters
    ----------
    views : Views
    settings : PathSettings
        How the packages were found.
    places : sequence of rez.package_repository.PackageRepository
        One for each location; None for one that is none of rez's paths.

    Attributes
    ----------
    stale : set of str
        Families that have changed since they were encoded.
    changed : set of int
        Packages whose file has changed, in families that have not.
    """

    def __init__(self, views: Views, settings: PathSettings, places: Sequence[Any]) -> None:
        self.stale: set[str] = set()
        self.changed: set[int] = set()
        self._places = list(places)
        self._tokens = [None if place is None else token_in(place) for place in places]
        self._views = views
        self._lookup = Lookup(self._views)
        self._freshness = Freshness(self._views, settings)
        self._families: set[str] = set()
        self._packages: set[int] = set()
        self._lock = Lock()
        self.begin()

    def begin(self) -> None:
        """Begin another solve: what was looked at and is not pinned may have changed since."""
        with self._lock:
            self._freshness.look_again()
            self._fresh_families: set[str] = set()
            self._fresh_packages: set[int] = set()

    def is_for(self, places: Sequence[Any]) -> bool:
        """Tell whether rez remembers what it knew of these places since this was made for them."""
        return self.is_alive() and [place and token_in(place) for place in places] == self._tokens

    def is_alive(self) -> bool:
        """Tell whether rez remembers what it knew of all its places."""
        return all(token is None or token() is not None for token in self._tokens)

    def look(self, families: Iterable[str], packages: Iterable[int]) -> None:
        """Look at what a solve touched, and note what has changed."""
        with self._lock:
            for name in families:
                if name not in self._families and name not in self._fresh_families and name not in self.stale:
                    is_stale = self._freshness.changed_family(name) is not None or self._rez_knows_otherwise(name)
                    (self.stale if is_stale else self._fresh_families).add(name)
            self._look_at_packages(packages)

    def pin(self, families: Iterable[str], packages: Iterable[int]) -> None:
        """Keep as it is what a solve touched that counts. A package that cannot be loaded is tried again, as by rez."""
        errors = self._views.package_error
        with self._lock:
            self._families.update(name for name in families if name not in self.stale)
            self._packages.update(package for package in packages if errors[package] == NONE)

    def watched(self, name: str, package: int) -> list[tuple[str, FileState]]:
        """What is watched beside the folder that a package of a family lies in."""
        return self._freshness.watched(name, self._views.package_location[package])

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
                    self.changed.add(package)
        self._fresh_packages.update(package for package in new if package not in self.changed)

    def _family_name(self, package: int) -> str:
        return self._lookup.family_name(family_of_package(self._views, package))

    # --- what rez itself has listed or loaded in this process, for another than a solve of ours

    def _rez_knows_otherwise(self, name: str) -> bool:
        """Whether rez lists a family otherwise. Packages that it has loaded and that are young are read by it."""
        family = self._lookup.family(name)
        rows = range(*self._views.family_package_offsets[family : family + 2]) if family >= 0 else range(0)
        for location, place in enumerate(self._places):
            known = None if place is None else memory.remembered(place, name)
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
                    self.changed.add(row)
        return False


class PinnedRepository(Pinned):
    """A published repository as this process has come to know it.

    Attributes
    ----------
    repository : Repository
        As it was when a solve first came to it; what is published later counts when rez forgets.
    """

    def __init__(self, repository: Repository, places: Sequence[Any]) -> None:
        assert repository.path_settings is not None
        super().__init__(repository.views, repository.path_settings, places)
        self.repository = repository

    def is_alive(self) -> bool:
        """The same; and nobody has written over the file, instead of replacing it."""
        origin = self.repository.views.origin
        return super().is_alive() and not (origin is not None and origin.was_overwritten())


def pinned(
    path: str, places: Callable[[Repository], Sequence[Any] | None], opened: Callable[[], Repository | None]
) -> PinnedRepository | None:
    """Give what this process knows of a published repository.

    Parameters
    ----------
    path : str
    places : callable
        Gives rez's repository for each location of one, None for one that is none of the paths; None if it answers
        for none of them.
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
        if repository is None or its is None:
            return None
        found = _kept[path] = PinnedRepository(repository, its)
        return found
