"""Is what was read still what is there? Looks at folders and files, and reads none.

How much is looked at is a *level*: ``strict``: the folders of families, and definition files; ``release``: the folders
only, which change when rez installs, releases, hides or removes a version, but not when somebody edits a file in place;
``frozen``: nothing.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from rer_numba.paths.discover import EXTENSIONS, Location, canonical_location, list_location
from rer_numba.paths.settings import PathSettings
from rer_numba.paths.source_folder import SourceFolder
from rer_numba.paths.states import FileState, is_file_as_it_was, unchanged
from rer_numba.requests import Lookup
from rer_numba.schema import NONE, Tables
from rer_numba.uris import join_uri
from rer_numba.views import Views, family_of_package, views_of

STRICT, RELEASE, FROZEN = LEVELS = ("strict", "release", "frozen")
"""Names of the levels, from the most careful to the fastest."""


class Freshness:
    """Compares the sources of a repository with what is there now.

    Costs nothing to make: columns are read as they are needed. What is found to have changed is given by its path.

    Parameters
    ----------
    tables : Tables or Views
        Of packages that were found in folders.
    settings : PathSettings
        With which they were found.
    """

    def __init__(self, tables: Tables | Views, settings: PathSettings) -> None:
        self._tables = views_of(tables)
        self._settings = settings
        self._lookup = Lookup(self._tables)
        self._source_text = source_texts(self._tables)
        self.locations = [self._source_text(row) for row in self._tables.location_text]
        self._moved: dict[int, bool] = {}

    # --- locations

    def look_again(self) -> None:
        """Forget whether families have come to a location, or left it."""
        self._moved.clear()

    def other_location(self, paths: Iterable[str]) -> str | None:
        """The first absolute path that does not lead to one of the locations any more."""
        for path in paths:
            if os.path.isabs(path) and canonical_location(path) not in self.locations:
                return path
        return None

    def is_moved(self, location: int) -> bool:
        """Tell whether families may have come to a location, or left it. Looks once."""
        if location not in self._moved:  # the rows of the locations themselves come first: their name is empty
            self._moved[location] = self._changed_path(location) is not None
        return self._moved[location]

    # --- families

    def family_name(self, family: int) -> str:
        """The name of a family."""
        return self._lookup.family_name(family)

    def changed_family(self, name: str, locations: Iterable[int] | None = None) -> str | None:
        """The path that shows that a family is not what it was, or None. The name may be unknown so far.

        Parameters
        ----------
        name : str
        locations : iterable of int, optional
            Where to look. The default is everywhere.
        """
        rows = self._rows(name)
        recorded = {self._tables.folder_location[row]: row for row in rows}
        for number in range(len(self.locations)) if locations is None else locations:
            location, row = self.locations[number], recorded.get(number)
            if row is not None:
                path = self._changed_path(row)
                if path is not None:
                    return path
            if self.is_moved(number):
                extension = None if row is None else self._text("folder_extension_text", row)
                if _extension_now(location, name) != extension:
                    return os.path.join(location, name)
        return None

    def _rows(self, name: str) -> range:
        """The folders of a family, which stand side by side."""
        rows = range(len(self.locations), len(self._tables.folder_location))
        first = rows.start + bisect_left(rows, name, key=lambda row: self._text("folder_name_text", row))
        last = first
        while last < rows.stop and self._text("folder_name_text", last) == name:
            last += 1
        return range(first, last)

    def recorded(self, name: str, location: int) -> SourceFolder | None:
        """The folder of a family at a location, as it was."""
        for row in self._rows(name):
            if self._tables.folder_location[row] == location:
                extension, state = self._text("folder_extension_text", row), _state(self._tables, "folder", row)
                return SourceFolder(location, name, extension, state, tuple(self._watched(row)))
        return None

    def _text(self, column: str, row: int) -> str:
        return self._source_text(getattr(self._tables, column)[row])

    def _changed_path(self, row: int) -> str | None:
        """What has changed of a folder: itself, or something watched in it."""
        tables = self._tables
        name, extension = self._text("folder_name_text", row), self._text("folder_extension_text", row)
        file = f"{name}.{extension}" if extension else name
        path = os.path.join(self.locations[tables.folder_location[row]], file)
        if not unchanged(path, _state(tables, "folder", row)):
            return path
        for watch in range(*tables.folder_watch_offsets[row : row + 2].tolist()):
            watched = self._text("watch_text", watch)
            if not unchanged(watched, _state(tables, "watch", watch)):
                return watched
        return None

    def watched(self, name: str, location: int) -> list[tuple[str, FileState]]:
        """What is watched beside the folder of a family at a location."""
        found = self.recorded(name, location)
        return [] if found is None else list(found.watched)

    def _watched(self, row: int) -> Iterator[tuple[str, FileState]]:
        for watch in range(*self._tables.folder_watch_offsets[row : row + 2]):
            yield self._text("watch_text", watch), _state(self._tables, "watch", watch)

    # --- packages

    def changed_package(self, packages: Iterable[int]) -> str | None:
        """The path of the first definition file of some packages that is not what it was, or None.

        A solve touches up to 6,000 packages: 4 us for each, half of them for asking the system (2026-11-21).
        """
        tables, text, name, last = self._tables, self._lookup.text, "", 0
        inodes, times, sizes = tables.package_inode, tables.package_mtime, tables.package_size
        changes = tables.package_ctime
        heads, tails, versions = tables.package_uri_text, tables.package_uri_tail_text, tables.package_version_text
        first = 0  # of the family that `name` names, whose last package is the one before `last`
        pieces: dict[int, str | None] = {NONE: None}
        for package in packages:
            inode = inodes[package]
            if inode == NONE:
                continue  # it has none, or shares one with its family: the family's folder tells
            if not first <= package < last:
                family = family_of_package(tables, package)
                name = self._lookup.family_name(family)
                first, last = tables.family_package_offsets[family : family + 2]
            for row in (heads[package], tails[package]):
                if row not in pieces:
                    pieces[row] = text(row)
            path = join_uri(pieces[heads[package]] or "", pieces[tails[package]], name, text(versions[package]))
            if not is_file_as_it_was(path, inode, times[package], sizes[package], changes[package]):
                return path
        return None

    # --- everything

    def changed_families(self, level: str, on_progress: Callable[[int, int], None]) -> list[str]:
        """All families that are not what they were, with those that are new or gone. Costs 3 us a file.

        Raises
        ------
        OSError
            A location cannot be listed.
        """
        changed = self._moved_families()
        names = self._known_families()
        for done, (name, rows) in enumerate(names):
            on_progress(done, len(names))
            if name not in changed and any(self._changed_path(row) is not None for row in rows):
                changed.add(name)
        if level == STRICT:
            changed.update(self._families_with_changed_files(changed))
        return sorted(changed)

    def _known_families(self) -> list[tuple[str, range]]:
        texts = self._tables.folder_name_text[len(self.locations) :].tolist()
        starts = [row for row in range(len(texts)) if row == 0 or texts[row] != texts[row - 1]] + [len(texts)]
        first = len(self.locations)
        return [(self._source_text(texts[start]), range(first + start, first + end)) for start, end in pairwise(starts)]

    def _moved_families(self) -> set[str]:
        """Families that are found in other places, or in another form, than they were."""
        moved = {
            number: list_location(path, self._settings)
            for number, path in enumerate(self.locations)
            if self.is_moved(number)
        }
        recorded = [
            (number, self._text("folder_name_text", row), self._text("folder_extension_text", row))
            for row, number in enumerate(self._tables.folder_location)
            if number in moved and row >= len(self.locations)
        ]
        return moved_families(recorded, moved)

    def _families_with_changed_files(self, known: set[str]) -> Iterator[str]:
        for family, (first, last) in enumerate(pairwise(self._tables.family_package_offsets.tolist())):
            if first < last:
                name = self._lookup.family_name(family)
                if name not in known and self.changed_package(range(first, last)) is not None:
                    yield name


def _state(tables: Views, table: str, row: int) -> FileState:
    return FileState(*(getattr(tables, f"{table}_{name}")[row] for name in FIELDS))


FIELDS: Sequence[str] = ("inode", "mtime", "size", "ctime")
"""Columns of a `FileState`, in its order."""


def _extension_now(location: str, name: str) -> str | None:
    """In which form a family is found in a location now: '' a folder, or the extension of a combined file."""
    path = os.path.join(location, name)
    if os.path.isdir(path):
        return ""
    return next((extension for extension in EXTENSIONS if os.path.isfile(f"{path}.{extension}")), None)


def moved_families(recorded: Iterable[tuple[int, str, str]], locations: Mapping[int, Location]) -> set[str]:
    """Families that have come to a location, have left it, or are found there in another form.

    Parameters
    ----------
    recorded : iterable of (int, str, str)
        Location, family and extension of each folder that was found before.
    locations : mapping of int to Location
        As they are now.
    """
    found = {
        (number, family.name, family.extension)
        for number, location in locations.items()
        for family in location.families.values()
    }
    return {name for _, name, _ in found.symmetric_difference(recorded)}


def source_texts(tables: Tables | Views) -> Callable[[int], str]:
    """Give a function that reads the texts of the source columns by their numbers."""
    views = views_of(tables)
    data, offsets = views.source_text_bytes, views.source_text_offsets
    return lambda row: str(data[offsets[row] : offsets[row + 1]], "utf-8", "surrogatepass")
