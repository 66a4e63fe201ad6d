"""Tables that answer for package paths, put together as far as solves reach.

An `Assembly` stands for a list of package paths. What parts answer for, tables that were encoded before, is taken from
there; all other paths are looked at by a finder, family by family, and so is what has changed since a part was encoded.
The way to use one::

    assembly.prepare(request)
    while True:
        snapshot = assembly.snapshot
        ... solve on it ...
        if not assembly.settle(snapshot, touched(session)):
            break

Invariants
----------
- What a solve touched and `settle` returned False for is what the finder and the folders say now.
- Nothing is listed or read that no solve has touched, but for small families beside those that it has; and no code of
  a package runs that no solve has touched.
- Where a single part answers for everything that a solve touches, it is solved from as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from rer_numba.forking import Lock
from rer_numba.packages import PROCESS, BrokenValue
from rer_numba.partial import Found, Known, Part, Partial, PathFinder, unread_marks
from rer_numba.paths.guard import Touches
from rer_numba.reach import Reach, requires_of
from rer_numba.reader import Reader
from rer_numba.requirements import Requirement, is_valid_package_name
from rer_numba.schema import NONE
from rer_numba.snapshot import Snapshot
from rer_numba.touched import Touched
from rer_numba.views import Views

if TYPE_CHECKING:
    from rer_numba.packages import PackageData
    from rer_numba.schema import Tables

_SMALL_FAMILY = 50
"""How many packages are read without a solve that needs them."""
_MOST_AHEAD = 2000
"""So many packages of tables are composed ahead of the solves that may touch them; that many cost about two waves."""
_MOST_STATES = 8
"""So often tables are composed of what solves have touched; then of all that it can reach, which ends the waves."""
_MOST_REQUESTS = 8
"""So many requests are answered from those families alone that they can reach; after that all are composed."""


class Keeper(Protocol):
    """Keeps composed tables for the processes that follow."""

    def part(self) -> Part | None:
        """Tables for all paths, of the families that solves of other processes have reached."""

    def may_keep(self, progress: int) -> bool:
        """Return whether it is time to keep tables again that have come so far."""

    def keep(self, views: Views, progress: int) -> None:
        """Keep tables. Nothing raises."""


class AssembledSnapshot(Snapshot):
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
    state : int
        Number of the assembly's state that they show.

    Attributes
    ----------
    handles : dict
        What whoever uses the snapshot has made of its variants to hand it out.
    """

    def __init__(
        self,
        tables: Tables | Views,
        partial: Partial,
        part: Part | None = None,
        found: Iterable[str] = (),
        state: int = 0,
    ) -> None:
        super().__init__(tables)
        self.reader = Reader(self.views)
        self.partial = partial
        self.part = part
        self.state = state
        self._found = frozenset(found)
        self._unread = unread_marks(self.views)
        self.settled_families: set[int | str] = set()
        self.settled_packages: set[int] = set()
        self.handles: dict[int, dict[str, Any]] = {}

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

    def found(self, package: int) -> Found:
        """Where a package comes from."""
        name, version = self.name_of(package)
        views = self.views
        columns = views.package_inode, views.package_mtime, views.package_size, views.package_ctime
        inode, mtime, size, ctime = (column[package] for column in columns)
        uri = self.reader.package_uri(package, name)
        return Found(name, version, self.path_of(package), uri, (inode, mtime, size, ctime))

    def with_error(
        self, packages: Iterable[int], error_type: str, *, building: bool = False
    ) -> list[tuple[int, BrokenValue]]:
        """Those of some packages that raise an error of a type, in themselves or in a variant, and that error."""
        views = self.views
        of_variants = views.building_variant_error if building and views.building_variant_error else views.variant_error
        kinds = {row for row, text in enumerate(views.error_type_text) if self.reader.text(text) == error_type}
        found = []
        for package in packages if kinds else ():
            variants = of_variants[slice(*views.package_variant_offsets[package : package + 2])]
            errors = (views.package_error[package], views.package_timestamp_error[package], *variants)
            row = next((row for row in errors if row in kinds), None)
            if row is not None:
                found.append((package, BrokenValue(*self.reader.error(row))))
        return found

    def family_error_type(self, name: str) -> str | None:
        """The type of the error that listing a family raises."""
        family = self.reader.family(name)
        row = NONE if family < 0 else self.views.family_error[family]
        return None if row == NONE else self.reader.error(row)[0]

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


class Assembly:
    """See the head of this module. May be used from several threads.

    Parameters
    ----------
    locations : sequence of str
        The paths, as the finder spells them.
    tables : sequence of (Views, sequence of int, Known)
        That answer for some of the paths, no two for the same one: columns, the number of the path of each location
        (NONE for one that is none of the paths), and what this process knows of them.
    finder : PathFinder
        Knows the paths by their places in `locations`.
    keeper : Keeper
    is_answered : bool
        The tables answer for all paths.

    Attributes
    ----------
    partial : Partial
        What has been read.
    waves : int
        How often tables have been composed.
    is_doubtful : bool
        What was read cannot be believed.
    """

    def __init__(
        self,
        locations: Sequence[str],
        tables: Sequence[tuple[Views, Sequence[int], Known]],
        finder: PathFinder,
        keeper: Keeper,
        *,
        is_answered: bool,
    ) -> None:
        self.waves = 0
        self._state = 0
        self._n_requests = 0
        self._is_new_request = True
        self._lock = Lock(self._doubt)
        self.is_doubtful = False
        self._locations = locations
        self._tables = tables
        self._finder = finder
        self._keeper = keeper
        self._is_answered = is_answered
        self._roots: dict[str, None] = {}
        self._closes = False
        self._composed: AssembledSnapshot | None = None
        self._begin()

    def _doubt(self) -> None:
        """In a child of fork: another thread of the parent was in the middle of reading or composing."""
        self.is_doubtful = True

    def _begin(self) -> None:
        """Nothing is read; some of the tables are solved from as they are, where that is possible."""
        parts = [Part(*one) for one in self._tables]
        whole = next((part for part in parts if part.is_whole), None)
        self._kept_part = self._keeper.part()
        if self._kept_part is not None:
            whole = self._kept_part
            for part in parts:
                part.leave_out(*whole.names())
            parts = [whole, *parts]
        self._found: set[str] = set()
        self._changed: set[tuple[str, str]] = set()
        self.partial = Partial(self._finder, self._locations, parts, is_answered=self._is_answered)
        self._reach = None if parts else Reach(self.partial)
        self._go_on()
        is_one = whole is not None and (whole is self._kept_part or len(parts) == 1)
        self._known_progress = self.partial.progress if is_one else NONE
        if whole is not None:
            self._composed = AssembledSnapshot(whole.views, self.partial, whole, state=self._state)

    def _go_on(self) -> None:
        """Have tables composed when they are next asked for."""
        self._state += 1
        self._closes = self._closes or self._state > _MOST_STATES
        self._composed = None

    @property
    def snapshot(self) -> AssembledSnapshot:
        """What to solve from now."""
        with self._lock:
            if self._composed is None:
                self._composed = self._compose()
            return self._composed

    def _compose(self, late: Iterable[tuple[Found, PackageData]] = ()) -> AssembledSnapshot:
        self.waves += 1
        self._n_requests += self._is_new_request
        self._is_new_request = False
        # by reach for the first requests, however many waves each takes: no cost may grow with the site
        roots = self._roots if self._n_requests <= _MOST_REQUESTS else None
        tables = self.partial.tables(roots, most_ahead=self._most_ahead(), late=late)
        return AssembledSnapshot(tables, self.partial, None, self._found, self._state)

    def _most_ahead(self) -> int | None:
        return None if self._closes else _MOST_AHEAD

    # --- around a solve

    def prepare(self, request: Iterable[Requirement]) -> None:
        """Read what a solve of a request will look at first. Saves solves that would come to nothing.

        Parameters
        ----------
        request : iterable of Requirement
            Merged.
        """
        with self._lock:
            self._is_new_request = True
            self._finder.begin()
            for part in self.partial.parts:
                part.known.begin()
            if self._reach is not None:
                if self._reach.begin(request):
                    self._take_in(one.name for one in request)
                    self._closes = True
                    self._go_on()
                return
            names = [one.name for one in request]
            for name in names:
                self._list(name)
            if any(self.snapshot.lacks(name, self._found) for name in names):
                self._take_in(names)
                self._closes = True  # nobody knows what the solve will touch
                self._go_on()

    def snapshot_with(self, late: Iterable[tuple[Found, PackageData]], names: Iterable[str]) -> AssembledSnapshot:
        """Add what packages say in one solve, whose late functions have been called.

        Parameters
        ----------
        late : iterable of (Found, PackageData)
        names : iterable of str
            The families that the solve has touched so far.
        """
        late = list(late)
        with self._lock:
            self._take_in(names)
            self._take_in_required(package for _, package in late)
            return self._compose(late)

    def settle(self, snapshot: Snapshot, touched: Touched, *, is_done: bool = True, asks_process: bool = False) -> bool:
        """Look at what a solve touched.

        Parameters
        ----------
        snapshot : Snapshot
            That was solved from.
        touched : Touched
            Of the solve, however it ended, and whatever else it has looked at: all packages of a family whose release
            times decided about their order.
        is_done : bool
            The solve has come to its end. Only then is anything kept for other processes.
        asks_process : bool
            It has come to something that only this process knows.

        Returns
        -------
        bool
            Something was missing, hidden by another path, or stale. `snapshot` is another one: solve again.
        """
        with self._lock:
            assert isinstance(snapshot, AssembledSnapshot)
            if self.is_doubtful:  # the thread that forked was in a solve, and begins it again
                self.is_doubtful = False
                self._begin()
                return True
            if snapshot.state != self._state:
                return True  # another thread has read more
            families = [one for one in touched.families if one not in snapshot.settled_families]
            packages = [one for one in (*touched.packages, *touched.hidden) if one not in snapshot.settled_packages]
            if not (families or packages or asks_process):
                if is_done:
                    self._keep()
                return False
            names = [one if isinstance(one, str) else snapshot.reader.family_name(one) for one in families]
            for name in names:
                self._list(name)
            rows = self._rows_of_parts(snapshot, packages)
            is_outdated = self._look(names, rows)
            is_short = any(snapshot.lacks(name, self._found) for name in names)
            is_known = not asks_process or not self._evaluate(snapshot, names, touched)
            if self._read(snapshot, packages) or is_outdated or is_short or not is_known:
                self._take_in(names)
                self._go_on()
                return True
            if not self._finder.commit(names, map(snapshot.name_of, packages)):
                self._begin()  # something that was read ahead has changed before a solve came to it
                return True
            for part, own in rows:
                part.known.pin([name for name in names if name not in part.left_out], own)
            errors = snapshot.views.package_error
            snapshot.settled_families.update(families)
            snapshot.settled_packages.update(package for package in packages if errors[package] == NONE)
            if is_done:
                self._keep()
            return False

    def _rows_of_parts(self, snapshot: AssembledSnapshot, packages: list[int]) -> list[tuple[Part, list[int]]]:
        """The packages of a snapshot that come from each part, as its own rows."""
        if snapshot.part is not None:
            return [(part, packages if part is snapshot.part else []) for part in self.partial.parts]
        return [(part, self._rows_of(part, snapshot, packages)) for part in self.partial.parts]

    def _rows_of(self, part: Part, snapshot: AssembledSnapshot, packages: list[int]) -> list[int]:
        found = []
        touches = Touches(snapshot.views, packages, snapshot.reader.family_name)
        for name, _, own in touches.by_family():
            if part.has(name):
                versions = part.versions(name)
                for package in own:
                    row = versions.get(snapshot.reader.package_version(package))
                    if row is not None and part.path(row) == snapshot.path_of(package):  # else another path hides it
                        found.append(row)
        return found

    def _look(self, names: list[str], rows: list[tuple[Part, list[int]]]) -> bool:
        """Look whether the parts are still as they were, as far as a solve saw them; read again what is not."""
        is_outdated = False
        for part, own in rows:
            mine = [name for name in names if name not in part.left_out]
            part.known.look(mine, own)
            for name in mine if part.known.stale else ():
                if name in part.known.stale:
                    self._read_stale(part, name, own)
                    is_outdated = True
            for row in own if part.known.changed else ():
                if row in part.known.changed and self._read_changed(part, row):
                    is_outdated = True
        return is_outdated

    def _take_in(self, names: Iterable[str]) -> None:
        """Compose tables for these families too from now on."""
        self._roots.update(dict.fromkeys(names))

    def _take_in_required(self, packages: Iterable[PackageData]) -> None:
        """The same for families that packages require which nobody knew before: the solve comes to them next."""
        names = {other: None for package in packages for variant in requires_of(package) for other in variant}
        for name in names:
            self._list(name)
        self._take_in(names)

    def _keep(self) -> None:
        """Keep what was composed for the next process, if it says anything new."""
        is_composed = self._composed is None or self._composed.part is None
        is_new = is_composed and self.partial.progress != self._known_progress  # else one part says it all
        if not is_new or not self._keeper.may_keep(self.partial.progress):
            return
        if self.partial.lasts():
            views = self.snapshot.views
        else:
            views = self.partial.tables(self._roots, most_ahead=self._most_ahead(), to_keep=True)
        self._keeper.keep(views, self.partial.progress)

    # --- reading

    def _list(self, name: str) -> bool:
        """List a family where nothing answers for it; return whether anything was found."""
        if name in self.partial.listings or not is_valid_package_name(name):
            return False
        if self._kept_part is not None and self._kept_part.has(name):
            return False  # on all paths: what has changed since is stale
        found = self.partial.find(name)
        if found:
            self._found.add(name)
            if self._kept_part is not None:
                self._kept_part.leave_out(name)  # which says nothing of it
            if self._reach is None:
                self._read_overlay(name)
        return found

    def _read_overlay(self, name: str) -> None:
        """Read a small family beside published ones at once, and list those that it mentions: this saves solves."""
        rows = range(len(self.partial.listings[name].packages))
        if len(rows) > _SMALL_FAMILY:
            return
        self.partial.read(name, rows, ahead=True)
        packages = [self.partial.package(name, row) for row in rows]
        variants = [variant for package in packages if package is not None for variant in requires_of(package)]
        for other in dict.fromkeys(other for variant in variants for other in variant):
            self._list(other)

    def _read_stale(self, part: Part, name: str, touched: list[int]) -> None:
        """List a family anew, and read those packages of it that a solve has touched, or that are new."""
        before = part.versions(name)
        family = range(*part.packages(name))
        again = [part.version(row) for row in touched if row in family]
        self.partial.find_instead(name, self.partial.parts if part is self._kept_part else [part])
        self._found.add(name)
        listed = [one.version for one in self.partial.listings[name].packages]
        new = [version for version in listed if version not in before]
        for version in again:
            self.partial.read_version(name, version)
        for version in new if len(new) <= _SMALL_FAMILY else ():
            self.partial.read_version(name, version, ahead=True)

    def _read_changed(self, part: Part, row: int) -> bool:
        """Read a package of a part again whose file has changed; return whether that was not done before."""
        name, version = part.name(row), part.version(row)
        if (name, version) in self._changed or name in part.left_out:
            return False
        self._changed.add((name, version))
        listed = self._finder.package(part.path(row), name, version, part.uri(row, name))
        self.partial.read_instead(part, row, listed)
        return True

    def _read(self, snapshot: AssembledSnapshot, packages: list[int]) -> bool:
        """Read those packages that are only listed; return whether there were any."""
        touched: dict[str, list[str]] = {}
        for package in snapshot.unread(packages):
            name, version = snapshot.name_of(package)
            touched.setdefault(name, []).append(version)
        for name, versions in touched.items():
            known: Iterable[str] = ()
            if self._kept_part is not None and self._kept_part.has(name):
                known = self._kept_part.versions(name)
                self.partial.find_instead(name, self.partial.parts)
                self._found.add(name)
            for version in versions:
                self.partial.read_version(name, version)
            for version in known:
                self.partial.read_version(name, version, ahead=True)
        if touched and self._reach is not None:
            self._reach.go_on(touched)
        return bool(touched)

    def _evaluate(self, snapshot: AssembledSnapshot, names: list[str], touched: Touched) -> bool:
        """Ask this process what the marks stand for that a solve has come to; return whether there were any."""
        marked = snapshot.with_error(touched.packages, PROCESS) or snapshot.with_error(touched.hidden, PROCESS)
        evaluated = [self.partial.evaluate(snapshot.found(package), mark) for package, mark in marked]
        self._take_in_required(package for package in evaluated if package is not None)
        done = [package is not None for package in evaluated]
        for name in names:
            if snapshot.family_error_type(name) == PROCESS:
                self.partial.find_instead(name, self.partial.parts)
                self._found.add(name)
                done.append(True)
        if any(done):
            self._take_in(names)
        return any(done)
