"""Packages found and read through rez's own repository objects, in rez's own order.

rez lists; what it remembers of its folders holds here too, and other types of repositories look like any other. A
definition file that only says literals is parsed instead of run, unless rez has loaded it already: ten times as fast.
All others are loaded by rez, attribute by attribute, with errors where rez raises them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rez.serialise import FileFormat
from rez.utils.sourcecode import SourceCode

from rer_numba.errors import VersionError
from rer_numba.packages import BrokenValue, PackageData
from rer_numba.partial import Listed, Listing
from rer_numba.rez_bridge.load import attempt, late, package_of
from rer_numba.schema import NONE
from rer_numba.version_order import version_key

if TYPE_CHECKING:  # where everything is published nothing is read
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
    """

    def __init__(self, repositories: Sequence[tuple[int, Any]]) -> None:
        self.repositories = repositories

    def find(self, name: str) -> Listing:
        """List a family. Ports: rez.packages.iter_packages and _get_families (rez 3.4.0)."""
        found: dict[bytes, Listed] = {}
        path = NONE
        try:
            families = []
            for path, place in self.repositories:
                families.append((path, place, place.get_package_family(name)))
            for path, place, family in families:
                for resource in place.iter_packages(family) if family else ():
                    version = version_of(resource)
                    found.setdefault(version_key(version), Listed(version, path, resource))
        except VersionError as error:
            return Listing([], ("VersionError", str(error)), path)
        except Exception as error:  # noqa: BLE001 - whatever listing raises is raised by the solve that lists it
            return Listing([], BrokenValue.of(error), path)
        return Listing(list(found.values()))

    def read(self, name: str, listed: Listed) -> PackageData:
        """Read a package."""
        resource = listed.resource
        static = _static(resource)
        if static is not None:
            return static.package(name, listed.version, resource.filepath)
        if resource._repository.name() in KNOWN_TYPES:
            return _loaded(name, listed)
        return _by_attributes(name, listed)


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
