"""Which tables answer for given package paths, in this process.

A `Site` stands for a list of package paths. Paths with a published repository are answered from it
(`rer_numba.rez_bridge.published`), all others through rez's repository objects, as far as solves reach
(`rer_numba.partial`, `rer_numba.rez_bridge.found`). The way to use one::

    site = site_of(package_paths)
    site.prepare(request)
    while True:
        snapshot = site.snapshot
        ... solve on it ...
        if not site.settle(snapshot, touched(session)):
            break

Invariants
----------
- What a solve touched and `settle` returned False for is what rez would find now, within what rez remembers.
- A site is forgotten when rez forgets what it knows of one of the paths, by `clear_caches` of a repository or of all;
  and when a repository of another type than rez's folders lists something else than it did.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from threading import RLock
from typing import TYPE_CHECKING, Any

from rez.config import config
from rez.package_repository import package_repository_manager
from rez.packages import Package

from rer_numba.partial import Listed, Part, Partial, unread_marks
from rer_numba.paths.guard import Looks, Touches
from rer_numba.paths.settings import PathSettings
from rer_numba.reach import Reach, requires_of
from rer_numba.reader import Reader
from rer_numba.requirements import Requirement, is_valid_package_name
from rer_numba.rez_bridge.found import RezFinder, folder_resource, variant_handle
from rer_numba.rez_bridge.kept_tables import KeptTables
from rer_numba.rez_bridge.published import VARIABLE, published_for
from rer_numba.rez_bridge.watch import Watch
from rer_numba.schema import NONE
from rer_numba.snapshot import Snapshot
from rer_numba.touched import Touched
from rer_numba.views import Views

if TYPE_CHECKING:
    from rer_numba.schema import Tables

_REMEMBERED = 16
"""How many sites a process keeps."""
_SMALL_FAMILY = 50
"""How many packages are read without a solve that needs them."""
_WAVES_BY_REACH = 8
"""How often tables are composed of those families alone that requests can reach; after that of all."""

_sites: dict[tuple[object, ...], Site] = {}
_lock = RLock()


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


class SiteSnapshot(Snapshot):
    """A snapshot that knows where its packages lie, and which of them are not read.

    Parameters
    ----------
    tables : Tables or Views
    partial : Partial
        What has been read, for these tables or before.
    part : Part, optional
        Whose tables they are, as they are. None: they are composed of all that `partial` knows.
    found : set of str
        Families that the finder had found by then.
    """

    def __init__(
        self, tables: Tables | Views, partial: Partial, part: Part | None = None, found: Iterable[str] = ()
    ) -> None:
        super().__init__(tables)
        self.reader = Reader(self.views)
        self.partial = partial
        self.part = part
        self._found = frozenset(found)
        self._unread = unread_marks(self.views)

    def lacks(self, name: str, found: set[str]) -> bool:
        """Return whether a family is not as the paths have it: only marked, found since, or in another part."""
        family = self.reader.family(name)
        if family >= 0 and self.views.family_error[family] in self._unread:
            return True
        if name in found and name not in self._found:
            return True
        others = [part for part in self.partial.parts if part is not self.part]
        return (self.part is not None or not self._has(family)) and any(part.has(name) for part in others)

    def _has(self, family: int) -> bool:
        if family < 0:
            return False
        first, last = self.views.family_package_offsets[family : family + 2]
        return first < last or self.views.family_error[family] != NONE

    def name_of(self, package: int) -> tuple[str, str]:
        """(family, version as spelled) of a package."""
        return self.reader.package_family_name(package), self.reader.package_version(package)

    def path_of(self, package: int) -> int:
        """Number of the path that a package lies on."""
        location = self.views.package_location[package]
        return location if self.part is None else self.part.paths[location]

    def unread(self, packages: Iterable[int]) -> list[int]:
        """Those of some packages that are only listed."""
        if not self._unread:
            return []
        errors, first_variant = self.views.variant_error, self.views.package_variant_offsets
        return [package for package in packages if errors[first_variant[package]] in self._unread]


class Site:
    """See the head of this module. May be used from several threads.

    Parameters
    ----------
    paths : sequence of str
    settings : PathSettings

    Attributes
    ----------
    snapshot : Snapshot
        What to solve from now.
    waves : int
        How often tables have been composed.
    """

    def __init__(self, paths: Sequence[str], settings: PathSettings) -> None:
        self.paths = tuple(paths)
        self.waves = 0
        self._lock = RLock()
        self._settings = settings
        self._repositories = [package_repository_manager.get_repository(path) for path in self.paths]
        self._watches = [Watch(path, place) for path, place in zip(self.paths, self._repositories, strict=True)]
        self._looks = Looks()
        self._roots: dict[str, None] = {}
        self._found: set[str] = set()
        self._begin()

    def _begin(self) -> None:
        """Nothing is read; one of the parts is solved from as it is, where that is possible."""
        published = published_for(list(map(_location, self._repositories)), self._settings)
        answered = {path for one in published for path in one.answers}
        places = self._distinct_repositories()
        open_paths = {number for number, _ in places} - answered
        self._finder = RezFinder(places, open_paths, self._settings)
        self._kept = KeptTables(self.paths, self._repositories, self._settings, published)
        self._kept_part = self._kept.part()
        known = () if self._kept_part is None else self._kept_part.names()
        parts = [Part(one.repository.views, one.paths, known) for one in published]
        first = next((part for part in parts if part.is_whole), None) if self._kept_part is None else self._kept_part
        if self._kept_part is not None:
            parts.insert(0, self._kept_part)
        locations = [place.location for place in self._repositories]
        self._partial = Partial(self._finder, locations, parts, is_answered=not open_paths)
        self._reach = None if parts else Reach(self._partial)
        if first is None:
            self._link()
        else:
            self.snapshot = SiteSnapshot(first.views, self._partial, first)

    def _distinct_repositories(self) -> list[tuple[int, Any]]:
        """rez's repositories with the numbers of their paths; of one that comes twice the first."""
        found: dict[tuple[Any, ...], tuple[int, Any]] = {}
        for number, place in enumerate(self._repositories):
            found.setdefault(place.uid, (number, place))
        return list(found.values())

    def _link(self) -> None:
        self.waves += 1
        roots = self._roots if self.waves <= _WAVES_BY_REACH else None
        self.snapshot = SiteSnapshot(self._partial.tables(roots), self._partial, None, self._found)

    def is_current(self) -> bool:
        """Return whether rez still remembers what it has read on these paths. Costs some microseconds for each path."""
        if not all(watch.is_current() for watch in self._watches):
            return False
        others = {number for number, place in self._finder.repositories if place.name() != "filesystem"}
        return not others or all(
            self._lists_as_before(name, listing.packages, others) for name, listing in self._partial.listings.items()
        )

    def _lists_as_before(self, name: str, packages: Iterable[Listed], numbers: set[int]) -> bool:
        """List a family again where rez does so for each solve; the objects must be the same ones."""
        now = [listed for listed in self._finder.find(name, everywhere=True).packages if listed.path in numbers]
        before = [listed for listed in packages if listed.path in numbers]
        return len(now) == len(before) and all(
            one.resource is other.resource for one, other in zip(now, before, strict=True)
        )

    # --- around a solve

    def prepare(self, request: Iterable[Requirement]) -> None:
        """Read what a solve of a request will look at first. Saves solves that would come to nothing.

        Parameters
        ----------
        request : iterable of Requirement
            Merged.
        """
        with self._lock:
            if self._reach is not None:
                if self._reach.begin(request):
                    self._take_in(one.name for one in request)
                    self._link()
                return
            names = [one.name for one in request]
            for name in names:
                self._list(name)
            if any(self.snapshot.lacks(name, self._found) for name in names):
                self._take_in(names)
                self._link()

    def settle(self, snapshot: Snapshot, touched: Touched) -> bool:
        """Look at what a solve touched.

        Parameters
        ----------
        snapshot : Snapshot
            That was solved from.
        touched : Touched
            Of the solve, however it ended, and whatever else it has looked at: all packages of a family whose release
            times decided about their order.

        Returns
        -------
        bool
            Something was missing, hidden by another path, or stale. `snapshot` is another one: solve again.
        """
        with self._lock:
            if snapshot is not self.snapshot:
                return True  # another thread has read more
            assert isinstance(snapshot, SiteSnapshot)
            name_of = snapshot.reader.family_name
            names = [one if isinstance(one, str) else name_of(one) for one in touched.families]
            packages = [*touched.packages, *touched.hidden]
            for name in names:
                self._list(name)
            touches = Touches(snapshot.views, names, packages, name_of)
            stale = self._looks.stale_families(snapshot.views, self._settings, touches, self._is_own)
            self._read_stale(stale, snapshot, touches)
            short = [name for name in names if snapshot.lacks(name, self._found)]
            if self._read(snapshot, packages) or short or stale:
                self._take_in(names)
                self._link()
                return True
            self._keep()
            return False

    def _take_in(self, names: Iterable[str]) -> None:
        """Compose tables for these families too from now on."""
        self._roots.update(dict.fromkeys(names))

    def _is_own(self, name: str) -> bool:
        return self._partial.is_own(name)

    def _keep(self) -> None:
        """Keep what was composed for the next process, if it says anything new."""
        if self.snapshot.part is None and self._kept.may_keep(self._partial.progress):
            self._kept.keep(self._partial.tables(self._roots, to_keep=True), self._partial.progress)

    # --- reading

    def _list(self, name: str) -> bool:
        """List a family where nothing answers for it; return whether anything was found."""
        if name in self._partial.listings or not is_valid_package_name(name):
            return False
        if self._kept_part is not None and self._kept_part.has(name):
            return False  # on all paths: what has changed since is stale
        found = self._partial.find(name)
        if found:
            self._found.add(name)
            self._looks.forget(name)
            if self._reach is None:
                self._read_overlay(name)
        return found

    def _read_overlay(self, name: str) -> None:
        """Read a small family beside published ones at once, and list those that it mentions: this saves solves."""
        rows = range(len(self._partial.listings[name].packages))
        if len(rows) > _SMALL_FAMILY:
            return
        self._partial.read(name, rows)
        packages = [self._partial.package(name, row) for row in rows]
        variants = [variant for package in packages if package is not None for variant in requires_of(package)]
        for other in dict.fromkeys(other for variant in variants for other in variant):
            self._list(other)

    def _read_stale(self, stale: list[str], snapshot: SiteSnapshot, touches: Touches) -> None:
        """List families anew, and read those packages of them that a solve has touched, or that are new."""
        touched = {name: packages for name, _, packages in touches.by_family()} if stale else {}
        for name in stale:
            before = {version for part in self._partial.parts for version in part.versions(name)}
            self._partial.find_everywhere(name)
            self._looks.forget(name)
            self._found.add(name)
            listed = [one.version for one in self._partial.listings[name].packages]
            new = [version for version in listed if version not in before]
            again = [snapshot.reader.package_version(package) for package in touched.get(name, ())]
            for version in (*again, *(new if len(new) <= _SMALL_FAMILY else ())):
                self._partial.read_version(name, version)

    def _read(self, snapshot: SiteSnapshot, packages: list[int]) -> bool:
        """Read those packages that are only listed; return whether there were any."""
        touched: dict[str, list[str]] = {}
        for package in snapshot.unread(packages):
            name, version = snapshot.name_of(package)
            touched.setdefault(name, []).append(version)
        for name, versions in touched.items():
            if snapshot.part is not None and snapshot.part is self._kept_part:
                versions.extend(self._kept_part.versions(name))
                self._partial.find_everywhere(name)
                self._found.add(name)
            for version in versions:
                self._partial.read_version(name, version)
        if touched and self._reach is not None:
            self._reach.go_on(touched)
        return bool(touched)

    # --- rez's objects

    def handle(self, snapshot: Snapshot, variant: int) -> dict[str, Any]:
        """rez's resource handle of a variant, as ``variant.handle.to_dict()`` gives it."""
        assert isinstance(snapshot, SiteSnapshot)
        package = snapshot.reader.variant_package(variant)
        return variant_handle(self._resource(snapshot, package), snapshot.reader.variant_index(variant))

    def package(self, snapshot: Snapshot, package: int) -> Package:
        """rez's object for a package, which has not loaded anything."""
        assert isinstance(snapshot, SiteSnapshot)
        return Package(self._resource(snapshot, package))

    def _resource(self, snapshot: SiteSnapshot, package: int) -> Any:
        name, version = snapshot.name_of(package)
        path = snapshot.path_of(package)
        listed = snapshot.partial.listed(name, version)
        if listed is not None and listed.path == path:
            return listed.resource
        return folder_resource(self._repositories[path], name, version, snapshot.reader.package_uri(package, name))


def _location(place: Any) -> str | None:
    """Where the folders of a repository lie, if it is one of folders."""
    return str(place.location) if place.name() == "filesystem" else None
