"""What solves have touched of a package path by tables that were encoded before, since rez began to remember the path.

A path is touched by the tables of one list of paths and then by those of another, or by its folders: what counts is its
state when it was touched first, as in rez. So it is noted by path, whatever it was found through. Nothing is copied:
who comes to the path by other ways asks the tables, family by family.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any
from weakref import ref

from rer_numba.errors import VersionError
from rer_numba.forking import cached_property
from rer_numba.packages import LATE, PROCESS, BrokenValue, Merged, MergedPackage
from rer_numba.partial import UNREAD
from rer_numba.paths.freshness import Freshness
from rer_numba.paths.settings import PathSettings
from rer_numba.paths.source_folder import SourceFolder
from rer_numba.paths.states import UNSURE
from rer_numba.reader import Reader
from rer_numba.requests import Lookup
from rer_numba.rez_bridge import memory
from rer_numba.schema import NONE
from rer_numba.version_order import version_key
from rer_numba.views import Views

_BEGAN_NS = time.time_ns() - 60 * 1_000_000_000
"""When this process began, at the latest, and a minute for clocks that differ: what is older has not changed since."""

_OF_ONE_SOLVE = frozenset({LATE, PROCESS, UNREAD})
"""Errors that stand for what only rez knows, and remembers."""


class Encoded:
    """Tables that were encoded before, and what is read of them.

    Parameters
    ----------
    views : Views
    settings : PathSettings
        How the packages were found.

    Attributes
    ----------
    views, settings
    lookup : Lookup
    is_retired : bool
        Others have taken their place. Those who use them look for the others.
    """

    def __init__(self, views: Views, settings: PathSettings) -> None:
        self.views = views
        self.settings = settings
        self.lookup = Lookup(views)
        self.is_retired = False

    def rows(self, name: str, location: int) -> dict[str, int]:
        """The packages of a family at a location, by version as spelled, in the order of the folder."""
        views = self.views
        rows = [row for row in self._family(name) if views.package_location[row] == location]
        rows.sort(key=views.package_given_rank.__getitem__)
        return {self.lookup.text(views.package_version_text[row]): row for row in rows}

    def hiding(self, name: str, location: int) -> set[bytes]:
        """The keys of the versions of a family at earlier locations: what is equal at this one is not in the tables."""
        views = self.views
        rows = [row for row in self._family(name) if views.package_location[row] < location]
        return {version_key(self.lookup.text(views.package_version_text[row])) for row in rows}

    def is_broken(self, name: str) -> bool:
        """Whether listing a family raises: its packages are not in the tables."""
        family = self.lookup.family(name)
        return family >= 0 and self.views.family_error[family] != NONE

    def uri(self, name: str, row: int) -> str:
        """The uri of a package."""
        return self._readers[0].package_uri(row, name)

    def package(self, name: str, version: str, row: int) -> MergedPackage | None:
        """What a package says. None if it cannot be loaded, or only rez knows it."""
        views, reader = self.views, self._readers[0]
        released = views.package_timestamp_error[row]
        variants = range(*views.package_variant_offsets[row : row + 2])
        errors = [row_of.variant_error(variant) for row_of in self._readers for variant in variants]
        kinds = {reader.error(error)[0] for error in (released, *errors) if error != NONE}
        if views.package_error[row] != NONE or not kinds.isdisjoint(_OF_ONE_SOLVE):
            return None
        plain, building = ([_merged(one, variant) for variant in variants] for one in self._readers)
        return MergedPackage.of(
            name,
            version,
            list(zip(plain, building, strict=True)),
            [list(map(reader.requirement_text, reader.variant_requirement_ids(variant))) for variant in variants],
            indexed=bool(views.package_indexed[row]),
            timestamp=views.package_timestamp[row] if released == NONE else BrokenValue(*reader.error(released)),
            uri=self.uri(name, row),
        )

    def _family(self, name: str) -> range:
        family = self.lookup.family(name)
        return range(*self.views.family_package_offsets[family : family + 2]) if family >= 0 else range(0)

    @cached_property
    def _readers(self) -> tuple[Reader, Reader]:
        return Reader(self.views), Reader(self.views, building=True)

    def folder(self, name: str, location: int) -> SourceFolder | None:
        """The folder of a family at a location, as it was, by no number of a location."""
        found = self._freshness.recorded(name, location)
        return None if found is None else replace(found, location=NONE)

    @cached_property
    def _freshness(self) -> Freshness:
        return Freshness(self.views, self.settings)

    def state(self, row: int) -> tuple[int, int, int, int]:
        """The state of a definition file."""
        views = self.views
        return views.package_inode[row], views.package_mtime[row], views.package_size[row], views.package_ctime[row]


class Seen:
    """What solves have touched at one location of tables.

    Parameters
    ----------
    encoded : Encoded
    location : int

    Attributes
    ----------
    encoded, location
    families : set of str
        As the tables have them; also such as are not there.
    packages : set of int
        As the tables have them: rows.
    changed : set of int
        Packages of these families that are not what they are in the tables.
    """

    def __init__(self, encoded: Encoded, location: int) -> None:
        self.encoded = encoded
        self.location = location
        self.families: set[str] = set()
        self.packages: set[int] = set()
        self.changed: set[int] = set()
        self._rows: dict[str, dict[str, int]] = {}
        self._successor: ref[Seen] | None = None

    def rows(self, name: str) -> dict[str, int]:
        """The packages of a family, by version as spelled."""
        found = self._rows.get(name)
        if found is None:
            found = self._rows[name] = self.encoded.rows(name, self.location)
        return found

    def listed(self, place: Any, name: str) -> list[Any] | None:
        """List a family as a solve has seen it: rez's resources. None if none has, or the tables cannot tell.

        What an earlier location hides is not in the tables: such a version is taken to be there if it is there now.
        """
        if name not in self.families or self.encoded.is_broken(name):
            return None
        found = [
            memory.folder_resource(place, name, version, self.encoded.uri(name, row))
            for version, row in self.rows(name).items()
        ]
        hiding = self.encoded.hiding(name, self.location)
        return [*found, *_of_versions(place, name, hiding)] if hiding else found

    def package(self, name: str, version: str) -> MergedPackage | None:
        """What a package says, as a solve has seen it."""
        row = self.rows(name).get(version) if name in self.families else None
        if row is None or row in self.changed:
            return None
        if row not in self.packages and self.encoded.views.package_inode[row] != NONE:
            return None  # the others were loaded with their family, from one file
        return self.encoded.package(name, version, row)

    # --- what rez, or another list of paths, has listed and loaded

    def is_otherwise(self, place: Any, name: str, listed: Iterable[Any]) -> bool:
        """Tell whether a family is remembered with other packages. If not, note those that are to be taken from there.

        Packages that are older than this process are what they were when they were loaded.
        """
        own, known = self.rows(name), {resource.get("version") or "": resource for resource in listed}
        more = known.keys() - own.keys()
        if not own.keys() <= known.keys() or (more and not self._are_hidden(name, more)):
            return True
        packages = memory.Memory.of(place).packages
        for version, row in own.items():
            is_loaded = "_data" in vars(known[version]) or (name, version) in packages
            if is_loaded and max(self.encoded.state(row)[1::2]) >= _BEGAN_NS:  # one of its two times
                self.changed.add(row)
        return False

    def _are_hidden(self, name: str, versions: Iterable[str]) -> bool:
        """Whether all of some versions are not in the tables because an earlier location has them."""
        hiding = self.encoded.hiding(name, self.location)
        try:
            return all(version_key(version) in hiding for version in versions)
        except VersionError:
            return False

    # --- other tables in the place of these

    def keep_up(self, place: Any) -> None:
        """Tell what was touched to whoever has taken over, if somebody has meanwhile."""
        successor = None if self._successor is None else self._successor()
        if successor is not None:
            successor.take_over(self, place)

    def take_over(self, old: Seen, place: Any) -> None:
        """Know what was known by other tables: by these where they say the same, and else by what the others say.

        Costs some microseconds for each family and each package that was touched.
        """
        old._successor = ref(self)
        kept = memory.Memory.of(place)
        for name in list(old.families):
            versions = old.rows(name)
            touched = [version for version, row in versions.items() if row in old.packages]
            if self._is_same(old, name, touched, place):
                self.families.add(name)
                self.packages.update(self.rows(name)[version] for version in touched)
                continue
            listed = old.listed(place, name)
            if listed is not None:
                kept.families.setdefault(name, listed)
            for version in versions:
                package = old.package(name, version)
                if package is not None:
                    kept.packages.setdefault((name, version), package)

    def _is_same(self, old: Seen, name: str, touched: Iterable[str], place: Any) -> bool:
        own, its = self.rows(name), old.rows(name)
        if self.encoded.is_broken(name) or old.encoded.is_broken(name) or not old.changed.isdisjoint(its.values()):
            return False
        now, then = self.encoded.folder(name, self.location), old.encoded.folder(name, old.location)
        if now != then or (now is not None and now.state.mtime_ns == UNSURE) or own.keys() != its.keys():
            return False
        if any(self.encoded.state(own[version]) != old.encoded.state(its[version]) for version in touched):
            return False
        kept = memory.Memory.of(place)
        if name in kept.families or any((name, version) in kept.packages for version in own):
            return False
        listed = memory.listed_by_rez(place, name)
        return listed is None or not self.is_otherwise(place, name, listed)


def seen_at(place: Any, encoded: Encoded, location: int) -> Seen:
    """What solves have touched of a path by tables; of others whose place they have taken, too.

    Parameters
    ----------
    place : rez.package_repository.PackageRepository
    """
    kept = memory.Memory.of(place)
    key = (id(encoded), location)
    found = kept.seen.get(key)
    if found is None:
        found = Seen(encoded, location)
        for other, old in list(kept.seen.items()):
            if old.encoded.is_retired:
                found.take_over(old, place)
                kept.seen.pop(other, None)
        found = kept.seen.setdefault(key, found)
    return found


def _of_versions(place: Any, name: str, keys: set[bytes]) -> Iterator[Any]:
    """The packages of a family that have some versions now, or as rez remembers them."""
    try:
        listed = memory.listed_by_rez(place, name)
        for resource in memory.listed_by_folder(place, name) if listed is None else listed:
            if version_key(resource.get("version") or "") in keys:
                yield resource
    except Exception:  # noqa: BLE001 - it cannot be listed any more: then what is hidden is not there any more
        return


def _merged(reader: Reader, variant: int) -> Merged:
    error = reader.variant_error(variant)
    return reader.variant_requirements(variant) if error == NONE else reader.error(error)
