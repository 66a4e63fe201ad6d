"""`parse_static_package_py` and `parse_static_packages_py`: files read without running them, by pyrer's names."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable

from rer_numba.errors import VersionError
from rer_numba.packages import PackageData
from rer_numba.paths.states import old_release_files
from rer_numba.paths.static_package import NotPlainError, parse_static_package
from rer_numba.requirements import is_valid_package_name
from rer_numba.version_order import version_key


def parse_static_package_py(source: str) -> PackageData | None:
    """Read the text of a package.py.

    Parameters
    ----------
    source : str

    Returns
    -------
    PackageData or None
        None: only rez knows what the file says (`PackageData.from_rez`), or it says no name and version.

    Raises
    ------
    TypeError
        It is no text.
    """
    if not isinstance(source, str):
        raise TypeError(f"source must be the text of a file, not {type(source).__name__}")
    try:
        return _parsed(source.encode(), None)
    except UnicodeEncodeError:  # half a character
        return None


def parse_static_packages_py(paths: Iterable[str | os.PathLike[str]]) -> list[PackageData | None]:
    """Read many package.py files.

    Parameters
    ----------
    paths : iterable of path

    Returns
    -------
    list of PackageData or None
        In the order of `paths`. None for a file that cannot be opened, too, and beside one with release times of older
        versions of rez. Each package has its file as `uri`.

    Raises
    ------
    TypeError
        Something is no path.
    """
    if isinstance(paths, (str, bytes, os.PathLike)):
        raise TypeError(f"paths must be a list of paths, not {paths!r}")
    return [_read(os.fspath(path)) for path in paths]


def _read(path: str) -> PackageData | None:
    try:
        with open(path, "rb", buffering=0) as file:
            package = _parsed(file.read(), path)
    except (OSError, ValueError):  # ValueError: a path that none can have
        return None
    if package is not None and package.timestamp is None and old_release_files(os.path.dirname(path)):
        return None
    return package


def _parsed(source: bytes, uri: str | None) -> PackageData | None:
    try:
        static = parse_static_package(source)
    except NotPlainError:
        return None
    texts = _texts_of(source, ("name", "version"))
    if texts is None or not is_valid_package_name(texts["name"]):
        return None
    try:
        version_key(texts["version"])
    except VersionError:
        return None
    return static.package(texts["name"], texts["version"], uri)


def _texts_of(source: bytes, wanted: tuple[str, ...]) -> dict[str, str] | None:
    """The texts that a file assigns to some names, each once, as literals at its top; None if it does anything else."""
    found: dict[str, str] = {}
    bound = 0
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant):
            value = statement.value.value
            for target in statement.targets:
                if isinstance(target, ast.Name) and target.id in wanted and isinstance(value, str):
                    found[target.id] = value
        if not isinstance(statement, (ast.FunctionDef, ast.With)):  # whose names are their own
            bound += sum(_binds(node, wanted) for node in ast.walk(statement))
    return found if len(found) == len(wanted) == bound else None


def _binds(node: ast.AST, wanted: tuple[str, ...]) -> bool:
    return isinstance(node, ast.Name) and node.id in wanted and not isinstance(node.ctx, ast.Load)
