"""Tables that were encoded before, as this process has come to know them.

What a solve has touched stays as it was then, as in rez: it is *pinned*, path by path (`rer_numba.rez_bridge.seen`).
What was no longer what had been encoded when a solve came to it is read by rez, and by rez's rules, from then on: a
family whose folder has changed, or a single package whose file has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any
from weakref import WeakValueDictionary

from rer_numba.forking import Lock
from rer_numba.paths.freshness import Freshness
from rer_numba.paths.states import FileState
from rer_numba.repository import Repository
from rer_numba.rez_bridge import memory
from rer_numba.rez_bridge.seen import Encoded, Seen, seen_at
from rer_numba.schema import NONE
from rer_numba.store import METADATA_CHECKSUM
from rer_numba.views import family_of_package

_lock = Lock()


class Pinned:
    """What one list of paths knows of some tables; see the head of this module.

    Parameters
    ----------
    encoded : Encoded
    places : sequence of rez.package_repository.PackageRepository
        One for each location; None for one that is none of the paths.

    Attributes
    ----------
    stale : set of str
        Families that have changed since they were encoded.
    changed : set of int
        Packages whose file has changed, in families that have not.
    """

    def __init__(self, encoded: Encoded, places: Sequence[Any]) -> None:
        self.stale: set[str] = set()
        self.changed: set[int] = set()
        self._encoded = encoded
        self._views = encoded.views
        self._freshness = Freshness(encoded.views, encoded.settings)
        self._seen = [
            (place, seen_at(place, encoded, location)) for location, place in enumerate(places) if place is not None
        ]
        self._packages: list[set[int]] = [set() for _ in places]
        for _, seen in self._seen:
            self._packages[seen.location] = seen.packages
        self._lock = Lock()
        self.begin()

    def begin(self) -> None:
        """Begin another solve: what was looked at and is not pinned may have changed since."""
        with self._lock:
            self._freshness.look_again()
            self._fresh_families: set[str] = set()
            self._fresh_packages: set[int] = set()

    def is_alive(self) -> bool:
        """Tell whether no other tables have taken the place of these."""
        return not self._encoded.is_retired

    def look(self, families: Iterable[str], packages: Iterable[int]) -> None:
        """Look at what a solve touched, and note what has changed."""
        with self._lock:
            for name in families:
                if name not in self._fresh_families and name not in self.stale:
                    new = [(place, seen) for place, seen in self._seen if name not in seen.families]
                    if new:
                        (self.stale if self._is_stale(name, new) else self._fresh_families).add(name)
            self._look_at_packages(packages)

    def pin(self, families: Iterable[str], packages: Iterable[int]) -> None:
        """Keep as it is what a solve touched that counts. A package that cannot be loaded is tried again, as by rez."""
        errors, locations = self._views.package_error, self._views.package_location
        with self._lock:
            names = [name for name in families if name not in self.stale]
            for _, seen in self._seen:
                seen.families.update(names)
            for package in packages:
                if errors[package] == NONE and package not in self.changed:
                    self._packages[locations[package]].add(package)
        if self._encoded.is_retired:
            for place, seen in self._seen:
                seen.keep_up(place)

    def watched(self, name: str, package: int) -> list[tuple[str, FileState]]:
        """What is watched beside the folder that a package of a family lies in."""
        return self._freshness.watched(name, self._views.package_location[package])

    def _is_stale(self, name: str, new: list[tuple[Any, Seen]]) -> bool:
        """Whether a family is not what it was on some paths, or is remembered otherwise."""
        if self._freshness.changed_family(name, [seen.location for _, seen in new]) is not None:
            return True
        for place, seen in new:
            listed = memory.remembered(place, name)
            if listed is not None and seen.is_otherwise(place, name, listed):
                return True
        return False

    def _look_at_packages(self, packages: Iterable[int]) -> None:
        pinned, locations = self._packages, self._views.package_location
        fresh, changed = self._fresh_packages, self.changed
        for _, seen in self._seen:
            changed.update(seen.changed)
        new = [
            package
            for package in packages
            if package not in pinned[locations[package]] and package not in fresh and package not in changed
        ]
        if self.stale:
            new = [package for package in new if self._family_name(package) not in self.stale]
        if self._freshness.changed_package(new) is not None:
            for package in new:
                if self._freshness.changed_package([package]) is not None:
                    changed.add(package)
        fresh.update(package for package in new if package not in changed)

    def _family_name(self, package: int) -> str:
        return self._encoded.lookup.family_name(family_of_package(self._views, package))


class Opened(Encoded):
    """A published repository, opened by this process.

    Attributes
    ----------
    repository : Repository
    """

    def __init__(self, repository: Repository) -> None:
        assert repository.path_settings is not None
        super().__init__(repository.views, repository.path_settings)
        self.repository = repository

    def is_overwritten(self) -> bool:
        """Tell whether somebody has written over the file, instead of replacing it."""
        origin = self.repository.views.origin
        return origin is not None and origin.was_overwritten()

    def is_what(self, other: Repository) -> bool:
        """Tell whether another one has the same content."""
        mine, its = (one.metadata.get(METADATA_CHECKSUM) for one in (self.repository, other))
        return mine is not None and mine == its


_opened: WeakValueDictionary[str, Opened] = WeakValueDictionary()
"""Those that are in use, or of which something is remembered, by where they were found."""


class PinnedRepository(Pinned):
    """A published repository as this process has come to know it.

    Attributes
    ----------
    repository : Repository
        As it was when a solve first came to it; what is published later counts when rez forgets.
    """

    def __init__(self, opened: Opened, places: Sequence[Any]) -> None:
        super().__init__(opened, places)
        self._opened = opened
        self.repository = opened.repository

    def is_alive(self) -> bool:
        """The same; and nobody has written over the file, instead of replacing it."""
        return super().is_alive() and not self._opened.is_overwritten()


def pinned(
    path: str, places: Callable[[Repository], Sequence[Any] | None], opened: Callable[[], Repository | None]
) -> PinnedRepository | None:
    """Give what this process knows of a published repository.

    It is looked at again when there is a path of which nothing is known by it: one that is new, or forgotten by rez.

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
        known = _opened.get(path)
        # a file that was cut off ends the process when it is read: that comes first
        is_whole = known is not None and not known.is_overwritten()
        its = places(known.repository) if known is not None and is_whole else None
        if known is not None and its is not None and _is_known(known, its):
            return PinnedRepository(known, its)
        repository = opened()
        its = None if repository is None else places(repository)
        if repository is None or its is None:
            return None
        if known is None or not is_whole or not known.is_what(repository):
            if known is not None:
                known.is_retired = True
            known = _opened[path] = Opened(repository)
        return PinnedRepository(known, its)


def _is_known(opened: Opened, places: Sequence[Any]) -> bool:
    """Whether something is known by a repository of each of its paths."""
    return all(
        (id(opened), location) in memory.Memory.of(place).seen
        for location, place in enumerate(places)
        if place is not None
    )
