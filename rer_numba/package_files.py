"""Packages from files, without running any of them: for `rer-numba encode`.

A source is a JSON file as ``data_set/prepare.py`` writes it, or a tree ``NAME/VERSION/package.py`` of files that say
what they require in literals. Everything that cannot be read is collected, and told at once.
"""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from rer_numba.errors import RerError
from rer_numba.packages import PackageData
from rer_numba.requirements import is_valid_package_name
from rer_numba.static_package import NotPlainError, StaticPackage, check_text, read_static_package

NEEDS_REZ = (
    "computed packages need rez, which a later version of rer-numba will ask to read them; "
    "until then write what they require as literals, or leave them out"
)


def _tell_nobody(done: int) -> None:
    pass


class Problem(NamedTuple):
    """A file and what is wrong with it."""

    path: str
    text: str


class PackageFilesError(RerError):
    """Packages that cannot be read.

    Parameters
    ----------
    problems : list of Problem
        Every one that was found.
    remedy : str
        What the user can do.
    """

    def __init__(self, problems: list[Problem], remedy: str) -> None:
        super().__init__(problems, remedy)
        self.problems = problems
        self.remedy = remedy

    def __str__(self) -> str:
        if len(self.problems) == 1:
            return f"{self.problems[0].path}: {self.problems[0].text}; {self.remedy}"
        lines = [f"  {problem.path}: {problem.text}" for problem in self.problems]
        return "\n".join([f"{len(lines)} package files cannot be read; {self.remedy}:", *lines])


def read_packages(source: str, on_progress: Callable[[int], None] = _tell_nobody) -> list[PackageData]:
    """Read packages from a JSON file or a directory tree.

    Parameters
    ----------
    source : str
    on_progress : callable, optional
        Called with the number of packages read so far.

    Returns
    -------
    list of PackageData
        In the order of the file, or of `os.listdir` for families and for the versions in each.

    Raises
    ------
    PackageFilesError
        Something cannot be read, or there is nothing to read.
    OSError
        `source` cannot be opened.
    """
    if os.path.isdir(source):
        return read_tree(source, on_progress)
    return read_json(source)


# ----------------------------------------------------------------------------------------------------------------- JSON
def read_json(path: str) -> list[PackageData]:
    """Read a list of packages, or an object with a list ``packages``; gzipped if the name ends in .gz.

    Each has a ``name``, and may have ``version``, ``requires``, ``variants``, ``build_requires``, ``timestamp`` and
    ``uri``; other entries are not looked at. Raises as `read_packages`.
    """
    with open(path, "rb") as file:
        raw = file.read()
    remedy = 'it must be JSON: {"packages": [{"name": ..., "version": ..., "requires": [...]}, ...]}'
    try:
        data = json.loads(gzip.decompress(raw) if path.endswith(".gz") else raw)
    except (ValueError, EOFError, gzip.BadGzipFile, zlib.error, RecursionError) as error:
        raise PackageFilesError([Problem(path, f"is not JSON ({error})")], remedy) from None
    items = data.get("packages") if isinstance(data, dict) else data
    if not isinstance(items, list):
        raise PackageFilesError([Problem(path, "has no list of packages")], remedy)
    packages, problems = [], []
    for n, item in enumerate(items):
        try:
            packages.append(_package_of(item))
        except NotPlainError as error:
            problems.append(Problem(path, f"package {n}{_named(item)}: {error}"))
    if problems:
        raise PackageFilesError(problems, remedy)
    return packages


def _named(item: Any) -> str:
    return f" ({item['name']})" if isinstance(item, dict) and isinstance(item.get("name"), str) else ""


def _package_of(item: Any) -> PackageData:
    if not isinstance(item, dict):
        raise NotPlainError(f"must be an object, not {item!r:.40}")
    static = StaticPackage.of({key: value for key, value in item.items() if value is not None})
    for key in ("name", "version", "uri"):
        if not isinstance(item.get(key) or "", str):
            raise NotPlainError(f"{key} must be a text, not {item[key]!r:.40}")
        check_text(item.get(key) or "", key)
    if not item.get("name"):
        raise NotPlainError("has no name")
    return _make(item["name"], item.get("version") or "", static, item.get("uri"))


def _make(name: str, version: str, static: StaticPackage, uri: str | None) -> PackageData:
    return PackageData(
        name,
        version,
        static.requires,
        static.variants,
        build_requires=static.build_requires,
        timestamp=static.timestamp,
        uri=uri,
    )


# ----------------------------------------------------------------------------------------------------------------- tree
def read_tree(root: str, on_progress: Callable[[int], None] = _tell_nobody) -> list[PackageData]:
    """Read a tree as rez's filesystem repository does, if it is plain. Raises as `read_packages`.

    Notes
    -----
    Name and version are those of the folders, whatever the file says. A package file directly in a family's folder
    makes the family this one unversioned package. Versions with an ``.ignore`` or ``.building`` mark are left out as
    rez leaves them out. Ports: rezplugins.package_repository.filesystem (rez 3.4.0), for ``package.py`` files.
    """
    packages: list[PackageData] = []
    problems: list[Problem] = []
    for name, version, folder in _package_folders(os.path.abspath(root), problems):
        path = os.path.join(folder, "package.py")
        try:
            path.encode()
            packages.append(_make(name, version, read_static_package(path), path))
        except UnicodeEncodeError:
            problems.append(Problem(path, "has a name that is not valid text"))
        except FileNotFoundError:
            problems.append(Problem(*_no_package_py(folder)))
        except OSError as error:
            problems.append(Problem(path, f"cannot be read ({error.strerror})"))
        except NotPlainError as error:
            problems.append(Problem(path, str(error)))
        on_progress(len(packages))
    if problems:
        raise PackageFilesError(problems, NEEDS_REZ)
    if not packages:
        raise PackageFilesError([Problem(root, "holds no packages")], "it must have files NAME/VERSION/package.py")
    return packages


def _no_package_py(folder: str) -> tuple[str, str]:
    path = os.path.join(folder, "package.yaml")
    if os.path.isfile(path):
        return path, "is a YAML package"
    return folder, "holds no package.py"


def _package_folders(root: str, problems: list[Problem]) -> Iterator[tuple[str, str, str]]:
    """(family, version, folder) of each package."""
    for name in os.listdir(root):
        path = os.path.join(root, name)
        if os.path.isdir(path):
            if is_valid_package_name(name):
                yield from _versions(name, path, problems)
        elif _is_combined(root, name):
            problems.append(Problem(path, "holds all versions of a package in one file"))


def _is_combined(root: str, file: str) -> bool:
    """True for NAME.py or NAME.yaml, unless a folder NAME hides it."""
    name, extension = os.path.splitext(file)
    if extension not in (".py", ".yaml") or file == "settings.yaml" or not is_valid_package_name(name):
        return False
    return not os.path.isdir(os.path.join(root, name))


def _versions(name: str, family: str, problems: list[Problem]) -> Iterator[tuple[str, str, str]]:
    try:
        entries = os.listdir(family)
    except OSError as error:
        problems.append(Problem(family, f"cannot be listed ({error.strerror})"))
        return
    if _has_package_file(family):
        yield name, "", family
        return
    for version in entries:
        folder = os.path.join(family, version)
        if version.startswith(".") or not os.path.isdir(folder):
            continue
        if os.path.isfile(os.path.join(family, f".ignore{version}")):
            continue
        if f".building{version}" in entries and not _has_package_file(folder):
            continue
        yield name, version, folder


def _has_package_file(folder: str) -> bool:
    return any(os.path.isfile(os.path.join(folder, name)) for name in ("package.py", "package.yaml"))
