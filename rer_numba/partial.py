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

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from rer_numba.packages import BrokenValue, PackageData
from rer_numba.requests import Lookup
from rer_numba.schema import NONE, Tables
from rer_numba.views import Views, tables_of, views_of

if TYPE_CHECKING:  # where everything is published nothing is linked, and numpy is not needed
    from rer_numba.encode import FactsDraft
    from rer_numba.facts import Error, Facts

UNREAD = "UnreadError"
"""The type of both marks. No solve that counts ever ends with it."""

_MARK = BrokenValue(UNREAD, "not read yet")
_PATH_SHIFT = 40


class Listed(NamedTuple):
    """A package that a listing has found.

    Attributes
    ----------
    version : str
        As spelled; '' is an unversioned package.
    path : int
        Number of the path it lies on.
    resource : object
        What the finder reads it from.
    """

    version: str
    path: int
    resource: Any


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
    """

    packages: list[Listed]
    error: Error | None = None
    error_path: int = NONE


class Finder(Protocol):
    """Looks for packages, on all paths that no tables answer for."""

    def find(self, name: str) -> Listing:
        """List a family. Nothing raises."""

    def read(self, name: str, listed: Listed) -> PackageData:
        """Read a package. Nothing raises: what is broken is in it."""


class Encoded:
    """Tables that are complete for some of the paths.

    Parameters
    ----------
    tables : Tables or Views
    paths : sequence of int
        Number of the path of each of their locations.
    """

    def __init__(self, tables: Tables | Views, paths: Sequence[int]) -> None:
        self._views = views_of(tables)
        self._paths = paths
        self.lookup = Lookup(self._views)

    def has(self, name: str) -> bool:
        """Tell whether they have packages of a family, or an error for it."""
        family = self.lookup.family(name)
        if family < 0:
            return False
        first, last = self._views.family_package_offsets[family : family + 2]
        return first < last or self._views.family_error[family] != NONE

    def family_errors(self, name: str) -> list[tuple[int, Error]]:
        """(number of a path, what listing a family raises there), if it does."""
        family = self.lookup.family(name)
        row = NONE if family < 0 else self._views.family_error[family]
        if row == NONE:
            return []
        kind, text = self._views.error_type_text[row], self._views.error_value_text[row]
        return [(self._paths[0], (self.lookup.text(kind), self.lookup.text(text)))]

    def facts(self, names: Iterable[str] | None = None) -> Facts:
        """What they say of some families, or of all, with `given` and `location` by the numbers of the paths."""
        import numpy as np

        from rer_numba.facts import facts_of_tables

        tables = tables_of(self._views)
        families = np.arange(len(tables.family_text))
        if names is not None:
            families = np.array(sorted(row for row in map(self.lookup.family, names) if row >= 0), np.int64)
        wanted = np.zeros(len(tables.family_text), bool)
        wanted[families] = True
        of_package = np.repeat(np.arange(len(wanted)), np.diff(tables.family_package_offsets))
        facts = facts_of_tables(tables, np.flatnonzero(wanted[of_package]), families)
        path = np.array(self._paths, np.int64)[facts.packages["location"]]
        facts.packages["location"] = path
        facts.packages["given"] = (path << _PATH_SHIFT) + 2 * facts.packages["given"]
        return facts


class Partial:
    """What has been read so far.

    Parameters
    ----------
    finder : Finder
    locations : sequence of str
        A name for each path, for the column `location_text`.
    encoded : sequence of Encoded
        The largest first. Of each the families that are listed; of the first one all, if `uses_whole_base` is set.

    Attributes
    ----------
    listings : dict
        Family to its listing by the finder.
    unlisted : set of str
        Families that are marked in the tables that `tables` gave last.
    uses_whole_base : bool
        Whether all families of the first of `encoded` shall be in the tables.
    progress : int
        Grows with everything that is listed or read.
    """

    def __init__(self, finder: Finder, locations: Sequence[str], encoded: Sequence[Encoded] = ()) -> None:
        self.listings: dict[str, Listing] = {}
        self.unlisted: set[str] = set()
        self.uses_whole_base = False
        self.progress = 0
        self._finder = finder
        self._locations = list(locations)
        self._base = encoded[0] if encoded else None
        self._others = list(encoded[1:])
        self._rows: dict[str, dict[str, int]] = {}
        self._read: dict[str, dict[int, PackageData]] = {}

    @cached_property
    def _draft(self) -> FactsDraft:
        from rer_numba.encode import FactsDraft

        return FactsDraft()

    # --- listing and reading

    def find(self, name: str) -> bool:
        """List a family, once; tell whether anything was found that the first of `encoded` does not have."""
        listing = self.listings.get(name)
        if listing is not None:
            return False
        listing = self.listings[name] = self._finder.find(name)
        self.progress += 1
        if listing.error is not None:
            return True
        self._rows[name] = {listed.version: row for row, listed in enumerate(listing.packages)}
        self._read[name] = {}
        for row, listed in enumerate(listing.packages):
            mark = PackageData.as_found(name, listed.version, requires=_MARK)
            self._add(mark, listed, _given(listed, row) + 1)
        return bool(listing.packages) or any(other.has(name) for other in self._others)

    def forget(self, name: str) -> None:
        """Let a family be listed again. What it was counts less then, if the new listing has earlier paths."""
        for known in (self.listings, self._rows, self._read):
            known.pop(name, None)

    def listed(self, name: str, version: str) -> Listed | None:
        """The package that the finder found under a name and a spelling of a version."""
        row = self._rows.get(name, {}).get(version)
        return None if row is None else self.listings[name].packages[row]

    def read(self, name: str, rows: Iterable[int]) -> bool:
        """Read packages of a listed family that are not read yet; tell whether there were any."""
        known = self._read.get(name, {})
        wanted = [row for row in rows if row not in known]
        for row in wanted:
            listed = self.listings[name].packages[row]
            package = known[row] = self._finder.read(name, listed)
            self._add(package, listed, _given(listed, row))
        self.progress += len(wanted)
        return bool(wanted)

    def _add(self, package: PackageData, listed: Listed, given: int) -> None:
        from rer_numba.encode import Source

        self._draft.add(package, given, Source(listed.path, NONE, NONE, NONE))

    def read_version(self, name: str, version: str) -> bool:
        """Read one package, if the finder has it and it is not read yet."""
        row = self._rows.get(name, {}).get(version)
        return row is not None and self.read(name, (row,))

    def package(self, name: str, row: int) -> PackageData | None:
        """A package that has been read."""
        return self._read.get(name, {}).get(row)

    # --- tables

    def tables(self) -> Tables:
        """Everything so far, with marks for what is not read."""
        from rer_numba.link import link
        from rer_numba.paths.sources import Sources

        facts = self._draft.facts()
        parts = [facts, *(other.facts(self.listings) for other in self._others)]
        families = {*facts.names}
        if self._base is not None:
            parts.append(self._base.facts(None if self.uses_whole_base else self.listings))
            if self.uses_whole_base:
                families = {name for name in families if not self._base.has(name)}
            else:
                families.update(parts[-1].names)
        self.unlisted = {name for name in families if not name.startswith(".") and name not in self.listings}
        marks = dict.fromkeys(self.unlisted, (_MARK.error_type, _MARK.text))
        facts.family_errors = {**marks, **self._family_errors()}  # they count more than those of the parts that follow
        return link(parts, Sources(self._locations))

    def _family_errors(self) -> dict[str, Error]:
        """What listing raises, of those families that are listed: the error on the earliest path."""
        encoded = self._others if self._base is None else [self._base, *self._others]
        found: dict[str, Error] = {}
        for name, listing in self.listings.items():
            errors = [error for one in encoded for error in one.family_errors(name)]
            if listing.error is not None:
                errors.append((listing.error_path, listing.error))
            if errors:
                found[name] = min(errors)[1]
        return found


def unread_marks(views: Views) -> set[int]:
    """The errors that stand for a package that is not read: rows of `error_type_text`."""
    lookup = Lookup(views)
    return {row for row, text in enumerate(views.error_type_text) if lookup.text(text) == UNREAD}


def _given(listed: Listed, row: int) -> int:
    return (listed.path << _PATH_SHIFT) + 2 * row
