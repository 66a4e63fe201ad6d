"""Families from their folders to facts: listed, read, parsed and merged.

Most definition files say everything in literals and are read here. For the others there is a `Loader`, which asks rez;
a process that has none says which families need it.

Invariants
----------
- A state is taken before the content it belongs to is read. If it is another one afterwards, the content is read again,
  and when that does not end it counts as `UNSURE`.
- Families are independent: in what order and by which process they are read makes no difference.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from rer_numba.draft import FactsDraft, Source
from rer_numba.errors import VersionError
from rer_numba.packages import BrokenValue, PackageData, process_mark
from rer_numba.paths.discover import Entry, Family, FamilyListing, list_family
from rer_numba.paths.settings import PathSettings
from rer_numba.paths.source_folder import SourceFolder
from rer_numba.paths.states import (
    ABSENT,
    UNSURE,
    FileState,
    as_state,
    old_release_files,
    settled,
    state_of,
    state_to_watch,
)
from rer_numba.paths.static_package import CONSTANT, PROCESS, RAISES, NotPlainError, StaticPackage, parse_static_package
from rer_numba.plain_files import MAX_DEFINITION, open_plain, require_size, too_large
from rer_numba.version_order import version_key

if TYPE_CHECKING:  # a solve that reads a few files does without numpy
    from rer_numba.facts import Facts

_TRIES = 5
"""How often something is read that changes all the time."""
_PYTHON_IN_YAML = re.compile(rb"![^\s]*(?:python/|%)|^%TAG", re.MULTILINE)
"""A tag of YAML that names an object of Python, or may: it can be written with escapes, or be short for another one."""


class Place(NamedTuple):
    """Where a family is found.

    Attributes
    ----------
    location : int
        Number of the location.
    path : str
        The location.
    family : Family
    """

    location: int
    path: str
    family: Family


class FamilyPlaces(NamedTuple):
    """A family and its places, in the order in which they are searched."""

    name: str
    places: tuple[Place, ...]


class Loader(Protocol):
    """Reads the definition files that are not plain: `rer_numba.rez_bridge.load`, or `NoLoader`."""

    def package(self, place: Place, entry: Entry, reason: str) -> PackageData:
        """Read one package. `reason` is why its file is not plain."""

    def combined(self, place: Place, settings: PathSettings) -> list[PackageData] | BrokenValue:
        """Read all packages of a combined file, or give what listing the family raises."""


class NeedsLoaderError(Exception):
    """A family cannot be read without a loader."""


@dataclass
class Reading:
    """What was read.

    Attributes
    ----------
    facts : Facts
    folders : list of SourceFolder
    unread : list of FamilyPlaces
        Families that need a loader; nothing of them is in the others.
    """

    facts: Facts
    folders: list[SourceFolder] = field(default_factory=list)
    unread: list[FamilyPlaces] = field(default_factory=list)


def read_families(families: Iterable[FamilyPlaces], settings: PathSettings, loader: Loader | None = None) -> Reading:
    """Read families.

    Parameters
    ----------
    families : iterable of FamilyPlaces
    settings : PathSettings
    loader : Loader, optional
        For what is not plain. Without one such families are `Reading.unread`.

    Notes
    -----
    Nothing raises: what cannot be read is kept for the solve that touches it.
    """
    draft = FactsDraft()
    folders, unread = read_into(draft, families, settings, loader)
    return Reading(draft.facts(), folders, unread)


def read_into(
    draft: FactsDraft, families: Iterable[FamilyPlaces], settings: PathSettings, loader: Loader | None
) -> tuple[list[SourceFolder], list[FamilyPlaces]]:
    """Read families into a draft; give their folders, and those families that need a loader."""
    folders: list[SourceFolder] = []
    unread: list[FamilyPlaces] = []
    for one in families:
        reader = _FamilyReader(one.name, settings, loader)
        try:
            reader.read(one.places)
        except NeedsLoaderError:
            unread.append(one)
            continue
        reader.put_into(draft)
        folders += reader.folders
    return folders, unread


class _FamilyReader:
    """Reads one family in all its places."""

    def __init__(self, name: str, settings: PathSettings, loader: Loader | None) -> None:
        self.name = name
        self.settings = settings
        self.loader = loader
        self.folders: list[SourceFolder] = []
        self.error: BrokenValue | None = None
        self._packages: dict[bytes, tuple[PackageData, Source]] = {}
        self._watched: list[tuple[str, FileState]] = []

    def put_into(self, draft: FactsDraft) -> None:
        """Add what was read to a draft. Nobody gets to the packages of a family that cannot be listed."""
        if self.error is not None:
            draft.family_error(self.name, self.error)
            return
        for given, (package, source) in enumerate(self._packages.values()):
            draft.add(package, given, source)

    def read(self, places: Iterable[Place]) -> None:
        """Read all places; of equal versions the first counts. Raises NeedsLoaderError."""
        for place in places:
            known_error = self.error
            for tries_left in range(_TRIES - 1, -1, -1):
                self.error = known_error
                self._watched = []
                before = _look(place.family.path)
                listing = list_family(place.family, self.settings)
                found = self._found(place, listing)
                unsettled = _look(place.family.path) != before
                if not unsettled or not tries_left:
                    break
            state = listing.state._replace(mtime_ns=UNSURE) if unsettled and listing.state != ABSENT else listing.state
            watched = (*listing.watched, *self._watched)
            self.folders.append(SourceFolder(place.location, self.name, place.family.extension, state, watched))
            for key, package in found.items():
                self._packages.setdefault(key, package)

    def _found(self, place: Place, listing: FamilyListing) -> dict[bytes, tuple[PackageData, Source]]:
        """The packages in one place that no earlier place has, by their version keys."""
        if listing.error is not None:
            self._fail(BrokenValue(*listing.error))
        if place.family.extension:
            return self._combined(place)
        found: dict[bytes, tuple[PackageData, Source]] = {}
        for entry in listing.entries:
            key = self._key(entry.version)
            if key is not None and key not in found and key not in self._packages:
                found[key] = self._package(place, entry)
        return found

    def _fail(self, error: BrokenValue) -> None:
        """Note what listing the family raises: in rez, too, nothing comes after the first error."""
        self.error = self.error or error

    def _key(self, version: str) -> bytes | None:
        try:
            return version_key(version)
        except VersionError as error:
            self._fail(BrokenValue("VersionError", str(error)))
            return None

    # --- one package

    def _package(self, place: Place, entry: Entry) -> tuple[PackageData, Source]:
        """Read a package, again if its file changes meanwhile."""
        if entry.file is None:
            self._watch_release(place, entry, [])
            return _without_definition(place, entry), Source(place.location, *ABSENT)
        for _ in range(_TRIES):
            static, state, reason, kind = _read_static(entry)
            if kind == PROCESS:
                return self._mark(place, entry, reason, state)
            if static is not None and static.has_timestamp:
                return static.package(self.name, entry.version, entry.file), Source(place.location, *state)
            old_release = old_release_files(entry.folder)
            if any(_names_python(path) for path, _ in old_release):
                return self._mark(place, entry, "has a release file that names objects of Python", state)
            if static is not None and not old_release:
                self._watch_release(place, entry, [])
                return static.package(self.name, entry.version, entry.file), Source(place.location, *state)
            if self.loader is None:
                raise NeedsLoaderError
            now = time.time_ns()
            before = _look(entry.file)
            huge = _huge_file([(entry.file, before), *old_release])
            package = self.loader.package(place, entry, reason) if huge is None else _too_large(self.name, entry, huge)
            if huge is None and kind == RAISES and not isinstance(package.found.requires, BrokenValue):
                return self._mark(place, entry, "was not understood", settled(before, now))
            if _look(entry.file) == before:
                self._watch_release(place, entry, old_release)
                return package, Source(place.location, *settled(before, now))
        self._watch_release(place, entry, old_release)
        return package, Source(place.location, *before._replace(mtime_ns=UNSURE))

    def _mark(self, place: Place, entry: Entry, reason: str, state: FileState) -> tuple[PackageData, Source]:
        """A package that only the process that asks knows. Its release time is asked then, too."""
        package = PackageData.of_process(self.name, entry.version, reason, entry.file)
        return package, Source(place.location, *state)

    def _watch_release(self, place: Place, entry: Entry, files: list[tuple[str, FileState]]) -> None:
        """Watch what may tell the release time of a package that does not tell it itself."""
        if entry.folder != place.family.path:
            self._watched.append((entry.folder, state_to_watch(entry.folder)))
        self._watched += files

    def _combined(self, place: Place) -> dict[bytes, tuple[PackageData, Source]]:
        reason, kind = _combined_kind(place.family)
        if kind == PROCESS:
            self._fail(process_mark(self.name, reason))
            return {}
        if self.loader is None:
            raise NeedsLoaderError
        huge = _huge_file([(place.family.path, _look(place.family.path))])
        packages = self.loader.combined(place, self.settings) if huge is None else _too_large_error(huge)
        if huge is None and kind == RAISES and not isinstance(packages, BrokenValue):
            packages = process_mark(self.name, "was not understood")
        if isinstance(packages, BrokenValue):
            self._fail(packages)
            return {}
        source = Source(place.location, *ABSENT)  # the file is the family's: its state stands there
        found: dict[bytes, tuple[PackageData, Source]] = {}
        for package in packages:
            key = self._key(package.version)
            if key is not None and key not in self._packages:
                found.setdefault(key, (package, source))
        return found


def _without_definition(place: Place, entry: Entry) -> PackageData:
    """A package whose folder holds no definition file. Ports: FileSystemPackageResource._load (rez 3.4.0)."""
    name = place.family.name
    version = {"version": entry.version} if entry.version else {}
    resource = {"location": place.path, "name": name, **version, "repository_type": "filesystem"}
    text = f"Missing package definition file: FileSystemPackageResource({resource!r})"
    return PackageData.unreadable(name, entry.version, BrokenValue("PackageDefinitionFileMissing", text), None)


def _huge_file(files: Iterable[tuple[str, FileState]]) -> str | None:
    """The first of some files that is larger than what is read. One such file must not take all memory."""
    return next((path for path, state in files if state.size > MAX_DEFINITION), None)


def _too_large(name: str, entry: Entry, path: str) -> PackageData:
    return PackageData.unreadable(name, entry.version, _too_large_error(path), entry.file)


def _too_large_error(path: str) -> BrokenValue:
    return BrokenValue("PackageMetadataError", f"package definition file: {path}: {too_large(MAX_DEFINITION)}")


def _look(path: str) -> FileState:
    """The state of a path as it is, settled or not; ABSENT when one cannot look."""
    try:
        return state_of(path)
    except OSError:
        return ABSENT


def _read_static(entry: Entry) -> tuple[StaticPackage | None, FileState, str, str]:
    """Read a plain file: (content or None, state, why only rez can read it, `NotPlainError.kind`)."""
    assert entry.file is not None
    try:
        source, state = _read_settled(entry.file)
    except OSError as error:
        return None, ABSENT, error.strerror or str(error), CONSTANT
    if entry.extension != "py":
        return None, state, *_yaml_kind(source)
    try:
        static = parse_static_package(source)
    except NotPlainError as error:
        return None, state, str(error), error.kind
    return static, state, "its release time is in an old form of file", CONSTANT


def _combined_kind(family: Family) -> tuple[str, str]:
    """Why only rez can read a family in one file, and the `NotPlainError.kind` of that."""
    try:
        source, _ = _read_settled(family.path)
    except OSError as error:
        return str(error), CONSTANT
    if family.extension != "py":
        return _yaml_kind(source)
    try:
        parse_static_package(source)
    except NotPlainError as error:
        return str(error), error.kind
    return "it holds all versions of a package", CONSTANT


def _yaml_kind(source: bytes) -> tuple[str, str]:
    """The same for a YAML file, which can name objects of Python, as the values of variables of modules."""
    if is_yaml_with_python(source):
        return "names objects of Python", PROCESS
    return "it is a YAML file", CONSTANT


def is_yaml_with_python(source: bytes) -> bool:
    """Whether a YAML file may have tags that stand for objects of Python: ``!!python/name:os.environ``."""
    return _PYTHON_IN_YAML.search(source) is not None


def _names_python(path: str) -> bool:
    try:
        return path.endswith(".yaml") and is_yaml_with_python(_read_settled(path)[0])
    except OSError:
        return False


def _read_settled(path: str) -> tuple[bytes, FileState]:
    """Read a file while nobody changes it."""
    for _ in range(_TRIES):
        now = time.time_ns()
        handle, status = open_plain(path)
        try:
            before = as_state(status)
            require_size(path, status.st_size, MAX_DEFINITION)
            source = _read_all(handle, status.st_size)
            require_size(path, len(source), MAX_DEFINITION)
            after = as_state(os.fstat(handle))
        finally:
            os.close(handle)
        if before == after and len(source) == before.size:
            return source, settled(before, now)
    return source, before._replace(mtime_ns=UNSURE)


def _read_all(handle: int, size: int) -> bytes:
    """The content of a file, which may have grown beyond what it may hold by one byte."""
    pieces = []
    left = MAX_DEFINITION + 1
    while left and (piece := os.read(handle, min(size + 1, left))):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)
