"""What rez's own loader says of one package file.

Each call makes rez's objects anew, as a process that has just started would, so that nothing rez kept in memory
answers for a file that has changed since.

Invariants
----------
- An attribute is broken exactly where rez raises when a solve reads it, with rez's class name and text. rez loads a
  file whole, and then validates `variants`, `requires`, `build_requires` and `timestamp` each on its own.
- Requirements keep the texts of the file; `*` in them is not expanded, as rez expands it only when a package is built.
- Code in a package file runs, and may print. An exit asked for by it is recorded like any exception; an interrupt by
  the user passes.

Ports: rezplugins.package_repository.filesystem and rez.packages (rez 3.4.0): who reads what, in which order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rez import serialise
from rez.plugin_managers import plugin_manager
from rez.utils.formatting import PackageRequest
from rez.utils.resources import ResourcePool
from rez.utils.sourcecode import SourceCode
from rez.version import RequirementList

from rer_numba.hearing import raised_by_handler
from rer_numba.packages import LATE, BrokenValue, PackageData

if TYPE_CHECKING:
    from rer_numba.partial import Found

_PACKAGE = "filesystem.package"
_COMBINED_FAMILY = "filesystem.family.combined"
_COMBINED = "filesystem.package.combined"


def load_package(location: str, name: str, version: str, folder: str, file: str | None, extension: str) -> PackageData:
    """Load a package that has a folder of its own.

    Parameters
    ----------
    location : str
        The repository, as rez spells its path.
    name, version : str
        As the folders are called; version '' for a package without one.
    folder : str
        Where the package lies. Older releases have their time in a file of its own there.
    file : str or None
        The definition file. None: there is none, which breaks the package.
    extension : str
        Its kind, "py" or "yaml".

    Returns
    -------
    PackageData
        What cannot be read is in it as `BrokenValue`.
    """

    def find() -> Any:
        resource = _repository(location).get_resource(_PACKAGE, location=location, name=name, version=version)
        resource.path = folder
        resource._filepath_and_format = file, file and serialise.FileFormat[extension]
        return resource

    return package_of(find, name, version, file)


def package_of(
    find: Callable[[], Any], name: str, version: str, uri: str | None, *, counts_variants: bool = False
) -> PackageData:
    """Load a package of rez's, and read what a solve reads of it.

    Parameters
    ----------
    find : callable
        Gives rez's object; what it raises is as if loading raised it.
    counts_variants : bool
        Whether rez counts the variants without validating them, as it does in a combined file.
    """
    resource, values = _load(find)
    if resource is not None:
        values = {**_requirements_and_time(resource), "variants": attempt(_variants, resource)}
        if counts_variants and isinstance(values["variants"], BrokenValue):
            values.update(_counted_variants(resource, values["requires"], values["variants"]))
    return PackageData.as_found(name, version, **values, uri=uri)


def load_combined(
    location: str, name: str, extension: str, *, allow_unversioned: bool
) -> list[PackageData] | BrokenValue:
    """Load the packages of a family that is one file.

    Parameters
    ----------
    location : str
        The repository, as rez spells its path.
    name, extension : str
        The file is `name.extension` in it.
    allow_unversioned : bool
        Whether a file without versions is one package without a version.

    Returns
    -------
    list of PackageData, or BrokenValue
        In rez's order; or what rez raises, since the file cannot be loaded or its versions are wrong. (A wrong key of
        `version_overrides` breaks the packages, but not the list.)
    """
    try:
        repository = _repository(location)
        family = repository.get_resource(_COMBINED_FAMILY, location=location, name=name, ext=extension)
        with _files_as_they_are():
            versions = family.versions
        texts = [""] if allow_unversioned and not versions else [str(version) for version in versions]
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # code in the file may raise anything, an exit too
        if raised_by_handler(error):
            raise
        return BrokenValue.of(error)
    return [
        _combined_package(repository, {"location": location, "name": name, "ext": extension}, text) for text in texts
    ]


def _combined_package(repository: Any, family: dict[str, str], version: str) -> PackageData:
    """Take one package from a family's file, which `repository` has loaded already."""
    package = repository.get_resource(_COMBINED, **family, version=version)
    return package_of(lambda: package, family["name"], version, package.uri, counts_variants=True)


def _counted_variants(resource: Any, requires: Any, problem: BrokenValue) -> dict[str, Any]:
    """Bad variants of a combined file: rez counts them as they are, and validates when it reads what one requires."""
    count = attempt(lambda: len(resource._data.get("variants", [])))
    if isinstance(count, BrokenValue):
        return {"variants": count}
    if not count:
        return {"variants": []}
    return {"variants": [[]] * count, "requires": requires if isinstance(requires, BrokenValue) else problem}


def _repository(location: str) -> Any:
    """rez's object for a repository, with nothing in its caches."""
    kind: Any = plugin_manager.get_plugin_class("package_repository", "filesystem")
    return kind(location, ResourcePool(cache_size=None), disable_memcache=True)


@contextmanager
def _files_as_they_are() -> Iterator[None]:
    """Let rez read the files themselves: of those this process wrote it would read copies that it kept."""
    kept = serialise.file_cache.copy()
    serialise.file_cache.clear()
    try:
        yield
    finally:
        serialise.file_cache.update(kept)


def _load(find: Callable[[], Any]) -> tuple[Any, dict[str, Any]]:
    """Load a package, once: a file that fails would run again for each attribute.

    Returns
    -------
    resource, values
        rez's object with its data loaded, or None and the attributes as a solve finds them then.
    """
    try:
        resource = find()
        with _files_as_they_are():
            resource._data  # noqa: B018 - a property that loads
    except KeyboardInterrupt:
        raise
    except AttributeError as error:
        # rez's wrapper takes one for the sign that an attribute is not set; variants are read without the wrapper
        return None, {"variants": BrokenValue.of(error)}
    except BaseException as error:
        if raised_by_handler(error):
            raise
        return None, dict.fromkeys(("requires", "variants", "build_requires", "timestamp"), BrokenValue.of(error))
    return resource, {}


# ---------------------------------------------------------------------------------------------------------- attributes
def _requirements_and_time(resource: Any) -> dict[str, Any]:
    return {
        # a solve adds them up in this way, which fails if the value is a function
        "requires": attempt(_requirements, resource, "requires", lambda found: found + []),
        "build_requires": attempt(_requirements, resource, "build_requires", lambda found: [] + found),
        "timestamp": attempt(lambda: None if resource.timestamp is None else int(resource.timestamp)),
    }


def _requirements(resource: Any, key: str, add: Callable[[Any], Any]) -> list[str] | BrokenValue:
    texts = resource._data.get(key, [])
    if _are_requirements(texts):
        return _plain(texts)
    value = getattr(resource, key)
    if isinstance(value, SourceCode):
        if value.late_binding:
            return late(key)
        add(value)
    return _plain(texts)


def _variants(resource: Any) -> list[list[str]]:
    variants = resource._data.get("variants", [])
    if not (isinstance(variants, list) and all(map(_are_requirements, variants))):
        resource.variants  # noqa: B018 - a property that validates
    return list(map(_plain, variants))


def _are_requirements(texts: Any) -> bool:
    """Whether rez's schema lets a list pass; a text that many packages have is parsed once."""
    return type(texts) is list and all(type(text) is str and _is_requirement(text) for text in texts)


@lru_cache(maxsize=1 << 16)
def _is_requirement(text: str) -> bool:
    try:
        PackageRequest(text)
    except Exception:  # noqa: BLE001 - in rez's schema anything means no
        return False
    return True


def _plain(texts: list[str]) -> list[str]:
    """The texts; a computed one may be of a class of its own."""
    return [str.__str__(text) for text in texts]


def late(key: str) -> BrokenValue:
    """Note that an attribute is a late function."""
    return BrokenValue(LATE, f"{key} is a late function, which only rez can run, within a solve")


def attempt(read: Callable[..., Any], *arguments: Any) -> Any:
    """Call `read`; what it raises becomes a BrokenValue."""
    try:
        return read(*arguments)
    except Exception as error:  # rez's own errors, and whatever wrong values lead to
        if raised_by_handler(error):
            raise
        return BrokenValue.of(error)


# ------------------------------------------------------------------------------------------------------ late functions
def called_package(package: Any, found: Found, *, building: bool) -> PackageData:
    """Call the late functions of a package, for one solve.

    Parameters
    ----------
    package : rez.packages.Package
        With the context that its functions see.
    found : Found
        The package in the tables.
    building : bool
        Whether build_requires count; they are among what each variant requires then.
    """
    variants = list(package.iter_variants())
    values = [attempt(_called_requires, one, building) for one in variants]
    timestamp = attempt(lambda: None if package.timestamp is None else int(package.timestamp))
    if len(variants) == 1 and variants[0].index is None:
        return PackageData.as_found(
            found.name, found.version, requires=values[0], variants=[], timestamp=timestamp, uri=found.uri
        )
    broken = next((value for value in values if isinstance(value, BrokenValue)), None)
    requires: Any = [] if broken is None else broken
    texts = values if broken is None else [[] for _ in values]
    return PackageData.as_found(
        found.name, found.version, requires=requires, variants=texts, timestamp=timestamp, uri=found.uri
    )


def _called_requires(variant: Any, building: bool) -> list[str]:
    requires = variant.get_requires(build_requires=building)
    RequirementList(requires)  # before rez 3.4 late build_requires stay texts, which raises here, as it does in rez
    return list(map(str, requires))
