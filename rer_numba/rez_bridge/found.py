"""Packages found and read through rez's own repository objects, in rez's own order.

rez lists; what it remembers of its folders holds here too, and other types of repositories look like any other. A
definition file that only says literals is parsed instead of run, unless rez has loaded it already: ten times as fast.
All others are loaded by rez, attribute by attribute, with errors where rez raises them.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rez.serialise import FileFormat
from rez.utils.sourcecode import SourceCode

from rer_numba.errors import VersionError
from rer_numba.packages import BrokenValue, PackageData
from rer_numba.partial import Listed, Listing, Read
from rer_numba.paths.states import state_to_watch
from rer_numba.rez_bridge.load import attempt, late, package_of
from rer_numba.rez_bridge.witness import Witness
from rer_numba.schema import NONE
from rer_numba.version_order import version_key

if TYPE_CHECKING:  # where everything is published nothing is read
    from rer_numba.paths.settings import PathSettings
    from rer_numba.paths.source_folder import SourceFolder
    from rer_numba.paths.states import FileState
    from rer_numba.paths.static_package import StaticPackage

_PLAIN = "filesystem.package"
_COMBINED = "filesystem.package.combined"
KNOWN_TYPES = frozenset({"filesystem", "memory"})
"""Types of repositories whose packages keep what their file says in `_data`."""


class RezFinder:
    """Lists and reads by rez's repositories.

    Parameters
    ----------
    repositories : sequence of (int, rez.package_repository.PackageRepository)
        In the order in which they are searched, with the number of the path of each.
    open_paths : collection of int
        Numbers of the paths that no tables answer for.
    settings : PathSettings

    Attributes
    ----------
    repositories, open_paths
    """

    def __init__(
        self, repositories: Sequence[tuple[int, Any]], open_paths: Collection[int], settings: PathSettings
    ) -> None:
        self.repositories = repositories
        self.open_paths = open_paths
        self._settings = settings

    def find(self, name: str, *, everywhere: bool) -> Listing:
        """List a family. Ports: rez.packages.iter_packages and _get_families (rez 3.4.0)."""
        found: dict[bytes, Listed] = {}
        folders: list[SourceFolder] = []
        lasts = True
        path = NONE
        try:
            families = []
            for path, place in self.repositories:
                if everywhere or path in self.open_paths:
                    witness = Witness.of(path, place, name, self._settings)
                    families.append((path, place, place.get_package_family(name), witness))
            for path, place, family, witness in families:
                own = []
                for number, resource in enumerate(place.iter_packages(family) if family else ()):
                    version = version_of(resource)
                    state = None if witness is None else witness.state(version)
                    own.append((version_key(version), Listed(version, path, number, resource, state)))
                for key, listed in own:
                    found.setdefault(key, listed)
                lasts = lasts and witness is not None and witness.agrees([listed.version for _, listed in own])
                folders += witness.folders if witness is not None else ()
        except VersionError as error:
            return Listing([], ("VersionError", str(error)), path)
        except Exception as error:  # noqa: BLE001 - whatever listing raises is raised by the solve that lists it
            return Listing([], BrokenValue.of(error), path)
        return Listing(list(found.values()), folders=folders if lasts else None)

    def read(self, name: str, listed: Listed) -> Read:
        """Read a package."""
        resource = listed.resource
        static = _static(resource)
        if static is not None:
            package = static.package(name, listed.version, resource.filepath)
            return Read(package, _watched(resource, static) if listed.state is not None else None)
        if resource._repository.name() in KNOWN_TYPES:
            return Read(_loaded(name, listed))
        return Read(_by_attributes(name, listed))


def _watched(resource: Any, static: StaticPackage) -> list[tuple[str, FileState]]:
    """What tells the release time of a package that does not say it: its folder, where an old file may come to lie."""
    return [] if static.has_timestamp else [(resource.path, state_to_watch(resource.path))]


def version_of(resource: Any) -> str:
    """The version of a package as its repository spells it."""
    version = resource.get("version")
    return version if isinstance(version, str) else str(resource.version)


def _static(resource: Any) -> StaticPackage | None:
    """What a plain file says; None if rez has to read it, or has read it."""
    if resource.key != _PLAIN or "_data" in vars(resource):
        return None
    if resource.filepath is None or resource.file_format is not FileFormat.py:
        return None
    from rer_numba.paths.read import old_release_files
    from rer_numba.paths.static_package import NotPlainError, read_static_package

    try:
        static = read_static_package(resource.filepath)
    except (NotPlainError, OSError):
        return None
    return static if static.has_timestamp or not old_release_files(resource.path) else None


def _loaded(name: str, listed: Listed) -> PackageData:
    """Let rez load a package whose data is what its file says."""
    resource = listed.resource
    uri = resource.filepath if resource.key == _PLAIN else resource.uri
    return package_of(lambda: resource, name, listed.version, uri, counts_variants=resource.key == _COMBINED)


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
    """rez's handle of a variant, as a dict. Ports: PackageResourceHelper.iter_variants (rez 3.4.0)."""
    if resource._repository.name() not in KNOWN_TYPES:
        return _handle_by_rez(resource, index)
    variables = {"location": resource.location, "name": resource.name}
    if resource.key == _COMBINED:
        variables["ext"] = resource.get("ext")
    handle = resource._repository.make_resource_handle(
        resource.variant_key, **variables, version=resource.get("version"), index=index
    )
    found: dict[str, Any] = handle.to_dict()
    return found


def _handle_by_rez(resource: Any, index: int | None) -> dict[str, Any]:
    variants: Iterator[Any] = resource._repository.iter_variants(resource)
    found: dict[str, Any] = next(variant for variant in variants if variant.index == index).handle.to_dict()
    return found


def folder_resource(place: Any, name: str, version: str, uri: str) -> Any:
    """rez's object for a package of its folders, known by where it is defined. Nothing is looked at or loaded."""
    path, is_combined, _ = uri.rpartition("<")
    if is_combined and uri.endswith(f"<{version}>"):
        extension = os.path.splitext(path)[1][1:]
        return place.get_resource(_COMBINED, location=place.location, name=name, ext=extension, version=version)
    return place.get_resource(_PLAIN, location=place.location, name=name, version=version)
