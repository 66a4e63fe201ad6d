"""What rez says, in this process and at this moment, of a package that says something else in each process.

Through rez's own objects, and its caches: what rez has loaded in this process stays as it is until rez forgets it, and
a file that is asked here runs once.
"""

from __future__ import annotations

from typing import Any

from rez.package_repository import package_repository_manager

from rer_numba.packages import BrokenValue, PackageData
from rer_numba.rez_bridge.load import package_of
from rer_numba.rez_bridge.memory import folder_resource
from rer_numba.rez_bridge.stats import record_evaluated

_COMBINED_FAMILY = "filesystem.family.combined"
_COMBINED = "filesystem.package.combined"


def evaluated(location: str, name: str, version: str, uri: str | None) -> PackageData:
    """Evaluate a package. See `rer_numba.process_packages.evaluate`."""
    record_evaluated()
    place = package_repository_manager.get_repository(location)
    return _package(folder_resource(place, name, version, uri or ""), name, version, uri)


def evaluated_family(location: str, name: str, *, allow_unversioned: bool) -> list[PackageData] | BrokenValue:
    """Evaluate all packages of a family that is one file. See `rer_numba.process_packages.evaluate_family`."""
    record_evaluated()
    place: Any = package_repository_manager.get_repository(location)
    try:
        family = place.get_package_family(name)
        if family is None or family.key != _COMBINED_FAMILY:
            return []
        versions = family.versions
        texts = [""] if allow_unversioned and not versions else [str(version) for version in versions]
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - code in the file may raise anything, an exit too
        return BrokenValue.of(error)
    names = {"location": place.location, "name": name, "ext": family.ext}
    packages = [place.get_resource(_COMBINED, **names, version=text) for text in texts]
    return [_package(one, name, text, one.uri) for one, text in zip(packages, texts, strict=True)]


def _package(resource: Any, name: str, version: str, uri: str | None) -> PackageData:
    return package_of(lambda: resource, name, version, uri, counts_variants=resource.key == _COMBINED)
