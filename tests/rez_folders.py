"""What live rez finds in folders, and what `rer_numba.paths.discover` finds there, in the same form."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rez.config import _create_locked_config, _replace_config
from rez.package_repository import package_repository_manager
from rez.plugin_managers import plugin_manager
from rez.utils.resources import ResourcePool

from rer_numba.paths.discover import Family, FamilyListing, Location, canonical_location, list_family, list_location
from rer_numba.paths.settings import PathSettings

DEFAULTS = PathSettings()

Found = tuple[str, str | None]
"""Version as spelled, and definition file."""


@contextlib.contextmanager
def rez_as(settings: PathSettings, build_python_path: str = "") -> Iterator[None]:
    """Run rez with these settings and nothing else, without anything that it remembers."""
    plugin = {
        "package_filenames": list(settings.package_filenames),
        "check_package_definition_files": settings.check_package_definition_files,
        "file_lock_dir": settings.file_lock_dir,
    }
    overrides = {
        "allow_unversioned_packages": settings.allow_unversioned_packages,
        "package_definition_build_python_paths": [build_python_path] if build_python_path else [],
        "plugins": {"package_repository": {"filesystem": plugin}},
    }
    package_repository_manager.clear_caches()
    with _replace_config(_create_locked_config(overrides=overrides)):
        yield
    package_repository_manager.clear_caches()


def repository(path: str) -> Any:
    return plugin_manager.get_plugin_class("package_repository", "filesystem")(path, ResourcePool(cache_size=None))


def found_by_rez(path: str, name: str) -> tuple[str, str, list[Found]] | None:
    """Extension, path and packages of a family at one location, None if there is no such family.

    Of a combined file the packages are left out.
    """
    there = repository(path)
    family = there.get_package_family(name)
    if family is None:
        return None
    if family.key == "filesystem.family.combined":
        return family.ext, family.filepath, []
    packages = list(there.iter_packages(family))
    for package in packages:
        assert package.uri == package.filepath
    return "", family.path, sorted_found((package.get("version") or "", package.uri) for package in packages)


def found_by_us(location: Location, name: str, settings: PathSettings) -> tuple[str, str, list[Found]] | None:
    family = location.families.get(name)
    if family is None:
        return None
    listing = list_family(family, settings)
    assert listing.error is None
    return family.extension, family.path, sorted_found((entry.version, entry.file) for entry in listing.entries)


def sorted_found(found: Iterable[Found]) -> list[Found]:
    return sorted(found, key=lambda one: (one[0], one[1] or ""))


class Place:
    """One location, asked about as rez is."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()

    def add(self, *paths: str) -> None:
        """Write empty files, or folders where a path ends in '/'."""
        for path in paths:
            made = self.root / path
            (made if path.endswith("/") else made.parent).mkdir(parents=True, exist_ok=True)
            if not path.endswith("/"):
                made.write_bytes(b"")

    def family(self, name: str = "foo") -> Family:
        return list_location(str(self.root), DEFAULTS).families[name]

    def names(self) -> list[str]:
        return sorted(list_location(str(self.root), DEFAULTS).families)

    def listing(self, settings: PathSettings = DEFAULTS, name: str = "foo") -> FamilyListing:
        """List a family, which must be as rez lists it."""
        location = list_location(str(self.root), settings)
        with rez_as(settings):
            assert found_by_us(location, name, settings) == found_by_rez(str(self.root), name)
        return list_family(location.families[name], settings)

    def files(self, settings: PathSettings = DEFAULTS, name: str = "foo") -> dict[str, str | None]:
        """Version -> definition file, below the folder of the family."""
        start = str(Path(canonical_location(str(self.root)), name)) + os.sep
        return {
            entry.version: entry.file and entry.file.removeprefix(start)
            for entry in self.listing(settings, name).entries
        }
