"""Packages from one JSON file, for those who have them somewhere else than in folders that rez reads."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from typing import Any

from rer_numba.errors import RerError
from rer_numba.packages import PackageData
from rer_numba.paths.static_package import NotPlainError, StaticPackage, check_text
from rer_numba.plain_files import read_bounded, require_size

_MAX_BYTES = 1 << 30
"""Of the file, and of what is packed in it."""


class JsonPackagesError(RerError):
    """A file of packages that cannot be read.

    Parameters
    ----------
    path : str
        The file.
    problems : list of str
        Everything that is wrong with it.
    """

    remedy = 'it must be JSON: {"packages": [{"name": ..., "version": ..., "requires": [...]}, ...]}'

    def __init__(self, path: str, problems: list[str]) -> None:
        super().__init__(path, problems)
        self.path = path
        self.problems = problems

    def __str__(self) -> str:
        if len(self.problems) == 1:
            return f"{self.path}: {self.problems[0]}; {self.remedy}"
        lines = [f"{self.path}: {len(self.problems)} packages cannot be read; {self.remedy}:", *self.problems]
        return "\n  ".join(lines)


def read_json(path: str) -> list[PackageData]:
    """Read a list of packages, or an object with a list ``packages``; gzipped if the name ends in .gz.

    Each has a ``name``, and may have ``version``, ``requires``, ``variants``, ``build_requires``, ``timestamp`` and
    ``uri``; other entries are not looked at.

    Returns
    -------
    list of PackageData
        In the order of the file.

    Raises
    ------
    JsonPackagesError
        Something in it cannot be used; all of it is told.
    OSError
        The file cannot be read; EFBIG: it is larger than 1 GiB.
    """
    packages, problems = [], []
    for n, item in enumerate(_items(path)):
        try:
            packages.append(_package_of(item))
        except NotPlainError as error:
            problems.append(f"package {n}{_named(item)}: {error}")
    if problems:
        raise JsonPackagesError(path, problems)
    return packages


def _items(path: str) -> list[Any]:
    """The list in a file."""
    raw = read_bounded(path, _MAX_BYTES)
    try:
        data = json.loads(_unpacked(path, raw) if path.endswith(".gz") else raw)
    except (ValueError, EOFError, gzip.BadGzipFile, zlib.error, RecursionError) as error:
        raise JsonPackagesError(path, [f"is not JSON ({error})"]) from None
    items = data.get("packages") if isinstance(data, dict) else data
    if not isinstance(items, list):
        raise JsonPackagesError(path, ["has no list of packages"])
    return items


def _unpacked(path: str, raw: bytes) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(raw)) as packed:
        data = packed.read(_MAX_BYTES + 1)
    require_size(path, len(data), _MAX_BYTES)
    return data


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
    return static.package(item["name"], item.get("version") or "", item.get("uri"))
