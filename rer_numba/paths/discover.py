"""Which packages rez's solver would find at a location: names, versions and definition files, from folders alone.

No file is opened and no version is parsed here. Ports: rezplugins.package_repository.filesystem (rez 3.4.0), along the
way that a solve takes: `get_family` for one name after the other, then `iter_packages`.

Invariants
----------
- The state of a folder or a file is taken before its content is looked at, and `settled`.
- If a listing would be different the next time, then a state in it would be: that of the folder, of a definition file,
  or of something `watched`. Only changed permissions leave no trace in times; what they hide is UNSURE, and so counts
  as changed each time.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

from rer_numba.errors import ConfigurationError
from rer_numba.paths.settings import PathSettings
from rer_numba.paths.states import (
    ABSENT,
    UNSURE,
    FileState,
    as_state,
    certainly_settled_before,
    latest_time,
    nothing_there,
    settled,
    state_to_watch,
)
from rer_numba.requirements import is_valid_package_name

EXTENSIONS = ("py", "yaml")
"""Of definition files; the first one found counts."""

_RANK = {"": 0, "py": 1, "yaml": 2}
"""A folder hides the files of its name, and NAME.py hides NAME.yaml."""
_HIDDEN = "."
_IGNORE = ".ignore"
_BUILDING = ".building"
_BUILT = PathSettings(package_filenames=("package",))
"""REZ-QUIRK: whether a version is built depends on this name, whatever package_filenames says (test_built_or_not)."""
_NO_VERSION = "_NO_VERSION"
"""REZ-QUIRK: a version folder of this name means the folder of its family (test_the_folder_no_version)."""


class Family(NamedTuple):
    """Where the packages of one name are.

    Attributes
    ----------
    name : str
    path : str
        The folder, or the file that holds all versions.
    extension : str
        '' for a folder, 'py' or 'yaml' for a file.
    """

    name: str
    path: str
    extension: str


class Location(NamedTuple):
    """One entry of a package path.

    Attributes
    ----------
    path : str
        As rez writes it in handles and uris: links resolved, lower case on Windows.
    state : FileState
        ABSENT if there is no such folder.
    families : dict of str to Family
        By name, in the order of the folder.
    watched : list of (str, FileState)
        Links that are no families now. What they lead to may appear without a trace in the folder.
    """

    path: str
    state: FileState
    families: dict[str, Family]
    watched: list[tuple[str, FileState]]


class Entry(NamedTuple):
    """One version.

    Attributes
    ----------
    version : str
        As spelled; '' is an unversioned package.
    folder : str
    file : str or None
        The definition file. None: there is none, and loading the package raises.
    extension : str
        'py' or 'yaml'; '' without a file.
    state : FileState
        Of the definition file.
    """

    version: str
    folder: str
    file: str | None
    extension: str
    state: FileState


class FamilyListing(NamedTuple):
    """The versions of a family.

    Attributes
    ----------
    state : FileState
        Of the folder or the combined file. ABSENT: it is gone, and another folder or file may have taken its place, so
        the location must be listed again.
    entries : list of Entry
        In the order of the folder; rez's own order comes from a set. None for a combined file.
    watched : list of (str, FileState)
        Paths that decided about the listing, or about which file defines a version, without a trace in the folder:
        definition files that are missing, and links.
    error : (str, str) or None
        Class name and text of what rez raises when it lists the family.
    """

    state: FileState
    entries: list[Entry]
    watched: list[tuple[str, FileState]]
    error: tuple[str, str] | None


# ------------------------------------------------------------------------------------------------------------ locations
def canonical_location(path: str) -> str:
    """Write a location as rez does: absolute, links resolved, lower case on Windows. '~' is a name like any other.

    Raises
    ------
    ConfigurationError
        It belongs to another kind of repository, such as 'memory@any'.
    """
    kind, sign, rest = path.partition("@")
    if sign and kind != "filesystem":
        raise ConfigurationError(f"{path}: only packages in folders can be read, not a repository of type {kind!r}")
    real = os.path.normpath(os.path.realpath(rest if sign else path))
    return real.lower() if sys.platform == "win32" else real


def list_location(path: str, settings: PathSettings) -> Location:  # noqa: ARG001 - as in rez, none matters here
    """Find the families at a location. A path that does not exist, or is no folder, has none.

    Parameters
    ----------
    path : str
        An entry of a package path.
    settings : PathSettings

    Returns
    -------
    Location

    Raises
    ------
    ConfigurationError
        It is no location of packages in folders.
    OSError
        The folder cannot be read; the error names it.

    Notes
    -----
    Ports: FileSystemPackageRepository._get_family, for every name that a folder holds. REZ-QUIRK: unlike the list that
    ``rez search`` shows, it knows settings.yaml and file_lock_dir as families (test_reserved_names).
    """
    canonical = canonical_location(path)
    families: dict[str, Family] = {}
    watched: list[tuple[str, FileState]] = []
    try:
        state = _state_inside(canonical, time.time_ns())
        with os.scandir(canonical) as entries:
            for entry in entries:
                family = _family_of(entry)
                if family is None:
                    if entry.is_symlink():
                        watched.append((entry.path, state_to_watch(entry.path)))
                elif (known := families.get(family.name)) is None or _RANK[family.extension] < _RANK[known.extension]:
                    families[family.name] = family
    except OSError as error:
        if nothing_there(error):
            return Location(canonical, ABSENT, {}, [])
        raise OSError(error.errno, error.strerror, canonical) from None
    return Location(canonical, state, families, watched)


def require_reachable(location: str) -> None:
    """Raise the OSError that tells why one cannot look into a location; one that is not there is empty, as in rez."""
    try:
        os.stat(os.path.join(location, os.curdir))
    except OSError as error:
        if not nothing_there(error):
            raise OSError(error.errno, error.strerror, location) from None


def _state_inside(folder: str, now_ns: int) -> FileState:
    """State of a folder that one can look into; raises an OSError for anything else.

    The dot makes the system ask for the permission that every path below needs. Without it rez finds nothing there.
    """
    status = os.stat(os.path.join(folder, os.curdir))
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), folder)
    return settled(as_state(status), now_ns)


def _family_of(entry: os.DirEntry[str]) -> Family | None:
    if _is_folder(entry):
        return Family(entry.name, entry.path, "") if is_valid_package_name(entry.name) else None
    name, extension = os.path.splitext(entry.name)
    extension = extension[1:]
    if extension in EXTENSIONS and is_valid_package_name(name) and os.path.isfile(entry.path):
        return Family(name, entry.path, extension)
    return None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """As `os.path.isdir`: a link that cannot be followed is no folder."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def find_family(location: str, name: str) -> Family | None:
    """Where rez finds one family. Ports: FileSystemPackageRepository._get_family (rez 3.4.0)."""
    path = os.path.join(location, name)
    if os.path.isdir(path):
        return Family(name, path, "")
    for extension in EXTENSIONS:
        if os.path.isfile(f"{path}.{extension}"):
            return Family(name, f"{path}.{extension}", extension)
    return None


# ------------------------------------------------------------------------------------------------------------- families
def list_family(family: Family, settings: PathSettings) -> FamilyListing:
    """Find the versions of a family and their definition files.

    Of a combined file only the state is taken: its versions are in it. Every error of the system is part of the answer,
    since in rez it is raised only when somebody asks for this family.

    Notes
    -----
    Ports: FileSystemPackageFamilyResource.iter_packages and FileSystemPackageRepository._get_version_dirs.
    Cost: 0.11 s for 1,266 families of 18,226 versions, all in the system's cache (2026-11).
    """
    if family.extension:
        return FamilyListing(state_to_watch(family.path), [], [], None)
    return _FolderListing(family, settings).listing()


def definition_file(folder: str, settings: PathSettings) -> tuple[str, str] | None:
    """Find the file that defines the package of a folder. Ports: FileSystemPackageRepository._get_file.

    Returns
    -------
    (str, str) or None
        Its path and its extension.
    """
    for path, extension in _candidates(folder, settings):
        if os.path.isfile(path):
            return path, extension
    return None


def combined_uri(path: str, version: str) -> str:
    """Write rez's uri of a package in a combined file. That of any other package is its definition file, or None."""
    return f"{path}<{version}>"


def _candidates(folder: str, settings: PathSettings) -> Iterator[tuple[str, str]]:
    """Definition files that a folder could have, best first."""
    prefix = os.path.join(folder, "")
    for name in settings.package_filenames:
        for extension in EXTENSIONS:
            yield f"{prefix}{name}.{extension}", extension


class _FolderListing:
    """The making of one `FamilyListing`."""

    def __init__(self, family: Family, settings: PathSettings) -> None:
        self.folder = family.path
        self.prefix = os.path.join(family.path, "")
        self.settings = settings
        self.now = time.time_ns()
        self.sure = True  # until something cannot be looked at
        self.closed = False  # to looks at the paths below
        self.watched: list[tuple[str, FileState]] = []

    def listing(self) -> FamilyListing:
        """List the folder."""
        entries: list[Entry] = []
        error = None
        state = self._state()
        try:
            entries = self._entries()
        except OSError as raised:
            error = type(raised).__name__, str(raised)
            self.sure = False
        if not self.sure and state != ABSENT:
            state = state._replace(mtime_ns=UNSURE)
        return FamilyListing(state, entries, self.watched, error)

    def _state(self) -> FileState:
        try:
            return _state_inside(self.folder, self.now)
        except OSError as error:
            if nothing_there(error):
                return ABSENT
            self.closed, self.sure = True, False
            return FileState(0, UNSURE, 0)

    def _entries(self) -> list[Entry]:
        if self.settings.allow_unversioned_packages:
            entry = self._entry("", self.folder)
            if entry is not None and entry.file is not None:
                return [entry]
        names, links = self._version_names()
        entries = list(self._defined(names))
        listed = {entry.folder for entry in entries if entry.file is not None} if links else ()
        self.watched += [(path, state_to_watch(path)) for path in links if path not in listed]
        return entries

    # -- folders
    def _version_names(self) -> tuple[list[str], list[str]]:
        """Names of version folders, and the paths of all links beside them."""
        names, links, building, marks = [], [], set(), False
        checked = self.settings.check_package_definition_files
        with os.scandir(self.folder) as entries:
            for entry in entries:
                name = entry.name
                if entry.is_symlink():
                    links.append(entry.path)
                if name[0] == _HIDDEN:
                    marks = marks or name.lower().startswith(_IGNORE)
                    if checked or not name.startswith(_BUILDING):
                        continue
                    building.add(name.removeprefix(_BUILDING))  # REZ-QUIRK: a folder of this name is a version too
                if _is_folder(entry):
                    names.append(name)
        if self.closed:  # rez takes nothing for a folder that it may not look at
            return [], links
        if marks:
            names = [name for name in names if not os.path.isfile(f"{self.prefix}{_IGNORE}{name}")]
        if checked:
            names = [name for name in names if self._is_built(name)]
        elif building:
            names = [name for name in names if name not in building or self._is_built(name)]
        return names, links

    def _is_built(self, version: str) -> bool:
        found = self._definition(self.prefix + version, _BUILT)
        if found is None:
            return False
        if self.settings.package_filenames[:1] != _BUILT.package_filenames:  # then no entry holds its state
            self.watched.append((found[0], found[2]))
        return True

    # -- definition files
    def _defined(self, names: list[str]) -> Iterator[Entry]:
        """Entries of version folders: one look at the file that nearly all have, more where it is missing."""
        usual = os.sep + next(_candidates("", self.settings), ("", ""))[0]
        long_ago = certainly_settled_before(self.now)
        prefix, look, is_file = self.prefix, os.stat, stat.S_ISREG
        for name in names:
            folder = prefix + name
            path = folder + usual
            try:
                status = look(path)
            except OSError:
                status = None
            if status is not None and is_file(status.st_mode) and name != _NO_VERSION:
                state = as_state(status)
                state = state if latest_time(state) < long_ago else settled(state, self.now)
                yield Entry(name, folder, path, "py", state)
            elif (entry := self._entry(name, folder)) is not None:
                yield entry

    def _entry(self, version: str, folder: str) -> Entry | None:
        """The entry of a version folder, or of the folder of the family; None if it counts for none."""
        found = self._definition(folder, self.settings)
        if found is None and self.settings.check_package_definition_files:
            return None
        if version == _NO_VERSION:
            version, folder = "", self.folder
            found = self._definition(folder, self.settings)
        if found is None:
            return Entry(version, folder, None, "", ABSENT)
        return Entry(version, folder, *found)

    def _definition(self, folder: str, settings: PathSettings) -> tuple[str, str, FileState] | None:
        """Find a definition file, and watch those that would go before it."""
        missed = []
        found = None
        for path, extension in _candidates(folder, settings):
            try:
                status = os.stat(path)
            except OSError as error:
                self.sure = self.sure and nothing_there(error)
                missed.append((path, ABSENT))
                continue
            state = settled(as_state(status), self.now)
            if stat.S_ISREG(status.st_mode):
                found = path, extension, state
                break
            missed.append((path, state))
        if found is not None or folder != self.folder:  # what is missing there shows in the state of the folder
            self.watched += missed
        return found
