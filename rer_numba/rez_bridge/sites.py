"""Which tables answer for given package paths, in this process.

A `Site` stands for a list of package paths. Paths with a published repository are answered from it
(`rer_numba.rez_bridge.published`), all others through rez's repository objects, as far as solves reach
(`rer_numba.assembly`, `rer_numba.rez_bridge.found`). It is used as an `Assembly` is.

Invariants
----------
- What a solve touched and `settle` returned False for is what rez would find now, within what rez remembers, and stays
  so: see `rer_numba.rez_bridge.memory` and `rer_numba.rez_bridge.pinned`.
- A site is forgotten when rez forgets what it knows of one of the paths, by `clear_caches` of a repository or of all;
  and when a repository of another type than rez's folders lists something else than it did.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from rez.config import config
from rez.package_repository import package_repository_manager
from rez.packages import Package

from rer_numba.assembly import AssembledSnapshot, Assembly
from rer_numba.forking import Lock
from rer_numba.packages import PackageData
from rer_numba.partial import Found, Listed
from rer_numba.paths.settings import PathSettings
from rer_numba.requirements import Requirement
from rer_numba.rez_bridge.found import RezFinder, variant_handle
from rer_numba.rez_bridge.kept_tables import KeptTables
from rer_numba.rez_bridge.memory import folder_resource
from rer_numba.rez_bridge.published import VARIABLE, published_for
from rer_numba.rez_bridge.watch import Watch
from rer_numba.snapshot import Snapshot
from rer_numba.touched import Touched

_REMEMBERED = 16
"""How many sites a process keeps."""

_sites: dict[tuple[object, ...], Site] = {}
_lock = Lock()


def site_of(package_paths: Sequence[str]) -> Site:
    """Give the site of some package paths; the same one as long as rez remembers what it has read.

    Parameters
    ----------
    package_paths : sequence of str
        As rez's solver takes them. None at all are those of rez's configuration, as in rez.
    """
    paths = tuple(package_paths) or tuple(config.packages_path)
    settings = PathSettings.from_rez()
    key = (paths, settings, os.environ.get(VARIABLE))
    with _lock:
        site = _sites.pop(key, None)
        if site is None or not site.is_current():
            site = Site(paths, settings)
        _sites[key] = site  # the last one used is the last one to go
        while len(_sites) > _REMEMBERED:
            del _sites[next(iter(_sites))]
        return site


def forget_sites() -> None:
    """Look at everything again, in solves that begin from now on."""
    with _lock:
        _sites.clear()


class Site:
    """See the head of this module. May be used from several threads.

    Parameters
    ----------
    paths : sequence of str
    settings : PathSettings
    """

    def __init__(self, paths: Sequence[str], settings: PathSettings) -> None:
        self.paths = tuple(paths)
        self._repositories = [package_repository_manager.get_repository(path) for path in self.paths]
        self._watches = [Watch(path, place) for path, place in zip(self.paths, self._repositories, strict=True)]
        published = published_for(self._repositories, settings)
        self._known = [one.known for one in published]
        places = self._distinct_repositories()
        open_paths = {number for number, _ in places}.difference(*(one.answers for one in published))
        self._settings = settings
        self._finder = RezFinder(places, open_paths, settings)
        self._assembly = Assembly(
            [place.location for place in self._repositories],
            [(one.repository.views, one.paths, one.known) for one in published],
            self._finder,
            KeptTables(self._repositories, settings, published),
            is_answered=not open_paths,
        )

    @property
    def snapshot(self) -> AssembledSnapshot:
        """What to solve from now."""
        return self._assembly.snapshot

    @property
    def waves(self) -> int:
        """How often tables have been composed."""
        return self._assembly.waves

    def _distinct_repositories(self) -> list[tuple[int, Any]]:
        """rez's repositories with the numbers of their paths; of one that comes twice the first."""
        found: dict[tuple[Any, ...], tuple[int, Any]] = {}
        for number, place in enumerate(self._repositories):
            found.setdefault(place.uid, (number, place))
        return list(found.values())

    def is_current(self) -> bool:
        """Return whether rez still remembers what it has read on these paths. Costs some microseconds for each path.

        A published file that somebody has written over, instead of replacing it, is opened again.
        """
        if self._assembly.is_doubtful or not all(watch.is_current() for watch in self._watches):
            return False
        if not all(known.is_alive() for known in self._known):
            return False
        others = {number: place for number, place in self._finder.repositories if place.name() != "filesystem"}
        finder = RezFinder(list(others.items()), others, self._settings)
        listings = self._assembly.partial.listings.items() if others else ()
        return all(_lists_as_before(finder.find(name).packages, listing.packages, others) for name, listing in listings)

    # --- around a solve

    def prepare(self, request: Iterable[Requirement]) -> None:
        """See `Assembly.prepare`."""
        self._assembly.prepare(request)

    def settle(self, snapshot: Snapshot, touched: Touched, *, is_done: bool = True, asks_process: bool = False) -> bool:
        """See `Assembly.settle`."""
        return self._assembly.settle(snapshot, touched, is_done=is_done, asks_process=asks_process)

    def snapshot_with(self, late: Iterable[tuple[Found, PackageData]], names: Iterable[str]) -> AssembledSnapshot:
        """See `Assembly.snapshot_with`."""
        return self._assembly.snapshot_with(late, names)

    # --- rez's objects

    def handle(self, snapshot: Snapshot, variant: int) -> dict[str, Any]:
        """rez's resource handle of a variant, as ``variant.handle.to_dict()`` gives it.

        Asked for once: rez remembers the variants of a path as long as this site lasts. Writing a bundle changes what
        rez has given out, so everybody has a copy.
        """
        assert isinstance(snapshot, AssembledSnapshot)
        found = snapshot.handles.get(variant)
        if found is None:
            package = snapshot.reader.variant_package(variant)
            found = variant_handle(self._resource(snapshot, package), snapshot.reader.variant_index(variant))
            found = snapshot.handles[variant] = {**found, "variables": dict(found["variables"])}
        return {**found, "variables": dict(found["variables"])}

    def package(self, snapshot: Snapshot, package: int) -> Package:
        """rez's object for a package, which has not loaded anything."""
        assert isinstance(snapshot, AssembledSnapshot)
        return Package(self._resource(snapshot, package))

    def _resource(self, snapshot: AssembledSnapshot, package: int) -> Any:
        name, version = snapshot.name_of(package)
        path = snapshot.path_of(package)
        listed = snapshot.partial.listed(name, version)
        if listed is not None and listed.path == path:
            return listed.resource
        return folder_resource(self._repositories[path], name, version, snapshot.reader.package_uri(package, name))


def _lists_as_before(now: list[Listed], before: list[Listed], paths: Collection[int]) -> bool:
    """Return whether a family was listed again where rez does so for each solve, with the very same objects."""
    before = [listed for listed in before if listed.path in paths]
    return len(now) == len(before) and all(
        one.resource is other.resource for one, other in zip(now, before, strict=True)
    )
