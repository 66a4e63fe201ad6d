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
- What a solve touched and `settle` returned False for is what rez would find now, within what rez remembers, and stays
  so: see `rer_numba.rez_bridge.memory` and `rer_numba.rez_bridge.pinned`.
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

from rer_numba.options import SolveOptions
from rer_numba.partial import Listed, Partial, unread_marks
from rer_numba.paths.settings import PathSettings
from rer_numba.reach import Reach, requires_of
from rer_numba.reader import Reader
from rer_numba.requirements import Requirement, RequirementList, is_valid_package_name
from rer_numba.rez_bridge.found import RezFinder, folder_resource, variant_handle
from rer_numba.rez_bridge.published import VARIABLE, Published, published_for
from rer_numba.rez_bridge.watch import Watch
from rer_numba.schema import NONE
from rer_numba.snapshot import Snapshot
from rer_numba.touched import Touched
from rer_numba.version_order import Version, version_key
from rer_numba.views import Views

if TYPE_CHECKING:
    from rer_numba.schema import Tables

_REMEMBERED = 16
"""How many sites a process keeps."""
_SMALL_FAMILY = 50
"""How many packages are read without a solve that needs them."""
_LINKS_OF_PARTS = 2
"""How often only those families of a published repository are linked that solves have come to; after that all."""

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
    found : set of str, optional
        Families that were found by then where nothing is published. None: the tables are those of a published
        repository, as they are.
    first_path : int
        Number of the path of the first location.
    """

    def __init__(
        self, tables: Tables | Views, partial: Partial, found: set[str] | None = None, *, first_path: int = 0
    ) -> None:
        super().__init__(tables)
        self.reader = Reader(self.views)
        self.partial = partial
        self.is_whole = found is None
        self._found = frozenset(found or ())
        self._marked = frozenset() if found is None else frozenset(partial.unlisted)
        self._first_path = first_path
        self._unread = set() if found is None else unread_marks(self.views)
        self.checked: set[int] = set()
        self.settled: set[int | str] = set()

    def lacks(self, name: str, found: set[str]) -> bool:
        """Tell whether a family is missing in it: it is marked, or was found since somewhere else."""
        return name in self._marked or (name in found and name not in self._found)

    def name_of(self, package: int) -> tuple[str, str]:
        """(family, version as spelled) of a package."""
        return self.reader.package_family_name(package), self.reader.package_version(package)

    def path_of(self, package: int) -> int:
        """Number of the path that a package lies on."""
        return self._first_path + self.views.package_location[package]

    def unread(self, packages: list[int]) -> list[int]:
        """Those of some packages that are only listed."""
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
        How often tables have been made.
    """

    def __init__(self, paths: Sequence[str], settings: PathSettings) -> None:
        self.paths = tuple(paths)
        self.waves = 0
        self._lock = RLock()
        self._settings = settings
        self._repositories = [package_repository_manager.get_repository(path) for path in self.paths]
        self._watches = [Watch(path, place) for path, place in zip(self.paths, self._repositories, strict=True)]
        self._published = published_for(self._repositories, settings)
        self._begin()

    def _begin(self) -> None:
        """Nothing is read; the largest published repository is solved from as it is."""
        answered = {path for one in self._published for path in one.paths}
        seen: set[tuple[Any, ...]] = set()
        open_paths = []
        for number, place in enumerate(self._repositories):
            if number not in answered and place.uid not in seen:
                open_paths.append((number, place))
            seen.add(place.uid)
        self._extents = self._known_to_have_changed()
        self._finder = RezFinder(open_paths, self._published, self._repositories)
        encoded = [one.encoded for one in self._published]
        self._links = 0
        self._found: set[str] = set()
        self._partial = Partial(self._finder, [place.location for place in self._repositories], encoded)
        if self._published:
            largest = self._published[0]
            self.snapshot = SiteSnapshot(largest.views, self._partial, first_path=largest.paths.start)
        else:
            self._link()
        self._reach = None if self._published else Reach(self._partial)

    def _link(self) -> None:
        self.waves += 1
        self._links += 1
        self._partial.uses_whole_base = self._links > _LINKS_OF_PARTS
        self.snapshot = SiteSnapshot(self._partial.tables(), self._partial, self._found)

    def is_current(self) -> bool:
        """Tell whether rez still remembers what it has read on these paths. Costs some microseconds for each path."""
        if not all(watch.is_current() for watch in self._watches):
            return False
        others = RezFinder([one for one in self._finder.repositories if one[1].name() != "filesystem"])
        return not others.repositories or all(
            self._lists_as_before(name, listing.packages, others) for name, listing in self._partial.listings.items()
        )

    def _lists_as_before(self, name: str, packages: Iterable[Listed], others: RezFinder) -> bool:
        """List a family again where rez does so for each solve; the objects must be the same ones."""
        now = others.find(name).packages
        numbers = {number for number, _ in others.repositories}
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
            self._finder.begin()
            for one in self._published:
                one.known.begin()
            if self._extents != self._known_to_have_changed():
                self._begin()
            if self._reach is not None:
                if self._reach.begin(request):
                    self._link()
                return
            names = [one.name for one in request]
            for name in names:
                self._list(name)
            if self._must_link(names):
                if self._published and not self._links:
                    self._rehearse(list(request))
                self._link()

    def _must_link(self, names: list[str]) -> bool:
        """Tell whether a solve that begins with these families would come to nothing."""
        if not any(self.snapshot.lacks(name, self._found) for name in names):
            return False
        # a solve of what is published tells which families are needed, if it gets anywhere
        return not self.snapshot.is_whole or not all(map(self._published[0].encoded.has, names))

    def _rehearse(self, request: list[Requirement]) -> None:
        """List the published families that a solve will probably come to, which costs less than to link all.

        In the place of a family that is not published stands what its newest package requires.
        """
        has = self._published[0].encoded.has
        wanted = RequirementList(())
        for one in request:
            for stand_in in (one,) if has(one.name) else self._newest_requires(one):
                more = RequirementList([*wanted, stand_in])
                wanted = wanted if more.conflict else more
        known = RequirementList([one for one in wanted if has(one.name)])
        solve = self.snapshot.begin(known, SolveOptions(), self.paths)
        try:
            solve.run()
            names = [one for one in solve.touched().families if isinstance(one, int)]
        finally:
            solve.close()
        for name in names:
            self._list(self.snapshot.reader.family_name(name))

    def _newest_requires(self, one: Requirement) -> list[Requirement]:
        """What the first variant of the newest package of a family requires, if that has been read."""
        listing = self._partial.listings.get(one.name)
        rows = [
            (version_key(listed.version), row)
            for row, listed in enumerate(listing.packages if listing else ())
            if one.range is not None and one.range.contains_version(Version(listed.version))
        ]
        package = self._partial.package(one.name, max(rows)[1]) if rows and not one.conflict else None
        variants = requires_of(package) if package is not None else []
        return [requirement for group in variants[:1] for some in group.values() for requirement in some]

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
            families = [one for one in touched.families if one not in snapshot.settled]
            packages = [one for one in (*touched.packages, *touched.hidden) if one not in snapshot.checked]
            if not families and not packages:
                return False
            names = [one if isinstance(one, str) else snapshot.reader.family_name(one) for one in families]
            if self._differs(snapshot, names, packages):
                self._begin()
                return True
            for name in names:
                self._list(name)
            is_short = any(snapshot.lacks(name, self._found) for name in names)
            if self._read(snapshot, packages) or is_short:
                self._link()
                return True
            if not self._finder.commit(names, map(snapshot.name_of, packages)):
                self._begin()  # something that was read ahead has changed before a solve came to it
                return True
            for one in self._published:
                one.known.pin(names, self._packages_in(one, snapshot, packages))
            errors = snapshot.views.package_error
            snapshot.settled.update(families)
            snapshot.checked.update(package for package in packages if errors[package] == NONE)
            return False

    # --- reading

    def _list(self, name: str) -> bool:
        """List a family; tell whether anything was found that is not published."""
        if name in self._partial.listings or not is_valid_package_name(name):
            return False
        found = self._partial.find(name) or any(one.encoded.is_outdated(name) for one in self._published)
        if found:
            self._found.add(name)
            if self._published:
                self._read_overlay(name)
        return found

    def _read_overlay(self, name: str) -> None:
        """Read a small family beside published ones at once, and those that it mentions: linking costs more."""
        rows = range(len(self._partial.listings[name].packages))
        if len(rows) > _SMALL_FAMILY:
            return
        self._partial.read(name, rows)
        packages = [self._partial.package(name, row) for row in rows]
        variants = [variant for package in packages if package is not None for variant in requires_of(package)]
        for other in dict.fromkeys(other for variant in variants for other in variant):
            self._list(other)

    def _read(self, snapshot: SiteSnapshot, packages: list[int]) -> bool:
        """Read those packages that are only listed; tell whether there were any."""
        touched: dict[str, list[str]] = {}
        for package in snapshot.unread(packages):
            name, version = snapshot.name_of(package)
            touched.setdefault(name, []).append(version)
            self._partial.read_version(name, version)
        if touched and self._reach is not None:
            self._reach.go_on(touched)
        return bool(touched)

    # --- published repositories

    def _differs(self, snapshot: SiteSnapshot, names: list[str], packages: list[int]) -> bool:
        """Look whether published packages are what they were, as far as a solve saw them and they are not known yet."""
        for one in self._published:
            if one.known.look(names, self._packages_in(one, snapshot, packages)):
                one.known.renew()
        return self._extents != self._known_to_have_changed()

    def _known_to_have_changed(self) -> list[tuple[int, int]]:
        """How much is known to have changed of each published repository, by solves on any list of paths."""
        return [(len(one.known.stale), len(one.known.changed)) for one in self._published]

    def _packages_in(self, one: Published, snapshot: SiteSnapshot, packages: list[int]) -> list[int]:
        """The packages that came from a published repository, as its own rows."""
        if snapshot.is_whole:
            return packages if one is self._published[0] else []
        known = one.known
        rows = [one.row(*snapshot.name_of(package)) for package in packages if snapshot.path_of(package) in one.paths]
        return [row for row in rows if row is not None and row not in known.changed]

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
