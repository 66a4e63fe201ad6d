"""Packages found and read through rez's own repository objects, in rez's own order.

rez lists; what it remembers of its folders holds here too (`rer_numba.rez_bridge.memory`), and other types of
repositories look like any other. A definition file that only says literals is parsed instead of run, unless rez has
loaded it already: ten times as fast. All others are loaded by rez, attribute by attribute, with errors where rez raises
them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from rez.serialise import FileFormat
from rez.utils.sourcecode import SourceCode

from rer_numba.errors import VersionError
from rer_numba.packages import BrokenValue, PackageData
from rer_numba.partial import Listed, Listing, Read
from rer_numba.paths.states import UNSURE, old_release_files, state_to_watch
from rer_numba.rez_bridge import memory
from rer_numba.rez_bridge.load import attempt, late, package_of
from rer_numba.rez_bridge.memory import COMBINED, PLAIN, folder_resource
from rer_numba.rez_bridge.witness import Witness
from rer_numba.schema import NONE
from rer_numba.version_order import version_key

if TYPE_CHECKING:  # where everything is published nothing is read
    from rer_numba.paths.settings import PathSettings
    from rer_numba.paths.source_folder import SourceFolder
    from rer_numba.paths.states import FileState
    from rer_numba.paths.static_package import StaticPackage

KNOWN_TYPES = frozenset({"filesystem", "memory"})
"""Types of repositories whose packages keep what their file says in `_data`."""


class RezFinder:
    """Lists and reads by rez's repositories, ahead of the solve: what counts is settled by `commit`.

    Parameters
    ----------
    repositories : sequence of (int, rez.package_repository.PackageRepository)
        In the order in which they are searched, with the number of the path of each.
    open_paths : collection of int
        Numbers of the paths that no tables answer for.
    settings : PathSettings

    Attributes
    ----------
    repositories
    """

    def __init__(
        self, repositories: Sequence[tuple[int, Any]], open_paths: Collection[int], settings: PathSettings
    ) -> None:
        self.repositories = repositories
        self._open_paths = open_paths
        self._settings = settings
        self._listed: dict[str, tuple[int, list[memory.Listed]]] = {}
        self._read: dict[tuple[str, str], _Read] = {}
        self._committed: set[str] = set()
        self._turn = 0

    def begin(self) -> None:
        """Begin another solve: what was read ahead before may have changed since."""
        self._turn += 1

    def find(self, name: str, more: Collection[int] = ()) -> Listing:
        """List a family. Ports: rez.packages.iter_packages and _get_families (rez 3.4.0)."""
        path = NONE
        try:
            families = []
            for path, place in self.repositories:
                if path in self._open_paths or path in more:
                    witness = Witness.of(path, place, name, self._settings)
                    families.append((path, memory.Listed(place, name), witness))
            self._listed[name] = self._turn, [listed for _, listed, _ in families]
            self._committed.discard(name)
            found: dict[bytes, Listed] = {}
            for path, listed, witness in families:
                for number, resource in enumerate(listed.packages()):
                    version = version_of(resource)
                    state = None if witness is None else witness.state(version)
                    found.setdefault(version_key(version), Listed(version, path, number, resource, state))
        except VersionError as error:
            return Listing([], ("VersionError", str(error)), path)
        except Exception as error:  # noqa: BLE001 - whatever listing raises is raised by the solve that lists it
            return Listing([], BrokenValue.of(error), path)
        return Listing(list(found.values()), folders=_folders([(listed, witness) for _, listed, witness in families]))

    def _are_so(self, names: list[str], reads: list[_Read]) -> bool:
        for name in names:
            turn, listed = self._listed[name]
            if not all(one.is_so(surely=turn == self._turn) for one in listed):
                return False
        return all(read.is_so(surely=read.turn == self._turn) for read in reads)

    def package(self, path: int, name: str, version: str, uri: str) -> Listed:
        """A package of tables, to be read anew."""
        place = dict(self.repositories)[path]
        resource = folder_resource(place, name, version, uri)
        state = None if resource.key != PLAIN else state_to_watch(uri)
        return Listed(version, path, NONE, resource, None if state is None or state.mtime_ns == UNSURE else state)

    def read(self, name: str, listed: Listed, *, ahead: bool = False) -> Read | None:
        """Read a package, see `rer_numba.partial.Finder`."""
        resource = listed.resource
        known = memory.Memory.of(resource._repository).package(name, listed.version)
        if known is not None:
            self._read.pop((name, listed.version), None)  # of what was read ahead nothing will come
            return Read(known)
        if resource._repository.name() not in KNOWN_TYPES:
            return Read(_by_attributes(name, listed))
        own = self._own(name, resource)
        state = None if own is resource else _state_of(own)
        static = _static(own)
        if static is not None:
            package = static.package(name, listed.version, own.filepath)
        elif ahead and _has_to_run(own):
            return None
        else:
            package = _loaded(name, listed._replace(resource=own))
        failed = static is None and "_data" not in vars(own) and bool(_file_of(own))
        self._read[name, listed.version] = _Read(self._turn, resource, own, state, package, failed)
        return Read(package, None if static is None or listed.state is None else _watched(own, static))

    def _own(self, name: str, resource: Any) -> Any:
        """The resource to read by: rez's, if rez has loaded it, or else one that leaves no trace."""
        if "_data" in vars(resource):
            return resource
        own = memory.fresh(resource)
        if own.key == COMBINED:
            for listed in self._listed[name][1] if name in self._listed else ():
                if listed.place is resource._repository and listed.family is not None:
                    vars(own)["parent"] = listed.family
        return own

    def commit(self, names: Iterable[str], packages: Iterable[tuple[str, str]]) -> bool:
        """Settle what a solve has touched: rez is to remember it as it was read.

        Parameters
        ----------
        names : iterable of str
            Families that were listed.
        packages : iterable of (str, str)
            Family and spelling of the version of those that were loaded.

        Returns
        -------
        bool
            Whether it is still so. If not, nothing was settled, and everything has to be listed and read again.
        """
        new = [name for name in names if name not in self._committed and name in self._listed]
        loaded = [(key, self._read[key]) for key in packages if key in self._read]
        if not self._are_so(new, [read for _, read in loaded]):
            self._listed.clear()
            self._read.clear()  # also what stands for a package that another path has now
            return False
        for name in new:
            for one in self._listed[name][1]:
                one.remember()
            self._committed.add(name)
        for key, read in loaded:
            if read.remember(key):
                del self._read[key]
        return True


def _folders(families: Iterable[tuple[memory.Listed, Witness | None]]) -> list[SourceFolder] | None:
    """Where a family was found, if that is what the folders say and can be kept."""
    found: list[SourceFolder] = []
    for listed, witness in families:
        if witness is None or not witness.agrees(map(version_of, listed.packages())):
            return None
        found += witness.folders
    return found


def _watched(resource: Any, static: StaticPackage) -> list[tuple[str, FileState]]:
    """What tells the release time of a package that does not say it: its folder, where an old file may come to lie."""
    return [] if static.has_timestamp else [(resource.path, state_to_watch(resource.path))]


class _Read(NamedTuple):
    """A package that was read ahead.

    Attributes
    ----------
    turn : int
        In which it was read.
    resource, own : rez.package_resources.PackageResource
        rez's object, and the one by which it was read.
    state : tuple or None
        Of its file, before that; None where rez had loaded it.
    package : PackageData
    failed : bool
        The file could not be loaded.
    """

    turn: int
    resource: Any
    own: Any
    state: tuple[object, ...] | None
    package: PackageData
    failed: bool

    def is_so(self, *, surely: bool) -> bool:
        """Tell whether rez would read the same now."""
        if self.own is self.resource:
            return True
        if "_data" in vars(self.resource):
            return False  # rez has loaded it since
        return surely or _state_of(memory.fresh(self.resource)) == self.state

    def remember(self, key: tuple[str, str]) -> bool:
        """Keep it as long as rez would, and let rez have what was loaded for it. False: rez would load it again."""
        memory.hand_over(self.own, self.resource)
        if self.failed:
            return False
        memory.Memory.of(self.resource._repository).packages[key] = self.package
        return True


def _state_of(resource: Any) -> tuple[object, ...]:
    """What tells that the definition of a package in folders is the same; of any other nothing tells it."""
    return memory.file_state(_file_of(resource)) if resource.key in (PLAIN, COMBINED) else (object(),)


def _file_of(resource: Any) -> str | None:
    """The definition file of a package in folders, if there is one."""
    found: str | None = resource.parent.filepath if resource.key == COMBINED else getattr(resource, "filepath", None)
    return found


def version_of(resource: Any) -> str:
    """The version of a package as its repository spells it."""
    version = resource.get("version")
    return version if isinstance(version, str) else str(resource.version)


def _static(resource: Any) -> StaticPackage | None:
    """What a plain file says; None if rez has to read it, or has read it."""
    if resource.key != PLAIN or "_data" in vars(resource):
        return None
    if resource.filepath is None or resource.file_format is not FileFormat.py:
        return None
    from rer_numba.paths.static_package import NotPlainError, parse_static_package

    try:
        with open(resource.filepath, "rb", buffering=0) as file:
            static = parse_static_package(file.read())
    except (NotPlainError, OSError):
        return None
    return static if static.has_timestamp or not old_release_files(resource.path) else None


def _has_to_run(resource: Any) -> bool:
    """Whether rez runs a file to load a package, which no solve has come to. A combined file ran to be listed."""
    return resource.key == PLAIN and "_data" not in vars(resource) and resource.file_format is FileFormat.py


def _loaded(name: str, listed: Listed) -> PackageData:
    """Let rez load a package whose data is what its file says."""
    resource = listed.resource
    uri = resource.filepath if resource.key == PLAIN else resource.uri
    return package_of(lambda: resource, name, listed.version, uri, counts_variants=resource.key == COMBINED)


def _by_attributes(name: str, listed: Listed) -> PackageData:
    """Read a package of a plugin: only its attributes are known to be there."""
    resource = listed.resource
    values: dict[str, Any] = {
        key: attempt(lambda key=key: _texts(resource, key)) for key in ("requires", "build_requires")
    }
    values["variants"] = attempt(lambda: [list(map(str, one)) for one in resource.variants or ()])
    values["timestamp"] = attempt(lambda: None if resource.timestamp is None else int(resource.timestamp))
    return PackageData.as_found(name, listed.version, **values, uri=str(resource.uri))


def _texts(resource: Any, key: str) -> list[str] | BrokenValue:
    value = getattr(resource, key, None)
    if isinstance(value, SourceCode):
        return late(key)
    return list(map(str, value or ()))


def variant_handle(resource: Any, index: int | None) -> dict[str, Any]:
    """rez's handle of a variant, as a dict. Ports: PackageResourceHelper.iter_variants (rez 3.4.0).

    By rez's own object: if one was made of a handle whose keys stood in another order, it has that order.
    """
    if resource._repository.name() not in KNOWN_TYPES:
        return _handle_by_rez(resource, index)
    variables = {"location": resource.location, "name": resource.name}
    if resource.key == COMBINED:
        variables["ext"] = resource.get("ext")
    variant = resource._repository.get_resource(
        resource.variant_key, **variables, version=resource.get("version"), index=index
    )
    found: dict[str, Any] = variant.handle.to_dict()
    return found


def _handle_by_rez(resource: Any, index: int | None) -> dict[str, Any]:
    variants: Iterator[Any] = resource._repository.iter_variants(resource)
    found: dict[str, Any] = next(variant for variant in variants if variant.index == index).handle.to_dict()
    return found
