"""A repository of which only a part has been read: the families that solves reach, and of those the packages in range.

What is not read yet is marked, so that a solve ends where it would look at it: a family that is mentioned somewhere
with an error of its own, a package that is listed with an error of its one variant. Whoever solves looks at what the
solve touched (`rer_numba.touched`), lets it be read, and solves again. Both marks leave no trace in the end, since a
solve that touched one counts for nothing.

Tables that are complete may lie below: those of repositories that were encoded before. Families are taken from them as
they are listed, without reading anything.

Invariants
----------
- `given` is made of the number of the path and the place within it, so that equal versions go to the earlier path,
  as in rez. A package that has been read comes directly before its own mark, which `link` then drops.
- A family is listed once, a package is read once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from rer_numba.forking import cached_property
from rer_numba.packages import BrokenValue, PackageData
from rer_numba.paths.freshness import source_texts
from rer_numba.reader import Reader
from rer_numba.requests import Lookup
from rer_numba.schema import NONE
from rer_numba.views import Views, family_of_package, views_of

if TYPE_CHECKING:  # where everything is published nothing is linked
    from rer_numba.draft import FactsDraft
    from rer_numba.numbered import Error
    from rer_numba.paths.source_folder import SourceFolder
    from rer_numba.paths.states import FileState
    from rer_numba.schema import Tables

UNREAD = "UnreadError"
"""The type of both marks. No solve that counts ever ends with it."""

_MARK = BrokenValue(UNREAD, "not read yet")
PATH_SHIFT = 40


class Listed(NamedTuple):
    """A package that a listing has found.

    Attributes
    ----------
    version : str
        As spelled; '' is an unversioned package.
    path : int
        Number of the path it lies on.
    place : int
        Place within what that path lists of the family; the same in every listing.
    resource : object
        What the finder reads it from.
    state : FileState or None
        Of its definition file, taken before anything was read. None: it cannot be kept for another process.
    """

    version: str
    path: int
    place: int
    resource: Any
    state: FileState | None = None


class Listing(NamedTuple):
    """What listing a family gives.

    Attributes
    ----------
    packages : list of Listed
        Each version once, in rez's order. None if there is an error.
    error : (str, str) or None
        What listing raises.
    error_path : int
        Number of the path that raises it.
    folders : list of SourceFolder or None
        Where it was found, by the numbers of the paths, and in what state. None: it cannot be kept for another process.
    """

    packages: list[Listed]
    error: Error | None = None
    error_path: int = NONE
    folders: list[SourceFolder] | None = None


class Read(NamedTuple):
    """A package that was read.

    Attributes
    ----------
    package : PackageData
    watched : list of (str, FileState) or None
        What decided about it beside its definition file. None: it cannot be kept for another process.
    """

    package: PackageData
    watched: list[tuple[str, FileState]] | None = None


class Found(NamedTuple):
    """A package in tables.

    Attributes
    ----------
    name, version : str
        Version as spelled.
    path : int
        Number of the path it lies on.
    uri : str
    state : tuple of int
        Of its definition file, as a `FileState`.
    """

    name: str
    version: str
    path: int
    uri: str
    state: tuple[int, int, int, int]


class Finder(Protocol):
    """Looks for packages."""

    def find(self, name: str, more: Collection[int] = ()) -> Listing:
        """List a family, on the paths that no tables answer for, and on more of them. Nothing raises."""

    def read(self, name: str, listed: Listed, *, ahead: bool = False) -> Read | None:
        """Read a package. Nothing raises: what is broken is in it.

        None, if it is read `ahead` of a solve that may never come to it, and code in it would have to run.
        """


class PathFinder(Finder, Protocol):
    """Looks for packages on package paths, ahead of the solves that need them."""

    def begin(self) -> None:
        """Begin another solve: what was read ahead before may have changed since."""

    def package(self, path: int, name: str, version: str, uri: str) -> Listed:
        """A package of tables, to be read anew."""

    def commit(self, names: Iterable[str], packages: Iterable[tuple[str, str]]) -> bool:
        """Settle what a solve has touched; return False if something of it has changed since it was read."""


class Known(Protocol):
    """What a process knows of tables that were encoded, or composed by another process, before.

    Attributes
    ----------
    stale : set of str
        Families whose folder is not what it was.
    changed : set of int
        Packages of other families whose file is not what it was.
    """

    stale: set[str]
    changed: set[int]

    def begin(self) -> None:
        """Begin another solve: what was looked at and has not counted may have changed since."""

    def look(self, families: Iterable[str], packages: Iterable[int]) -> None:
        """Look at what a solve touched, as far as that is not known, and note what has changed."""

    def pin(self, families: Iterable[str], packages: Iterable[int]) -> None:
        """Keep as it is what a solve touched that counts."""

    def watched(self, name: str, package: int) -> list[tuple[str, FileState]]:
        """What is watched beside the folder that a package of a family lies in."""


class Part:
    """Tables that answer for some of the paths.

    Parameters
    ----------
    tables : Tables or Views
    paths : sequence of int
        Number of the path of each of their locations; NONE for a location that is none of the paths.
    known : Known

    Attributes
    ----------
    paths : tuple of int
    known : Known
    left_out : set of str
        Families that must not be taken from here.
    from_elsewhere : frozenset of str
        Those of them that may be hidden by what is on none of the paths: the paths answer for them.
    views : Views
    lookup : Lookup
    """

    def __init__(self, tables: Tables | Views, paths: Sequence[int], known: Known) -> None:
        self.views = views_of(tables)
        self.known = known
        self.paths = tuple(paths)
        self.lookup = Lookup(self.views)
        self._unread = unread_marks(self.views)
        self._versions: dict[str, dict[str, int]] = {}
        self.from_elsewhere = frozenset(self._from_elsewhere())
        self.left_out = {*self.from_elsewhere, *self._only_marked()}

    def _from_elsewhere(self) -> Iterator[str]:
        """Families of which something lies at a location that is none of the paths: it may hide what is on a path."""
        elsewhere = {number for number, path in enumerate(self.paths) if path == NONE}
        if not elsewhere:
            return
        text = source_texts(self.views)
        for row, location in enumerate(self.views.folder_location):
            if location in elsewhere:
                yield text(self.views.folder_name_text[row])

    def _only_marked(self) -> Iterator[str]:
        """Families that whoever composed these tables had not listed."""
        for family, error in enumerate(self.views.family_error) if self._unread else ():
            if error in self._unread:
                yield self.lookup.family_name(family)

    @property
    def is_whole(self) -> bool:
        """Whether every family may be taken from here, and lies on the paths."""
        return not self.left_out and NONE not in self.paths

    def leave_out(self, *names: str) -> None:
        """Take families from elsewhere from now on."""
        self.left_out.update(names)

    def family(self, name: str) -> int:
        """The family with this name, if it is to be taken from here and is complete; or NONE."""
        return NONE if name in self.left_out else self.lookup.family(name)

    def has(self, name: str) -> bool:
        """Return whether there are packages of a family, or an error for it."""
        family = self.family(name)
        if family < 0:
            return False
        first, last = self.packages(name)
        return first < last or self.views.family_error[family] != NONE

    def packages(self, name: str) -> tuple[int, int]:
        """The first package of a family and the one behind its last, left out or not."""
        family = self.lookup.family(name)
        if family < 0:
            return 0, 0
        first, last = self.views.family_package_offsets[family : family + 2]
        return first, last

    def name(self, package: int) -> str:
        """The family of a package."""
        return self.lookup.family_name(family_of_package(self.views, package))

    def version(self, package: int) -> str:
        """The version of a package as spelled."""
        return self.lookup.text(self.views.package_version_text[package])

    def path(self, package: int) -> int:
        """Number of the path that a package lies on."""
        return self.paths[self.views.package_location[package]]

    def uri(self, package: int, name: str) -> str:
        """The uri of a package."""
        return Reader(self.views).package_uri(package, name)

    def names(self) -> list[str]:
        """The families that are to be taken from here and are complete."""
        names = map(self.lookup.family_name, range(self.lookup.n_families))
        return [name for name in names if self.has(name)]

    def versions(self, name: str) -> dict[str, int]:
        """The packages of a family by version as spelled, left out or not; those that are only listed are missing."""
        found = self._versions.get(name)
        if found is None:
            first, views = self.views.package_variant_offsets, self.views
            rows = [row for row in range(*self.packages(name)) if views.variant_error[first[row]] not in self._unread]
            found = self._versions[name] = {self.version(row): row for row in rows}
        return found

    def family_errors(self, name: str) -> list[tuple[int, Error]]:
        """(number of a path, what listing a family raises there), if it does."""
        family = self.family(name)
        row = NONE if family < 0 else self.views.family_error[family]
        if row == NONE:
            return []
        kind, text = self.views.error_type_text[row], self.views.error_value_text[row]
        return [(self.paths[0], (self.lookup.text(kind), self.lookup.text(text)))]


class Partial:
    """What has been read so far.

    Parameters
    ----------
    finder : Finder
    locations : sequence of str
        A name for each path, for the column `location_text`.
    parts : sequence of Part
        Tables to take families from. Of two that have the same package the one on the earlier path counts.
    is_answered : bool
        The parts answer for all paths: a family that they do not know does not exist.

    Attributes
    ----------
    listings : dict
        Family to its listing by the finder.
    progress : int
        Grows with everything that is listed or read, and may hold for other processes as well.
    """

    def __init__(
        self, finder: Finder, locations: Sequence[str], parts: Sequence[Part] = (), *, is_answered: bool = False
    ) -> None:
        self.parts = list(parts)
        self.listings: dict[str, Listing] = {}
        self.progress = 0
        self._finder = finder
        self._locations = list(locations)
        self._is_answered = is_answered and not any(part.from_elsewhere for part in parts)
        self._more: dict[str, set[int]] = {}
        self._fleeting: set[str] = set()
        self._rows: dict[str, dict[str, int]] = {}
        self._read: dict[str, dict[int, Read]] = {}
        self._known: set[Found] = set()

    @cached_property
    def _draft(self) -> FactsDraft:
        """What was listed and read."""
        from rer_numba.draft import FactsDraft

        return FactsDraft()

    @cached_property
    def _evaluated(self) -> FactsDraft:
        """What only this process knows, in the place of marks."""
        from rer_numba.draft import FactsDraft

        return FactsDraft()

    # --- listing and reading

    def find(self, name: str) -> bool:
        """List a family, once; return whether anything was found."""
        if name in self.listings:
            return False
        more = self._more.get(name, set())
        for part in self.parts:
            if name in part.from_elsewhere:
                more = more.union(path for path in part.paths if path != NONE)
        listing = self.listings[name] = self._finder.find(name, more)
        if listing.packages or listing.error is not None or any(part.has(name) for part in self.parts[1:]):
            self.progress += 1  # not for what is nowhere, or is known by the tables of which all else is
        self._rows[name] = {}
        self._read[name] = {}
        if listing.error is not None:
            return True
        for row, listed in enumerate(listing.packages):
            self._rows[name][listed.version] = row
            mark = PackageData.as_found(name, listed.version, requires=_MARK)
            self._add(mark, listed, _given(listed) + 1)
        return bool(listing.packages)

    def find_instead(self, name: str, parts: Iterable[Part]) -> None:
        """Take nothing of a family from some parts any more, and list it on their paths."""
        more = self._more.setdefault(name, set())
        for part in parts:
            part.leave_out(name)
            more.update(path for path in part.paths if path != NONE)
        self.listings.pop(name, None)
        self.find(name)

    def read_instead(self, part: Part, package: int, listed: Listed) -> None:
        """Read a package of a part anew, whose file has changed."""
        name = part.name(package)
        self.progress += 1
        read = self._finder.read(name, listed)
        assert read is not None
        if read.watched is None or not set(read.watched) <= set(part.known.watched(name, package)):
            self._fleeting.add(name)  # its folder in the part does not say what to look at, for another process
        self._add(read.package, listed, (listed.path << PATH_SHIFT) + 2 * part.views.package_given_rank[package])

    def has(self, name: str) -> bool:
        """Return whether one of the parts has a family."""
        return any(part.has(name) for part in self.parts)

    def forget(self, name: str) -> None:
        """Let a family be listed again. What it was counts less then, if the new listing has earlier paths."""
        for known in (self.listings, self._rows, self._read):
            known.pop(name, None)

    def listed(self, name: str, version: str) -> Listed | None:
        """The package that the finder found under a name and a spelling of a version."""
        row = self._rows.get(name, {}).get(version)
        return None if row is None else self.listings[name].packages[row]

    def read(self, name: str, rows: Iterable[int], *, ahead: bool = False) -> bool:
        """Read packages of a listed family that are not read yet; return whether there were any.

        `ahead` of a solve, nothing is read whose code would have to run.
        """
        known = self._read.get(name, {})
        before = len(known)
        for row in [row for row in rows if row not in known]:
            listed = self.listings[name].packages[row]
            found = self._finder.read(name, listed, ahead=ahead)
            if found is not None:
                known[row] = found
                self._add(found.package, listed, _given(listed))
        self.progress += len(known) - before
        return len(known) > before

    def _add(self, package: PackageData, listed: Listed, given: int) -> None:
        from rer_numba.draft import Source

        state = (NONE, NONE, NONE, NONE) if listed.state is None else listed.state
        self._draft.add(package, given, Source(listed.path, *state))

    def read_version(self, name: str, version: str, *, ahead: bool = False) -> bool:
        """Read one package, if the finder has it and it is not read yet."""
        row = self._rows.get(name, {}).get(version)
        return row is not None and self.read(name, (row,), ahead=ahead)

    def evaluate(self, found: Found, mark: BrokenValue) -> PackageData | None:
        """Ask this process what a package says that has only a mark; None if that was done before."""
        from rer_numba.process_packages import evaluate

        if found in self._known or self._part_of(found) is None:  # then it is read by the finder, where it still is
            return None
        self._known.add(found)
        package = evaluate(self._locations[found.path], found.name, found.version, mark, found.uri)
        self._put(self._evaluated, package, found)
        return package

    def _put(self, draft: FactsDraft, package: PackageData, found: Found) -> None:
        """Put a package in the place of the one that is there."""
        from rer_numba.draft import Source

        draft.add(package, self._given(found), Source(found.path, *found.state))

    def _part_of(self, found: Found) -> Part | None:
        """The part that a package is taken from."""
        return next((part for part in self.parts if found.path in part.paths and part.has(found.name)), None)

    def _given(self, found: Found) -> int:
        listed = self.listed(found.name, found.version)
        if listed is not None and listed.path == found.path:
            return _given(listed)
        part = self._part_of(found)
        assert part is not None
        row = part.versions(found.name)[found.version]
        return (found.path << PATH_SHIFT) + 2 * part.views.package_given_rank[row]

    def package(self, name: str, row: int) -> PackageData | None:
        """A package that has been read."""
        found = self._read.get(name, {}).get(row)
        return None if found is None else found.package

    # --- tables

    def tables(
        self,
        roots: Iterable[str] | None = None,
        *,
        most_ahead: int | None = None,
        to_keep: bool = False,
        late: Iterable[tuple[Found, PackageData]] = (),
    ) -> Views:
        """Tables of some families, with marks for what is not read.

        Parameters
        ----------
        roots : iterable of str, optional
            Families. None: all that there are.
        most_ahead : int, optional
            Of the families that solves can reach from these, by any version, as many are taken as have no more packages
            of tables than that; the others are marked as well. None: all.
        to_keep : bool
            For another process: without what it must read for itself.
        late : iterable of (Found, PackageData)
            What packages say in a solve whose late functions have been called.
        """
        left_out = self._fleeting_families() if to_keep else set()
        from rer_numba.compose import DraftPart, TablesPart, compose
        from rer_numba.draft import FactsDraft

        called = FactsDraft()
        for found, package in late:
            self._put(called, package, found)
        mark = (_MARK.error_type, _MARK.text)
        return compose(
            [
                called,
                *(() if to_keep or not self._known else (self._evaluated,)),
                DraftPart(self._draft, self._folders(left_out), left_out),
                *(TablesPart(part.views, part.paths, None, part.left_out | left_out) for part in self.parts),
            ],
            closure_of=None if roots is None else roots if most_ahead is None else [*roots, *self.listings],
            most_ahead=most_ahead,
            family_errors={**self._family_errors(left_out), **dict.fromkeys(left_out, mark)},
            unlisted_error=mark if left_out or not self._is_answered or most_ahead is not None else None,
            listed=self.listings.keys() - left_out,
            locations=self._locations,
        )

    def lasts(self) -> bool:
        """Return whether everything that was listed and read holds for other processes too."""
        return not self._known and not self._fleeting_families()

    def _fleeting_families(self) -> set[str]:
        return {name for name in self.listings if not self._is_lasting(name)} | self._fleeting

    def _folders(self, left_out: set[str]) -> list[SourceFolder]:
        """The folders of the families that were listed here."""
        found = []
        for name, listing in self.listings.items():
            for folder in () if name in left_out else listing.folders or ():
                watched = [
                    watch
                    for row, read in self._read[name].items()
                    if listing.packages[row].path == folder.location
                    for watch in read.watched or ()
                ]
                found.append(replace(folder, watched=(*folder.watched, *watched)))
        return found

    def _is_lasting(self, name: str) -> bool:
        """Return whether what was listed and read of a family holds for other processes too."""
        listing = self.listings[name]
        if listing.folders is None or listing.error is not None:
            return False
        return all(read.watched is not None for read in self._read[name].values())

    def _family_errors(self, left_out: set[str]) -> dict[str, Error]:
        """What listing raises, of those families that are listed: the error on the earliest path."""
        found: dict[str, Error] = {}
        for name, listing in self.listings.items():
            errors = [error for part in self.parts for error in part.family_errors(name)]
            if listing.error is not None:
                errors.append((listing.error_path, listing.error))
            if errors and name not in left_out:
                found[name] = min(errors)[1]
        return found


def unread_marks(views: Views) -> set[int]:
    """The errors that stand for a package that is not read: rows of `error_type_text`."""
    lookup = Lookup(views)
    return {row for row, text in enumerate(views.error_type_text) if lookup.text(text) == UNREAD}


def _given(listed: Listed) -> int:
    return (listed.path << PATH_SHIFT) + 2 * listed.place
